"""Which value of a swept setting the campaign takes: the rule, written down before any sweep was run.

RAFMAC's η and FlowQL's α have no published value for these tasks (the released η of RAFMAC never reached the policy
that it deploys). Each is swept over three decades on one task, Hopper medium-expert, under the paper's hazard, on seeds
that are reported nowhere and for as many updates as the campaign; then one value serves all tasks and hazards. Taken is
the value with the highest pooled CVaR_0.1 of the report where the method optimises a risk, with the highest pooled mean
where it does not; of equal ones the nearest to the middle of the range, counted in decades. What was chosen is the
method's default. A value at the end of its range says that the best one may lie beyond.

RADAC's η is published. It is swept too, a fourth to both sides, only to see whether the weight that
`schedules.risk_weight` makes of it in runs as short as these is of use: its campaign takes the published one.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from ramac_lib.analysis.intervals import bootstrap_interval
from ramac_lib.methods import get_method
from ramac_lib.risk import cvar
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from ramac_lib.training.config import parse_options

TASK, HAZARD, SEEDS = "hopper-medium-expert", "paper", (100, 101)
SWEEPS_FILE = "sweeps"


class Sweep(NamedTuple):
    """A method's setting, the values tried, and what decides: ``cvar`` or ``mean``."""

    method: str
    setting: str
    values: tuple[float, ...]
    criterion: str
    decides: bool = True  # or it only checks the value that the campaign takes anyway

    @property
    def default(self) -> float:
        """The value without a sweep."""
        return float(getattr(get_method(self.method).Config.for_task(TASK), self.setting))

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows of the sweep, as `ramac campaign --methods` takes them."""
        return tuple(f"{self.method}:{self.setting}={value:g}" for value in self.values)


SWEEPS = (
    Sweep("rafmac", "eta", (0.1, 1.0, 10.0), "cvar"),
    Sweep("flow-ql", "bc_coefficient", (1.0, 10.0, 100.0), "mean"),
    Sweep("radac", "eta", (0.0125, 0.05, 0.2), "cvar", decides=False),
)


def swept(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], sweep: Sweep) -> pd.DataFrame:
    """Return what a sweep's values reached: one row a value, the chosen one marked.

    Args:
        table: rows of `results.COLUMNS`; only reports on the sweep's task, hazard and seeds count.
        facts: each run's facts, by hash: values are read from its settings, as a row's options leave out a value that
            was the default when it was made.

    Returns:
        Columns ``value seeds episodes updates mean cvar mean_low mean_high cvar_low cvar_high chosen``; intervals are
        95 % bootstrap, seeds first.

    Raises:
        RamacError: a value has no report, or another number of updates than the rest.
    """
    of_runs: dict[float, list[pd.DataFrame]] = {}
    table = results.at_noise(table)
    own = table[(table["method"] == sweep.method) & (table["purpose"] == "report") & table["seed"].isin(SEEDS)]
    own = own[(own["task"] == TASK) & (own["hazard"] == HAZARD)].fillna({"options": ""})
    for (run, text), episodes in own.groupby(["run", "options"]):
        if set(parse_options([part for part in str(text).split(";") if part])) <= {sweep.setting}:
            of_runs.setdefault(float(facts[str(run)]["config"]["settings"][sweep.setting]), []).append(episodes)
    found = {value: pd.concat(runs) for value, runs in of_runs.items()}  # seeds that were added are another run
    if missing := [value for value in sweep.values if value not in found]:
        raise RamacError(f"{sweep.method}: no report with {sweep.setting} {missing[0]:g} on seeds {SEEDS}")
    rows = []
    for value in sweep.values:
        returns = found[value]["return"].to_numpy()
        groups = [own["return"].to_numpy() for _, own in found[value].groupby("seed")]
        row = {"value": value, "seeds": found[value]["seed"].nunique(), "episodes": len(returns)}
        row |= {"updates": int(found[value]["step"].max()), "mean": returns.mean(), "cvar": float(cvar(returns, 0.1))}
        row |= dict(zip(("mean_low", "mean_high"), bootstrap_interval(groups, lambda x: float(x.mean())), strict=True))
        row |= dict(zip(("cvar_low", "cvar_high"), bootstrap_interval(groups, lambda x: cvar(x, 0.1)), strict=True))
        rows.append(row)
    made = pd.DataFrame(rows)
    if made["updates"].nunique() > 1:
        raise RamacError(
            f"{sweep.method}: the sweep's runs have {sorted(made['updates'])} updates; expected one number"
        )
    best = made[made[sweep.criterion] == made[sweep.criterion].max()]
    middle = sweep.values[len(sweep.values) // 2]
    nearest = min(best.index, key=lambda i: abs(math.log10(best.at[i, "value"] / middle)))
    return made.assign(chosen=made.index == nearest)


def load(folder: Path | None = None) -> dict[Sweep, pd.DataFrame]:
    """Return what each stored sweep reached (`swept`); without those that are not stored.

    Args:
        folder: of ``sweeps.csv`` (default: the repository's data/results).

    Raises:
        RamacError: a sweep is stored in part.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not results.is_there(SWEEPS_FILE, folder):
        return {}
    table, facts = results.load(SWEEPS_FILE, folder)
    methods = set(table["method"])
    return {sweep: swept(table, facts, sweep) for sweep in SWEEPS if sweep.method in methods}


def at_end(table: pd.DataFrame) -> bool:
    """Return whether the value that the rule names is the first or the last of those tried (`table`: `swept`'s)."""
    return bool(table["chosen"].iloc[[0, -1]].any())
