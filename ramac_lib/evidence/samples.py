"""Statistics of a row's episodes with bootstrap resamples: intervals, differences, ties.

A resample draws seeds first, then each drawn seed's episodes (as `risk.bootstrap_interval`, here for all statistics at
once); a row's resamples depend on its name alone, not on which other rows there are.

The rule for ties: two rows are told apart in a statistic where the 95 % interval of the difference leaves out zero.
"""

from typing import NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from jaxtyping import Float

from ramac_lib.errors import RamacError
from ramac_lib.risk import cvar

ALPHA = 0.1
LEVEL = 0.95
RESAMPLES = 2000
COLUMNS = ["return", "violations", "length"]

Array = np.ndarray


class Estimate(NamedTuple):
    """A number with the bounds of its interval."""

    value: float
    low: float
    high: float

    @property
    def sign(self) -> int:
        """1 where the interval lies above zero, −1 below, 0 where it contains zero."""
        return int(self.low > 0) - int(self.high < 0)

    def text(self, digits: int = 0, signed: bool = False) -> str:
        """Return ``value [low, high]``."""
        form = f"{'+' if signed else ''}.{digits}f"
        value, low, high = (0.0 if f"{x:.{digits}f}".strip("-0.") == "" else x for x in self)  # no −0
        return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def statistics(episodes: Float[Array, "*batch n 3"]) -> dict[str, Float[Array, "*batch"]]:
    """Return mean return, CVaR of the pooled returns, violations an episode and share of steps in violation."""
    returns, violations, lengths = np.moveaxis(episodes, -1, 0)
    return {
        "mean": returns.mean(axis=-1),
        "cvar": cvar(returns, ALPHA),
        "violations": violations.mean(axis=-1),
        "rate": violations.sum(axis=-1) / lengths.sum(axis=-1),
    }


class Sample:
    """A row's episodes: their statistics, and the same of each of `RESAMPLES` resamples.

    Args:
        episodes: columns ``seed return violations length``.
        name: decides the resamples.
        one_policy: seeds are those of rollouts, not of trained policies; episodes are then resampled alone.

    Raises:
        RamacError: no episodes, or seeds with different numbers of them.
    """

    def __init__(self, episodes: pd.DataFrame, name: str, one_policy: bool = False) -> None:
        if episodes.empty:
            raise RamacError(f"{name}: no episodes to resample")
        groups = [g[COLUMNS].to_numpy(float) for _, g in episodes.groupby("seed")]
        if one_policy:
            groups = [np.concatenate(groups)]
        if len({len(group) for group in groups}) > 1:
            raise RamacError(f"{name}: seeds with {' and '.join(sorted({str(len(g)) for g in groups}))} episodes")
        stacked = np.stack(groups)  # (S, E, 3)
        seeds, count, _ = stacked.shape
        rng = np.random.default_rng(crc32(name.encode()))
        drawn = rng.integers(seeds, size=(RESAMPLES, seeds, 1))
        picked = stacked[drawn, rng.integers(count, size=(RESAMPLES, seeds, count))]
        self.seeds, self.episodes = seeds, seeds * count
        self.length = float(stacked[..., 2].mean())
        self.values = {k: float(v) for k, v in statistics(stacked.reshape(-1, 3)).items()}
        self.draws = statistics(picked.reshape(RESAMPLES, -1, 3))

    def estimate(self, statistic: str) -> Estimate:
        """Return a statistic with its interval."""
        return _estimate(self.values[statistic], self.draws[statistic])

    def minus(self, other: "Sample", statistic: str) -> Estimate:
        """Return the difference to another row's statistic with its interval (rows resampled independently)."""
        return _estimate(
            self.values[statistic] - other.values[statistic], self.draws[statistic] - other.draws[statistic]
        )


def _estimate(value: float, draws: Float[Array, " R"]) -> Estimate:
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
