"""``ramac analyse record``: roll out deployed policies under the live hazard, keep every step's signal and some poses.

OUT.npz holds all episodes' steps one after another, in the order of the runs, their seeds and their episodes; flags
are packed eight to a byte. OUT.json says what made them. `load` reads them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float32
from tqdm.auto import tqdm

from ramac_lib import datasets
from ramac_lib.analysis.intervals import bootstrap_interval
from ramac_lib.analysis.rows import Row, row_from, row_of
from ramac_lib.analysis.style import style
from ramac_lib.datasets import relabel
from ramac_lib.envs import hazards, play
from ramac_lib.envs.hazards import get_hazard, hazard_from_json
from ramac_lib.envs.robots import make_env
from ramac_lib.methods import Method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.machine import get_device
from ramac_lib.system.version import code_version, provenance
from ramac_lib.training import evaluators, stored
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory

# The environments' seeds are derived from it, a run's seed and the episode's number, not from the run: policies of
# different runs meet the same start states.
RECORDING = 2
QUANTILES = 4096  # what is kept of the data's own signal


class Clip(NamedTuple):
    """One recorded episode of T steps; `qpos` is empty where no poses were kept."""

    env_id: str
    step_seconds: float
    monitored: Float32[np.ndarray, " T"]
    violation: Bool[np.ndarray, " T"]
    struck: Bool[np.ndarray, " T"]
    qpos: Float32[np.ndarray, "T q"]


@dataclass(frozen=True)
class Signals:
    """What `ramac_lib.analysis.recordings` wrote.

    Args:
        episodes: one row an episode: ``run`` (an index into `rows`), ``seed episode length violations penalties
            posed``.
        monitored, violation, struck: one entry a step, the episodes one after another.
        poses: MuJoCo's generalised positions, the posed episodes one after another.
        behaviour: for each task, the data's monitored signal: its quantiles at (i + ½) / 4096.
        facts: OUT.json.
    """

    episodes: pd.DataFrame
    monitored: Float32[np.ndarray, " T"]
    violation: Bool[np.ndarray, " T"]
    struck: Bool[np.ndarray, " T"]
    poses: Float32[np.ndarray, "P q"]
    behaviour: dict[str, Float32[np.ndarray, " Q"]]
    facts: dict[str, Any]

    @property
    def rows(self) -> list[Row]:
        """The runs, in the order of ``episodes.run``."""
        return [row_from(run) for run in self.facts["runs"]]

    def hazard(self, index: int) -> Any:
        """Return the hazard that was live when a run was recorded."""
        return hazard_from_json(self.facts["runs"][index]["bounds"])

    def select(self, task: str, hazard: str, methods: Sequence[str] = (), plain: bool = False) -> list[int]:
        """Return the indices of a task's runs under a hazard, in the order of `methods` where some are named.

        Args:
            plain: only methods as they are, no variants.
        """
        rows = self.rows
        found = [i for i, row in enumerate(rows) if (row.task, row.hazard) == (task, hazard)]
        found = [i for i in found if not plain or rows[i].label == style(rows[i].method).label]
        return [i for method in methods for i in found if rows[i].method == method] if methods else found

    def steps(self, index: int) -> Bool[np.ndarray, " T"]:
        """Return which of all steps belong to a run."""
        return np.repeat(self.episodes["run"].to_numpy() == index, self.episodes["length"].to_numpy())

    def clip(self, index: int, seed: int, episode: int) -> Clip:
        """Return one episode of a run.

        Raises:
            RamacError: it was not recorded.
        """
        table = self.episodes
        at = np.flatnonzero((table["run"] == index) & (table["seed"] == seed) & (table["episode"] == episode))
        if len(at) == 0:
            raise RamacError(f"{self.rows[index].label}: episode {episode} of seed {seed} was not recorded")
        lengths, posed = table["length"].to_numpy(), table["posed"].to_numpy()
        start = int(lengths[: at[0]].sum())
        span = slice(start, start + lengths[at[0]])
        before = int((lengths * posed)[: at[0]].sum())
        qpos = self.poses[before : before + lengths[at[0]] * posed[at[0]]]
        run = self.facts["runs"][index]
        seconds = run["step_seconds"]
        return Clip(run["env_id"], seconds, self.monitored[span], self.violation[span], self.struck[span], qpos)


def load(out: Path) -> Signals:
    """Return what `ramac_lib.analysis.recordings` wrote as OUT.npz and OUT.json.

    Raises:
        RamacError: they are not there, of a newer version, or do not belong together.
    """
    out = Path(out)
    try:
        facts = json.loads(beside(out, ".json").read_text())
        with np.load(beside(out, ".npz")) as file:
            arrays = {name: file[name] for name in file.files}
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; make it with `ramac analyse record`") from None
    if facts["format"] > FORMAT:
        raise RamacError(f"{out}.json: written by a newer version (format {facts['format']}; this reads {FORMAT})")
    total = int(arrays["length"].sum())
    if total != facts["steps"] or total != len(arrays["monitored"]):
        raise RamacError(f"{out}: the .npz holds {total} steps, the .json tells of {facts['steps']}; record them anew")
    flags = {name: np.unpackbits(arrays[name], count=total).astype(bool) for name in ("violation", "struck")}
    table = pd.DataFrame({name: arrays[name] for name in ("run", "seed", "episode", "length", "posed")})
    starts = np.concatenate([[0], np.cumsum(table["length"])[:-1]])
    table["violations"] = np.add.reduceat(flags["violation"].astype(int), starts)
    table["penalties"] = np.add.reduceat(flags["struck"].astype(int), starts)
    behaviour = {n.removeprefix("behaviour "): a for n, a in arrays.items() if n.startswith("behaviour ")}
    return Signals(table, arrays["monitored"], **flags, poses=arrays["poses"], behaviour=behaviour, facts=facts)


def rates(signals: Signals, index: int) -> tuple[list[Float[np.ndarray, " n"]], Float[np.ndarray, "E 2"]]:
    """Return a run's episodes as numbers of rows for each seed, and each row's (violations, steps)."""
    table = signals.episodes[signals.episodes["run"] == index].reset_index(drop=True)
    groups = [np.asarray(rows, float) for rows in table.groupby("seed").indices.values()]
    return groups, table[["violations", "length"]].to_numpy(float)


def outside(signals: Signals, indices: Sequence[int]) -> pd.DataFrame:
    """Return the share of each run's steps outside the safe range: one row a run.

    Columns ``label seeds episodes steps outside low high``, the interval a 95 % bootstrap over seeds first, then
    episodes; ``below above``, the shares beyond each bound; ``median width``, the middle of the signal and the width of
    its middle 90 %.
    """
    found = []
    for index in indices:
        groups, counts = rates(signals, index)

        def share(rows: Float[np.ndarray, " n"], counts: Float[np.ndarray, "E 2"] = counts) -> float:
            taken = counts[rows.astype(int)].sum(axis=0)
            return float(taken[0] / taken[1])

        low, high = bootstrap_interval(groups, share)
        mine, bounds = signals.monitored[signals.steps(index)], signals.facts["runs"][index]["bounds"]
        beyond = (np.float32(bounds.get("low", -np.inf)), np.float32(bounds.get("high", np.inf)))  # of an interval
        found.append(
            {
                "label": signals.rows[index].label, "seeds": len(groups), "episodes": len(counts),
                "steps": int(counts[:, 1].sum()), "outside": share(np.arange(len(counts))), "low": low, "high": high,
                "below": float((mine < beyond[0]).mean()),
                "above": float((mine > beyond[1]).mean()),
                "median": float(np.median(mine)), "width": float(np.ptp(np.quantile(mine, [0.05, 0.95]))),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


# -- recording --------------------------------------------------------------------------------------------------------


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
    loaded = [stored.load_run(path, device, to_act=True) for path in runs]  # all, before the first takes its time
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
    with atomic(beside(out, ".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return load(out)


def _by_task(configs: Sequence[RunConfig]) -> Iterator[tuple[str, RunConfig]]:
    """Yield each task's name with one of its runs.

    Raises:
        RamacError: two runs of a task have different data.
    """
    for task in dict.fromkeys(config.task.name for config in configs):
        same = [config for config in configs if config.task.name == task]
        recipes = {(c.source, c.size, c.data_seed, c.env_id) for c in same}
        if len(recipes) > 1:
            raise RamacError(f"the runs of {task} have different data: {' and '.join(map(str, recipes))}")
        yield task, same[0]


def _behaviour(config: RunConfig, progress: bool) -> tuple[Float32[np.ndarray, " Q"], dict[str, Any]]:
    """Return quantiles of the signal in a run's data, and what is said of them."""
    data = datasets.load(
        config.task, config.source, size=config.size, seed=config.data_seed, env_id=config.env_id, progress=progress
    )
    signal = relabel.monitored(data, get_hazard("none", config.task))
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    shares = {
        n: relabel.rates(data, preset[config.task.name])
        for n, preset in hazards.PRESETS.items()
        if config.task.name in preset
    }
    about = {"transitions": len(data), "sha256": data.sha256(), "recipe": dict(data.recipe), "outside": shares}
    return np.quantile(signal, levels, method="inverted_cdf").astype(np.float32), about


def _record(
    config: RunConfig, stacks: Sequence[Method], facts: Mapping[str, Any], step: int, episodes: int, poses: int
) -> tuple[dict[str, Any], list[play.Rollout]]:
    """Return what describes a run, and its recorded episodes."""
    hazard, env_id = config.hazard, facts["env_id"]
    horizon, each = config.task.horizon, episodes // len(config.seeds)
    seconds = 0.0
    if config.task.is_bandit:
        poses = 0  # it has no body
    else:
        poses = 0 if config.task.is_bullet else poses  # MuJoCo's only
        base: Any = make_env(env_id).unwrapped
        seconds = float(getattr(base, "dt", 0.0))  # navigation's steps have no duration
    rollouts = [
        rollout
        for stack in stacks
        for rollout in evaluators.evaluate(
            stack, env_id, hazard, horizon, each, keys=(RECORDING,), record=True, poses=poses
        )
    ]
    described = {
        **row_of(config)._asdict(), "run": config.hash, "env_id": env_id, "step": step, "steps": config.steps,
        "seeds": list(config.seeds), "episodes": each, "horizon": horizon, "step_seconds": seconds,
        "bounds": hazard.to_json(), "config": config.to_json(), "trained": facts.get("made"), "data": facts.get("data"),
    }  # fmt: skip
    return described, rollouts


def _arrays(played: Sequence[tuple[int, play.Rollout]]) -> dict[str, np.ndarray]:
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


FORMAT = 1
