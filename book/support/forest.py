"""Numbers with intervals as a picture: a dot and its interval a row, the numbers one fold away and as a file.

A table for it has rows of `ramac_lib.analysis.style.style` as its index, and `Estimate` where a number has an interval.
"""

import base64
import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.system.errors import unknown
from ramac_lib.system.minus import number
from support.page import wrapped
from support.tabs import rendered, spoken

MARKED = "#555555"


def text(one: Estimate, digits: int = 2, signed: bool = False) -> str:
    """Return a number with its interval, with minus signs; alone where there is a single seed."""
    return one.text(digits, signed) if np.isfinite(one.low) else number(one.value, digits, signed, thousands=True)


def show(
    table: pd.DataFrame,
    name: str,
    drawn: Sequence[str],
    *,
    label: str = "",
    marks: Mapping[str, Mapping[str, float]] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    digits: int | Mapping[str, int] = 2,
    signed: Sequence[str] = (),
    left: Sequence[str] = (),
) -> HTML:
    """Return a table's picture, and below it, folded, all its numbers and a link that saves them as CSV.

    Args:
        name: unique on its page; that of the saved file, too.
        drawn: the columns of intervals that the picture has, a panel each.
        label: the column that names the rows.
        marks: column → what a vertical line stands for → where it is.
        limits: column → the ends of its axis; what lies beyond is an arrow there.
        digits: of every interval, or by column.
        signed: columns whose numbers are differences, written with their signs.
        left: further columns of text.

    Raises:
        RamacError: a column that the table lacks.
    """
    for column in (label, *drawn, *(marks or {}), *(limits or {}), *signed):
        if column not in table.columns:
            raise unknown("column", column, list(table.columns))
    said = f"{', '.join(drawn)} with 95 % intervals, a row a line ({spoken(name)})"
    wide, narrow = (draw(table, drawn, label, marks, limits, narrow) for narrow in (False, True))
    return HTML(picture(wide, narrow, said) + numbers(table, name, label, digits, signed, left).data)


def picture(wide: Figure, narrow: Figure, said: str) -> str:
    """Return a picture that is another one on a narrow screen."""
    small = re.search(r'src="([^"]+)"', rendered(narrow, said))
    assert small
    return f'<picture><source media="(max-width: 600px)" srcset="{small[1]}">{rendered(wide, said)}</picture>'


def numbers(
    table: pd.DataFrame,
    name: str,
    label: str = "",
    digits: int | Mapping[str, int] = 2,
    signed: Sequence[str] = (),
    left: Sequence[str] = (),
) -> HTML:
    """Return a table's numbers folded, with a link that saves them, for what a figure shows; arguments as of `show`."""
    text = wrapped(written(table, digits, signed), name, [label, *left]).hide(axis="index").to_html()
    return HTML(folded(text, split(table), name))


def folded(numbers: str, table: pd.DataFrame, name: str) -> str:
    """Return numbers under a line that opens them, with a link that saves a table as ``name.csv``."""
    plain = table.to_csv(index=False).replace("<sub>", "_").replace("</sub>", "")
    data = base64.b64encode(plain.encode()).decode()
    file = html.escape(f"{name}.csv")
    return (
        f'<details class="numbers"><summary>The numbers</summary>{numbers}'
        f'<p><a download="{file}" href="data:text/csv;base64,{data}">Save as {file}</a></p></details>'
    )


def written(table: pd.DataFrame, digits: int | Mapping[str, int] = 2, signed: Sequence[str] = ()) -> pd.DataFrame:
    """Return a table with its intervals as text; what is not there is a dash."""

    def cell(value: Any, column: str) -> Any:
        if isinstance(value, Estimate):
            return text(value, digits if isinstance(digits, int) else digits.get(column, 2), column in signed)
        return "\N{EN DASH}" if value is None or (isinstance(value, float) and np.isnan(value)) else value

    return pd.DataFrame({column: [cell(v, column) for v in table[column]] for column in table.columns})


def split(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for a file: each interval is three columns, its number, ``… low`` and ``… high``."""
    columns: dict[str, Any] = {"row": list(table.index)}
    for column in table.columns:
        values = list(table[column])
        if not any(isinstance(v, Estimate) for v in values):
            columns[column or "label"] = values
            continue
        nothing = Estimate(np.nan, np.nan, np.nan)
        for k, part in enumerate(("", " low", " high")):
            columns[f"{column}{part}"] = [(v if isinstance(v, Estimate) else nothing)[k] for v in values]
    return pd.DataFrame(columns)


def draw(
    table: pd.DataFrame,
    drawn: Sequence[str],
    label: str = "",
    marks: Mapping[str, Mapping[str, float]] | None = None,
    limits: Mapping[str, tuple[float, float]] | None = None,
    narrow: bool = False,
) -> Figure:
    """Draw columns of intervals, a row of the table a line; arguments as those of `show`.

    Args:
        narrow: panels below each other, as a phone shows them, or else side by side.
    """
    figure, grid = panels(len(drawn), len(table), narrow)
    for axes, column in zip(grid, drawn, strict=True):
        if limits and column in limits:
            axes.set_xlim(*limits[column])
        for place, (row, one) in enumerate(zip(table.index[::-1], table[column][::-1], strict=True)):
            if isinstance(one, Estimate):
                line(axes, place, style(str(row)).colour, one, (limits or {}).get(column))
        _mark(axes, (marks or {}).get(column, {}))
        axes.set(xlabel=column, ylim=(-0.6, len(table) - 0.4))
        axes.set_yticks(range(len(table)), list(table[label])[::-1])
    return figure


def panels(count: int, rows: int, narrow: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure and its panels of so many rows, side by side, or below each other for a narrow screen."""
    height = 0.27 * rows
    if narrow:
        size, shape = (4.4, count * (0.9 + height)), (count, 1)
    else:
        size, shape = (8.4, 0.9 + height), (1, count)
    figure, grid = plt.subplots(*shape, figsize=size, sharey=not narrow, squeeze=False, layout="constrained")
    for axes in grid.flat:
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5 if narrow or count < 3 else 4 if count < 5 else 2))
    return figure, list(grid.flat)


def line(
    axes: Axes, place: float, colour: str, one: Estimate, limits: tuple[float, float] | None = None, size: float = 6
) -> None:
    """Draw a number with its interval; what lies beyond the limits is an arrow, a number there with its value."""
    low, high = limits or (-np.inf, np.inf)
    beyond: Any = {"color": colour, "clip_on": False, "zorder": 3}
    if not low <= one.value <= high:
        below = one.value < low
        axes.plot(low if below else high, place, "<" if below else ">", markersize=7, **beyond)
        digits = 0 if abs(one.value) >= 10 else 1
        axes.annotate(
            number(one.value, digits), (low if below else high, place),
            xytext=(8 if below else -8, 0), textcoords="offset points", ha="left" if below else "right", va="center",
            fontsize=8, color=MARKED,
        )  # fmt: skip
        return
    if np.isfinite(one.low):
        axes.plot([max(one.low, low), min(one.high, high)], [place, place], color=colour, linewidth=2)
        for end, arrow, out in ((low, "<", one.low < low), (high, ">", one.high > high)):
            if out:
                axes.plot(end, place, arrow, markersize=5, **beyond)
    axes.plot(one.value, place, "o", color=colour, markersize=size)


def _mark(axes: Axes, marks: Mapping[str, float]) -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(low, high)
    taken: list[tuple[float, int]] = []
    for k, (name, where) in enumerate(marks.items()):
        axes.axvline(where, color=MARKED, linestyle=("--", ":", "-.")[k % 3], linewidth=0.9, zorder=0)
        share = (where - low) / (high - low)
        rank = sum(abs(share - other) < 0.35 for other, _ in taken)
        taken.append((share, rank))
        axes.annotate(
            name, (where, 1), xycoords=("data", "axes fraction"), xytext=(0, 2 + 9 * rank),
            textcoords="offset points", ha="left" if share < 0.2 else "right" if share > 0.8 else "center",
            va="bottom", fontsize=8,
        )  # fmt: skip
