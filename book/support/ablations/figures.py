"""The figures of chapter 6: what each knob does (a tornado plot), η with α (a map), what a critic would say exactly."""

import itertools
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION
from ramac_lib.envs.bandit import MODES, Bandit
from ramac_lib.system.minus import minus, number
from support.ablations.tables import NAMES, value_text

UNTOLD = "#999999"
TITLES = {"cvar": "CVaR$_{0.1}$", "expected_reward": "mean reward", "ood": "probability out of the data"}
LINEAR = {"cvar": 0.1, "expected_reward": 0.01, "ood": 0.1}  # up to here a tornado's axis is linear, beyond logarithmic
HIGHER = {"cvar": 1, "expected_reward": 1, "ood": -1}  # what counts as better
MODE_COLOURS = {"ring": VIOLATION, "centre": SAFE}


def colour_of(low: float, high: float, statistic: str) -> str:
    """Return a difference's colour: blue where it is told to be better, orange where worse, grey where not told."""
    sign = (int(low > 0) - int(high < 0)) * HIGHER[statistic]
    return {1: SAFE, -1: VIOLATION, 0: UNTOLD}[sign]


def tornado(
    effects: pd.DataFrame, order: Sequence[str], statistics: Sequence[str] = ("cvar", "expected_reward")
) -> Figure:
    """Return bars of the differences to the method's own settings, a line a value, knobs from the top in an order.

    Args:
        effects: of `support.ablations.effects.effects`.
        order: knobs, the one that matters most first; others follow as they come.
    """
    knobs = [*order, *(k for k in effects["knob"].unique() if k not in order)]
    knobs = [knob for knob in knobs if knob in set(effects["knob"])]
    lines, edges = [], [0.0]
    for knob in knobs:
        values = list(effects.loc[effects["knob"] == knob, "value"].unique())
        lines += [(edges[-1] + 0.5 + i, knob, value) for i, value in enumerate(values)]
        edges.append(edges[-1] + len(values) + 0.5)
    figure, axes = plt.subplots(
        1, len(statistics), figsize=(2.6 * len(statistics) + 1.3, 0.185 * edges[-1] + 0.8), sharey=True, squeeze=False
    )
    for axis, statistic in zip(axes[0], statistics, strict=True):
        found = effects[effects["statistic"] == statistic].set_index("value")
        for place, _, value in lines:
            one = found.loc[value]
            colour = colour_of(one["low"], one["high"], statistic)
            axis.barh(place, one["difference"], height=0.75, color=colour, alpha=0.75)
            axis.plot([one["low"], one["high"]], [place, place], color=TRUTH, linewidth=1)
        for k, (top, bottom) in enumerate(itertools.pairwise(edges)):
            if k % 2:
                axis.axhspan(top - 0.25, bottom - 0.25, color=UNTOLD, alpha=0.1, linewidth=0)
        axis.axvline(0, color=TRUTH, linewidth=0.8)
        own = found["own"].iloc[0]
        axis.set(title=f"{TITLES[statistic]}, own {own:.2f}", xlabel="difference")
        near = LINEAR[statistic]
        axis.set_xscale("symlog", linthresh=near, linscale=0.6)
        reach = [x for k in range(4) for x in (near * 10**k, 3 * near * 10**k)]
        low, high = found["low"].min(), found["high"].max()
        ticks = [0.0, *(x for x in reach if x <= high), *(-x for x in reach if -x >= low)]
        axis.set_xticks(sorted(ticks), [minus(f"{x:+g}") if x else "0" for x in sorted(ticks)], fontsize=8)
        axis.minorticks_off()
        axis.grid(axis="y", visible=False)
    axes[0][0].set_yticks([place for place, _, _ in lines], [value_text(value) for _, _, value in lines], fontsize=8)
    axes[0][0].tick_params(axis="y", length=0)
    axes[0][0].set_ylim(edges[-1] - 0.25, -0.25)
    return figure


def heat(axes: Axes, grid: pd.DataFrame, title: str, low: float, high: float, digits: int = 2) -> None:
    """Draw a table of numbers as a map: index along y, columns along x, the number in each cell."""
    colours = mpl.colormaps["cividis"]
    axes.imshow(grid.to_numpy(), cmap=colours, vmin=low, vmax=high, aspect="auto", origin="lower")
    for (i, j), value in np.ndenumerate(grid.to_numpy()):
        share = (value - low) / (high - low) if high > low else 0.5
        axes.text(
            j,
            i,
            number(value, digits),
            ha="center",
            va="center",
            fontsize=8,
            color="black" if share > 0.5 else "white",
        )
    axes.set_xticks(range(grid.shape[1]), [f"{c:g}" for c in grid.columns])
    axes.set_yticks(range(grid.shape[0]), [f"{r:g}" for r in grid.index])
    axes.set(title=title)
    axes.grid(False)


def maps(grids: Mapping[str, pd.DataFrame], bandit: Bandit | None = None) -> Figure:
    """Return η × α maps of CVaR, mean and probability out of the data (`tables.eta_alpha`), a panel each."""
    bandit = bandit or Bandit()
    ranges = {
        "cvar": (bandit.reward_risk("ring"), bandit.reward_risk("centre")),
        "expected_reward": (bandit.reward_mean("centre"), bandit.reward_mean("ring")),
        "ood": (0.0, 1.0),
    }
    figure, axes = plt.subplots(1, len(grids), figsize=(3.0 * len(grids), 2.8), squeeze=False, sharey=True)
    for axis, (statistic, grid) in zip(axes[0], grids.items(), strict=True):
        heat(axis, grid, TITLES[statistic], *ranges[statistic])
        axis.set(xlabel=NAMES["eta"])
    axes[0][0].set(ylabel=NAMES["alpha"])
    return figure


def perfect_critic(fractions: Mapping[str, Sequence[tuple[int, float]]], bandit: Bandit | None = None) -> Figure:
    """Return what a perfect critic says of both modes: their CVaR against α, and the ring's read off N fractions.

    Args:
        fractions: name of a rule → N and the ring's CVaR_0.1 as read off that grid.
    """
    bandit = bandit or Bandit()
    levels = np.linspace(0.02, 1, 200)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.0))
    for mode in MODES:
        left.plot(levels, [bandit.reward_risk(mode, alpha=a) for a in levels], color=MODE_COLOURS[mode], label=mode)
    left.axvline(0.1, color=TRUTH, linewidth=0.8, linestyle=":")
    left.set(xlabel=NAMES["alpha"], ylabel="CVaR$_\\alpha$ of the reward")
    left.legend()
    for (name, points), marker in zip(fractions.items(), "o^sD", strict=False):
        right.plot(*zip(*points, strict=True), marker, markersize=5, label=name, alpha=0.8)
    right.axhline(bandit.reward_risk("ring"), color=VIOLATION, linewidth=1, label="ring, exactly")
    right.axhline(bandit.reward_risk("centre"), color=SAFE, linewidth=1, label="centre")
    right.set(xlabel="fractions $N$", ylabel="CVaR$_{0.1}$ of the ring, read off", xscale="log")
    right.set_xticks([8, 16, 32, 64], ["8", "16", "32", "64"])
    right.minorticks_off()
    right.legend(fontsize=8, loc="lower right")
    return figure


def push_curve(found: pd.DataFrame, labels: Mapping[str, str]) -> Figure:
    """Return the CVaR_0.1 against a perfect critic's push (`push.points`): knobs filled, rows that check it hollow.

    Args:
        labels: row's options → name, of the points that are named; "" for the method's own settings.
    """
    figure, axis = plt.subplots(figsize=(7.2, 3.8))
    looks = {"knobs": ("o", SAFE, SAFE), "map": ("s", "none", TRUTH), "measures": ("D", "none", VIOLATION)}
    names = {"knobs": "one knob", "map": "η and α together", "measures": "another measure"}
    for suite, (marker, face, edge) in looks.items():
        own = found[found["suite"] == suite]
        axis.scatter(
            own["push"], own["cvar"], marker=marker, s=30, facecolors=face, edgecolors=edge, label=names[suite]
        )
    up = found[(found["suite"] == "knobs") & (found["push"] > 0)].sort_values("push")
    axis.plot(up["push"], up["cvar"], color=SAFE, linewidth=0.8, zorder=0)
    for _, one in found[found["variant"].isin(labels)].iterrows():
        place = (5, -11) if one["suite"] == "knobs" else (-34, 5)
        at = (one["push"], one["cvar"])
        axis.annotate(labels[one["variant"]], at, xytext=place, textcoords="offset points", fontsize=8)
    axis.axhline(1, color=UNTOLD, linewidth=0.8)
    axis.axvline(0, color=UNTOLD, linewidth=0.8)
    axis.set_xscale("symlog", linthresh=0.1)
    axis.set(xlabel="push to the centre by a perfect critic", ylabel=TITLES["cvar"])
    axis.legend(loc="lower right")
    return figure
