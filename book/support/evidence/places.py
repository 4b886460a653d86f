"""Places of a page: each shows what can be made of the results, or the sentence that says why it cannot."""

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import matplotlib.pyplot as plt
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Evidence, Missing
from support.tabs import rendered, tabs

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


def beside(name: str, places: Sequence[tuple[str, Callable[[], Any], Callable[[], str] | None]]) -> None:
    """Show several places, each with its caption: one as it is under its label, more of them as tabs.

    Args:
        name: of the tabs, unique on the page.
        places: label (none for a single place whose caption says it), what makes it, and what makes its caption.
    """
    panels: list[tuple[str, list[Any]]] = []
    for label, make, caption in places:
        try:
            things = [make()]
        except Missing as reason:
            things = [f"*{reason}*"]
        else:
            with contextlib.suppress(Missing):
                things += [caption()] if caption is not None else []
        panels.append((label, things))
    if len(panels) > 1:
        display(tabs(name, [(label, described(things)) for label, things in panels]))
        return
    for label, things in panels:
        if label:
            display(Markdown(f"*{label}*"))
        for thing in things:
            say(partial(lambda made: made, thing))


def described(things: Sequence[Any]) -> list[Any]:
    """Return things with a first figure as a picture that says, where it is not seen, what its caption says first."""
    if len(things) < 2 or not isinstance(things[0], Figure):
        return list(things)
    words = re.sub(r"^\*\*(?:Figure|Table) [\w.]+\*\*|[*`]", "", str(things[1]))
    return [HTML(rendered(things[0], re.split(r"(?<=[.:])\s", words.strip())[0].rstrip(":"))), *things[1:]]


def each(
    found: Evidence,
    name: str,
    make: Callable[[str, str], Any],
    hazards: Collection[str] | None = None,
    caption: Callable[[str, str], str] | None = None,
) -> None:
    """Show `make(task, hazard)` and its caption in tabs, for every task and hazard of the results, or some hazards."""
    try:
        settings = found.settings()
    except Missing as reason:
        display(Markdown(f"*{reason}*"))
        return
    chosen = [pair for pair in settings if hazards is None or pair[1] in hazards]
    labels = ", ".join if len({hazard for _, hazard in chosen}) > 1 else lambda pair: f"{pair[0]}, hazard {pair[1]}"
    alone = len(chosen) == 1 and caption is not None
    beside(
        name,
        [("" if alone else labels(pair), partial(make, *pair), caption and partial(caption, *pair)) for pair in chosen],
    )


def each_hazard(
    found: Evidence,
    name: str,
    make: Callable[[str], Any],
    caption: Callable[[str], str] | None = None,
    least: int = 1,
) -> None:
    """Show `make(hazard)` and its caption in tabs, for every hazard that the results have on so many tasks at least."""
    try:
        hazards = Counter(hazard for _, hazard in found.settings())
    except Missing as reason:
        display(Markdown(f"*{reason}*"))
        return
    chosen = [own for own, tasks in hazards.items() if tasks >= least]
    beside(name, [(f"hazard {own}", partial(make, own), caption and partial(caption, own)) for own in chosen])


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
