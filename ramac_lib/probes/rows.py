"""A run as a row of a table or a line of a figure: its name and its look, the same as in a campaign's tables."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ramac_lib.evidence.keys import key
from ramac_lib.plots import Style, style
from ramac_lib.results import options
from ramac_lib.runs import RunConfig


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
    return Row(config.method, config.task, config.hazard, risk, config.alpha, options(config))


def row_from(facts: Mapping[str, Any]) -> Row:
    """Return the row that stored facts describe, those of `Row._asdict` among them."""
    return Row(*(facts[name] for name in Row._fields))


def styles(rows: Sequence[Row]) -> list[Style]:
    """Return how rows are drawn."""
    return [row.style for row in rows]
