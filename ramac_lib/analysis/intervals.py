"""Statistics of a row's episodes with bootstrap resamples: intervals, differences, ties.

A resample draws seeds first, then each drawn seed's episodes, for all statistics at once; a row's resamples depend on
its name alone, not on which other rows there are. Of S seeds S − 1 are drawn (Rao and Wu 1988): S of S draws would give
the mean over seeds a variance too small by (S − 1)/S, a third of it with three seeds.

The rule for ties: two rows are told apart in a statistic where the 95 % interval of the difference leaves out zero."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pandas as pd
from jaxtyping import Float

from ramac_lib.risk import cvar
from ramac_lib.risk.checks import checked_count, checked_samples
from ramac_lib.system.errors import RamacError
from ramac_lib.system.minus import number

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
        """Return ``value [low, high]`` with minus signs (U+2212)."""
        value, low, high = (number(part, digits, signed, thousands=True) for part in self)
        return f"{value} [{low}, {high}]"


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


def bootstrap_interval(
    returns_by_seed: Sequence[Float[Array, " _"]],
    statistic: Callable[[Float[Array, " n"]], Any],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of the pooled returns, seeds being resampled first.

    Episodes of one seed share a trained policy, so they are not independent. Of S seeds each resample draws S − 1 with
    replacement, then each drawn seed's episodes, with replacement, and pools them; S draws would give the mean over
    seeds a variance too small by (S − 1)/S (Rao and Wu 1988). With a single seed the interval speaks of that one policy
    only. With few seeds percentile intervals stay too short: for a mean whose seeds spread .7 as much as their
    episodes, a nominal 95 % covers 90 % with five seeds, 85 % with three and 75 % with two (S draws: 84, 81 and 65 %).

    Args:
        returns_by_seed: one array of episode returns for each seed; lengths may differ.
        statistic: of a 1-D array, e.g. ``np.mean`` or ``cvar``.
        level: the interval's nominal coverage, in (0, 1).
        resamples: how many resamples.
        seed: of the resampling's own generator.

    Raises:
        RamacError: no seeds, a seed without returns, NaN, a level outside (0, 1), resamples < 1.
    """
    groups = [checked_samples(returns).ravel() for returns in returns_by_seed]
    if not groups:
        raise RamacError("no seeds to resample; expected the returns of at least one")
    if not 0 < level < 1:
        raise RamacError(f"level is {level}; expected a number in (0, 1)")
    rng = np.random.default_rng(seed)
    values = np.empty(checked_count(resamples, "the number of resamples"))
    for i in range(len(values)):
        drawn = (groups[j] for j in rng.integers(len(groups), size=max(1, len(groups) - 1)))
        values[i] = statistic(np.concatenate([rng.choice(group, len(group)) for group in drawn]))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_and_error(values: Float[np.ndarray, "seeds ..."]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over the first axis (zero for a single seed)."""
    n = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(values.shape[1:])
    return values.mean(axis=0), error
