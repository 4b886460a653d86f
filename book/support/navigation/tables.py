"""The tables of chapter 3b."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.analysis.style import style
from ramac_lib.envs.maps import MAPS
from support.navigation import grids
from support.navigation.optimum import POINTS, Grid, neutral, pessimist
from support.navigation.stored import Measured

GAPS = {"mean_gap": "below the best mean", "cvar_gap": "below the best CVaR"}
SHARES = {"collided": "collided", "off_support": "OOD"}
ROUTES = ("left", "through", "right")
# A wrong way and an optimum ranked by critics of N fractions: the maps on which mean and tail disagree.
RANKED = ("obstacle", "bridge", "gates")


def summary(found: Measured, rows: Sequence[str], task: str, hazard: str) -> pd.DataFrame:
    """Return each row's distance to the two optima, routes, collisions, and actions out of the support (OOD).

    Indexed by row, with an `Estimate` where a number has an interval.
    """
    lines = []
    for row in rows:
        own = found.at(row, task, hazard)
        line: dict[str, Any] = {"": style(row).label, "seeds": len(own)}
        line |= {heading: found.estimate(row, column, task, hazard) for column, heading in GAPS.items()}
        line["left / through / right"] = " / ".join(f"{own[route].mean():.2f}" for route in ROUTES)
        line |= {heading: found.estimate(row, column, task, hazard) for column, heading in SHARES.items()}
        lines.append(line)
    return pd.DataFrame(lines, index=pd.Index(rows))


def by_size(name: str, preset: str = "rare", sizes: Sequence[int] = grids.SIZES) -> pd.DataFrame:
    """Return what perfect critics of N fractions say of the neutral plan and the averse one (`grids.resolution`)."""
    world = MAPS[name]
    grid = Grid(world, world.hazard(preset), POINTS)

    def way(path: np.ndarray) -> tuple[list[float], list[float]]:
        cells = np.rint(path / grid.spacing).astype(int)
        return [float(grid.costs[i, j]) for i, j in cells[:-1]], [float(grid.p[i, j]) for i, j in cells[1:]]

    straight, detour = (way(plan.path()) for plan in (neutral(grid), pessimist(grid, 0.1)))
    return grids.resolution(straight, detour, float(grid.penalty.max()), sizes)


def ranks(sizes: Sequence[int] = grids.SIZES) -> pd.DataFrame:
    """Return, by N, what a perfect critic says of the obstacle's two ways, and on which maps it ranks two rightly."""
    found = {name: by_size(name, sizes=sizes) for name in RANKED}
    table = found["obstacle"].drop(columns=["averse", "neutral"]).round(2)
    right = {name: own["averse"] & own["neutral"] for name, own in found.items()}
    table["ranks rightly on"] = [", ".join(name for name in RANKED if right[name][n]) or "none" for n in table.index]
    table.index = pd.Index([str(n) if n else "exact" for n in table.index], name="N")
    headings = {"straight_mean": "through: mean", "straight_cvar": "through: CVaR"}
    return table.rename(columns=headings | {"detour_mean": "round: mean", "detour_cvar": "round: CVaR"})


def right(sizes: Sequence[int]) -> list[int]:
    """Return the numbers of fractions with which a perfect critic ranks the ways rightly on every map, both ways."""
    found = pd.concat([by_size(name, sizes=sizes)[["averse", "neutral"]].all(axis=1) for name in RANKED], axis=1)
    return [int(n) for n in found.index if n and found.loc[n].all()]


def fewest(sizes: Sequence[int] = grids.SIZES) -> int:
    """Return the fewest fractions with which a perfect critic ranks the ways rightly on every map, by mean and CVaR."""
    right = pd.concat([by_size(name, sizes=sizes)[["averse", "neutral"]].all(axis=1) for name in RANKED], axis=1)
    return int(min(n for n in right.index if n and right.loc[n].all()))


def trends(settled: pd.DataFrame) -> pd.DataFrame:
    """Return `stored.settled` for the page, indexed by row, with an `Estimate` for each difference."""
    table = settled.assign(**{"": [style(str(row)).label for row in settled.index]})
    table["no trend"] = np.where(settled["settled"], "yes", "no")
    return table[["", "mean", "cvar", "no trend"]].rename(columns={"cvar": "CVaR₀.₁"})


def presets(optimum: pd.DataFrame) -> pd.DataFrame:
    """Return, for each map and preset, the optimum of the mean and that of CVaR_0.1: their route, mean and CVaR."""
    lines = []
    for (name, preset), own in optimum[optimum["points"] == POINTS].groupby(["map", "preset"], sort=False):
        plans: Mapping[str, pd.Series] = {
            "mean": own[own["criterion"] == "neutral"].iloc[0],
            "CVaR": own[(own["criterion"] == "static") & np.isclose(own["alpha"], 0.1)].iloc[0],
        }
        line: dict[str, Any] = {"map": name, "preset": preset}
        for best, plan in plans.items():
            line |= {f"best {best}": plan["route"], f"{best}: mean": plan["mean"], f"{best}: CVaR": plan["cvar_0.1"]}
        lines.append(line)
    return pd.DataFrame(lines)
