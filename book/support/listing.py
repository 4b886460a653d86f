"""Parts of the library's own source, to be read in a chapter beside the words that they carry out."""

import inspect
import re
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Any

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from ramac_lib.system.errors import RamacError


def excerpt(thing: Any, first: str, last: str | None = None) -> str:
    """Return a part of an object's source: the lines from the one with `first` to the next one with `last`.

    Args:
        thing: a function, a class or a module.
        first: what the first line contains.
        last: what the last one contains (default: the first line alone).

    Raises:
        RamacError: no such line, so that a chapter cannot show what is no longer there.
    """
    lines = inspect.getsource(thing).splitlines()
    begin = _find(lines, first, 0, thing)
    end = begin if last is None else _find(lines, last, begin, thing)
    return textwrap.dedent("\n".join(lines[begin : end + 1]))


def _find(lines: Sequence[str], text: str, start: int, thing: Any) -> int:
    found = next((k for k in range(start, len(lines)) if text in lines[k]), None)
    if found is None:
        raise RamacError(f"{thing.__name__} has no line with {text!r} after its line {start}")
    return found


def beside(rows: Sequence[tuple[str, str]], heads: tuple[str, str] = ("in words", "in the library")) -> str:
    """Return an HTML table of two columns: a sentence, and the code that does what it says; on a phone below it.

    Long lines of code break between words, and after brackets and dots.

    Args:
        rows: (words, code) each; words may hold HTML.
        heads: of the columns.
    """
    formatter = HtmlFormatter(nowrap=True)
    cell = 'style="text-align: left; vertical-align: top; white-space: normal; padding: .4rem .6rem"'
    look = "margin: 0; padding: .3rem .5rem; font-size: .75rem; line-height: 1.35; white-space: pre-wrap"
    look += "; overflow-wrap: normal; word-break: normal"
    body = "".join(
        f'<tr><td {cell}>{words}</td><td {cell}><div class="highlight" style="margin: 0">'
        f'<pre style="{look}">{_breakable(highlight(code, PythonLexer(), formatter).rstrip())}</pre></div></td></tr>\n'
        for words, code in rows
    )
    titles = "".join(f'<th style="text-align: left">{escape(head)}</th>' for head in heads)
    narrow = "table.beside thead { display: none; } table.beside :is(tbody, tr, td) { display: block; }"
    table = f'<table class="beside">\n<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>'
    return f"<style>@media (max-width: 600px) {{ {narrow} }}</style>\n{table}"


def _breakable(code: str) -> str:
    """Return highlighted code that may break after an opening bracket and a dot."""
    return re.sub(r'(<span class="[op]">[^<]*[.(\[]</span>)', r"\1<wbr>", code)
