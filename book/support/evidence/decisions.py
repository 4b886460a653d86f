"""Which settings depart from their source in short runs: the rule, written down before any of these runs was made.

A default follows its source (the paper; where that is silent, the released or official code) unless a departure is
better on runs as short as the campaigns': on Hopper medium-expert under the paper's hazard, 5,000 updates, eight seeds
that are reported nowhere, the mean return of a seed's report (20 episodes), departure minus source, seed by seed (both
see the same batches and draw from the same streams). The departure is taken where the 95 % interval of the mean
difference (Student's t over the seeds) lies above zero; otherwise the source's value is, and the difference is called
inconclusive where the interval contains zero. Decided once, for all tasks; nothing is tuned further.

A setting that the source gives for each task (RADAC's clip of targets) stays in any case: its pair only shows what it
does.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from ramac_lib.campaign.grid import parse_row
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from ramac_lib.training.config import RunConfig, make_config

TASK, HAZARD, STEPS, SEEDS, EPISODES = "hopper-medium-expert", "paper", 5_000, tuple(range(100, 108)), 20
DECISIONS_FILE = "decisions"
# What the runs had beside the pair's own setting, whatever the defaults became by it.
AS_MEASURED = {"joint_relu": "false", "radius": "0.25", "short_radius": "none", "target_rate_cap": "0.05"}


class Decision(NamedTuple):
    """A method's setting: the source's value and the departure from it, as rows of a campaign."""

    method: str
    setting: str
    source: str
    departure: str
    decides: bool = True  # or it only shows what the setting does

    @property
    def rows(self) -> tuple[str, str]:
        """The source's row and the departure's, as `ramac campaign --methods` takes them."""
        return f"{self.method}:{self.setting}={self.source}", f"{self.method}:{self.setting}={self.departure}"


DECISIONS = (
    Decision("radac", "joint_relu", "true", "false"),
    Decision("rafmac", "joint_relu", "true", "false"),
    Decision("oraac", "joint_relu", "true", "false"),
    Decision("oraac", "radius", "0.25", "0.05"),
    Decision("oraac-diffusion", "radius", "0.25", "0.05"),
    Decision("oraac-flow", "radius", "0.25", "0.05"),
    Decision("diffusion-ql", "target_rate_cap", "0.005", "0.05"),
    Decision("radac", "target_rate_cap", "0.005", "0.05"),
    Decision("radac", "hidden", "256,256,activation=silu", "256,256,256,activation=mish"),
    Decision("radac", "td_clip", "300", "none", decides=False),
)


def decide(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], decision: Decision) -> dict[str, Any]:
    """Return what a pair of runs says: means, the mean difference with its 95 % interval, and which value is taken.

    Args:
        table: rows of `results.COLUMNS`; only reports on the rule's task, hazard and seeds count.
        facts: each run's facts, by hash, to find the two runs by.

    Raises:
        RamacError: one of the two has no report on all of the seeds.
    """
    means = []
    for row in decision.rows:
        wanted = config_of(row)
        runs = [run for run in facts if run == wanted.hash]
        own = table[table["run"].isin(runs) & (table["purpose"] == "report") & (table["step"] == STEPS)]
        found = own.groupby("seed")["return"].mean()
        if set(found.index) != set(SEEDS):
            raise RamacError(f"{row}: reports on seeds {sorted(found.index)}; expected {SEEDS}")
        means.append(found.sort_index())
    difference = (means[1] - means[0]).to_numpy()
    half = stats.t.ppf(0.975, len(difference) - 1) * stats.sem(difference)
    centre = float(difference.mean())
    better = centre - half > 0
    return {
        "method": decision.method, "setting": decision.setting, "source": decision.source,
        "departure": decision.departure, "source mean": float(means[0].mean()),
        "departure mean": float(means[1].mean()), "difference": centre, "low": centre - half, "high": centre + half,
        "taken": decision.departure if better and decision.decides else decision.source, "decides": decision.decides,
        "conclusive": bool(np.sign(centre - half) == np.sign(centre + half)),
    }  # fmt: skip


def config_of(row: str) -> RunConfig:
    """Return the run of a pair's row."""
    method, own = parse_row(row)
    known = {field.name for field in dataclasses.fields(get_method(method).Config)}
    options = {name: value for name, value in AS_MEASURED.items() if name in known and method != "codac"}
    return make_config(method, TASK, SEEDS, STEPS, {**options, **own}, hazard=HAZARD)


def load(folder: Path | None = None) -> pd.DataFrame:
    """Return what each stored pair says (`decide`), one row a pair; without those that are not stored yet.

    Args:
        folder: of the stored runs (default: the repository's data/results).

    Raises:
        RamacError: no pair is stored.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    table, facts = results.load(DECISIONS_FILE, folder)
    rows = []
    for decision in DECISIONS:
        try:
            rows.append(decide(table, facts, decision))
        except RamacError:
            continue
    if not rows:
        raise RamacError("No pair of runs that decides a setting is stored yet.")
    return pd.DataFrame(rows)
