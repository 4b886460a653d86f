"""What the tasks of a campaign say together: on how many of them a row is above another, and by how much."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample, interval
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from support.evidence.standing import too_short

BEST_METHOD = "the best of the other methods"  # of the paper's, by its own number: chance favours it
BEST_BEHAVIOUR = "the best behaviour policy"
ANY_METHOD = "the best method"


class Together(NamedTuple):
    """A row beside another on every task that has both.

    Attributes:
        above, tied, below: tasks by the sign of the difference (its 95 % interval).
        effect: the mean over these tasks of the difference, each divided by the mean return of the task's best
            behaviour policy; the interval resamples seeds and episodes within tasks, which stay the same.
        short: tasks whose runs are too few or too short for a sign, which count nowhere else.
    """

    above: list[str]
    tied: list[str]
    below: list[str]
    effect: Estimate | None
    short: list[str]

    @property
    def tasks(self) -> int:
        """On how many tasks there is a sign."""
        return len(self.above) + len(self.tied) + len(self.below)


def tasks_of(evidence: Evidence, hazard: str) -> list[str]:
    """Return the tasks with a report under a hazard.

    Raises:
        Missing: there is none.
    """
    found = [task for task, name in evidence.settings() if name == hazard]
    if not found:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    return found


def together(evidence: Evidence, hazard: str, row: str, rival: str, statistic: str) -> Together:
    """Return where a row stands beside a rival over the tasks under a hazard.

    Args:
        row: a row's key or a method, or `ANY_METHOD`.
        rival: likewise, or `BEST_METHOD`, or `BEST_BEHAVIOUR`.
        statistic: ``mean`` or ``cvar``.

    Raises:
        Missing: no task has both.
    """
    signs: dict[int, list[str]] = {1: [], 0: [], -1: []}
    values, draws, short = [], [], []
    for task in tasks_of(evidence, hazard):
        pair = _pair(evidence, task, hazard, row, rival, statistic)
        if pair is None:
            continue
        (own, named), (other, other_named) = pair
        rows = [name for name in (named, other_named) if name]
        if rows and too_short(evidence, task, hazard, rows):
            short.append(task)
            continue
        signs[own.minus(other, statistic).sign].append(task)
        played = evidence.all_played(task, hazard)
        if played and played[0].values["mean"] > 0:
            unit = played[0].values["mean"]
            values.append((own.values[statistic] - other.values[statistic]) / unit)
            draws.append((own.draws[statistic] - other.draws[statistic]) / unit)
    found = [task for part in signs.values() for task in part]
    if not found and not short:
        raise Missing(f"No task has both {_label(row)} and {_label(rival)}.")
    whole = found and len(values) == len(found)
    effect = interval(float(np.mean(values)), np.mean(draws, axis=0)) if whole else None
    return Together(signs[1], signs[0], signs[-1], effect, short)


def rank_agreement(evidence: Evidence, hazard: str) -> dict[str, float]:
    """Return Spearman's correlation of the methods' means with their CVaRs, by task, where there are four or more.

    Raises:
        Missing: no task has four of the paper's methods.
    """
    found = {}
    for task in tasks_of(evidence, hazard):
        rows = evidence.rows(task, hazard)[0]
        if len(rows) >= 4:
            values = [evidence.sample(task, hazard, row).values for row in rows]
            found[task] = float(spearmanr([v["mean"] for v in values], [v["cvar"] for v in values]).statistic)
    if not found:
        raise Missing("No task has four of the paper's methods.")
    return found


def completion(evidence: Evidence, hazard: str, rows: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return, by task and row's label, the share of report episodes that reached the horizon, where it was stored.

    Raises:
        Missing: it was stored nowhere.
    """
    found: dict[str, dict[str, float]] = {}
    for task in tasks_of(evidence, hazard):
        shares = evidence.beside_returns(task, hazard).set_index("row")["completed"].dropna()
        stands = [evidence.standing(task, hazard, row) for row in rows]
        there = [name for name in stands if name is not None and name in shares.index]
        if there:
            found[task] = {style(name).label: float(shares[name]) for name in there}
    if not found:
        raise Missing("The stored reports do not say which episodes reached the horizon.")
    return found


def _pair(
    evidence: Evidence, task: str, hazard: str, row: str, rival: str, statistic: str
) -> tuple[tuple[Sample, str | None], tuple[Sample, str | None]] | None:
    """Return the two samples with their rows' names (None: a behaviour policy); None where one is not there."""
    main = evidence.rows(task, hazard)[0]

    def best(rows: Sequence[str]) -> tuple[Sample, str | None] | None:
        if not rows:
            return None
        name = max(rows, key=lambda r: evidence.sample(task, hazard, r).values[statistic])
        return evidence.sample(task, hazard, name), name

    def find(name: str) -> tuple[Sample, str | None] | None:
        if name == BEST_BEHAVIOUR:
            played = evidence.all_played(task, hazard)
            return (max(played, key=lambda sample: sample.values[statistic]), None) if played else None
        if name == ANY_METHOD:
            return best(main)
        if name == BEST_METHOD:
            return best([other for other in main if method_of(other) != method_of(row)])
        there = evidence.standing(task, hazard, name)
        return None if there is None else (evidence.sample(task, hazard, there), there)

    own, other = find(row), find(rival)
    return None if own is None or other is None else (own, other)


def _label(name: str) -> str:
    return name if name in (BEST_METHOD, BEST_BEHAVIOUR, ANY_METHOD) else style(name).label
