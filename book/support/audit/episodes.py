"""What few episodes, and the choice of a checkpoint by them, do to a reported mean and CVaR.

Stored episodes of one trained policy are taken as its distribution of returns: that policy does not change, so whatever
a protocol reports beyond its mean and its CVaR is the protocol's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import betainc

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import ALPHA, Estimate, bootstrap_interval
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar
from ramac_lib.risk.checks import checked_count, checked_samples
from ramac_lib.system.errors import RamacError, unknown

Array = np.ndarray

EVALUATIONS, EPISODES, SEEDS = (
    40,
    10,
    5,
)  # of the released code: every 50 of 2000 epochs; ten episodes; the paper's seeds
CRITERIA: Mapping[str, Callable[[Array], Array]] = {
    "mean": lambda returns: returns.mean(axis=-1),
    "cvar": lambda returns: cvar(returns, ALPHA),
}


def expected_lowest(returns: Float[Array, " m"], n: int, k: int = 1) -> float:
    """Return the expected mean of the k lowest of n draws from the returns' empirical distribution, exactly.

    The j-th lowest of n draws lies at or below a fraction u of the distribution with probability I_u(j, n − j + 1)
    (the regularised incomplete beta function), so its expectation is a weighted sum of the ordered returns.

    Raises:
        RamacError: no returns, NaN among them, k < 1 or above n.
    """
    ordered = np.sort(checked_samples(returns).ravel())
    n, k = checked_count(n, "the number of draws"), checked_count(k, "the number of the lowest")
    if k > n:
        raise RamacError(f"the {k} lowest of {n} draws; expected at most as many as there are draws")
    below = np.linspace(0, 1, len(ordered) + 1)
    share = np.mean([betainc(j, n - j + 1, below) for j in range(1, k + 1)], axis=0)
    return float(ordered @ np.diff(share))


class Report(NamedTuple):
    """What a protocol reports of a policy: the mean over the episodes that it keeps, and their CVaR."""

    mean: float
    cvar: float


def best_of(
    returns: Float[Array, " m"],
    rng: np.random.Generator,
    *,
    evaluations: int = EVALUATIONS,
    episodes: int = EPISODES,
    criterion: str = "mean",
    repeats: int = 1000,
) -> Report:
    """Return the expected report of the best of several evaluations of one policy that does not change.

    Args:
        returns: the policy's episodes, as its distribution.
        evaluations: how many there are to choose among, each of `episodes` fresh draws.
        criterion: of the choice: the evaluation's ``mean`` (the released default) or its ``cvar``.
        repeats: of the whole protocol; the report is their mean.

    Raises:
        RamacError: no returns, an unknown criterion, a count below 1.
    """
    known = checked_samples(returns).ravel()
    if criterion not in CRITERIA:
        raise unknown("criterion", criterion, CRITERIA)
    shape = [
        checked_count(n, name)
        for n, name in ((repeats, "repeats"), (evaluations, "evaluations"), (episodes, "episodes"))
    ]
    drawn = known[rng.integers(len(known), size=shape)]
    chosen = np.argmax(CRITERIA[criterion](drawn), axis=1)
    kept = np.take_along_axis(drawn, chosen[:, None, None], axis=1)[:, 0]
    return Report(float(kept.mean()), float(cvar(kept, ALPHA).mean()))


def policies(evidence: Evidence, task: str, hazard: str) -> dict[tuple[str, int], Float[Array, " m"]]:
    """Return the returns of each trained policy's report, by row and seed.

    Raises:
        Missing: there is no report.
    """
    report = evidence.report(task, hazard)
    found: dict[tuple[str, int], Array] = {}
    for row in report["row"].unique():
        own = report[report["row"] == row]
        for seed in own["seed"].unique():
            found[str(row), int(seed)] = own.loc[own["seed"] == seed, "return"].to_numpy(float)
    return found


def protocols(evidence: Evidence, task: str, hazard: str, repeats: int = 400) -> pd.DataFrame:
    """Return what the protocols add to each trained policy's own mean and CVaR; one row a policy.

    Columns ``row label seed mean cvar sd``, and as differences to these ``best_mean best_cvar`` (the best of
    `EVALUATIONS` by mean), ``ten`` (the expected worst of ten episodes less the CVaR, exact) and ``fifty`` (the
    expected mean of the five lowest of fifty, exact).

    Raises:
        Missing: there is no report.
    """
    rng, rows = np.random.default_rng(0), []
    for (row, seed), returns in policies(evidence, task, hazard).items():
        mean, tail = float(returns.mean()), float(cvar(returns, ALPHA))
        best = best_of(returns, rng, repeats=repeats)
        line = {
            "row": row,
            "label": style(row).label,
            "seed": seed,
            "mean": mean,
            "cvar": tail,
            "sd": float(returns.std()),
        }
        line |= {"best_mean": best.mean - mean, "best_cvar": best.cvar - tail}
        line |= {"ten": expected_lowest(returns, 10) - tail, "fifty": expected_lowest(returns, 50, 5) - tail}
        rows.append(line)
    return pd.DataFrame(rows)


def average(table: pd.DataFrame, column: str, of: str | None = None) -> Estimate:
    """Return a column's mean over policies with its 95 % bootstrap interval, rows (methods) resampled first.

    Args:
        table: what `protocols` returns.
        of: a column to divide by, policy by policy.
    """
    values = table[column] / table[of] if of else table[column]
    groups = [part.to_numpy() for _, part in values.groupby(table["row"])]
    return Estimate(float(values.mean()), *bootstrap_interval(groups, lambda x: float(x.mean()), resamples=1000))


def flattery(found: Evidence, hazard: str = "paper") -> tuple[pd.DataFrame, dict[str, Estimate]]:
    """Return what the protocols add, over every stored policy under a hazard: its table, and averages of its columns.

    Keys are `protocols`' columns, in units of an episode's standard deviation with ``/sd`` appended.

    Raises:
        Missing: nothing is reported under the hazard.
    """
    parts = [protocols(found, task, name).assign(task=task) for task, name in found.settings() if name == hazard]
    if not parts:
        raise Missing(f"Nothing is reported under the hazard {hazard}.")
    table = pd.concat(parts, ignore_index=True)
    names: Sequence[str] = ("best_mean", "best_cvar", "ten", "fifty")
    own = {name: average(table, name) for name in names}
    return table, own | {f"{name}/sd": average(table, name, "sd") for name in names}


def by_method(table: pd.DataFrame) -> pd.DataFrame:
    """Return `protocols`' table as means over a method's seeds, the most flattered mean first."""
    columns = ["mean", "cvar", "sd", "best_mean", "best_cvar", "ten", "fifty"]
    found = table.groupby(["row", "label"], sort=False)[columns].mean().reset_index()
    return found.sort_values("best_mean", ascending=False, ignore_index=True)


def pooled_and_averaged(groups: Sequence[Float[Array, " m"]]) -> tuple[float, float]:
    """Return the CVaR of all seeds' episodes pooled, and the mean over seeds of each seed's own: never the smaller one.

    Raises:
        RamacError: no seeds, or seeds with different numbers of episodes.
    """
    if not groups or len({len(group) for group in groups}) > 1:
        raise RamacError(f"seeds with {[len(group) for group in groups]} episodes; expected some, all with as many")
    return float(cvar(np.concatenate(groups), ALPHA)), float(np.mean([cvar(group, ALPHA) for group in groups]))
