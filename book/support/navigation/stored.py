"""The grid of methods on risky navigation, as stored: a row's exact numbers by seed, intervals, differences, trends.

``data/results/navigation`` has the reports and the training curves of every row (`ramac campaign --export`). Intervals
are Student's t over the seeds, those of a difference Welch's: each seed is one trained policy, whose own numbers are
exact given the trajectories it was seen to play (`support.navigation.measured`).

The rule for "no trend", written before the stored rows were run: of a row's evaluations the last fifth is compared with
the fifth before it, seed by seed. There is a trend where the 95 % interval of the mean difference leaves out zero and
the difference is larger than `SMALL`, a twentieth of what the detour costs, in the mean or ten times as much in
the CVaR.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import LEVEL, Estimate
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from support.navigation import measured, optima

Array = np.ndarray
NAME, SWEEP = "navigation", "navigation_sweep"
SMALL = 0.03
TRENDS = {"mean": SMALL, "cvar": 10 * SMALL}
FIFTH = 5


@dataclass(frozen=True)
class Measured:
    """Exact numbers of trained policies.

    Args:
        reports: of `measured.beside`, the last step of each run.
        curves: the same of the evaluations while training.
        optimum: of `optima.load`.
        facts: what made each run, by hash.
    """

    reports: pd.DataFrame
    curves: pd.DataFrame
    optimum: pd.DataFrame
    facts: dict[str, dict]

    def rows(self, task: str, hazard: str) -> list[str]:
        """Return the rows of a task and hazard, as they come."""
        return list(dict.fromkeys(self._at(self.reports, task, hazard)["row"]))

    def at(self, row: str, task: str, hazard: str) -> pd.DataFrame:
        """Return a row's numbers, a line a seed.

        Raises:
            Missing: it is not stored.
        """
        return self._of(self.reports, row, task, hazard).set_index("seed").sort_index()

    def over(self, row: str, task: str, hazard: str) -> pd.DataFrame:
        """Return a row's numbers while it was trained, a line a seed and step.

        Raises:
            Missing: it is not stored.
        """
        return self._of(self.curves, row, task, hazard).sort_values(["step", "seed"])

    def estimate(self, row: str, column: str, task: str, hazard: str) -> Estimate:
        """Return the mean of a column over seeds with its interval."""
        return mean_of(self.at(row, task, hazard)[column].to_numpy(float))

    def minus(self, row: str, other: str, column: str, task: str, hazard: str) -> Estimate:
        """Return the difference of two rows' means over seeds with its interval."""
        own, beside = (self.at(r, task, hazard)[column].to_numpy(float) for r in (row, other))
        return difference_of(own, beside)

    def of_seeds(self, seeds: Collection[int]) -> "Measured":
        """Return what is stored of some seeds alone."""
        reports, curves = (part[part["seed"].isin(seeds)] for part in (self.reports, self.curves))
        return Measured(reports, curves, self.optimum, self.facts)

    def best(self, task: str, hazard: str) -> dict[str, float]:
        """Return the best mean and the best CVaR of an episode."""
        return optima.best(self.optimum, _map(task), hazard)

    @staticmethod
    def _at(table: pd.DataFrame, task: str, hazard: str) -> pd.DataFrame:
        return table[(table["task"] == task) & (table["hazard"] == hazard)] if len(table) else _empty()

    def _of(self, table: pd.DataFrame, row: str, task: str, hazard: str) -> pd.DataFrame:
        own = self._at(table, task, hazard)
        own = own[own["row"] == row]
        if own.empty:
            raise Missing(f"{row} on {task} under {hazard} is not stored yet; the commands stand at this page's end")
        return own


def _empty() -> pd.DataFrame:
    return pd.DataFrame(columns=[*measured.KEYS, "mean", "cvar"])


def _map(task: str) -> str:
    return task.split("-")[1]


def load(name: str = NAME, folder: Path | None = None, level: int = 1) -> Measured:
    """Return what is stored; nothing of a grid that is not there yet.

    Args:
        level: of the policies' sampler noise in the reports; curves have 1 only.
    """
    folder = data_folder() / "results" if folder is None else folder
    optimum = optima.load()[0]
    if not results.is_there(name, folder):
        return Measured(_empty(), _empty(), optimum, {})
    table, facts = results.load(name, folder, level)
    reports = table[table["purpose"] == "report"]
    curves = table[table["purpose"] == "training"]
    return Measured(measured.beside(reports, optimum), measured.beside(curves, optimum), optimum, facts)


def mean_of(values: Float[Array, " S"]) -> Estimate:
    """Return a mean over seeds with its 95 % interval, Student's t; without one where there is a single seed."""
    value, count = float(np.mean(values)), len(values)
    if count < 2:
        return Estimate(value, float("-inf"), float("inf"))
    half = float(stats.t.ppf((1 + LEVEL) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Estimate(value, value - half, value + half)


def difference_of(own: Float[Array, " S"], other: Float[Array, " R"]) -> Estimate:
    """Return the difference of two means over seeds with its 95 % interval by Welch's t."""
    value = float(np.mean(own) - np.mean(other))
    if min(len(own), len(other)) < 2:
        return Estimate(value, float("-inf"), float("inf"))
    parts = [np.var(x, ddof=1) / len(x) for x in (own, other)]
    total = sum(parts)
    if total == 0:
        return Estimate(value, value, value)
    freedom = total**2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (own, other), strict=True))
    half = float(stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(total))
    return Estimate(value, value - half, value + half)


def trend(curve: pd.DataFrame, column: str) -> Estimate:
    """Return how a column's last fifth of evaluations differs from the fifth before, over seeds.

    Args:
        curve: of `Measured.over`, one row of the grid.

    Raises:
        Missing: fewer evaluations than two fifths of ten.
    """
    wide = curve.pivot(index="step", columns="seed", values=column).sort_index()
    part = len(wide) // FIFTH
    if part < 2:
        raise Missing(f"{len(wide)} evaluations have no fifth of two; expected at least {2 * FIFTH}")
    return mean_of((wide.iloc[-part:].mean() - wide.iloc[-2 * part : -part].mean()).to_numpy())


def settled(found: Measured, rows: Sequence[str], task: str, hazard: str) -> pd.DataFrame:
    """Return each row's trends in mean and CVaR, and whether by the rule there is none."""
    lines = {}
    for row in rows:
        trends = {column: trend(found.over(row, task, hazard), column) for column in TRENDS}
        moving = [c for c, one in trends.items() if one.sign and abs(one.value) > TRENDS[c]]
        lines[row] = {**trends, "settled": not moving}
    return pd.DataFrame.from_dict(lines, orient="index")
