"""Numbers behind the sentences of the first page, from the stored results, whatever campaign they are of."""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from support.audit.shown import sized
from support.evidence.case import LEAST_SEEDS
from support.evidence.judges import CLONE
from support.evidence.scale import REFERENCE, starts
from support.evidence.words import listed, many
from support.verdicts import OPEN

PAPER = "paper"
HEADLINE = "RADAC has the highest CVaR"  # the claim of table 1


class Robots(NamedTuple):
    """RADAC beside another row, task by task.

    Args:
        gaps: task → RADAC's CVaR_0.1 less the other row's.
        updates, seeds: the fewest of the two rows, over the tasks.
        start: the latest update at which RADAC's risk term starts.
    """

    gaps: dict[str, Estimate]
    updates: int
    seeds: int
    start: int

    def count(self, sign: int) -> int:
        """Return on how many tasks the difference has a sign, told by its interval."""
        return sum(gap.sign == sign for gap in self.gaps.values())

    @property
    def share(self) -> float:
        """The updates as a share of the paper's."""
        return self.updates / REFERENCE


def beside(found: Evidence, hazard: str = PAPER, other: str = CLONE, statistic: str = "cvar") -> Robots:
    """Return RADAC beside a row on each task on which both were reported.

    Raises:
        Missing: there is no such task.
    """
    gaps, updates, seeds, start = {}, [], [], []
    for task, name in found.settings():
        if name != hazard:
            continue
        rows = [found.standing(task, hazard, row) for row in ("radac", other)]
        if rows[0] is None or rows[1] is None:
            continue
        own, rival = (found.sample(task, hazard, row) for row in rows if row)
        gaps[task] = own.minus(rival, statistic)
        steps = found.steps(task, hazard)
        updates += [steps[row] for row in rows if row]
        seeds += [own.seeds, rival.seeds]
        start.append(starts(found, task, hazard)[rows[0]])
    if not gaps:
        raise Missing(f"RADAC and {style(other).label} were not reported on one task under the hazard {hazard}.")
    return Robots(gaps, min(updates), min(seeds), max(start))


def in_words(robots: Robots) -> str:
    """Return on how many tasks RADAC is above, tied and below; of one task the difference."""
    if len(robots.gaps) == 1:
        ((task, gap),) = robots.gaps.items()
        word = (
            {1: "higher", -1: "lower", 0: "inconclusive"}[gap.sign]
            if robots.seeds >= LEAST_SEEDS
            else "too short to say"
        )
        return f"{word}, {sized(gap)} on {task}"
    told = [(1, "higher"), (0, "inconclusive"), (-1, "lower")]
    return listed(f"{word} on {robots.count(sign)}" for sign, word in told) + f" of {many(len(robots.gaps), 'task')}"


def state_of(stated: Mapping[str, pd.DataFrame], sentence: str, about: str = f"robots, hazard {PAPER}") -> str:
    """Return a sentence's state from `scorecard.stated`; not yet decided where nothing of it is stored."""
    table = stated.get(about)
    if table is None or sentence not in set(table["sentence"]):
        return OPEN
    return str(table.loc[table["sentence"] == sentence, "state"].iloc[0])
