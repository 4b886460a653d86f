"""Figure 4: where policies hold the monitored signal, and how much of their time is spent outside the safe range.

The estimate is a plain histogram whose bins begin at the bounds of the safe range. A kernel would carry mass across
the bounds, and how much lies beyond them is what the figure is asked; here the area beyond is exactly that share.
All steps of all episodes weigh the same, so that a long episode counts for more than a short one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes

from ramac_lib.analysis.recordings import Signals
from ramac_lib.analysis.style import BAND, style
from ramac_lib.envs.hazards import Interval

BINS = 70  # about so many over the middle 99.8 % of all steps
TAIL = 0.001


def bin_edges(values: Float[np.ndarray, " T"], hazard: Interval, count: int = BINS) -> Float[np.ndarray, " B"]:
    """Return edges of equal bins over all values, with an edge at each finite bound of the safe range.

    The width is the spread of the middle 99.8 % over `count`, made smaller so that it divides the safe range.
    """
    values = np.asarray(values, np.float64)
    # In float32, in which violations are judged.
    bounds = [float(np.float32(b)) for b in (hazard.low, hazard.high) if np.isfinite(b)]
    first, last = np.quantile(values, [TAIL, 1 - TAIL])
    width = max(float(last - first), 1e-6) / count
    if len(bounds) == 2 and bounds[1] > bounds[0]:
        width = (bounds[1] - bounds[0]) / np.ceil((bounds[1] - bounds[0]) / width)
    anchor = bounds[0] if bounds else 0.0
    # An empty bin at each end: a value may lie on the last edge, and the drawn line comes down to zero.
    below = int(np.floor((values.min() - anchor) / width)) - 1
    above = int(np.floor((values.max() - anchor) / width)) + 2
    edges = anchor + width * np.arange(below, above + 1)
    for bound in bounds:  # the multiple of the width may miss it by rounding
        nearest = np.abs(edges - bound).argmin()
        if abs(edges[nearest] - bound) < width / 2:
            edges[nearest] = bound
    return edges


def sentences(table: pd.DataFrame, data: float | None = None) -> list[str]:
    """Return for each pair of runs which is outside for more of its time, by whether their intervals separate.

    Args:
        table: of `outside`.
        data: the behaviour data's share of steps outside, to be named beside them.
    """
    rows: list[Any] = list(table.itertuples())

    def percent(share: float) -> str:
        return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"

    shares = ", ".join(f"{r.label} {percent(r.outside)} [{percent(r.low)}, {percent(r.high)}]" for r in rows)
    found = [f"Outside the safe range: {shares}" + (f"; the data {percent(data)}." if data is not None else ".")]
    for k, one in enumerate(rows):
        for two in rows[k + 1 :]:
            if one.high >= two.low and one.low <= two.high:
                found.append(f"Whether {one.label} or {two.label} spends more is inconclusive.")
            else:
                word = "less" if one.high < two.low else "more"
                found.append(f"{one.label} spends {word} of its time outside than {two.label}.")
    return found


def draw_density(
    axes: Axes,
    signals: Signals,
    indices: Sequence[int],
    published: tuple[float, float] | None = None,
    count: int = BINS,
) -> None:
    """Draw the density of the monitored signal of runs on one task under one hazard, the data's as a thin line.

    Args:
        published: another safe range, such as the one that the paper's figure shows: two dotted lines.
    """
    hazard, rows = signals.hazard(indices[0]), [signals.rows[i] for i in indices]
    parts = [signals.monitored[signals.steps(i)] for i in indices]
    data = signals.behaviour.get(rows[0].task)
    every = np.concatenate([*parts, *([] if data is None else [data])])
    edges = bin_edges(every, hazard, count)
    left, right = np.quantile(every, [TAIL / 2, 1 - TAIL / 2])
    bounds = [b for b in (hazard.low, hazard.high, *(published or ())) if np.isfinite(b)]
    left, right = min([left, *bounds]), max([right, *bounds])
    margin = 0.04 * (right - left)
    left, right = left - margin, right + margin
    axes.axvspan(
        max(hazard.low, left), min(hazard.high, right), color=BAND, alpha=0.13, linewidth=0, label="safe range"
    )
    if data is not None:
        own = style("behaviour")
        axes.stairs(
            np.histogram(data, edges, density=True)[0], edges, color=own.colour, linewidth=0.8, label="the data"
        )
    for part, drawn in zip(parts, [row.style for row in rows], strict=True):
        density = np.histogram(part, edges, density=True)[0]
        axes.stairs(density, edges, color=drawn.colour, linestyle=drawn.line, linewidth=1.6, label=drawn.label)
    for k, bound in enumerate(published or ()):
        axes.axvline(bound, color="#555555", linestyle=":", label="range in the paper's figure" if k == 0 else None)
    axes.set(xlim=(left, right), ylim=(0, None), ylabel="density")


def reported(report: pd.DataFrame, signals: Signals, indices: Sequence[int]) -> str | None:
    """Return the same shares over the episodes of the runs' own reports, in words; None where one has no report.

    The reports' episodes are others than the recorded ones, so that the two shares of a run differ by chance.

    Args:
        report: columns ``run violations length``, one row an episode.
        indices: of the recorded runs.
    """
    shares, counts = [], []
    for index in indices:
        own = report[report["run"] == signals.facts["runs"][index]["run"]]
        if own.empty:
            return None
        share = own["violations"].sum() / own["length"].sum()
        shares.append(f"{signals.rows[index].label} {100 * share:.1f}\N{NO-BREAK SPACE}%")
        counts.append(len(own))
    episodes = f"{min(counts):,}" if min(counts) == max(counts) else f"{min(counts):,} to {max(counts):,}"
    return f"Over the {episodes} other episodes of each run's report (table 5.3): {', '.join(shares)}."
