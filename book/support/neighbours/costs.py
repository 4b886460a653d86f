"""What an update and an action of each neighbour cost, beside RADAC's, from the stored measurements of chapter 10."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from support.speed import cost, shown

METHODS = ("radac", "dac", "dac-cvar", "qdq", "cped", "rs-diffuser")
ENOUGH = 0.5  # of the floor that a method's products set; under it the page says why, as figure 10.2 does


def load(folder: Path | None = None) -> tuple[pd.DataFrame, dict[str, Any], pd.DataFrame]:
    """Return the updates of `METHODS` with one seed, where their time goes, and what acting takes.

    Args:
        folder: of the results (default: ``data/results``).
    """
    folder = data_folder() / "results" if folder is None else folder
    parts = [cost.load(folder / name) for name in ("bench_neighbours.json", "bench.json")]
    rows = pd.concat([part for part, _ in parts])
    goes = {method: spent for _, machine in reversed(parts) for method, spent in machine["goes"].items()}
    acting, _ = cost.load(folder / "acting.json")
    one = rows[(rows["seeds"] == 1) & (rows["precision"] == "float32") & rows["method"].isin(METHODS)]
    return one, {method: goes[method] for method in METHODS if method in goes}, acting


def fastest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return each method's fastest way of being executed, by method in the order of `METHODS`."""
    best = rows.sort_values("updates_per_s").groupby("method").last()
    return best.loc[[method for method in METHODS if method in best.index]]


def table(rows: pd.DataFrame, acting: pd.DataFrame) -> pd.DataFrame:
    """Return what an update and an action cost, a line a method.

    Returns:
        Columns ``method``, GFLOP of an update, updates a second, share of the floor, milliseconds of a step.
    """
    best, spent = fastest(rows), acting.set_index("method")["ms_per_step"]
    return pd.DataFrame(
        {
            "method": [style(method).label for method in best.index],
            "GFLOP an update": [f"{value:#.3g}" for value in best["gflop"]],
            "updates/s": [shown.number(value) for value in best["updates_per_s"]],
            "of the floor": [shown.percent(value) for value in best["share"]],
            "acting, ms": [shown.number(spent[method]) if method in spent else "–" for method in best.index],
        }
    )


def why_far(rows: pd.DataFrame, goes: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return, for each method that stays under `ENOUGH` of its floor, what its time is spent on."""
    best = fastest(rows)
    far: Sequence[str] = list(best.index[best["share"] < ENOUGH])
    eager = rows[rows["method"].isin(far) & (rows["engine"] == "eager")]
    return shown.far_from_floor(eager, goes, ENOUGH)
