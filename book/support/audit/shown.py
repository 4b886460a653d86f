"""Numbers and tables of chapter 9 as its page shows them."""

import re
from html import escape

import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.system.minus import number as written
from support.page import stacked, wrapped


def number(value: float, digits: int = 0, signed: bool = False) -> str:
    """Return a number with a true minus sign and commas between thousands."""
    return written(value, digits, signed, thousands=True)


def sized(estimate: Estimate, digits: int = 0, signed: bool = True) -> str:
    """Return ``value [low, high]`` with true minus signs."""
    return f"{number(estimate.value, digits, signed)} [{', '.join(number(e, digits, signed) for e in estimate[1:])}]"


def ranges(table: pd.DataFrame, name: str, digits: int = 0, signed: bool = False, times: float = 1.0) -> list[str]:
    """Return a column of ``value [low, high]`` from a table's columns ``name name_low name_high``.

    Args:
        times: what each number is multiplied with, 100 for percent.
    """
    parts = times * table[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
    return [sized(Estimate(*part), digits, signed) for part in parts]


def column(table: pd.DataFrame, name: str, digits: int = 0, signed: bool = False) -> list[str]:
    """Return a column of numbers as text."""
    return [number(value, digits, signed) for value in table[name]]


def percent(table: pd.DataFrame, name: str) -> list[str]:
    """Return a column of shares in whole percent."""
    return [f"{100 * value:.0f}\N{NO-BREAK SPACE}%" for value in table[name]]


def short(task: str) -> str:
    """Return a task's name for a narrow column."""
    return task.replace("medium-expert", "m-e").replace("medium-replay", "m-r")


def rich(text: str) -> str:
    """Return text as HTML: `code` and [a link](page.html) are set as such. Markdown's tables are not, in outputs."""
    text = re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text, quote=False))
    return re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r'<a href="\2">\1</a>', text)


def rich_stacked(found: pd.DataFrame, name: str, title: str) -> HTML:
    """Return a table of text, with code and links in its cells, that a phone shows row by row (`page.stacked`)."""
    return stacked(found.map(lambda cell: rich(str(cell))), name, title)


def show(found: pd.DataFrame, name: str) -> Styler:
    """Return a table for the page, its columns of text on the left.

    Args:
        name: unique on its page.
    """
    left = [column for column in found.columns if not pd.api.types.is_numeric_dtype(found[column])]
    return wrapped(found, name, left).hide(axis="index")
