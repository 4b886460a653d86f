"""The figures of chapter 3b: the map, where policies go, the frontier with every method on it, the risk dial."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION, style
from ramac_lib.envs.maps import GOAL_RADIUS, Map
from support.navigation.stored import mean_of

Array = np.ndarray
WALL, GOAL = "#888888", "#009E73"
FADED = 0.45  # power of a share, so that one episode in a hundred is seen beside all of them
PLANS = {"neutral": (VIOLATION, "-"), "static": (SAFE, "-"), "nested": (SAFE, (0, (4, 3)))}


def draw_map(axes: Axes, world: Map, preset: str = "", labels: bool = False) -> None:
    """Draw a map's dangers, walls, start and goal; no ticks but for labelled axes."""
    for area in world.dangers[preset] if preset else world.areas:
        look: dict[str, Any] = {"facecolor": VIOLATION, "alpha": 0.13, "zorder": 0}
        edge: dict[str, Any] = {"fill": False, "edgecolor": VIOLATION, "linewidth": 0.9, "linestyle": (0, (4, 3))}
        for kind in (look, edge):
            shape = Circle(area.centre, area.radius, **kind) if area.centre else Polygon(area.corners, **kind)
            axes.add_patch(shape)
    for x0, y0, x1, y1 in world.walls:
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, color=WALL, linewidth=0))
    axes.add_patch(Circle(world.goal, GOAL_RADIUS, color=GOAL, alpha=0.8, linewidth=0))
    axes.plot(*world.start, marker="o", markersize=3.5, color=TRUTH)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.grid(False)
    axes.spines[:].set_visible(True)
    axes.spines[:].set(color="#bbbbbb", linewidth=0.6)
    if labels:
        axes.set(xlabel="$x$", ylabel="$y$", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    else:
        axes.set(xticks=[], yticks=[])


def draw_shares(axes: Axes, shares: Float[Array, "c c"], colour: str) -> None:
    """Draw the share of episodes that pass each cell, x first: nothing in white, all in the full colour."""
    ramp = LinearSegmentedColormap.from_list("shares", [(1, 1, 1, 0), (*to_rgb(colour), 1)])
    axes.imshow(
        np.asarray(shares).T ** FADED, origin="lower", extent=(0, 1, 0, 1), cmap=ramp, vmin=0, vmax=1, zorder=1,
        interpolation="nearest",
    )  # fmt: skip


def tiles(
    world: Map, shares: Mapping[str, Float[Array, "c c"]], colours: Sequence[str], columns: int = 5, size: float = 1.55
) -> Figure:
    """Return a map for each policy with where it goes, its name above."""
    lines = -(-len(shares) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(size * columns, (size + 0.2) * lines), squeeze=False)
    for axis, (name, own), colour in zip(axes.flat, shares.items(), colours, strict=False):
        draw_map(axis, world)
        draw_shares(axis, own, colour)
        axis.set_title(name.replace(", ", ",\n"), fontsize=8.5)
    for axis in axes.flat[len(shares) :]:
        axis.set_visible(False)
    return figure


def plans_of(optimum: pd.DataFrame, name: str, preset: str, alpha: float = 0.1) -> pd.DataFrame:
    """Return the rows of the neutral plan and of the two optima of CVaR_α of a map and preset, by criterion."""
    own = optimum[(optimum["map"] == name) & (optimum["preset"] == preset)]
    averse = own["criterion"].isin(("static", "nested")) & np.isclose(own["alpha"], alpha)
    return own[(own["criterion"] == "neutral") | averse].set_index("criterion", append=True)


def overview(
    world: Map,
    preset: str,
    data: Float[Array, "c c"],
    optimum: pd.DataFrame,
    paths: Mapping[int, Float[Array, "T 2"]],
) -> Figure:
    """Return the data on the map, the exact plans on it, and all plans in the plane of mean and CVaR_0.1."""
    figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.2))
    draw_map(axes[0], world, preset, labels=True)
    draw_shares(axes[0], data, TRUTH)
    axes[0].set(title="the data")
    draw_map(axes[1], world, preset, labels=True)
    for number, criterion in plans_of(optimum, world.name, preset).index:
        colour, line = PLANS[criterion]
        axes[1].plot(*paths[number].T, color=colour, linestyle=line, marker=".", markersize=4, label=criterion)
    axes[1].legend(loc="lower right", fontsize=8)
    axes[1].set(title="the optima, computed")
    draw_frontier(axes[2], optimum, world.name, preset)
    axes[2].set(title="what they are worth")
    return figure


def draw_frontier(axes: Axes, optimum: pd.DataFrame, name: str, preset: str) -> None:
    """Draw what the exact plans of a map and preset reach: mean along x, CVaR_0.1 along y."""
    own = optimum[(optimum["map"] == name) & (optimum["preset"] == preset) & (optimum["points"] == 51)]
    points = own[["mean", "cvar_0.1"]].round(4).drop_duplicates().sort_values("mean")
    axes.plot(points["mean"], points["cvar_0.1"], color=TRUTH, linewidth=0.9, linestyle=":", zorder=1)
    axes.scatter(points["mean"], points["cvar_0.1"], color=TRUTH, marker="*", s=60, zorder=3, label="exact plans")
    axes.set(xlabel="mean return", ylabel="CVaR$_{0.1}$ of the return")


def frontier(
    optimum: pd.DataFrame,
    world: Map,
    preset: str,
    points: Mapping[str, tuple[Estimate, Estimate]],
    others: Mapping[str, tuple[float, float]] | None = None,
) -> Figure:
    """Return every row's mean and CVaR_0.1 with their intervals, beside the exact plans.

    Args:
        points: row → mean, CVaR.
        others: further exact points, by name.
    """
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    draw_frontier(axes, optimum, world.name, preset)
    for row, (mean, cvar) in points.items():
        look = style(row)
        spans = [[[max(one.value - one.low, 0)], [max(one.high - one.value, 0)]] for one in (mean, cvar)]
        finite = [span if np.isfinite(span).all() else None for span in spans]
        axes.errorbar(
            mean.value, cvar.value, xerr=finite[0], yerr=finite[1], color=look.colour, marker=look.marker, markersize=6,
            linewidth=1, label=look.label, linestyle="none",
        )  # fmt: skip
    for name, place in (others or {}).items():
        axes.scatter(*place, color=TRUTH, marker="P", s=36, zorder=3, label=name)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def moments(world: Map, shares: Mapping[int, Float[Array, "c c"]], colour: str, columns: int = 5) -> Figure:
    """Return where a policy goes at moments of its training."""
    named = {f"{step:,} updates": own for step, own in shares.items()}
    return tiles(world, named, [colour] * len(named), columns)


def dial(
    world: Map,
    exact: pd.DataFrame,
    paths: Mapping[int, Float[Array, "T 2"]],
    trained: Mapping[float, Float[Array, "c c"]],
    through: Mapping[float, Estimate],
) -> Figure:
    """Return, level by level from the averse to the neutral: where RADAC goes with the exact plan on it; below, routes.

    Args:
        exact: rows of the optima (static and neutral), by their number; ``alpha`` and ``route``.
        trained: α → where RADAC goes (1: the mean).
        through: α → the share of its episodes by the middle route.
    """
    levels = sorted(trained)
    figure = plt.figure(figsize=(9.6, 4.0))
    grid = figure.add_gridspec(2, len(levels), height_ratios=[1.5, 1])
    for k, alpha in enumerate(levels):
        axis = figure.add_subplot(grid[0, k])
        draw_map(axis, world)
        draw_shares(axis, trained[alpha], style("radac").colour)
        number = exact.index[np.isclose(exact["alpha"], alpha)]
        if len(number):
            axis.plot(*paths[int(number[0])].T, color=SAFE, marker=".", markersize=3, linewidth=1.2)
        axis.set_title(f"$\\alpha$ = {alpha:g}" if alpha < 1 else "the mean", fontsize=9)
    axis = figure.add_subplot(grid[1, :])
    straight = exact.assign(through=(exact["route"] == "through").astype(float)).sort_values("alpha")
    axis.step(straight["alpha"], straight["through"], where="mid", color=SAFE, label="exact plan")
    values = [through[alpha] for alpha in levels]
    spans = np.array([[v.value - v.low, v.high - v.value] for v in values]).clip(0, 1).T
    look = style("radac")
    heights = [value.value for value in values]
    axis.errorbar(levels, heights, yerr=spans, color=look.colour, marker=look.marker, label="RADAC", linestyle="none")
    axis.set(xlabel="level $\\alpha$ of the CVaR", ylabel="by the middle", ylim=(-0.05, 1.05), xlim=(0, 1.03))
    axis.legend(loc="upper left", fontsize=8)
    return figure


def over_training(curves: Mapping[str, pd.DataFrame], best: Mapping[str, float]) -> Figure:
    """Return each row's share of episodes by the middle route and its exact CVaR_0.1 over training, bands over seeds.

    Args:
        curves: row → of `stored.Measured.over`.
        best: of `optima.best`; the best CVaR is drawn.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.0, 2.9))
    for axis, column, name in zip(axes, ("through", "cvar"), ("by the middle", "CVaR$_{0.1}$"), strict=True):
        for row, own in curves.items():
            look = style(row)
            wide = own.pivot(index="step", columns="seed", values=column)
            spans = [mean_of(values) for values in wide.to_numpy(float)]
            axis.plot(
                wide.index, [one.value for one in spans], color=look.colour, linestyle=look.line, label=look.label
            )
            if wide.shape[1] > 1:
                low, high = ([getattr(one, end) for one in spans] for end in ("low", "high"))
                axis.fill_between(wide.index, low, high, color=look.colour, alpha=0.3, linewidth=0)
        axis.set(xlabel="updates", ylabel=name)
    axes[0].set(ylim=(-0.05, 1.05))
    axes[1].axhline(best["cvar"], color=TRUTH, linewidth=0.8, linestyle=":")
    axes[1].legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def critics_and_routes(points: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Return, seed by seed, what a critic ranks first before the danger, and how often its policy takes the middle.

    Args:
        points: row → the CVaR of the better way round less that of going straight on, as the critics say; the share of
            episodes by the middle route; by seed.
    """
    figure, axes = plt.subplots(figsize=(4.9, 4.4), layout="constrained")
    for row, (gains, through) in points.items():
        look = style(row)
        axes.scatter(gains, through, color=look.colour, marker=look.marker, s=34, label=look.label, zorder=2)
    axes.axvline(0, color=TRUTH, linewidth=0.8, linestyle=":")
    axes.set(xlabel="CVaR of a way round − CVaR straight on", ylabel="by the middle", ylim=(-0.05, 1.05))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9)
    return figure
