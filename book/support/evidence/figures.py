"""Learning curves, the plane of return and violations (figure 8), and aggregates as intervals."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Evidence
from ramac_lib.analysis.intervals import ALPHA
from ramac_lib.analysis.rows import find, split
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar
from support.evidence.aggregates import front
from support.panels import curve, ordered_colours

OTHERS, FRONT = "#d0d0d0", "#000000"
COLUMNS = 4
RANKS = ("-", "--", ":", "-.")  # lines of the behaviour policies, the best mean first


def moments(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return each evaluation's mean return and violations an episode over all seeds; columns ``row step progress mean
    violations``, progress being the step as a share of the row's last one.
    """
    found = episodes.groupby(["row", "step"], sort=False)[["return", "violations"]].mean().reset_index()
    found = found.rename(columns={"return": "mean"})
    return found.assign(progress=found["step"] / found.groupby("row")["step"].transform("max"))


def front_line(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points on the Pareto front of few violations and high mean return, by violations."""
    kept = points[front(points["violations"].to_numpy(), points["mean"].to_numpy())]
    return kept.sort_values(["violations", "mean"])


def draw_plane(axes: Axes, points: pd.DataFrame, row: str) -> None:
    """Draw one row's evaluations from dark to light, joined in order, over all the others', with the front of all."""
    own = points[points["row"] == row].sort_values("step")
    rest, edge = points[points["row"] != row], front_line(points)
    axes.scatter(rest["violations"], rest["mean"], s=7, color=OTHERS, linewidths=0)
    axes.step(edge["violations"], edge["mean"], where="post", color=FRONT, linewidth=0.8)
    axes.plot(own["violations"], own["mean"], color=style(row).colour, linewidth=0.8)
    shades = np.array(ordered_colours(101))[np.round(100 * own["progress"]).astype(int)]
    axes.scatter(own["violations"], own["mean"], s=20, c=list(shades), marker=style(row).marker, zorder=3)
    axes.set_title(style(row).label.replace(", ", ",\n"), fontsize=9)


def figure_8(evidence: Evidence, task: str, hazard: str) -> Figure:
    """Draw mean return against violations an episode at each evaluation: a panel a row, scales shared.

    Raises:
        Missing: there are no evaluations while training.
    """
    points = moments(evidence.curve(task, hazard))
    main, others = split(points["row"])
    rows = [*main, *others]
    lines = -(-len(rows) // COLUMNS)
    policies = dict.fromkeys(evidence.played(task, hazard)["row"])
    figure, grid = plt.subplots(lines, COLUMNS, figsize=(8.4, 2.1 * lines), sharex=True, sharey=True, squeeze=False)
    for k, axes in enumerate(grid.flat):
        axes.set_visible(k < len(rows))
        if k < len(rows):
            draw_plane(axes, points, rows[k])
            for policy in policies:
                values = evidence.sample(task, hazard, policy).values
                axes.plot(values["violations"], values["mean"], "*", color=style(policy).colour, markersize=7)
        if k >= len(rows) - COLUMNS:
            axes.xaxis.set_tick_params(labelbottom=True)
    figure.supxlabel("violations an episode", fontsize=10)
    figure.supylabel("mean return", fontsize=10)
    bar = plt.cm.ScalarMappable(plt.Normalize(0, 1), "viridis")
    bar.set_clim(0, 1 / 0.92)  # `plots.ordered_colours` ends where the map is still dark enough
    drawn = figure.colorbar(bar, ax=grid, shrink=0.6, pad=0.01, boundaries=np.linspace(0, 1, 101), ticks=[0, 0.5, 1])
    drawn.set_label("share of training")
    return figure


def seed_curves(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return each evaluation of each seed; columns ``row seed step mean cvar``."""
    found = episodes.groupby(["row", "seed", "step"], sort=False)["return"]
    table = pd.DataFrame({"mean": found.mean(), "cvar": found.agg(lambda x: float(cvar(x.to_numpy(), ALPHA)))})
    return table.reset_index()


def learning_curves(evidence: Evidence, task: str, hazard: str) -> Figure:
    """Draw mean and CVaR against updates: above the paper's methods, below RADAC and its controls.

    Lines are means over seeds, bands one standard error; black lines are the behaviour policies', whose CVaR is that of
    as many episodes as an evaluation has (`in_groups`).

    Raises:
        Missing: there are no evaluations while training.
    """
    episodes = evidence.curve(task, hazard)
    table, each = seed_curves(episodes), int(episodes["episode"].nunique())
    main, others = split(table["row"])
    own = find([*main, *others], "radac")
    controls = list(dict.fromkeys([*([own] if own else []), *others]))
    figure, grid = plt.subplots(2, 2, figsize=(8.4, 6.4), sharex=True, sharey="col")
    tail = "worst" if ALPHA * each <= 1 else "CVaR$_{0.1}$"
    for line, rows in zip(grid, (main, controls), strict=True):
        for axes, value in zip(line, ("mean", "cvar"), strict=True):
            for row in rows:
                curve(axes, table[table["row"] == row], value, row, marker=style(row).marker, markersize=3.5)
            draw_policies(axes, evidence.played(task, hazard), value, each)
        line[0].set_ylabel("mean return")
        line[1].set_ylabel(f"{tail} of {each} episodes")
        _legend(line[1], line[0])
    for axes in grid[1]:
        axes.set_xlabel("update")
    return figure


def in_groups(returns: Float[np.ndarray, " n"], each: int) -> float:
    """Return the mean CVaR of the returns' disjoint groups of `each` in their order; NaN where there is no whole one.

    The CVaR of few episodes lies above that of many, so that only groups of the same size can be compared.
    """
    whole = returns[: len(returns) // each * each].reshape(-1, each)
    return float(cvar(whole, ALPHA).mean()) if len(whole) else float("nan")


def draw_policies(axes: Axes, played: pd.DataFrame, value: str, each: int) -> None:
    """Draw each behaviour policy's mean, or CVaR of `each` episodes, as a line by its rank; none where it is NaN."""
    for k, (row, own) in enumerate(played.groupby("row", sort=False)):
        returns = own["return"].to_numpy()
        level = returns.mean() if value == "mean" else in_groups(returns, each)
        if np.isfinite(level):
            look = style(str(row))
            axes.axhline(level, color=look.colour, linestyle=RANKS[k % len(RANKS)], linewidth=0.8, label=look.label)


def _legend(axes: Axes, drawn: Axes) -> None:
    handles, labels = drawn.get_legend_handles_labels()
    if handles:
        axes.legend(handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8)


def draw_intervals(axes: Axes, table: pd.DataFrame, value: str, reference: float | None = None) -> None:
    """Draw a table's numbers with their intervals, one line a row, from top to bottom."""
    for place, (_, line) in enumerate(table[::-1].iterrows()):
        look = style(line["row"])
        error = [[line[value] - line[f"{value}_low"]], [line[f"{value}_high"] - line[value]]]
        axes.errorbar(line[value], place, xerr=error, color=look.colour, marker=look.marker, capsize=2)
    axes.set_yticks(range(len(table)), list(table["label"])[::-1])
    if reference is not None:
        axes.axvline(reference, color="#000000", linewidth=0.8)
    axes.grid(axis="y", visible=False)


def draw_aggregates(table: pd.DataFrame, titles: Sequence[str], reference: float) -> Figure:
    """Draw the aggregates of mean and CVaR side by side (`aggregates.iqm`, `aggregates.improvement`)."""
    figure, grid = plt.subplots(1, 2, figsize=(8.4, 0.4 + 0.3 * len(table)), sharey=True)
    for axes, value, title in zip(grid, ("mean", "cvar"), titles, strict=True):
        draw_intervals(axes, table, value, reference)
        axes.set_xlabel(title)
    return figure
