"""Drawings of the Risky Bandit: its support, policies as points, chains as paths, quantile functions as steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ramac_lib.analysis.intervals import mean_and_error
from ramac_lib.analysis.style import TRUTH
from ramac_lib.envs.bandit import Bandit
from support.panels import scatter_actions

# One colour a region, where regions and not methods are told apart: the modes as in the quantile plots.
REGION_COLOURS = {"centre": "#0072B2", "gap": "#999999", "ring": "#D55E00", "outside": "#CC79A7"}

Array = np.ndarray


def draw_support(axes: Axes, bandit: Bandit | None = None) -> None:
    """Outline the behaviour law's support: the centre's disc and the ring's two edges."""
    bandit = bandit or Bandit()
    for radius in (bandit.centre_edge, *bandit.ring_edges):
        axes.add_patch(Circle((0, 0), radius, fill=False, edgecolor=TRUTH, linewidth=0.7, linestyle=(0, (4, 3))))


def panel(axes: Axes, actions: Float[Array, "n 2"], title: str, colour: str, shown: int = 2000) -> None:
    """Draw up to `shown` of a policy's actions over the support, with the exact masses of all of them below the title.

    Args:
        axes: where to draw.
        actions: all of the policy's drawn actions, which the masses are counted from.
        title: first line of the title.
        colour: of the points.
        shown: how many points are drawn.
    """
    masses = Bandit().evaluate(actions)
    scatter_actions(axes, actions[:shown], colour)
    draw_support(axes)
    axes.grid(False)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    line = " · ".join(f"{name} {masses[key]:.2f}" for name, key in (("centre", "centre"), ("gap", "gap")))
    axes.set_title(f"{title}\n{line}\nring {masses['ring']:.2f} · outside {masses['outside']:.2f}", fontsize=9)


def panels(
    named: Mapping[str, Float[Array, "n 2"]], colours: Sequence[str], columns: int = 3, size: float = 2.7
) -> Figure:
    """Draw one `panel` for each named sample of actions, `columns` in a row."""
    columns = min(columns, len(named))
    rows = -(-len(named) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.55) * rows), squeeze=False)
    for axis, (title, actions), colour in zip(axes.flat, named.items(), colours, strict=False):
        panel(axis, actions, title, colour)
    for k, axis in enumerate(axes.flat):
        if k >= len(named):
            axis.set_visible(False)
        elif k % columns:
            axis.set_ylabel("")
    return figure


def tile(axes: Axes, actions: Float[Array, "n 2"], colour: str, title: str = "", size: float = 1.5) -> None:
    """Draw actions over the support without ticks, for grids of many policies; the square is the box [-1, 1]²."""
    axes.scatter(actions[:, 0], actions[:, 1], s=size, color=colour, alpha=0.6, linewidths=0, rasterized=True)
    draw_support(axes)
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color="#bbbbbb", linewidth=0.6)
    # Actions at the box's edge are drawn inside the frame.
    axes.set(xlim=(-1.06, 1.06), ylim=(-1.06, 1.06), aspect="equal", xticks=[], yticks=[])
    axes.set_title(title, fontsize=9)


def tiles(
    named: Mapping[str, Float[Array, "n 2"]], colours: Sequence[str], columns: int = 5, size: float = 1.4
) -> Figure:
    """Draw one `tile` for each named sample of actions, `columns` in a row."""
    rows = -(-len(named) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(size * columns, (size + 0.2) * rows), squeeze=False)
    for axis, (title, actions), colour in zip(axes.flat, named.items(), colours, strict=False):
        tile(axis, actions, colour, title)
    for axis in axes.flat[len(named) :]:
        axis.set_visible(False)
    return figure


def tiles_by_seed(
    named: Mapping[str, Float[Array, "seeds n 2"]], colours: Sequence[str], seeds: Sequence[int], size: float = 1.2
) -> Figure:
    """Draw a grid of tiles: a method's name before each row, a seed above each column."""
    shape = len(named), len(seeds)
    figure, axes = plt.subplots(*shape, figsize=(size * shape[1] + 0.3, size * shape[0] + 0.2), squeeze=False)
    for row, (name, actions), colour in zip(axes, named.items(), colours, strict=True):
        for axis, sample in zip(row, actions, strict=True):
            tile(axis, sample, colour, size=0.9)
        row[0].set_ylabel(name, fontsize=8)
    for axis, seed in zip(axes[0], seeds, strict=True):
        axis.set_title(f"seed {seed}", fontsize=9)
    return figure


def draw_masses(axes: Axes, table: pd.DataFrame, x: str = "epoch") -> None:
    """Draw the mass of each region against a column, mean over the seeds with a band of one standard error."""
    for region, colour in REGION_COLOURS.items():
        wide = table.pivot_table(index=x, columns="seed", values=region)
        mean, error = mean_and_error(wide.to_numpy().T)
        axes.plot(wide.index, mean, color=colour, label=region)
        axes.fill_between(wide.index, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
    axes.set(xlabel=x, ylabel="mass", ylim=(-0.03, 1.03))


def draw_path(axes: Axes, points: Float[Array, "steps+1 n 2"], colours: Sequence[Any]) -> None:
    """Draw samples' ways from noise (hollow) to action (full), one colour a sample, over the support."""
    for k, colour in enumerate(colours):
        axes.add_collection(LineCollection([points[:, k]], colors=[colour], linewidths=1.0, alpha=0.7))
    for at, fill in ((points[0], "white"), (points[-1], colours)):
        x, y = at[: len(colours)].T
        axes.scatter(x, y, s=14, facecolors=fill, edgecolors=colours, linewidths=0.9, zorder=3)
    draw_support(axes)
    axes.grid(False)
    axes.set(xlim=(-2.7, 2.7), ylim=(-2.2, 2.2), aspect="equal", xlabel="$a_1$", ylabel="$a_2$")


def draw_quantiles(axes: Axes, grid: Float[Array, " N"], quantiles: Float[Array, "curves N"], **style: Any) -> None:
    """Draw learned quantile functions against their fractions, one line and its points each; one legend entry."""
    label = style.pop("label", None)
    for k, curve in enumerate(quantiles):
        axes.plot(grid, curve, marker=".", markersize=4, linewidth=0.9, label=label if k == 0 else None, **style)
    axes.set(xlabel="quantile fraction $\\tau$", ylabel="reward")
