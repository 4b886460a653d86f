"""Several things in one place of a page: a tab for each (sphinx-design's classes), or a fold; in HTML alone."""

import base64
import html
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
from IPython.display import HTML, Markdown
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from ramac_lib.publish.weight import fewer_colours
from ramac_lib.system.errors import RamacError


def tabs(name: str, panels: Sequence[tuple[str, Sequence[Any]]]) -> HTML:
    """Return tabs; the first is open. Where there is no stylesheet, as in JupyterLab, all stand below each other.

    Args:
        name: unique on its page.
        panels: a label each, and what stands under it: Markdown, strings of it, figures (then closed), tables.

    Raises:
        RamacError: there are no panels, or two have one label.
    """
    labels = [label for label, _ in panels]
    if not panels or len(set(labels)) < len(labels):
        raise RamacError(f"tabs {name} have the labels {labels}; expected at least one, each once")
    parts = []
    for k, (label, things) in enumerate(panels):
        own, said = f"{name}-{k}", html.escape(label)
        inside = "\n".join(rendered(thing, f"{spoken(name)}, {label}") for thing in things)
        parts.append(
            f'<input type="radio" name="{name}" id="{own}"{" checked" * (k == 0)}>'
            f'<label class="sd-tab-label" for="{own}">{said}</label>'
            f'<div class="sd-tab-content">{inside}</div>'
        )
    return HTML(f'<div class="sd-tab-set book-tabs">{"".join(parts)}</div>')


def fold(summary: str, things: Sequence[Any]) -> HTML:
    """Return things under a line that opens them.

    Args:
        summary: the line.
        things: as in `tabs`.
    """
    inside = "\n".join(rendered(thing, summary) for thing in things)
    return HTML(f'<details class="numbers"><summary>{html.escape(summary)}</summary>\n{inside}\n</details>')


def spoken(name: str) -> str:
    """Return the name of a figure or table as it is said: ``table 8b.2`` for ``table-8b-2``; any other as it is."""
    found = re.match(r"(figure|table)-(\d+[a-z]?)-(\d+)(-)?", name)
    if found is None:
        return name
    return f"{found[1]} {found[2]}.{found[3]}{', ' if found[4] else ''}{name[found.end() :]}"


def rendered(thing: Any, alt: str) -> str:
    """Return one thing as HTML; a figure as a PNG inside it."""
    if isinstance(thing, str | Markdown):
        return MarkdownIt("commonmark").enable("table").render(thing if isinstance(thing, str) else thing.data)
    if isinstance(thing, Figure):
        file = io.BytesIO()
        thing.savefig(file, format="png", metadata={"Software": None})
        plt.close(thing)
        data = base64.b64encode(fewer_colours(file.getvalue())).decode()
        return f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
    return thing._repr_html_()
