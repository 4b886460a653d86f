"""The behaviour policies themselves, rolled out under named hazards: rows without which no result can be judged."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ramac_lib.behaviour import policy_path, stages
from ramac_lib.calibration import policies, roll_out_policies, under_hazard
from ramac_lib.errors import RamacError
from ramac_lib.files import atomic
from ramac_lib.hazards import get_hazard
from ramac_lib.machine import provenance
from ramac_lib.results import COLUMNS
from ramac_lib.tasks import HORIZONS, get_task

PURPOSE = "report"  # of the rollouts' seeds: neither the calibration's nor any other measurement's


def stage_name(env: str, step: int) -> str:
    """Return what a policy is in its environment's data: expert, medium, or its number of training steps."""
    parts = stages(env)
    return {parts.expert: "expert", parts.medium: "medium"}.get(step, str(step))


def measure(
    tasks: Sequence[str],
    hazards: Sequence[str],
    seeds: Sequence[int] = (0, 1, 2, 3),
    episodes: int = 100,
    workers: int | None = None,
) -> tuple[pd.DataFrame, dict[str, dict[str, Any]]]:
    """Roll out every policy that the tasks' data are made of, under each hazard, over the task's horizon.

    Args:
        seeds: of the rollouts; the same rollouts meet every hazard, as no policy sees a penalty.
        episodes: of each policy and seed.

    Returns:
        Rows of `results.COLUMNS` (method ``behaviour``, options ``stage=…``, step: the policy's environment steps),
        and what made them, by the hash that stands for a run.

    Raises:
        RamacError: an unknown task or hazard, no episodes.
    """
    if episodes < 1 or not seeds or not tasks or not hazards:
        raise RamacError("no tasks, hazards, seeds or episodes were given; at least one of each is needed")
    rows, facts = [], {}
    for task in tasks:
        env, horizon = get_task(task).env, HORIZONS[get_task(task).env]
        live = {name: get_hazard(name, task) for name in hazards}
        played = {
            s: roll_out_policies(env, policies(task), episodes, s, purpose=PURPOSE, workers=workers) for s in seeds
        }
        for name, hazard in live.items():
            for step in policies(task):
                config = {
                    "method": "behaviour", "task": task, "source": "bundled", "hazard": name, "purpose": PURPOSE,
                    "seeds": list(seeds), "episodes": episodes, "horizon": horizon, "policy": step,
                    "policy_sha256": hashlib.sha256(policy_path(env, step).read_bytes()).hexdigest(),
                }  # fmt: skip
                run = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
                facts[run] = {"config": config, "made": provenance(torch.device("cpu"))}
                for seed in seeds:
                    found = under_hazard(played[seed][step], hazard, seed)
                    rows.append(
                        found.assign(
                            run=run, method="behaviour", task=task, source="bundled",
                            env_id=get_task(task).env_id(), hazard=name, risk="", alpha=float("nan"),
                            options=f"stage={stage_name(env, step)}", seed=seed, step=step, purpose="report",
                            horizon=horizon,
                        )[list(COLUMNS)]
                    )  # fmt: skip
    return pd.concat(rows, ignore_index=True), facts


def write(table: pd.DataFrame, facts: dict[str, dict[str, Any]], out: Path) -> None:
    """Write ``OUT.csv`` and ``OUT.json``."""
    with atomic(out.with_suffix(".csv")) as part:
        table.to_csv(part, index=False)
    with atomic(out.with_suffix(".json")) as part:
        part.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
