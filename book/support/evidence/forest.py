"""Tables of intervals as pictures: a dot and its interval a row, with the numbers one fold away and as a file."""

import base64
import html
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ramac_lib.analysis.style import style
from support.evidence.curves import RANKS
from support.evidence.tables import MAIN, POLICY
from support.tabs import rendered

TIED = "#e8eef7"
TITLES = {"mean": "mean return", "cvar": "CVaR$_{0.1}$ of returns"}


def show(table: pd.DataFrame, numbers: Callable[[pd.DataFrame, str], Styler], name: str) -> HTML:
    """Return a table's picture, and below it, folded, its numbers and a link that saves them.

    Args:
        table: `tables.table_1` or `tables.table_4`.
        numbers: what writes the table out, of `support.evidence.shown`.
        name: unique on its page; that of the saved file.
    """
    picture = rendered(draw(table), f"Mean return and CVaR with 95 % intervals, a row a method ({name})")
    data = base64.b64encode(table.to_csv(index=False).encode()).decode()
    file = html.escape(f"{name}.csv")
    return HTML(
        f'{picture}<details class="numbers"><summary>The numbers</summary>{numbers(table, name).to_html()}'
        f'<p><a download="{file}" href="data:text/csv;base64,{data}">Save as {file}</a></p></details>'
    )


def draw(table: pd.DataFrame) -> Figure:
    """Draw mean and CVaR of a table's rows with their 95 % intervals, one row below the other.

    Rows that are tied with the best of the paper's methods, and it itself, are shaded; a line parts methods from
    controls. Behaviour policies are lines from top to bottom, the paper's own values hollow diamonds.
    """
    rows = table[table["group"] != POLICY].reset_index(drop=True)
    policies = table[table["group"] == POLICY]
    size = (8.4, 0.9 + 0.27 * len(rows))
    figure, grid = plt.subplots(1, 2, figsize=size, sharey=True)
    for axes, value in zip(grid, TITLES, strict=True):
        for k, line in rows.iterrows():
            _draw_row(axes, len(rows) - 1 - int(str(k)), line, value)
        for rank, (_, line) in enumerate(policies.iterrows()):
            _draw_policy(axes, line, value, rank)
        controls = int((rows["group"] != MAIN).sum())
        if 0 < controls < len(rows):
            axes.axhline(controls - 0.5, color="#000000", linewidth=0.8)
        axes.set_xlabel(TITLES[value])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.grid(axis="y", visible=False)
    grid[0].set_yticks(range(len(rows)), list(rows["label"])[::-1])
    for axes in grid:
        axes.tick_params(axis="y", length=0)
    return figure


def _draw_row(axes: Axes, place: int, line: pd.Series, value: str) -> None:
    look: Any = style(line["row"])
    if line[f"{value}_mark"] in ("best", "tied"):
        axes.axhspan(place - 0.5, place + 0.5, color=TIED, linewidth=0)
    axes.plot([line[f"{value}_low"], line[f"{value}_high"]], [place, place], color=look.colour, linewidth=2)
    best = line[f"{value}_mark"] == "best"
    axes.plot(line[value], place, look.marker, color=look.colour, markersize=9 if best else 6)
    paper = line.get(f"paper_{value}")
    if paper is not None and pd.notna(paper):
        axes.plot(paper, place, "D", markerfacecolor="none", markeredgecolor="#555555", markersize=5)


def _draw_policy(axes: Axes, line: pd.Series, value: str, rank: int) -> None:
    axes.axvline(line[value], color="#000000", linestyle=RANKS[rank % len(RANKS)], linewidth=0.9)
    stage = str(line["label"]).rpartition(", ")[2]
    axes.annotate(
        stage, (line[value], 1), xycoords=("data", "axes fraction"), xytext=(0, 2 + 9 * rank),
        textcoords="offset points", ha="center", va="bottom", fontsize=8,
    )  # fmt: skip
