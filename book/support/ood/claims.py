"""Sentence O1 of the paper, that anchored methods leave the data more than RADAC, and the rule that judges it.

The rule was written before any of this book's rates was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES
from support.evidence.words import listed, many
from support.ood.reports import COLUMNS, Reports, method_label
from support.verdicts import ALL, Claim, Found, said

ANCHORED = ("oraac", "oraac-diffusion")  # of the paper's table 2
RULE = (
    "On each task, RADAC's rate at κ = 3 is below that of each anchored method of the paper's table 2: the 95 % "
    f"interval of the difference leaves out zero. Judged from {LEAST_UPDATES:,} updates and {LEAST_SEEDS} seeds on."
)


@dataclass(frozen=True)
class RateCase:
    """One task under one hazard.

    Args:
        any_length: judge runs of any length too: a statement about such runs, not about the paper's.
    """

    reports: Reports
    task: str
    hazard: str
    any_length: bool = False

    def gaps(self, detectors: Sequence[int]) -> dict[tuple[str, str], Estimate]:
        """Return anchored method's rate less RADAC's, by the methods' rows and the detectors' names.

        Raises:
            Missing: RADAC or an anchored method has no rates, or the runs are shorter than the rule asks.
        """
        radac, *rows = (self.reports.row(self.task, self.hazard, method) for method in ("radac", *ANCHORED))
        steps, seeds, _ = self.reports.scale(self.task, self.hazard, (radac, *rows))
        if not self.any_length and (steps < LEAST_UPDATES or seeds < LEAST_SEEDS):
            raise Missing(f"needs {LEAST_UPDATES:,} updates and {LEAST_SEEDS} seeds, not {steps:,} and {seeds}")
        rates = self.reports.rates(self.task, self.hazard)
        names = list(COLUMNS.values())
        return {(row, names[k]): rates[row].minus(rates[radac], k) for k in detectors for row in rows}


def judge_by(detectors: Sequence[int]):
    """Return the judge of the sentence by some detectors, by their places in `COLUMNS`."""

    def judge(case: RateCase) -> Found:
        gaps = case.gaps(detectors)
        told = [f"{method_label(row)} {gap_text(gap)} ({name})" for (row, name), gap in gaps.items()]
        return [gap.sign for gap in gaps.values()], "; ".join(told)

    return judge


def gap_text(gap: Estimate) -> str:
    """Return a difference of rates in percentage points."""
    return Estimate(*(100 * value for value in gap)).text(1, signed=True)


SENTENCE = "Anchored methods act out of the data more often than RADAC"
CLAIMS: tuple[Claim[RateCase], ...] = (
    Claim("table 2, earlier version", f"{SENTENCE}, by the action alone.", RULE, judge_by([0]), over=ALL),
    Claim(
        "table 2, ICML version",
        f"{SENTENCE}, given the state.",
        f"{RULE} Both detectors that see the state.",
        judge_by([1, 2]),
    ),
)


def in_these_runs(reports: Reports, claim: Claim[RateCase]) -> pd.DataFrame:
    """Return the verdict on each task and hazard of the runs as they are, of whatever length, with its size.

    Columns ``task hazard updates seeds found verdict``.
    """
    lines = []
    for task, hazard in reports.settings():
        case = RateCase(reports, task, hazard, any_length=True)
        steps, seeds, _ = reports.scale(task, hazard)
        line = {"task": task, "hazard": hazard, "updates": steps, "seeds": seeds}
        try:
            parts, found = claim.judge(case)
            lines.append(line | {"found": found, "verdict": said(parts)})
        except Missing as reason:
            lines.append(line | {"found": str(reason), "verdict": "–"})
    return pd.DataFrame(lines)


def tested(reports: Reports) -> list[tuple[str, str]]:
    """Return every (task, hazard) on which RADAC and each anchored method have rates: what O1 can be judged on.

    Raises:
        Missing: there is none; the sentence says which methods the stored runs have and which they lack.
    """
    lines, found = [], []
    for task, hazard in reports.settings():
        there = {row: method_label(row) for row in reports.rates(task, hazard)}
        absent = [m for m in ("radac", *ANCHORED) if reports.evidence.standing(task, hazard, m) not in there]
        if not absent:
            found.append((task, hazard))
            continue
        steps, seeds, _ = reports.scale(task, hazard)
        have = listed(dict.fromkeys(there.values()))
        lack = " or ".join(style(method).label for method in absent)
        scale = f"hazard {hazard}, {many(steps, 'update')}, {many(seeds, 'seed')}"
        lines.append(f"of {have} on {task} ({scale}), not of {lack}")
    if not found:
        raise Missing(f"The stored runs with rates are {'; '.join(lines)}.")
    return found


def cases(reports: Reports, hazard: str) -> dict[str, RateCase | None]:
    """Return the case of each task under a hazard, as `support.verdicts.judge` takes them.

    Raises:
        Missing: nothing was reported under this hazard.
    """
    there = [task for task, name in reports.settings() if name == hazard]
    if not there:
        raise Missing(f"The stored runs have nothing under the hazard {hazard}.")
    return {task: RateCase(reports, task, hazard) for task in there}
