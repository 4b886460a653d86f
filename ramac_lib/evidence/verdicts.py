"""Verdicts on sentences about tasks: what a case knows, how a sentence is judged, and when it cannot be.

A sentence is judged on each of its tasks that the results have. It holds where it does on each of them, does not where
it does on none, not even in part, and holds in part otherwise. It cannot be said at this scale where none of its tasks,
or not all the rows that it speaks of, are there, or where these have fewer than `LEAST_UPDATES` updates or
`LEAST_SEEDS` seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ramac_lib.evidence.keys import find, method_of
from ramac_lib.evidence.samples import Estimate, Sample
from ramac_lib.evidence.store import Evidence, Missing
from ramac_lib.evidence.tables import EARLY
from ramac_lib.plots import style
from ramac_lib.toy.tables import HOLDS, NOT, PARTLY

LEAST_UPDATES = 10_000
LEAST_SEEDS = 3
NEAR = 0.1  # of 1,000 gradient steps: farther off, an evaluation says nothing about them
UNSAID = "cannot be said at this scale"


@dataclass(frozen=True)
class Case:
    """One task under one hazard: its samples by row, of the report or of the evaluation at 1,000 gradient steps."""

    evidence: Evidence
    task: str
    hazard: str
    at_start: bool = False

    def rows(self) -> list[str]:
        """Return the rows of the paper's methods."""
        return self.evidence.rows(self.task, self.hazard)[0]

    def row(self, name: str) -> str:
        """Return the row of a method, or the row of that key.

        Raises:
            Missing: it is not there.
        """
        main, others = self.evidence.rows(self.task, self.hazard)
        found = name if name in (*main, *others) else find([*main, *others], name)
        if found is None:
            raise Missing(f"needs {style(name).label}")
        return found

    def sample(self, name: str) -> Sample:
        """Return a row's sample.

        Raises:
            Missing: the row, or its evaluation at 1,000 gradient steps, is not there.
        """
        row = self.row(name)
        if not self.at_start:
            return self.evidence.sample(self.task, self.hazard, row)
        part = self.evidence.early(self.task, self.hazard, EARLY)
        part = part[part["row"] == row]
        if part.empty or abs(part["step"].iloc[0] - EARLY) > NEAR * EARLY:
            raise Missing(f"needs an evaluation at {EARLY:,} updates")
        return Sample(part, f"{self.task} {self.hazard} {row} steps")

    def behaviours(self) -> list[Sample]:
        """Return the behaviour policies' samples, the best mean first.

        Raises:
            Missing: they were not rolled out.
        """
        rows = dict.fromkeys(self.evidence.played(self.task, self.hazard)["row"])
        if not rows:
            raise Missing("needs the behaviour policies")
        return [self.evidence.sample(self.task, self.hazard, row) for row in rows]

    def others(self, *methods: str) -> list[str]:
        """Return the paper's rows of all methods but these.

        Raises:
            Missing: fewer than two are left, too few for a comparison of methods.
        """
        found = [row for row in self.rows() if method_of(row) not in methods]
        if len(found) < 2:
            raise Missing("needs the paper's other methods")
        return found

    def minus(self, first: str, second: str, statistic: str) -> Estimate:
        """Return a difference of two rows."""
        return self.sample(first).minus(self.sample(second), statistic)

    def against(self, name: str, others: Sequence[str], statistic: str) -> list[int]:
        """Return, for each other row, 1 where the row is above it, −1 below, 0 where they are not told apart."""
        return [self.minus(name, other, statistic).sign for other in others]

    def top(self, rows: Sequence[str], statistic: str) -> str:
        """Return the row with the largest number."""
        return max(rows, key=lambda row: self.sample(row).values[statistic])

    def median(self, statistic: str) -> float:
        """Return the median of a statistic over the paper's methods."""
        return float(np.median([self.sample(row).values[statistic] for row in self.rows()]))

    def number(self, name: str, statistic: str) -> str:
        """Return ``LABEL value [low, high]``."""
        digits = 2 if statistic == "rate" else 1 if statistic == "violations" else 0
        return f"{style(self.row(name)).label} {self.sample(name).estimate(statistic).text(digits)}"

    def beside(self, name: str, rival: str, statistic: str) -> str:
        """Return a row's number and its difference to a rival's."""
        digits = 1 if statistic == "violations" else 0
        gap = self.minus(name, rival, statistic).text(digits, signed=True)
        return f"{self.number(name, statistic)}, {gap} to {style(self.row(rival)).label}"


Judge = Callable[[Case], tuple[str, str]]  # verdict, what was found


def graded(holds: bool, partly: bool = False) -> str:
    """Return the verdict of a rule with its part."""
    return HOLDS if holds else PARTLY if partly else NOT


@dataclass(frozen=True)
class Claim:
    """A sentence, where it stands, the tasks it speaks of (none: all), how it is read, and the function that judges it.

    Args:
        at_start: the sentence speaks of 1,000 gradient steps, so that the run may be as short as that.
    """

    key: str
    where: str
    sentence: str
    rule: str
    judge: Judge
    tasks: tuple[str, ...] = ()
    at_start: bool = False


def judge(evidence: Evidence, claims: Sequence[Claim], hazard: str) -> pd.DataFrame:
    """Return key, place, sentence, tasks judged, what was found and verdict, one row a claim.

    Raises:
        Missing: nothing was reported under this hazard.
    """
    there = [task for task, name in evidence.settings() if name == hazard]
    if not there:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    out = []
    for claim in claims:
        tasks = [task for task in there if task in (claim.tasks or there)]
        found = [_judged(evidence, claim, task, hazard) for task in tasks]
        said = [(task, verdict, text) for task, (verdict, text) in zip(tasks, found, strict=True) if verdict != UNSAID]
        many = len(tasks) > 1  # which of them were judged must be seen
        if said:
            verdict = _combined([v for _, v, _ in said])
            text = "; ".join((f"{task}: " if many else "") + text for task, _, text in said)
        else:
            verdict = UNSAID
            text = "; ".join(dict.fromkeys(t for _, t in found)) or f"needs {' or '.join(claim.tasks)}"
        line = {"": claim.key, "where": claim.where, "sentence": claim.sentence, "found": text, "verdict": verdict}
        out.append(line | {"tasks": ", ".join(task for task, _, _ in said)})
    return pd.DataFrame(out)


def _judged(evidence: Evidence, claim: Claim, task: str, hazard: str) -> tuple[str, str]:
    updates, seeds = evidence.updates(task, hazard), evidence.seeds(task, hazard)
    if updates < LEAST_UPDATES and not claim.at_start:
        return UNSAID, f"needs {LEAST_UPDATES:,} updates, not {updates:,}"
    if seeds < LEAST_SEEDS:
        return UNSAID, f"needs {LEAST_SEEDS} seeds, not {seeds}"
    try:
        return claim.judge(Case(evidence, task, hazard, claim.at_start))
    except Missing as reason:
        return UNSAID, str(reason)


def _combined(verdicts: Sequence[str]) -> str:
    if len(set(verdicts)) == 1:
        return verdicts[0]
    return PARTLY


def rules(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return key, place, sentence and rule, one row a claim."""
    return pd.DataFrame(
        [{"": c.key, "where": c.where, "sentence": c.sentence, "it holds where": c.rule} for c in claims]
    )
