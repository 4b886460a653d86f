"""What every page uses: tables that fit their columns, and where a number was measured."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler


def where(machine: Mapping[str, Any]) -> str:
    """Return device, torch and date of a measurement, as they stand beside its numbers."""
    device = re.sub(r"\b1 threads", "one thread", machine["device"])
    return f"{device}, torch {machine['torch']}, {machine['date']}"


def wrapped(table: pd.DataFrame, name: str, left: Sequence[str] = ()) -> Styler:
    """Return a narrow table for the page: headings and sentences break into lines, cells stand close.

    Args:
        table: numbers are shown with two decimals.
        name: unique on its page; a fixed one keeps the page's bytes.
        left: the columns of text.
    """
    headings = ", ".join(f"th.col_heading.col{table.columns.get_loc(column)}" for column in left)
    styles: Any = [
        {"selector": "th, td", "props": "padding: .3rem .35rem; vertical-align: top"},
        {"selector": "thead th", "props": "white-space: normal; vertical-align: bottom"},
        {"selector": headings or "none", "props": "text-align: left"},
    ]
    styler = table.style.format(precision=2).set_table_styles(styles).set_uuid(name)
    return styler.set_properties(subset=list(left), **{"white-space": "normal", "text-align": "left"})
