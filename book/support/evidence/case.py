"""A case of chapter 5's sentences: one task under one hazard, as a rule asks for it.

What a sentence speaks of is missing where a row is not there or has fewer than `LEAST_UPDATES` updates or `LEAST_SEEDS`
seeds; "the others" and medians are of all methods of the paper's table 1.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample, bootstrap_interval, interval
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.campaign.grid import TABLE_1
from ramac_lib.envs.tasks import ROBOTS
from support.evidence.scale import starts
from support.evidence.tables import EARLY

LEAST_UPDATES = 10_000
LEAST_SEEDS = 3
DIGITS = {"rate": 2, "violations": 1}


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
                too few seeds, or its risk term starts after these 1,000 steps, so that they say nothing of it.
        """
        row = self.row(name)
        steps = self.evidence.steps(self.task, self.hazard)[row]
        if steps < LEAST_UPDATES and not self.at_start:
            raise Missing(f"needs {LEAST_UPDATES:,} updates, not {steps:,}")
        if self.at_start:
            begun = starts(self.evidence, self.task, self.hazard)[row]
            if begun > EARLY:
                raise Missing(f"{style(row).label}'s risk term starts at update {begun:,}, after {EARLY:,}")
            found = self.evidence.early_sample(self.task, self.hazard, row, EARLY)
        else:
            found = self.evidence.sample(self.task, self.hazard, row)
        if found.seeds < LEAST_SEEDS:
            raise Missing(f"needs {LEAST_SEEDS} seeds, not {found.seeds}")
        return found

    def completed(self, name: str) -> Estimate:
        """Return the share of a row's episodes that reach the horizon, with its 95 % interval, seeds resampled first.

        Raises:
            Missing: as `sample`.
        """
        self.sample(name)
        report = self.evidence.report(self.task, self.hazard)
        own = report[report["row"] == self.row(name)]
        whole = (own["length"] >= own["horizon"]).astype(float)
        groups = [part.to_numpy() for _, part in whole.groupby(own["seed"])]
        return Estimate(float(whole.mean()), *bootstrap_interval(groups, lambda x: float(x.mean()), resamples=500))

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


def cases(evidence: Evidence, hazard: str) -> dict[str, Case | None]:
    """Return the case of each of the six tasks under a hazard, none where nothing was reported.

    Raises:
        Missing: nothing was reported under this hazard.
    """
    there = {task for task, name in evidence.settings() if name == hazard}
    if not there:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    return {task: Case(evidence, task, hazard) if task in there else None for task in ROBOTS}
