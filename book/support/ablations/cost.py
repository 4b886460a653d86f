"""What a value of a knob costs: RADAC's updates a second beside those with its own settings, in turn on one machine.

A machine's speed drifts, so that each value is timed between two timings of the method's own settings, in several
passes; of each the least time of a block of updates counts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ramac_lib.analysis.evidence import Missing
from ramac_lib.bench.updates import STEPS, synthetic_data, time_updates
from ramac_lib.campaign.grid import parse_row
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import Engine, get_engine
from support.ablations.choice import VALUES
from support.ablations.knobs import KNOBS

FILE = "knob_costs.json"
HOPPER = "hopper-medium-expert"
CHANGES_WORK = ("n_fractions", "policy_steps", "critic_hidden", "batch_size", "actor_critics")


def values(task: str) -> list[str]:
    """Return the values that change an update's work, as options of a row; of the others the cost is RADAC's own."""
    knobs = KNOBS["radac"] if task == BANDIT else VALUES
    return [f"{knob}={value}" for knob in CHANGES_WORK for value in knobs[knob]]


def engine() -> Engine:
    """Return the engine that is timed: what RADAC takes on a CPU."""
    return get_engine("cpu", method=get_method("radac"))


def measure(task: str, rows: Sequence[str], seconds: float = 0.5, passes: int = 3) -> dict[str, dict[str, float]]:
    """Return, for each row of options, updates a second and their ratio to RADAC's own; "" for its own settings.

    Args:
        seconds: of each timing.
        passes: how often the whole list is timed.

    Raises:
        RamacError: a number that is not positive, an unknown option.
    """
    if seconds <= 0 or passes < 1:
        raise RamacError(f"{seconds} seconds and {passes} passes: expected positive numbers")
    timed_with = engine()
    timed_with.prepare()
    options = {"": {}, **{row: parse_row(f"radac:{row}")[1] for row in rows}}
    configs = {row: make_config("radac", task, (0,), STEPS, own) for row, own in options.items()}
    data = synthetic_data(task, 20_000)
    least = dict.fromkeys(configs, float("inf"))
    ratios: dict[str, list[float]] = {row: [] for row in rows}
    for _ in range(passes):
        before = time_updates(configs[""], data, timed_with, seconds=seconds)
        for row in rows:
            own = time_updates(configs[row], data, timed_with, seconds=seconds)
            after = time_updates(configs[""], data, timed_with, seconds=seconds)
            ratios[row].append((before + after) / 2 / own)
            least[row], least[""] = min(own, least[row]), min(before, after, least[""])
            before = after
    middle = {row: sorted(found)[len(found) // 2] for row, found in ratios.items()} | {"": 1.0}
    return {
        row: {"updates_per_s": 1 / least[row], "ratio": middle[row]}
        | ({"low": min(ratios[row]), "high": max(ratios[row])} if row else {})
        for row in configs
    }


def load(folder: Path | None = None) -> dict[str, Any]:
    """Return what is stored: the machine, and for each task what `measure` returned.

    Raises:
        Missing: nothing is stored.
    """
    path = (data_folder() / "results" if folder is None else Path(folder)) / FILE
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise Missing(f"There is no data/results/{FILE}: `python -m support.ablations.make costs` makes it.") from None
