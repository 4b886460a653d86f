"""The rows of the grid, the weights that were swept before it and the rule that chose them, the commands."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.style import style
from ramac_lib.methods import get_method
from ramac_lib.system.minus import number
from support.evidence.words import listed
from support.navigation import stored
from support.navigation.claims import AXIS, CODAC, NEUTRAL, RARE, TASK, TOLL
from support.navigation.stored import Measured

SEEDS, UPDATES, EVALUATIONS, SIZE = tuple(range(5)), 4000, 10, 20_000
FRESH = tuple(range(5, 10))  # trained after all settings had been fixed
SWEPT_SEEDS, SWEPT_UPDATES = (100, 101), 2000
METHODS = (
    "bc-gaussian", "bc-cvae", "bc-diffusion", "bc-flow", "cvae-ql", "diffusion-ql", "flow-ql", "cql", "codac", "oraac",
    "oraac-diffusion", "oraac-flow", "rafmac", "radac",
)  # fmt: skip
OWN_RATE = ("cvae-ql:lr_actor=0.0003", "diffusion-ql:lr_actor=0.0003")  # their sources' rate for the policy
ROWS = (*METHODS[:6], *OWN_RATE, *METHODS[6:], NEUTRAL, AXIS)
LEVELS = {0.1: "radac", 0.5: "radac:alpha=0.5", 0.75: "radac:alpha=0.75", 0.9: "radac:alpha=0.9", 1.0: NEUTRAL}
BESIDE = {TOLL: ("radac",), CODAC: ("radac", NEUTRAL)}  # what claims ask of the other presets
RULE = """
*Each weight is swept over three values, about half a decade apart, on seeds 100 and 101, under* `rare`. *Best is the
value with the highest exact CVaR*₀.₁ *(mean over both seeds) where the method optimises CVaR, and with the highest
exact mean where it does not. Before its sweep a method has the weight that it has on the bandit, or its source's; where
the sweep finds another one best, the page says so beside its row.*
"""


class Sweep(NamedTuple):
    """A method's setting, the values tried, what decides (``cvar`` or ``mean``), and the setting's name in words."""

    method: str
    setting: str
    values: tuple[float, ...]
    criterion: str
    name: str

    @property
    def own(self) -> float:
        """The value that the method has on navigation."""
        return float(getattr(get_method(self.method).Config.for_task(TASK), self.setting))

    def row(self, value: float) -> str:
        """Return the row of a value, as results name it."""
        return self.method if value == self.own else f"{self.method}:{self.setting}={value}"


SWEEPS = (
    Sweep("radac", "eta", (0.1, 0.3, 1.0), "cvar", "η"),
    Sweep("rafmac", "eta", (0.1, 0.3, 1.0), "cvar", "η"),
    Sweep("oraac", "radius", (0.1, 0.25, 0.5), "cvar", "Φ"),
    Sweep("codac", "conservative_weight", (1.0, 3.0, 10.0), "cvar", "weight of the conservative term"),
    Sweep("flow-ql", "bc_coefficient", (0.3, 1.0, 3.0), "mean", "weight of the cloning loss"),
)


def load(folder: Path | None = None) -> dict[Sweep, pd.DataFrame]:
    """Return what each stored sweep reached (`reached`); without those that are not stored whole."""
    found = stored.load(stored.SWEEP, folder)
    there = found.rows(TASK, RARE)
    return {sweep: reached(found, sweep) for sweep in SWEEPS if all(sweep.row(v) in there for v in sweep.values)}


def reached(found: Measured, sweep: Sweep) -> pd.DataFrame:
    """Return a sweep's numbers, a line a value, the chosen one marked.

    Raises:
        Missing: a value is not stored.
    """
    lines = []
    for value in sweep.values:
        own = found.at(sweep.row(value), TASK, RARE)
        numbers = {column: float(own[column].mean()) for column in ("mean", "cvar", "through", "off_support")}
        lines.append({"value": value, "seeds": len(own), "updates": int(own["step"].max()), **numbers})
    table = pd.DataFrame(lines)
    return table.assign(chosen=table.index == table[sweep.criterion].idxmax())


def shown(found: dict[Sweep, pd.DataFrame]) -> pd.DataFrame:
    """Return the sweeps as a table for the page.

    Raises:
        Missing: none is stored.
    """
    if not found:
        raise Missing("No sweep is stored yet; the commands stand under *Get the same*.")
    lines: list[dict[str, Any]] = []
    for sweep, table in found.items():
        for _, one in table.iterrows():
            lines.append({
                "": f"{style(sweep.method).label}, {sweep.name} {one['value']:g}", "mean": number(one["mean"], 2),
                "CVaR": number(one["cvar"], 2), "through": f"{one['through']:.2f}", "OOD": f"{one['off_support']:.2f}",
                "by": {"cvar": "CVaR", "mean": "mean"}[sweep.criterion], "chosen": "✓" if one["chosen"] else "",
            })  # fmt: skip
    return pd.DataFrame(lines)


def caption(found: dict[Sweep, pd.DataFrame]) -> str:
    """Return the caption of `shown`'s table, which names the sweeps that are not stored and values at an end.

    Raises:
        Missing: none is stored.
    """
    if not found:
        raise Missing("no sweep")
    lacking = [f"{style(s.method).label}'s {s.name} ({s.own:g})" for s in SWEEPS if s not in found]
    ends = [
        f"{style(s.method).label}'s {s.name}" for s, table in found.items()
        if not 0 < int(np.flatnonzero(table["chosen"])[0]) < len(table) - 1
    ]  # fmt: skip
    updates = sorted({int(x) for table in found.values() for x in table["updates"]})
    text = (
        f"**Table 3b.5.** The sweeps: numbers are means over seeds {listed(map(str, SWEPT_SEEDS))} after "
        f"{' and '.join(f'{u:,}' for u in updates)} updates; the column *by* says what decides."
    )
    if max(updates) < SWEPT_UPDATES:
        text += f" They were planned for {SWEPT_UPDATES:,} and cut."
    if ends:
        text += f" At the end of its range, so that the best may lie beyond: {listed(ends)}."
    if lacking:
        text += f" Not swept, with the value that the grid has: {listed(lacking)}."
    return text


def commands() -> str:
    """Return the commands behind the stored results, as Markdown."""
    every = " ".join(map(str, SEEDS))
    swept = [f"{s.method}:{s.setting}={v:g}" for s in SWEEPS for v in s.values]
    dial = [row for row in LEVELS.values() if row not in ROWS]
    shared = f"--size {SIZE} --evaluations {EVALUATIONS} --episodes 20 --report-episodes 100"
    lines = [
        f"ramac campaign --tasks {TASK} --hazards {RARE} --seeds {' '.join(map(str, SWEPT_SEEDS))} \\",
        f"  --steps {SWEPT_UPDATES} --size {SIZE} --evaluations 10 --episodes 20 --report-episodes 50 \\",
        f"  --out runs/navigation_sweep --methods {' '.join(swept)}",
        "ramac campaign --out runs/navigation_sweep --export data/results/navigation_sweep",
        f"for seeds in '{every}' '{' '.join(map(str, FRESH))}'; do",
        '  out="runs/navigation-${seeds%% *}"',
        f"  ramac campaign --tasks {TASK} --hazards {RARE} --seeds $seeds --steps {UPDATES} {shared} \\",
        f'    --out "$out" --methods {" ".join(ROWS)} {" ".join(dial)}',
        '  ramac campaign --out "$out" --export data/results/navigation',
        "done",
    ]
    for hazard, rows in BESIDE.items():
        lines.append(
            f"ramac campaign --tasks {TASK} --hazards {hazard} --seeds {every} --steps {UPDATES} {shared} \\\n"
            f"  --out runs/navigation_{hazard} --methods {' '.join(rows)}"
        )
        lines.append(f"ramac campaign --out runs/navigation_{hazard} --export data/results/navigation")
    lines += [
        "python -m support.navigation.paths campaign --folder runs/navigation-0",
        "python -m support.navigation.paths training --seeds 4",
        "python -m support.navigation.probes --folder runs/navigation-0",
        "ramac campaign --resume --out runs/navigation-0   # after a cut; or with more --methods, --tasks, --seeds",
    ]
    return "```\n" + "\n".join(lines) + "\n```"
