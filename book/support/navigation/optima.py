"""The optima of every map and preset, stored: ``python -m support.navigation.optima [OUT]``; a minute on one core.

OUT.csv has a row a plan, ``map preset criterion alpha points mean cvar cvar_0.1 bound steps inside route``: ``cvar`` is
at the row's own α, and ``bound`` what no plan on the grid exceeds in it (`Static.bound`). Criteria:

- ``neutral`` (α 1), ``static`` and ``nested`` at each of `ALPHAS`, on the grid of 51 × 51;
- ``frontier``: the best of CVaR_0.1 and the mean, weighed by each of `WEIGHTS`;
- ``finer``: the neutral plan and the pessimist of α = .1 on grids of 101 and 201, which say what the grid costs.

OUT.json has, as ``paths``, that of each plan on the grid of 51 × 51 that no penalty strikes, by the row's number; as
``seconds``, how long the neutral plan and the whole sweep of α took on each map and preset; and what made them.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ramac_lib.envs.maps import MAPS
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from support.navigation.nested import nested
from support.navigation.optimum import POINTS, Grid, Plan, Static, neutral, pessimist
from support.navigation.plans import told

OUT = data_folder() / "results" / "navigation_optimum"
ALPHAS = (0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05)
LEVEL = 0.1  # of the CVaR that is reported
RESOLUTION = 0.0025  # of what is earned
WEIGHTS = (0.1, 1.0, 3.0, 10.0, 30.0, 100.0)  # of the mean, beside 1 for CVaR_0.1
FINER = (101, 201)


def plans(name: str, preset: str) -> Iterator[tuple[dict[str, Any], Plan]]:
    """Yield every plan of a map and preset, with its row's first columns."""
    world = MAPS[name]
    hazard = world.hazard(preset)
    grid = Grid(world, hazard)

    def row(criterion: str, alpha: float, points: int = POINTS, **others: Any) -> dict[str, Any]:
        return {"map": name, "preset": preset, "criterion": criterion, "alpha": alpha, "points": points, **others}

    yield row("neutral", 1.0), neutral(grid)
    static = Static(grid, min(ALPHAS), RESOLUTION)
    for alpha in ALPHAS:
        yield row("static", alpha, bound=static.bound(alpha)), static.plan(alpha)
        yield row("nested", alpha), nested(grid, alpha)
    for weight in WEIGHTS:
        yield row("frontier", LEVEL, weight=weight), Static(grid, LEVEL, RESOLUTION, weight=weight * LEVEL).plan(LEVEL)
    for points in FINER:
        fine = Grid(world, hazard, points)
        yield row("finer", 1.0, points), neutral(fine)
        yield row("finer", LEVEL, points), pessimist(fine, LEVEL)


def timed(grid: Grid) -> dict[str, float]:
    """Return the seconds that the neutral plan and those of every α take, their laws included."""
    began = time.perf_counter()
    neutral(grid).cvar(LEVEL)
    middle = time.perf_counter()
    static = Static(grid, min(ALPHAS), RESOLUTION)
    for alpha in ALPHAS:
        static.plan(alpha).cvar(alpha)
    return {"neutral": round(middle - began, 3), "frontier": round(time.perf_counter() - middle, 3)}


def make(out: Path = OUT) -> pd.DataFrame:
    """Compute every row, write OUT.csv and OUT.json, and return the table."""
    rows: list[dict[str, Any]] = []
    paths: dict[str, list[list[float]]] = {}
    seconds: dict[str, dict[str, float]] = {}
    for name, world in MAPS.items():
        for preset in world.dangers:
            seconds[f"{name} {preset}"] = timed(Grid(world, world.hazard(preset)))
            for row, plan in plans(name, preset):
                about = told(plan, row["alpha"])
                if row["points"] == POINTS:
                    paths[str(len(rows))] = np.round(plan.path(), 4).tolist()
                rows.append({**row, **about, "cvar_0.1": plan.cvar(LEVEL), "settled": plan.settled})
    table = pd.DataFrame(rows)
    with atomic(beside(out, ".csv")) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    with atomic(beside(out, ".json")) as temporary:
        made = {"made": provenance(torch.device("cpu")), "seconds": seconds, "paths": paths}
        temporary.write_text(json.dumps(made) + "\n")
    return table


def load(out: Path = OUT) -> tuple[pd.DataFrame, dict[int, np.ndarray]]:
    """Return the table, and the path of each row that has one.

    Raises:
        RamacError: there is no such table.
    """
    try:
        table = pd.read_csv(beside(out, ".csv"))
        paths = json.loads(beside(out, ".json").read_text())["paths"]
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; make it with `python -m support.navigation.optima`") from None
    return table, {int(row): np.array(path) for row, path in paths.items()}


def best(table: pd.DataFrame, name: str, preset: str, alpha: float = LEVEL) -> dict[str, float]:
    """Return the best mean and the best CVaR_α of a map and preset, as ``mean`` and ``cvar``.

    Raises:
        RamacError: the table has no such row.
    """
    own = table[(table["map"] == name) & (table["preset"] == preset) & (table["points"] == POINTS)]
    static = own[(own["criterion"] == "static") & np.isclose(own["alpha"], alpha)]
    if static.empty:
        raise RamacError(f"no optimum of CVaR_{alpha:g} of the map {name} under {preset} is stored")
    mean = own.loc[own["criterion"] == "neutral", "mean"].iloc[0]
    return {"mean": float(mean), "cvar": float(static["cvar"].iloc[0])}


if __name__ == "__main__":
    print(make(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT).to_string(float_format="%.3f"))
