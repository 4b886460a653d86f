"""Verdicts on sentences about tasks: what a case knows, how a sentence is judged, and when it cannot be.

A sentence has one part or more; each is true (its interval lies on its side), false (on the other) or undecided. On a
task it holds where all its parts are true; in part where some are; it does not hold where none is true and one is
false; it is undecided where none of its parts is told either way.

Over tasks a sentence about *all* holds where it does on each, does not where it holds on none and not on one, is
undecided where it is on each, and holds in part otherwise. One about *most* ("often", "tends to") takes the verdict of
more than half of its tasks, one about *some* ("may", "on some tasks") holds where it does on one. It cannot be said at
this scale where a row that it speaks of is missing or has fewer than `LEAST_UPDATES` updates or `LEAST_SEEDS` seeds;
"the others" and medians are of all methods of the paper's table 1.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample, interval
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.analysis.tables import EARLY
from ramac_lib.campaign.grid import TABLE_1
from ramac_lib.envs.tasks import ROBOTS

LEAST_UPDATES = 10_000
LEAST_SEEDS = 3
HOLDS, PARTLY, NOT = "holds", "holds in part", "does not hold"
UNDECIDED, UNSAID = "undecided", "cannot be said at this scale"
ORDER = (HOLDS, PARTLY, NOT, UNDECIDED, UNSAID)
ALL, MOST, SOME = "all", "most", "some"  # of a sentence's tasks


@dataclass(frozen=True)
class Case:
    """One task under one hazard: its samples by row, of the report or of the evaluation at 1,000 gradient steps."""

    evidence: Evidence
    task: str
    hazard: str
    at_start: bool = False

    def at(self, start: bool) -> "Case":
        """Return the same case at 1,000 gradient steps, or at the report."""
        return dataclasses.replace(self, at_start=start)

    def row(self, name: str) -> str:
        """Return the row of a method, or the row of that key.

        Raises:
            Missing: it is not there.
        """
        found = self.evidence.standing(self.task, self.hazard, name)
        if found is None:
            raise Missing(f"needs {style(name).label}")
        return found

    def rows(self) -> list[str]:
        """Return the rows of all methods of the paper's table 1.

        Raises:
            Missing: one is not there.
        """
        there = self.evidence.rows(self.task, self.hazard)[0]
        absent = [style(m).label for m in TABLE_1 if m not in {method_of(row) for row in there}]
        if absent:
            raise Missing(f"needs {', '.join(absent)}")
        return there

    def others(self, *methods: str) -> list[str]:
        """Return the rows of all methods of the paper's table 1 but these.

        Raises:
            Missing: one is not there.
        """
        return [row for row in self.rows() if method_of(row) not in methods]

    def sample(self, name: str) -> Sample:
        """Return a row's sample.

        Raises:
            Missing: the row, or its evaluation at 1,000 gradient steps, is not there, or it is of too short a run or
                too few seeds.
        """
        row = self.row(name)
        steps = self.evidence.steps(self.task, self.hazard)[row]
        if steps < LEAST_UPDATES and not self.at_start:
            raise Missing(f"needs {LEAST_UPDATES:,} updates, not {steps:,}")
        if self.at_start:
            found = self.evidence.early_sample(self.task, self.hazard, row, EARLY)
        else:
            found = self.evidence.sample(self.task, self.hazard, row)
        if found.seeds < LEAST_SEEDS:
            raise Missing(f"needs {LEAST_SEEDS} seeds, not {found.seeds}")
        return found

    def behaviours(self) -> list[Sample]:
        """Return the samples of all behaviour policies behind the task's data, the best mean first.

        Raises:
            Missing: they were not rolled out.
        """
        found = self.evidence.all_played(self.task, self.hazard)
        if not found:
            raise Missing("needs the behaviour policies")
        return found

    def minus(self, first: str, second: str, statistic: str) -> Estimate:
        """Return a difference of two rows."""
        return self.sample(first).minus(self.sample(second), statistic)

    def lead(self, name: str, others: Sequence[str], statistic: str) -> int:
        """Return 1 where the row is above each of the others, −1 where one is above it, 0 where neither is told."""
        signs = [self.minus(name, other, statistic).sign for other in others]
        return -1 if min(signs) < 0 else int(min(signs) > 0)

    def top(self, rows: Sequence[str], statistic: str) -> str:
        """Return the row with the largest number."""
        return max(rows, key=lambda row: self.sample(row).values[statistic])

    def to_median(self, name: str, statistic: str) -> Estimate:
        """Return the difference of a row to the median of the methods of the paper's table 1 with its interval."""
        samples, own = [self.sample(row) for row in self.rows()], self.sample(name)
        middle = np.median([sample.draws[statistic] for sample in samples], axis=0)
        value = own.values[statistic] - float(np.median([sample.values[statistic] for sample in samples]))
        return interval(value, own.draws[statistic] - middle)

    def number(self, name: str, statistic: str) -> str:
        """Return ``LABEL value [low, high]``."""
        return f"{style(self.row(name)).label} {self.sample(name).estimate(statistic).text(DIGITS.get(statistic, 0))}"

    def beside(self, name: str, rival: str, statistic: str) -> str:
        """Return a row's number and its difference to a rival's."""
        gap = self.minus(name, rival, statistic).text(DIGITS.get(statistic, 0), signed=True)
        return f"{self.number(name, statistic)}, {gap} to {style(self.row(rival)).label}"

    def beside_median(self, name: str, statistic: str) -> str:
        """Return a row's number and its difference to the median."""
        gap = self.to_median(name, statistic).text(DIGITS.get(statistic, 0), signed=True)
        return f"{self.number(name, statistic)}, {gap} to the median"


DIGITS = {"rate": 2, "violations": 1}
Judge = Callable[[Case], tuple[Sequence[int], str]]  # each part's sign, what was found


@dataclass(frozen=True)
class Claim:
    """A sentence, where it stands, how it is read, the function that judges it, and the tasks that it speaks of.

    Args:
        tasks: none: all six.
        over: of how many of its tasks the sentence speaks: `ALL`, `MOST` or `SOME`.
        at_start: it speaks of 1,000 gradient steps, so that the run may be as short as that.
    """

    where: str
    sentence: str
    rule: str
    judge: Judge
    tasks: tuple[str, ...] = ROBOTS
    over: str = ALL
    at_start: bool = False


def said(parts: Sequence[int]) -> str:
    """Return the verdict on a task from the signs of a sentence's parts."""
    if min(parts) > 0:
        return HOLDS
    if max(parts) > 0:
        return PARTLY
    return NOT if min(parts) < 0 else UNDECIDED


def over_tasks(verdicts: Sequence[str], over: str = ALL) -> str:
    """Return the verdict on a sentence from those on its tasks."""
    counts = Counter(verdicts)
    first, count = counts.most_common(1)[0]
    if over == SOME and counts[HOLDS]:
        return HOLDS
    if len(counts) == 1 or (over == MOST and 2 * count > len(verdicts)):
        return first
    if counts[HOLDS] or counts[PARTLY]:
        return PARTLY
    return NOT if over == ALL else UNDECIDED


def judge(evidence: Evidence, claims: Sequence[Claim], hazard: str) -> pd.DataFrame:
    """Return number, place, sentence, how many of its tasks were judged, what was found and verdict, one row a claim.

    Raises:
        Missing: nothing was reported under this hazard.
    """
    there = [task for task, name in evidence.settings() if name == hazard]
    if not there:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    return pd.DataFrame([_line(evidence, k, claim, there, hazard) for k, claim in enumerate(claims, start=1)])


def _line(evidence: Evidence, number: int, claim: Claim, there: Sequence[str], hazard: str) -> dict[str, str]:
    verdicts, found, reasons = [], [], []
    for task in [task for task in there if task in claim.tasks]:
        try:
            parts, text = claim.judge(Case(evidence, task, hazard, claim.at_start))
        except Missing as reason:
            reasons.append(str(reason))
        else:
            verdicts.append(said(parts))
            found.append(f"{task}: {text}" if len(claim.tasks) > 1 and len(there) > 1 else text)
    verdict = over_tasks(verdicts, claim.over) if verdicts else UNSAID
    if len(verdicts) > 1:
        found.insert(0, ", ".join(f"{v} on {count}" for v, count in Counter(verdicts).items()))
    if not verdicts:
        found = list(dict.fromkeys(reasons)) or [f"needs {' or '.join(claim.tasks)}"]
    line = {"": str(number), "where": claim.where, "sentence": claim.sentence}
    line |= {"tasks": f"{len(verdicts)} of {len(claim.tasks)}"}
    return line | {"found": "; ".join(found), "verdict": verdict}


def rules(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return number, place, sentence, its tasks and rule, one row a claim."""
    out = []
    for k, claim in enumerate(claims, start=1):
        named = "six tasks" if len(claim.tasks) == len(ROBOTS) else ", ".join(claim.tasks)
        line = {"": str(k), "where": claim.where, "sentence": claim.sentence, "on": f"{claim.over} of {named}"}
        out.append(line | {"it holds where": claim.rule})
    return pd.DataFrame(out)
