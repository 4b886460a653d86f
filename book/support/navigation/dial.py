"""The risk dial of navigation: exact best paths by level, as the touchable figure and its still picture draw them."""

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Polygon, Rectangle

from ramac_lib.envs.maps import MAPS, Map
from ramac_lib.envs.predicates import Area


def _shape(area: Area) -> dict[str, Any]:
    if area.centre:
        return {"centre": list(area.centre), "radius": area.radius}
    return {"corners": [list(corner) for corner in area.corners]}


def _wall(corners: tuple[float, float, float, float]) -> dict[str, Any]:
    x0, y0, x1, y1 = corners
    return {"corners": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]}


def dial_data(folder: Path, worlds: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """Return what ``risk-dial`` draws: each map's and preset's best path by static CVaR by level, the mean's last.

    Args:
        folder: where `navigation_optimum.csv` and `.json` lie.
        worlds: pairs of a map and a preset.
    """
    rows = pd.read_csv(folder / "navigation_optimum.csv")
    paths = json.loads((folder / "navigation_optimum.json").read_text())["paths"]
    found = []
    for name, preset in worlds:
        world = MAPS[name]
        own = rows[(rows["map"] == name) & (rows["preset"] == preset) & rows["criterion"].isin(["static", "neutral"])]
        levels = [
            {
                "level": float(row["alpha"]),
                "mean": round(float(row["mean"]), 3),
                "tail": round(float(row["cvar_0.1"]), 3),
                "steps": int(row["steps"]),
                "inside": int(row["inside"]),
                "path": [[round(x, 3) for x in point] for point in paths[str(index)]],
            }
            for index, row in own.sort_values("alpha").iterrows()
            if str(index) in paths
        ]
        found.append(
            {
                "name": f"{name}, {preset}",
                "goal": list(world.goal),
                "walls": [_wall(wall) for wall in world.walls],
                "dangers": [_shape(area) for area in world.dangers[preset]],
                "levels": levels,
            }
        )
    return {"worlds": found}


def draw_world(axis: plt.Axes, world: Map) -> None:
    """Draw a map: its walls, its dangers and the goal."""
    for x0, y0, x1, y1 in world.walls:
        axis.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, color="#999999"))
    for area in world.areas:
        shape = Circle(area.centre, area.radius) if area.centre else Polygon(area.corners)
        shape.set(facecolor="#CC3311", alpha=0.25)
        axis.add_patch(shape)
    axis.add_patch(Circle(world.goal, 0.05, fill=False, linewidth=1.5))
    axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[], yticks=[])


def still(data: dict[str, Any]) -> Figure:
    """Return the still picture of `dial_data`: in each map all paths, named by the levels that choose them."""
    figure, axes = plt.subplots(1, len(data["worlds"]), figsize=(3.6 * len(data["worlds"]), 3.8), squeeze=False)
    for axis, world in zip(axes[0], data["worlds"], strict=True):
        draw_world(axis, MAPS[world["name"].split(",")[0]])
        by_path: dict[str, list[float]] = {}
        for level in world["levels"]:
            by_path.setdefault(json.dumps(level["path"]), []).append(level["level"])
        for path, levels in by_path.items():
            x, y = zip(*json.loads(path), strict=True)
            axis.plot(x, y, marker=".", label=f"α from {min(levels):g} to {max(levels):g}")
        axis.set_title(world["name"])
        axis.legend(fontsize=7, loc="upper left")
    return figure
