"""A row of a table: a method with the settings in which it departs from its own for the task, its name and its look."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from ramac_lib.analysis.style import Style, style
from ramac_lib.campaign.grid import TABLE_1
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import RunConfig
from ramac_lib.training.results import options

BEHAVIOUR = "behaviour"
# What RADAC is compared with never stands for it.
CONTROLS = ("radac:risk=neutral", "radac:td_clip=None", "radac:quantile_axis=target,td_clip=None")
DECIDING = ["method", "task", "risk", "alpha", "options"]


def key(method: str, task: str, risk: str, alpha: float | None, options: str) -> str:
    """Return a row's key, ``METHOD`` or ``METHOD:option=value,…``, as `ramac campaign --methods` takes it."""
    own = None
    if method != BEHAVIOUR:
        try:
            own = get_method(method).Config.for_task(task)
        except RamacError:  # a method that is not in this version of the library
            own = None
    parts = []
    if risk and risk != getattr(own, "risk", risk):
        parts.append(f"risk={risk}")
    usual = getattr(own, "alpha", None)
    if usual is not None and not pd.isna(alpha) and alpha != usual:
        parts.append(f"alpha={alpha:g}")
    return method + ":" * bool(parts or options) + ",".join([*parts, *filter(None, options.split(";"))])


def with_keys(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of `results.COLUMNS` with their row's key as a column ``row``."""
    table = table.astype({"risk": object, "options": object}).fillna({"risk": "", "options": ""})
    if table.empty:
        return table.assign(row=pd.Series(dtype=object))
    distinct = table[DECIDING].drop_duplicates()
    keys = [key(*values) for values in distinct.itertuples(index=False)]
    named = distinct.assign(row=keys)
    return table.merge(named, on=DECIDING, how="left")  # keeps the order; NaN meets NaN


def method_of(row: str) -> str:
    """Return a row's method."""
    return row.partition(":")[0]


def split(rows: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the rows that stand for the methods of the paper's table 1, in its order, and all others as they come.

    A method's row is the one with its own settings; where every one of its rows departs from them, the first that is
    no control.
    """
    rows = list(dict.fromkeys(rows))
    chosen = []
    for method in TABLE_1:
        of_method = [row for row in rows if method_of(row) == method and row not in CONTROLS]
        if of_method:
            chosen.append(method if method in of_method else of_method[0])
    return chosen, [row for row in rows if row not in chosen]


def find(rows: Sequence[str], method: str) -> str | None:
    """Return the row that stands for a method: of the table's upper part, else the first; None without any."""
    return next((row for row in [*split(rows)[0], *rows] if method_of(row) == method and row not in CONTROLS), None)


class Row(NamedTuple):
    """What tells a run's results from others' in a figure."""

    method: str
    task: str
    hazard: str
    risk: str
    alpha: float | None
    options: str

    @property
    def style(self) -> Style:
        """How the row is drawn, and its name in words."""
        return style(key(self.method, self.task, self.risk, self.alpha, self.options))

    @property
    def label(self) -> str:
        """The method's name and what is unusual about the run."""
        return self.style.label


def row_of(config: RunConfig) -> Row:
    """Return a run's row."""
    risk = str(getattr(config.settings, "risk", ""))
    return Row(config.method.name, config.task.name, config.hazard.name, risk, config.alpha, options(config))


def row_from(facts: Mapping[str, Any]) -> Row:
    """Return the row that stored facts describe, those of `Row._asdict` among them."""
    return Row(*(facts[name] for name in Row._fields))
