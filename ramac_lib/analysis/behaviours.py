"""The behaviour policies themselves, rolled out under named hazards: rows without which no result can be judged."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
import torch

from ramac_lib.envs.behaviour import policy_path, stages, stages_behind
from ramac_lib.envs.collect import Episode, roll_out_policies
from ramac_lib.envs.hazards import Hazard, get_hazard
from ramac_lib.envs.play import DISCOUNT
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.version import provenance
from ramac_lib.training.results import COLUMNS, complete

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
        chosen = get_task(task)
        env, horizon, steps = chosen.env, chosen.horizon, stages_behind(chosen)
        live = {name: get_hazard(name, chosen) for name in hazards}
        played = {s: roll_out_policies(env, steps, episodes, s, purpose=PURPOSE, workers=workers) for s in seeds}
        for name, hazard in live.items():
            for step in steps:
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
                        complete(found).assign(
                            run=run, method="behaviour", task=task, source="bundled",
                            env_id=chosen.env_id(), hazard=name, risk="", alpha=float("nan"),
                            options=f"stage={stage_name(env, step)}", seed=seed, step=step, purpose="report",
                            horizon=horizon,
                        )[list(COLUMNS)]
                    )  # fmt: skip
    return pd.concat(rows, ignore_index=True), facts


def write(table: pd.DataFrame, facts: dict[str, dict[str, Any]], out: Path) -> None:
    """Write ``OUT.csv`` and ``OUT.json``."""
    with atomic(beside(out, ".csv")) as part:
        table.to_csv(part, index=False)
    with atomic(beside(out, ".json")) as part:
        part.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def under_hazard(episodes: list[Episode], hazard: Hazard, seed: int, draws: int = 1) -> pd.DataFrame:
    """Return each episode as if it had been played under the hazard, `draws` times over.

    Exact, not an estimate: no policy sees a penalty, so a hazard changes a rollout only by what it pays and by
    where it ends. The draws depend on the seed alone: all hazards meet the same ones.

    Returns:
        Columns ``episode draw return discounted_return length violations``.
    """
    rng = np.random.default_rng([crc32(b"draws"), seed])
    tables = []
    for k, episode in enumerate(episodes):
        before, after = episode.observations[:-1], episode.observations[1:]
        outcome = hazard.decide(before, episode.actions, after, rng.random((draws, len(episode))))
        length = int(np.argmax(outcome.ends)) + 1 if outcome.ends.any() else len(episode)
        rewards = episode.rewards[:length].sum(dtype=np.float64) + outcome.penalty[:, :length].sum(
            axis=1, dtype=np.float64
        )
        discounted = (episode.rewards + outcome.penalty)[:, :length].astype(np.float64) @ DISCOUNT ** np.arange(length)
        violations = int(outcome.violation[:length].sum())
        tables.append(
            {
                "episode": k,
                "draw": range(draws),
                "return": rewards,
                "discounted_return": discounted,
                "length": length,
                "violations": violations,
            }
        )
    return pd.concat([pd.DataFrame(table) for table in tables], ignore_index=True)
