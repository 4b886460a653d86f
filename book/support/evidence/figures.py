"""The plane of return and violations (figure 8), and aggregates as intervals."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Evidence
from ramac_lib.analysis.rows import split
from ramac_lib.analysis.style import style
from support.evidence.aggregates import front
from support.panels import LIGHTEST, ordered_colours

OTHERS, FRONT = "#d0d0d0", "#000000"
COLUMNS = 3


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
    """Draw one row's evaluations, joined in order and growing, over all the others', with the front of all."""
    own = points[points["row"] == row].sort_values("step")
    rest, edge = points[points["row"] != row], front_line(points)
    axes.scatter(rest["violations"], rest["mean"], s=7, color=OTHERS, linewidths=0)
    axes.step(edge["violations"], edge["mean"], where="post", color=FRONT, linewidth=0.8)
    axes.plot(own["violations"], own["mean"], color=style(row).colour, linewidth=0.8)
    shades = np.array(ordered_colours(101))[np.round(100 * own["progress"]).astype(int)]
    axes.scatter(
        own["violations"], own["mean"], s=6 + 34 * own["progress"], c=list(shades), marker=style(row).marker, zorder=3
    )
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
    figure, grid = plt.subplots(lines, COLUMNS, figsize=(8.4, 2.4 * lines), sharex=True, sharey=True, squeeze=False)
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
    bar.set_clim(0, 1 / LIGHTEST)  # where `ordered_colours` ends
    drawn = figure.colorbar(bar, ax=grid, shrink=0.6, pad=0.01, boundaries=np.linspace(0, 1, 101), ticks=[0, 0.5, 1])
    drawn.set_label("share of training")
    return figure


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
