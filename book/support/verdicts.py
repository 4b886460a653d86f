"""Verdicts on sentences: how a sentence is judged on what it speaks of, and when it cannot be.

A sentence has one part or more; each is true, false or inconclusive. On a case (a task, the bandit) it holds where
all its parts are true; in part where some are; it does not hold where none is true and one is false; it is inconclusive
where none of its parts is told either way. What makes a part true is the evidence's to say.

Over several cases a sentence about *all* holds where it does on each, is inconclusive where it is on each, holds in
part where it does on some, if only in part, and else does not hold. One about *most* ("often", "tends to") takes the
verdict of more than half of its cases, one about *some* ("may", "on some tasks") holds where it does on one. It cannot
be said at this scale where what it speaks of is missing in each case.

A first page needs fewer words: a claim's *state* is true, true in part, false, or not yet decided at this scale. It is
decided only by cases that are long enough for it, and only by as many as it speaks of: all of its tasks, more than half
of them with the same verdict, or, of a sentence about some, one on which it holds.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd
from IPython.display import HTML

from ramac_lib.analysis.evidence import Missing
from support.page import stacked
from support.tabs import fold

HOLDS, PARTLY, NOT = "holds", "holds in part", "does not hold"
UNDECIDED, UNSAID = "inconclusive", "cannot be said at this scale"
ORDER = (HOLDS, PARTLY, NOT, UNDECIDED, UNSAID)
TRUE, IN_PART, FALSE, OPEN = "true", "true in part", "false", "not yet decided at this scale"
STATES = {HOLDS: TRUE, PARTLY: IN_PART, NOT: FALSE}
ALL, MOST, SOME = "all", "most", "some"  # of a sentence's tasks

AnyCase = TypeVar("AnyCase")  # what the judges of some sentences ask
Found = tuple[Sequence[int], str]  # each part's sign (1 true, −1 false, 0 inconclusive), what was found


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


def state(verdicts: Sequence[str], of: int, over: str = ALL) -> str:
    """Return a claim's state from the verdicts on the tasks that can decide it.

    Args:
        of: how many tasks it speaks of.
        over: on how many of them it is to hold: `ALL`, `MOST` or `SOME`.
    """
    counts = Counter(verdicts)
    if over == SOME and counts[HOLDS]:
        return TRUE
    if over == MOST and counts:
        first, count = counts.most_common(1)[0]
        if 2 * count > of:
            return STATES.get(first, OPEN)
    return OPEN if not verdicts or len(verdicts) < of else STATES.get(over_tasks(verdicts, over), OPEN)


def states(
    claims: Sequence[Claim[AnyCase]], cases: Mapping[str, AnyCase | None], deciding: Collection[str] | None = None
) -> pd.DataFrame:
    """Return each claim's state; columns ``"" where sentence decided state``, one row a claim.

    Args:
        cases: name → case, as `judge` takes them.
        deciding: names of the cases that are long enough to decide a claim (default: all). ``decided`` says on how
            many of its tasks a claim was judged among them.
    """
    rows = []
    for k, claim in enumerate(claims, start=1):
        tasks, verdicts = claim.tasks or tuple(cases), []
        for task, case in cases.items():
            if case is None or task not in tasks or not (deciding is None or task in deciding):
                continue
            try:
                verdicts.append(said(claim.judge(case)[0]))
            except Missing:
                continue
        line = {
            "": str(k),
            "where": claim.where,
            "sentence": claim.sentence,
            "decided": f"{len(verdicts)} of {len(tasks)}",
        }
        rows.append(line | {"state": state(verdicts, len(tasks), claim.over)})
    return pd.DataFrame(rows)


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
    """Return how many sentences of `judge`'s table got which verdict; a verdict that none got is not named."""
    counts = judged["verdict"].value_counts()
    kinds = [*ORDER, *(kind for kind in counts.index if kind not in ORDER)]
    return f"Of {len(judged)} sentences: " + ", ".join(f"{kind} {counts[kind]}" for kind in kinds if kind in counts)


def show(judged: pd.DataFrame, name: str) -> HTML:
    """Return `judge`'s table for the page: first what has a verdict, then folds of what is inconclusive or unsaid.

    Args:
        name: unique on its page.
    """
    brief = [column for column in ("where", "tasks") if column in judged]
    open_ = judged["verdict"].isin([UNDECIDED, UNSAID])
    parts = [] if open_.all() else [stacked(judged[~open_], name, "sentence", "verdict", brief)]
    for k, kind in enumerate((UNDECIDED, UNSAID)):
        rows = judged[judged["verdict"] == kind]
        if len(rows):
            some = f"{len(rows)} {'sentence' if len(rows) == 1 else 'sentences'}"
            parts.append(fold(f"{kind}: {some}", [stacked(rows, f"{name}-{k}", "sentence", inline=brief)]))
    return HTML("\n".join(part.data for part in parts))


def rules(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return number, place, sentence, its tasks and rule, one row a claim."""
    out = []
    for k, claim in enumerate(claims, start=1):
        on = f"{claim.over} of {', '.join(claim.tasks)}" if claim.tasks else f"{claim.over} tasks"
        line = {"": str(k), "where": claim.where, "sentence": claim.sentence, "on": on}
        out.append(line | {"it holds where": claim.rule})
    return pd.DataFrame(out)
