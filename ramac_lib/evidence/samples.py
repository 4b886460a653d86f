"""Statistics of a row's episodes with bootstrap resamples: intervals, differences, ties.

A resample draws seeds first, then each drawn seed's episodes, for all statistics at once; a row's resamples depend on
its name alone, not on which other rows there are. Of S seeds S − 1 are drawn (Rao and Wu 1988): S of S draws would give
the mean over seeds a variance too small by (S − 1)/S, a third of it with three seeds.

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
        form = f"{'+' if signed else ''}z.{digits}f"  # z: no −0
        return f"{self.value:{form}} [{self.low:{form}}, {self.high:{form}}]"


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
        taken = max(1, seeds - 1)
        drawn = rng.integers(seeds, size=(RESAMPLES, taken, 1))
        picked = stacked[drawn, rng.integers(count, size=(RESAMPLES, taken, count))]
        self.seeds, self.episodes = seeds, seeds * count
        self.length = float(stacked[..., 2].mean())
        self.values = {k: float(v) for k, v in statistics(stacked.reshape(-1, 3)).items()}
        self.draws = statistics(picked.reshape(RESAMPLES, -1, 3))

    def estimate(self, statistic: str) -> Estimate:
        """Return a statistic with its interval."""
        return interval(self.values[statistic], self.draws[statistic])

    def minus(self, other: "Sample", statistic: str) -> Estimate:
        """Return the difference to another row's statistic with its interval (rows resampled independently)."""
        return interval(
            self.values[statistic] - other.values[statistic], self.draws[statistic] - other.draws[statistic]
        )


def interval(value: float, draws: Float[Array, " R"]) -> Estimate:
    """Return a number with the 95 % interval of its resamples."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def told_apart(seeds: int, episodes: int, spread: float, pairs: int = 400, seed: int = 0) -> dict[str, float]:
    """Return how often two equal rows are told apart: the share of made-up pairs of the same law, by statistic.

    Args:
        episodes: of a seed; normal returns.
        spread: standard deviation of the seeds' means, in standard deviations of an episode.
    """
    rng = np.random.default_rng(seed)
    found = {"mean": 0, "cvar": 0}
    for pair in range(pairs):
        samples = []
        for row in range(2):
            returns = spread * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, episodes))
            table = pd.DataFrame({"seed": np.repeat(np.arange(seeds), episodes), "return": returns.ravel()})
            samples.append(Sample(table.assign(violations=0.0, length=1.0), f"{seed} {pair} {row}"))
        for statistic in found:
            found[statistic] += samples[0].minus(samples[1], statistic).sign != 0
    return {statistic: count / pairs for statistic, count in found.items()}
