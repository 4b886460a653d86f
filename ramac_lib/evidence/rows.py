"""A run as a row of a table or a line of a figure: its name and its look."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from matplotlib.colors import to_hex, to_rgb

from ramac_lib.plots import Style, style
from ramac_lib.results import options
from ramac_lib.runs import RunConfig

SHORT = {
    "td_clip=None": "no TD clip",
    "quantile_axis=target": "τ on the target",
    "risk=neutral": "neutral",
}
LINES = ("-", "--", ":", "-.")
SHADES = (0.0, 0.5, -0.5, 0.25)  # towards black; below 0 towards white


class Row(NamedTuple):
    """What tells a run's results from others' in a figure."""

    method: str
    task: str
    hazard: str
    risk: str
    alpha: float | None
    options: str

    @property
    def label(self) -> str:
        """The method's name and what is unusual about the run, in words."""
        unusual = [] if self.risk in ("", "cvar") else [f"risk={self.risk}"]
        unusual += [] if self.alpha in (None, 0.1) or unusual else [f"α={self.alpha:g}"]
        unusual.append(self.options)
        parts = [part for text in unusual for part in text.split(";") if part]
        return ", ".join([style(self.method).label, *(SHORT.get(part, part) for part in parts)])


def row_of(config: RunConfig) -> Row:
    """Return a run's row."""
    risk = str(getattr(config.settings, "risk", ""))
    return Row(config.method, config.task, config.hazard, risk, config.alpha, options(config))


def row_from(facts: Mapping[str, Any]) -> Row:
    """Return the row that stored facts describe, those of `Row._asdict` among them."""
    return Row(*(facts[name] for name in Row._fields))


def styles(rows: Sequence[Row]) -> list[Style]:
    """Return how rows are drawn: in their method's hue, its variants told apart by lightness and line."""
    seen: dict[str, int] = {}
    found = []
    for row in rows:
        number = seen[row.method] = seen.get(row.method, -1) + 1
        own = style(row.method)
        line = own.line if number == 0 else LINES[number % len(LINES)]
        found.append(Style(row.label, _shaded(own.colour, SHADES[number % len(SHADES)]), line, own.marker))
    return found


def _shaded(colour: str, share: float) -> str:
    """Return a colour mixed with a share of black, or of white where it is negative."""
    end = 0.0 if share > 0 else 1.0
    red, green, blue = (part + abs(share) * (end - part) for part in to_rgb(colour))
    return to_hex((red, green, blue)) if share else colour
