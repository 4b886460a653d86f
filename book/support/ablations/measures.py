"""The paper's sentences on risk measures (appendix D.3), each with a rule to judge it by, written before its runs.

A case is one method on one task: RADAC or RAFMAC, on a robot or on the Risky Bandit, trained with each measure. Its
numbers are mean and CVaR_0.1 of the return. On the robots differences have bootstrap intervals, seeds resampled first
(`analysis.intervals`); on the bandit, where numbers are exact, Student's t over the seeds' differences. A difference
has a sign where its 95 % interval leaves out zero.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from scipy import stats

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import ALPHA, LEVEL, Estimate
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar
from support.ablations.effects import by_seed, mean_of, paired
from support.evidence.case import LEAST_SEEDS
from support.evidence.case import Case as RobotCase
from support.verdicts import Claim, Found

PAPERS = ("wang", "cpw")  # beside CVaR
MEASURES = ("cvar", *PAPERS, "power", "neutral")
NAMES = {"cvar": "CVaR", "wang": "Wang", "cpw": "CPW", "power": "power", "neutral": "neutral"}
STATISTICS = {"mean": "expected_reward", "cvar": "cvar"}  # of a robot's sample → of the bandit's table


class Measured(Protocol):
    """What the rules ask: a number with interval, a difference of two measures, and the numbers by seed."""

    @property
    def method(self) -> str:
        """The method whose measures these are."""

    def estimate(self, measure: str, statistic: str) -> Estimate:
        """Return a measure's number."""

    def minus(self, first: str, second: str, statistic: str) -> Estimate:
        """Return the difference of two measures' numbers."""

    def seeds(self, measure: str, statistic: str) -> np.ndarray:
        """Return a measure's numbers, one a seed."""


@dataclass(frozen=True)
class OnBandit:
    """A method on the Risky Bandit, its numbers exact.

    Args:
        table: of `support.ablations.effects.load`.
    """

    table: pd.DataFrame
    method: str
    digits: int = 2

    def _values(self, measure: str, statistic: str) -> pd.Series:
        suite, value = ("knobs", "") if measure == "cvar" else ("measures", f"risk={measure}")
        return by_seed(self.table, suite, self.method, value, STATISTICS[statistic])

    def estimate(self, measure: str, statistic: str) -> Estimate:
        """Return the mean over the seeds."""
        return mean_of(self._values(measure, statistic).to_numpy())

    def minus(self, first: str, second: str, statistic: str) -> Estimate:
        """Return the mean difference, seed by seed."""
        one, other = (self._values(measure, statistic) for measure in (first, second))
        return paired(one, other, f"{self.method}, {first} beside {second}")

    def seeds(self, measure: str, statistic: str) -> np.ndarray:
        """Return the exact numbers."""
        return self._values(measure, statistic).to_numpy()


@dataclass(frozen=True)
class OnRobot:
    """A method on a robot's task under one hazard, from a stored campaign."""

    case: RobotCase
    method: str
    digits: int = 0

    def _row(self, measure: str) -> str:
        return self.method if measure == "cvar" else f"{self.method}:risk={measure}"

    def estimate(self, measure: str, statistic: str) -> Estimate:
        """Return the number of the pooled episodes."""
        return self.case.sample(self._row(measure)).estimate(statistic)

    def minus(self, first: str, second: str, statistic: str) -> Estimate:
        """Return the difference of the pooled episodes' numbers."""
        return self.case.minus(self._row(first), self._row(second), statistic)

    def seeds(self, measure: str, statistic: str) -> np.ndarray:
        """Return each seed's own number of its episodes in the report."""
        self.case.sample(self._row(measure))  # refuses runs that are too short, too few seeds
        evidence, row = self.case.evidence, self._row(measure)
        table = evidence.table
        own = table[(table["task"] == self.case.task) & (table["hazard"] == self.case.hazard) & (table["row"] == row)]
        own = own[(own["purpose"] == "report") & (own["step"] == own["step"].max())]
        returns = [group["return"].to_numpy() for _, group in own.groupby("seed")]
        return np.array([x.mean() if statistic == "mean" else float(cvar(x, ALPHA)) for x in returns])


def spread_ratio(case: Measured, first: str, second: str, statistic: str) -> tuple[float, int]:
    """Return the ratio of two measures' variances over seeds, and 1 or −1 where an F test tells it from 1, else 0.

    Raises:
        Missing: fewer seeds than `LEAST_SEEDS`.
    """
    one, other = case.seeds(first, statistic), case.seeds(second, statistic)
    if min(len(one), len(other)) < LEAST_SEEDS:
        raise Missing(f"needs {LEAST_SEEDS} seeds, not {min(len(one), len(other))}")
    a, b = float(np.var(one, ddof=1)), float(np.var(other, ddof=1))
    if b == 0:
        return (1.0, 0) if a == 0 else (float("inf"), 1)
    low, high = (float(stats.f.ppf(p, len(one) - 1, len(other) - 1)) for p in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return a / b, int(a / b > high) - int(a / b < low)


def _numbers(case: Measured, *measures: str) -> str:
    digits = getattr(case, "digits", 0)
    return "; ".join(
        f"with {NAMES[m]} mean {case.estimate(m, 'mean').text(digits)}, CVaR₀.₁ {case.estimate(m, 'cvar').text(digits)}"
        for m in measures
    )


def _wang(case: Measured) -> Found:
    parts = [case.minus("wang", "cvar", "mean").sign, -case.minus("wang", "cvar", "cvar").sign]
    return parts, _numbers(case, "cvar", "wang")


def between(case: Measured, statistic: str) -> int:
    """Return 1 where CPW's number is told to lie between those of CVaR and Wang, −1 where beyond one, else 0."""
    ends = case.minus("cpw", "cvar", statistic).sign, case.minus("cpw", "wang", statistic).sign
    if 0 in ends:
        return 0
    return 1 if ends[0] != ends[1] else -1


def _cpw(case: Measured) -> Found:
    ratios = [spread_ratio(case, "cpw", other, "cvar") for other in ("cvar", "wang")]
    signs = [sign for _, sign in ratios]
    spread = 1 if min(signs) > 0 else -1 if min(signs) < 0 else 0
    shown = ", ".join(f"{ratio:.2g} of {NAMES[m]}'s" for (ratio, _), m in zip(ratios, ("cvar", "wang"), strict=True))
    parts = [between(case, "mean"), between(case, "cvar"), spread]
    return parts, f"{_numbers(case, 'cvar', 'wang', 'cpw')}; variance over seeds of CPW's CVaR₀.₁: {shown}"


def beats(case: Measured, rival: str) -> int:
    """Return 1 where CVaR's tail is above the rival's and its mean not below, −1 where the tail is below or bought."""
    tail, mean = case.minus("cvar", rival, "cvar").sign, case.minus("cvar", rival, "mean").sign
    if tail < 0 or (tail > 0 and mean < 0):
        return -1
    return int(tail > 0)


def _reliable(case: Measured) -> Found:
    return [beats(case, rival) for rival in PAPERS], _numbers(case, "cvar", *PAPERS)


CLAIMS: tuple[Claim[Measured], ...] = (
    Claim(
        "app. D.3", "Wang generally tilts updates toward higher means and weaker tails",
        "mean with Wang above that with CVaR; CVaR₀.₁ with Wang below", _wang, over="most",
    ),
    Claim(
        "app. D.3", "CPW sits between CVaR and Wang but shows higher variance across seeds",
        "mean with CPW differs from both and lies between; CVaR₀.₁ with CPW likewise; the variance of its seeds' "
        "CVaR₀.₁ above both others' (F test, 95 %)", _cpw,
    ),
    Claim(
        "app. D.3 (A1)", "CVaR is the most reliable choice for lower-tail control at comparable mean",
        "CVaR₀.₁ with CVaR above that with Wang, its mean not below; the same compared with CPW. False where CVaR₀.₁ "
        "is below, or its gain is paid with the mean", _reliable,
    ),
)  # fmt: skip


def label(method: str) -> str:
    """Return a case's name on the page."""
    return style(method).label
