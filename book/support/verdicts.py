"""Verdicts on sentences: how a sentence is judged on what it speaks of, and when it cannot be.

A sentence has one part or more; each is true, false or undecided. On a case (a task, the Risky Bandit) it holds where
all its parts are true; in part where some are; it does not hold where none is true and one is false; it is undecided
where none of its parts is told either way. What makes a part true is the evidence's to say.

Over several cases a sentence about *all* holds where it does on each, is undecided where it is on each, holds in part
where it does on some, if only in part, and else does not hold. One about *most* ("often", "tends to") takes the verdict
of more than half of its cases, one about *some* ("may", "on some tasks") holds where it does on one. It cannot be said
at this scale where what it speaks of is missing in each case.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

from ramac_lib.analysis.evidence import Missing

HOLDS, PARTLY, NOT = "holds", "holds in part", "does not hold"
UNDECIDED, UNSAID = "undecided", "cannot be said at this scale"
ORDER = (HOLDS, PARTLY, NOT, UNDECIDED, UNSAID)
ALL, MOST, SOME = "all", "most", "some"  # of a sentence's tasks

AnyCase = TypeVar("AnyCase")  # what the judges of some sentences ask
Found = tuple[Sequence[int], str]  # each part's sign (1 true, −1 false, 0 undecided), what was found


@dataclass(frozen=True)
class Claim(Generic[AnyCase]):
    """A sentence, where it stands, how it is read, the function that judges it, and the tasks that it speaks of.

    Args:
        judge: raises `Missing` where what the sentence speaks of is not in the case.
        tasks: names of cases; none: all.
        over: of how many of its tasks the sentence speaks: `ALL`, `MOST` or `SOME`.
    """

    where: str
    sentence: str
    rule: str
    judge: Callable[[AnyCase], Found]
    tasks: tuple[str, ...] = ()
    over: str = ALL


def said(parts: Sequence[int]) -> str:
    """Return the verdict on one case from the signs of a sentence's parts."""
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


def judge(claims: Sequence[Claim[AnyCase]], cases: Mapping[str, AnyCase | None]) -> pd.DataFrame:
    """Return number, place, sentence, how many of its tasks were judged, what was found and verdict, one row a claim.

    Args:
        cases: name → case, none where there is no evidence of that task.
    """
    return pd.DataFrame([{"": str(k), **_line(claim, cases)} for k, claim in enumerate(claims, start=1)])


def _line(claim: Claim[AnyCase], cases: Mapping[str, AnyCase | None]) -> dict[str, str]:
    verdicts, found, reasons = [], [], []
    tasks = claim.tasks or tuple(cases)
    several = len(tasks) > 1 and sum(case is not None for case in cases.values()) > 1
    for task, case in cases.items():
        if case is None or task not in tasks:
            continue
        try:
            parts, text = claim.judge(case)
        except Missing as reason:
            reasons.append(str(reason))
        else:
            verdicts.append(said(parts))
            found.append(f"{task}: {text}" if several else text)
    if len(verdicts) > 1:
        found.insert(0, ", ".join(f"{v} on {count}" for v, count in Counter(verdicts).items()))
    if not verdicts:
        found = list(dict.fromkeys(reasons)) or [f"needs {' or '.join(tasks)}"]
    return {
        "where": claim.where,
        "sentence": claim.sentence,
        "tasks": f"{len(verdicts)} of {len(tasks)}",
        "found": "; ".join(found),
        "verdict": over_tasks(verdicts, claim.over) if verdicts else UNSAID,
    }


def counted(judged: pd.DataFrame) -> str:
    """Return how many sentences of `judge`'s table got which verdict."""
    counts = judged["verdict"].value_counts()
    return f"Of {len(judged)} sentences: " + ", ".join(f"{kind} {counts.get(kind, 0)}" for kind in ORDER)


def rules(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return number, place, sentence, its tasks and rule, one row a claim."""
    out = []
    for k, claim in enumerate(claims, start=1):
        on = f"{claim.over} of {', '.join(claim.tasks)}" if claim.tasks else f"{claim.over} tasks"
        line = {"": str(k), "where": claim.where, "sentence": claim.sentence, "on": on}
        out.append(line | {"it holds where": claim.rule})
    return pd.DataFrame(out)
