"""The tables of chapter 5 as pictures, with behaviour policies, ties and the paper's own values."""

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from support.evidence.curves import RANKS
from support.evidence.tables import MAIN, POLICY
from support.forest import folded, line, panels, picture
from support.tabs import spoken

TIED = "#e8eef7"
SQUEEZED = 0.35  # of a panel's width: an interval of few seeds may be ten times as wide as all others
TITLES = {"mean": "mean return", "cvar": "CVaR$_{0.1}$ of returns"}


def show(table: pd.DataFrame, numbers: Callable[[pd.DataFrame, str], Styler], name: str) -> HTML:
    """Return a table's picture, and below it, folded, its numbers and a link that saves them.

    Args:
        table: `tables.table_1` or `tables.table_4`.
        numbers: what writes the table out, of `support.evidence.shown`.
        name: unique on its page; that of the saved file.
    """
    whose = re.sub("(steps|episodes)-", r"\1, ", spoken(name))
    said = f"Mean return and CVaR with 95 % intervals, a row a method ({whose})"
    return HTML(picture(draw(table), draw(table, True), said) + folded(numbers(table, name).to_html(), table, name))


def draw(table: pd.DataFrame, narrow: bool = False) -> Figure:
    """Draw mean and CVaR of a table's rows with their 95 % intervals, one row below the other.

    Rows that are tied with the best of the paper's methods, and it itself, are shaded; a line parts methods from
    controls. Behaviour policies are lines from top to bottom, the paper's own values hollow diamonds. What lies far
    from all other rows is an arrow.

    Args:
        narrow: the panels below each other.
    """
    rows = table[table["group"] != POLICY].reset_index(drop=True)
    policies = table[table["group"] == POLICY]
    figure, grid = panels(len(TITLES), len(rows), narrow)
    for axes, value in zip(grid, TITLES, strict=True):
        limits = bounds(table, value)
        axes.set_xlim(*limits)
        for k, own in rows.iterrows():
            _draw_row(axes, len(rows) - 1 - int(str(k)), own, value, limits)
        for rank, (_, own) in enumerate(policies.iterrows()):
            _draw_policy(axes, own, value, rank)
        controls = int((rows["group"] != MAIN).sum())
        if 0 < controls < len(rows):
            axes.axhline(controls - 0.5, color="#000000", linewidth=0.8)
        axes.set(xlabel=TITLES[value], ylim=(-0.6, len(rows) - 0.4))
        axes.set_yticks(range(len(rows)), list(rows["label"])[::-1])
    return figure


def bounds(table: pd.DataFrame, value: str) -> tuple[float, float]:
    """Return the ends of a panel: those of all rows' intervals and values, without rows that squeeze all others.

    A row is left out where the panel is less than `SQUEEZED` as wide without it, twice at most.
    """
    columns = [value, f"{value}_low", f"{value}_high", *filter(table.columns.__contains__, [f"paper_{value}"])]
    rows = [own[np.isfinite(own)] for own in table[columns].to_numpy(float)]
    extents = [(float(own.min()), float(own.max())) for own in rows if len(own)]

    def width(some: list[tuple[float, float]]) -> float:
        return max(high for _, high in some) - min(low for low, _ in some)

    for _ in range(2):
        if len(extents) < 3:
            break
        others = min((extents[:k] + extents[k + 1 :] for k in range(len(extents))), key=width)
        if width(others) >= SQUEEZED * width(extents):
            break
        extents = others
    margin = 0.04 * max(width(extents), 1e-9)
    return min(low for low, _ in extents) - margin, max(high for _, high in extents) + margin


def extras(table: pd.DataFrame) -> tuple[bool, bool]:
    """Return whether `draw` has values of the paper, hollow diamonds, and whether it has arrows."""
    rows = table[table["group"] != POLICY]
    published = beyond = False
    for value in TITLES:
        low, high = bounds(table, value)
        published |= bool(f"paper_{value}" in rows and rows[f"paper_{value}"].between(low, high).any())
        beyond |= bool((rows[f"{value}_low"] < low).any() or (rows[f"{value}_high"] > high).any())
    return published, beyond


def _draw_row(axes: Axes, place: int, own: pd.Series, value: str, limits: tuple[float, float]) -> None:
    if own[f"{value}_mark"] in ("best", "tied"):
        axes.axhspan(place - 0.5, place + 0.5, color=TIED, linewidth=0)
    one = Estimate(own[value], own[f"{value}_low"], own[f"{value}_high"])
    line(axes, place, style(own["row"]).colour, one, limits, 9 if own[f"{value}_mark"] == "best" else 6)
    paper = own.get(f"paper_{value}")
    if paper is not None and limits[0] <= paper <= limits[1]:
        axes.plot(paper, place, "D", markerfacecolor="none", markeredgecolor="#555555", markersize=5)


def _draw_policy(axes: Axes, own: pd.Series, value: str, rank: int) -> None:
    axes.axvline(own[value], color="#000000", linestyle=RANKS[rank % len(RANKS)], linewidth=0.9)
    stage = str(own["label"]).rpartition(", ")[2]
    axes.annotate(
        stage, (own[value], 1), xycoords=("data", "axes fraction"), xytext=(0, 2 + 9 * rank),
        textcoords="offset points", ha="center", va="bottom", fontsize=8,
    )  # fmt: skip
