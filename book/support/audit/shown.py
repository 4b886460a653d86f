"""Numbers and tables of chapter 9 as its page shows them."""

import pandas as pd
from pandas.io.formats.style import Styler

from ramac_lib.analysis.intervals import Estimate
from support.page import wrapped


def number(value: float, digits: int = 0, signed: bool = False) -> str:
    """Return a number with a true minus sign."""
    return f"{value:{'+' if signed else ''}z,.{digits}f}".replace("-", "−")


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


def markdown(found: pd.DataFrame) -> str:
    """Return a table in Markdown with its rows numbered, so that code and links in its cells are set as such."""
    lines = ["| | " + " | ".join(found.columns) + " |", "|---" * (1 + len(found.columns)) + "|"]
    for k, row in enumerate(found.itertuples(index=False), start=1):
        lines.append(f"| {k} | " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def show(found: pd.DataFrame, name: str) -> Styler:
    """Return a table for the page, its columns of text on the left.

    Args:
        name: unique on its page.
    """
    left = [column for column in found.columns if not pd.api.types.is_numeric_dtype(found[column])]
    return wrapped(found, name, left).hide(axis="index")
