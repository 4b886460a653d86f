"""``ramac record``: roll out deployed policies under the live hazard, keep every step's signal and some poses.

OUT.npz holds all episodes' steps one after another, in the order of the runs, their seeds and their episodes; flags
are packed eight to a byte. OUT.json says what made them. `ramac_lib.probes.signals` reads them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from tqdm.auto import tqdm

from ramac_lib import datasets, evaluation, hazards, reports
from ramac_lib.errors import RamacError
from ramac_lib.files import atomic
from ramac_lib.hazards import get_hazard
from ramac_lib.machine import get_device, provenance
from ramac_lib.methods import Method
from ramac_lib.probes.rows import row_of
from ramac_lib.probes.signals import FORMAT, Signals, load
from ramac_lib.rollouts import make_env
from ramac_lib.runs import RunConfig, RunDirectory
from ramac_lib.tasks import BANDIT, get_task
from ramac_lib.version import code_version

# The environments' seeds are derived from it, a run's seed and the episode's number, not from the run: policies of
# different runs meet the same start states.
RECORDING = 2
QUANTILES = 4096  # what is kept of the data's own signal


def record_runs(
    runs: Sequence[Path],
    out: Path,
    episodes: int = 50,
    poses: int = 1,
    behaviour: bool = True,
    device: str = "auto",
    progress: bool = True,
) -> Signals:
    """Roll out runs' deployed policies under the hazard that each was trained with; write OUT.npz and OUT.json.

    Args:
        episodes: of each run in all, shared evenly by its seeds.
        poses: episodes of each seed whose poses are kept, the first ones.
        behaviour: keep the signal of the runs' data as well, which has to load them.

    Raises:
        RamacError: no run there, a damaged checkpoint, a run given twice, fewer episodes than seeds, two runs of a
            task with different data.
    """
    if not runs:
        raise RamacError("no runs were given; expected the directory of at least one")
    configs = [RunDirectory(Path(path)).read_config() for path in runs]
    for path, config in zip(runs, configs, strict=True):
        if [c.hash for c in configs].count(config.hash) > 1:
            raise RamacError(f"{path}: run {config.hash} was given twice")
        if episodes < len(config.seeds):
            raise RamacError(
                f"{path}: {episodes} episodes for {len(config.seeds)} seeds; expected at least one episode a seed"
            )
    if poses < 0:
        raise RamacError(f"poses is {poses}; expected a number of episodes, at least 0")
    data = {task: _behaviour(same, progress) for task, same in _by_task(configs)} if behaviour else {}
    loaded = [reports.load_run(path, device, to_act=True) for path in runs]  # all, before the first takes its time
    described, played = [], []
    for run in tqdm(loaded, unit="run", desc="record", disable=not progress):
        facts, rollouts = _record(*run, episodes, poses)
        described.append(facts)
        played += [(len(described) - 1, rollout) for rollout in rollouts]
    facts = {
        "format": FORMAT,
        "made": provenance(get_device(device)) | {"code": code_version()},
        "steps": sum(rollout.length for _, rollout in played),
        "runs": described,
        "behaviour": {task: about for task, (_, about) in data.items()},
    }
    arrays = _arrays(played) | {f"behaviour {task}": signal for task, (signal, _) in data.items()}
    out = Path(out)
    with atomic(out.with_suffix(".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    with atomic(out.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return load(out)


def _by_task(configs: Sequence[RunConfig]) -> Iterator[tuple[str, RunConfig]]:
    """Yield each task's name with one of its runs.

    Raises:
        RamacError: two runs of a task have different data.
    """
    for task in dict.fromkeys(config.task for config in configs):
        same = [config for config in configs if config.task == task]
        recipes = {(c.source, c.size, c.data_seed, c.env_id) for c in same}
        if len(recipes) > 1:
            raise RamacError(f"the runs of {task} have different data: {' and '.join(map(str, recipes))}")
        yield task, same[0]


def _behaviour(config: RunConfig, progress: bool) -> tuple[Float32[np.ndarray, " Q"], dict[str, Any]]:
    """Return quantiles of the signal in a run's data, and what is said of them."""
    data = datasets.load(
        config.task, config.source, size=config.size, seed=config.data_seed, env_id=config.env_id, progress=progress
    )
    signal = hazards.monitored(data, get_hazard("none", config.task))
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    shares = {
        n: hazards.rates(data, preset[config.task]) for n, preset in hazards.PRESETS.items() if config.task in preset
    }
    about = {"transitions": len(data), "sha256": data.sha256(), "recipe": dict(data.recipe), "outside": shares}
    return np.quantile(signal, levels, method="inverted_cdf").astype(np.float32), about


def _record(
    config: RunConfig, stacks: Sequence[Method], facts: Mapping[str, Any], step: int, episodes: int, poses: int
) -> tuple[dict[str, Any], list[evaluation.Rollout]]:
    """Return what describes a run, and its recorded episodes."""
    hazard, env_id = get_hazard(config.hazard, config.task), facts["env_id"]
    horizon, each = get_task(config.task).horizon, episodes // len(config.seeds)
    seconds = 0.0
    if config.task == BANDIT:
        poses = 0  # it has no body
    else:
        base: Any = make_env(env_id).unwrapped
        seconds = float(base.dt)
    rollouts = [
        rollout
        for stack in stacks
        for rollout in evaluation.evaluate(
            stack, env_id, hazard, horizon, each, keys=(RECORDING,), record=True, poses=poses
        )
    ]
    described = {
        **row_of(config)._asdict(), "run": config.hash, "env_id": env_id, "step": step, "steps": config.steps,
        "seeds": list(config.seeds), "episodes": each, "horizon": horizon, "step_seconds": seconds,
        "bounds": asdict(hazard), "config": config.to_json(), "trained": facts.get("made"), "data": facts.get("data"),
    }  # fmt: skip
    return described, rollouts


def _arrays(played: Sequence[tuple[int, evaluation.Rollout]]) -> dict[str, np.ndarray]:
    """Return episodes as the file's arrays."""
    rollouts = [rollout for _, rollout in played]
    posed = [rollout.poses for rollout in rollouts if rollout.poses]
    return {
        "run": np.array([run for run, _ in played], np.int16),
        "seed": np.array([rollout.seed for rollout in rollouts], np.int64),
        "episode": np.array([rollout.episode for rollout in rollouts], np.int32),
        "length": np.array([rollout.length for rollout in rollouts], np.int32),
        "posed": np.array([bool(rollout.poses) for rollout in rollouts]),
        "monitored": np.concatenate([rollout.monitored for rollout in rollouts]).astype(np.float32),
        "violation": np.packbits(np.concatenate([rollout.violated for rollout in rollouts])),
        "struck": np.packbits(np.concatenate([rollout.struck for rollout in rollouts])),
        "poses": np.concatenate(posed).astype(np.float32) if posed else np.zeros((0, 0), np.float32),
    }
