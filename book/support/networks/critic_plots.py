"""Figures and sentences of what `ramac analyse critics` found."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib.analysis.agreement import crossed_interval
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.rows import row_from
from ramac_lib.analysis.style import TRUTH, Style

KINDS = {"policy": "the policy's action", "data": "the data's action"}


def run_styles(facts: Mapping[str, Any], hazard: str | None = None) -> dict[str, Style]:
    """Return how each run is drawn, by its hash, in the order of OUT.json; those under one hazard if it is named."""
    runs = [run for run in facts["runs"] if hazard in (None, run["hazard"])]
    return {run["run"]: row_from(run).style for run in runs}


def curve(quantiles: pd.DataFrame) -> pd.DataFrame:
    """Return a calibration curve: ``fraction observed low high``, averaged over critics, seeds and states.

    Args:
        quantiles: rows of one run and one kind of action.
    """
    wide = quantiles.pivot_table(index=["seed", "state"], columns="fraction", values="observed", aggfunc="mean")
    seeds, count = wide.index.get_level_values("seed").nunique(), len(wide)
    values = wide.to_numpy().reshape(seeds, count // seeds, -1)
    low, high = crossed_interval(values)
    return pd.DataFrame(
        {"fraction": wide.columns.to_numpy(), "observed": values.mean(axis=(0, 1)), "low": low, "high": high}
    )


def miscalibration(quantiles: pd.DataFrame) -> float:
    """Return the mean over the fractions of |observed − τ| of a run's calibration curve: 0 to .5 at most."""
    points = curve(quantiles)
    return float((points["observed"] - points["fraction"]).abs().mean())


def draw_calibration(axes: Axes, quantiles: pd.DataFrame, drawn: Mapping[str, Style], action: str = "policy") -> None:
    """Draw each run's calibration curve with its band; a calibrated critic is on the diagonal.

    Above the diagonal returns fall below the quantile more often than they should: it lies too high.
    """
    axes.plot([0, 1], [0, 1], color=TRUTH, linewidth=0.8)
    for run, look in drawn.items():
        rows = quantiles[(quantiles["run"] == run) & (quantiles["action"] == action)]
        if rows.empty:
            continue
        points = curve(rows)
        x = points["fraction"]
        axes.plot(x, points["observed"], color=look.colour, linestyle=look.line, label=look.label)
        axes.fill_between(x, points["low"], points["high"], color=look.colour, alpha=0.13, linewidth=0)
    axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), aspect="equal", xlabel="quantile fraction $\\tau$", title=KINDS[action])


def quantile_panels(
    quantiles: pd.DataFrame,
    drawn: Mapping[str, Style],
    states: Sequence[int],
    seed: int,
    action: str = "policy",
) -> Figure:
    """Draw what the critics of a seed say and what the rollouts gave: a row a run, a column a state, one scale.

    A line is the mean of a run's critics, a dot the rollouts' quantile at the same fraction; the stroke between them is
    the critic's error there.
    """
    figure, grid = plt.subplots(
        len(drawn), len(states), figsize=(8.6, 0.7 + 1.5 * len(drawn)), sharex=True, sharey=True, squeeze=False
    )
    for line, (run, look) in zip(grid, drawn.items(), strict=True):
        for axes, state in zip(line, states, strict=True):
            chosen = (quantiles["run"] == run) & (quantiles["state"] == state) & (quantiles["seed"] == seed)
            draw_pairs(axes, quantiles[chosen & (quantiles["action"] == action)], look)
        line[0].annotate(
            look.label.replace(", ", ",\n"), (1, 0.04), xycoords="axes fraction", xytext=(-4, 0),
            textcoords="offset points", ha="right", va="bottom", fontsize=8, color=look.colour,
        )  # fmt: skip
    for axes, state in zip(grid[0], states, strict=True):
        axes.set_title(f"state {state}")
    figure.supxlabel("quantile fraction $\\tau$", fontsize=10)
    figure.supylabel("discounted return", fontsize=10)
    return figure


def draw_pairs(axes: Axes, quantiles: pd.DataFrame, look: Style) -> None:
    """Draw learned quantiles as a line, those of rollouts as dots, and a stroke from each to its own."""
    pairs = quantiles.groupby("fraction")[["learned", "monte_carlo"]].mean()
    axes.vlines(pairs.index, pairs["learned"], pairs["monte_carlo"], color=look.colour, alpha=0.35, linewidth=0.8)
    axes.plot(pairs.index, pairs["learned"], color=look.colour, linewidth=1.4)
    axes.plot(pairs.index, pairs["monte_carlo"], ".", color=TRUTH, markersize=3.5)


def draw_bias(axes: Axes, summary: pd.DataFrame, drawn: Mapping[str, Style], column: str = "bias") -> None:
    """Draw a signed bias of each run with its interval: full marks for the policy's actions, hollow for the data's.

    Args:
        summary: of `agreement.summary`.
        column: ``bias`` or ``tail_bias``.
    """
    order: Sequence[str] = list(drawn)[::-1]
    axes.axvline(0, color=TRUTH, linewidth=0.8)
    for row in summary[summary["run"].isin(order)].itertuples():
        look = drawn[str(row.run)]
        value, low, high = (float(getattr(row, column + end)) for end in ("", "_low", "_high"))
        place = order.index(str(row.run)) + (0.15 if row.action == "policy" else -0.15)
        fill = look.colour if row.action == "policy" else "white"
        error = np.array([[value - low], [high - value]])
        axes.errorbar(value, place, xerr=error, color=look.colour, marker=look.marker, markerfacecolor=fill, capsize=2)
    axes.set_yticks(range(len(order)), [drawn[run].label for run in order])
    axes.grid(axis="y", visible=False)


def sentences(summary: pd.DataFrame, labels: Mapping[str, str], action: str = "policy") -> list[str]:
    """Return for each run what its critics are, by rule.

    Too high or too low in the mean (or the worst tenth) where the interval of the bias excludes 0; too narrow or too
    wide where that of the spread excludes 1; otherwise inconclusive.

    Args:
        summary: of `summary`.
        labels: the names of the runs that are spoken of, by hash.
    """

    def side(row: Any, name: str, right: float, words: tuple[str, str]) -> str:
        low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
        return words[0] if high < right else words[1] if low > right else "inconclusive"

    found = []
    spoken = summary[(summary["action"] == action) & summary["run"].isin(list(labels))]
    for row in spoken.itertuples():
        bias, tail = (side(row, name, 0, ("too low", "too high")) for name in ("bias", "tail_bias"))
        spread = side(row, "spread", 1, ("too narrow", "too wide"))
        found.append(
            f"{labels[str(row.run)]}: mean {bias} ({_span(row, 'bias', 0)}), worst tenth {tail} "
            f"({_span(row, 'tail_bias', 0)}), spread {spread} ({_span(row, 'spread', 2)} of the rollouts')."
        )
    return found


def _span(row: Any, name: str, digits: int) -> str:
    return Estimate(*(getattr(row, name + end) for end in ("", "_low", "_high"))).text(digits, signed=digits == 0)
