"""Places of a page: each shows what can be made of the results, or the sentence that says why it cannot."""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, TypeVar

import matplotlib.pyplot as plt
from IPython.display import Markdown, display
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Evidence, Missing

T = TypeVar("T")


def say(make: Callable[[], Any]) -> None:
    """Show what `make` returns, a string as Markdown, or the sentence that says why it cannot be shown."""
    try:
        made = make()
    except Missing as reason:
        made = f"*{reason}*"
    display(Markdown(made) if isinstance(made, str) else made)
    if isinstance(made, Figure):
        plt.close(made)


def note(make: Callable[[], str]) -> None:
    """Show a caption; nothing where what it belongs to could not be shown."""
    try:
        display(Markdown(make()))
    except Missing:
        return


def each(
    found: Evidence,
    make: Callable[[str, str], Any],
    hazards: Collection[str] | None = None,
    caption: Callable[[str, str], str] | None = None,
) -> None:
    """Show `make(task, hazard)` and its caption for every task and hazard of the results, or of some hazards."""
    try:
        settings = found.settings()
    except Missing as reason:
        display(Markdown(f"*{reason}*"))
        return
    for task, hazard in (pair for pair in settings if hazards is None or pair[1] in hazards):
        display(Markdown(f"**{task}**, hazard *{hazard}*"))
        say(partial(make, task, hazard))
        if caption is not None:
            note(partial(caption, task, hazard))


def possible(makes: Iterable[Callable[[], T]]) -> list[T]:
    """Return what can be made.

    Raises:
        Missing: nothing can, for the reason of the first.
    """
    made, reasons = [], []
    for make in makes:
        try:
            made.append(make())
        except Missing as reason:
            reasons.append(reason)
    if not made and reasons:
        raise reasons[0]
    return made


def told(found: Evidence, make: Callable[[str, str], T]) -> list[T]:
    """Return `make(task, hazard)` for every task and hazard of the results for which it can be made.

    Raises:
        Missing: there are no results, or it can be made for none.
    """
    return possible([partial(make, task, hazard) for task, hazard in found.settings()])
