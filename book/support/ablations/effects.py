"""What a setting does on the bandit: differences to the method's own settings, seed by seed, with intervals."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import LEVEL, Estimate
from ramac_lib.campaign import bandit
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.paths import data_folder
from support.ablations.knobs import SUITES

FILE = "bandit_knobs"
STATISTICS = ("cvar", "expected_reward", "ood")
"""CVaR_0.1 and mean of the policy's reward, and its probability outside the data's support, all exact."""


def load(folder: Path | None = None) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the stored cells' last rows and what made them, by cell.

    Args:
        folder: of the results (default: the repository's data/results).

    Raises:
        Missing: nothing is stored.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    try:
        table, facts, _ = bandit.load(folder / FILE)
    except RamacError as reason:
        raise Missing(
            "There is no data/results/bandit_knobs.csv: `python -m support.ablations.make bandit`."
        ) from reason
    return table[table["suite"].isin(SUITES)], facts


def knob_of(value: str) -> str:
    """Return the knob of a row's options, ``eta`` of ``eta=0.1``: the first of them."""
    return value.partition("=")[0]


def by_seed(table: pd.DataFrame, suite: str, method: str, value: str, statistic: str) -> pd.Series:
    """Return a row's numbers, by seed.

    Raises:
        RamacError: an unknown statistic.
        Missing: the row is not stored.
    """
    if statistic not in STATISTICS:
        raise unknown("statistic", statistic, STATISTICS)
    own = table[(table["suite"] == suite) & (table["method"] == method) & (table["variant"] == value)]
    if own.empty:
        raise Missing(f"The stored sweeps have no {method}{f':{value}' if value else ''} in {suite}.")
    return own.set_index("seed")[statistic].sort_index()


def mean_of(values: Float[np.ndarray, " n"]) -> Estimate:
    """Return the mean of independent numbers with its 95 % interval, Student's t.

    Raises:
        RamacError: fewer than two numbers.
    """
    if len(values) < 2:
        raise RamacError(f"an interval over {len(values)} seeds; expected at least two")
    centre = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return Estimate(centre, centre - half, centre + half)


def paired(first: pd.Series, second: pd.Series, what: str) -> Estimate:
    """Return the mean difference, first minus second, seed by seed.

    Raises:
        RamacError: they have different seeds.
    """
    if list(first.index) != list(second.index):
        raise RamacError(f"{what}: seeds {list(first.index)} beside {list(second.index)}; expected the same")
    return mean_of((first - second).to_numpy())


def effects(table: pd.DataFrame, method: str = "radac") -> pd.DataFrame:
    """Return what each value of the suite "knobs" does beside the method's own settings: a row a value and statistic.

    Returns:
        Columns ``knob value statistic own there difference low high``; own and there are means over the seeds.

    Raises:
        Missing: the method, or its own settings, are not stored.
        RamacError: a value has other seeds than the method's own settings.
    """
    values = table[(table["suite"] == "knobs") & (table["method"] == method)]["variant"].unique()
    rows = []
    for statistic in STATISTICS:
        own = by_seed(table, "knobs", method, "", statistic)
        for value in filter(None, values):
            there = by_seed(table, "knobs", method, value, statistic)
            gap = paired(there, own, f"{method}:{value}")
            line = {"knob": knob_of(value), "value": value, "statistic": statistic, "own": own.mean()}
            rows.append(line | {"there": there.mean(), "difference": gap.value, "low": gap.low, "high": gap.high})
    return pd.DataFrame(rows)
