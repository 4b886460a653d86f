"""Minari's datasets, by the ``minari`` library (an extra)."""

import contextlib
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from ramac_lib.datasets.contract import KEYS, Dataset
from ramac_lib.datasets.episodes import concatenate, subsample
from ramac_lib.datasets.hdf5 import check_inside
from ramac_lib.envs.tasks import ENVS, TASKS, Task
from ramac_lib.system.errors import RamacError, unknown


def load_task(task: Task, *, size: int | None = None, seed: int = 0, progress: bool = True) -> Dataset:
    """Return Minari's counterpart of a medium-expert task: as many transitions of medium-v0 as of expert-v0.

    It is not D4RL's data: Minari's policies trained for 25M steps, so that its *medium* is about D4RL's expert, and
    scores must not be compared across the two. Minari holds no replay buffer, so medium-replay is refused rather
    than stood in for; ``minari:mujoco/hopper/simple-v0`` names a weaker policy's data where that is wanted.

    Args:
        size: transitions in all, halved between the two; None for all of the smaller and as many of the other.
        seed: of the episodes kept.

    Raises:
        RamacError: the task has no counterpart, or as in `load`.
    """
    if task.env not in ENVS:
        raise unknown("Minari task", task, [name for name, known in TASKS.items() if known.quality == "medium-expert"])
    if task.quality != "medium-expert":
        raise RamacError(
            f"Minari has no counterpart of {task}: expected a medium-expert task, or a dataset by its id, "
            f"such as minari:mujoco/{task.env}/simple-v0"
        )
    ids = [f"mujoco/{task.env}/{quality}-v0" for quality in ("medium", "expert")]
    parts = [load(dataset_id, task, progress=progress) for dataset_id in ids]
    half = min(map(len, parts)) if size is None else size // 2
    kept = [subsample(part, half, seed) for part in parts]
    recipe = {
        "source": "minari",
        "task": task.name,
        "parts": [dict(part.recipe) for part in parts],
        **({"size": size, "seed": seed} if size is not None else {"seed": seed}),
    }
    return concatenate(kept, f"minari {task}", recipe)


def load(dataset_id: str, task: Task | None = None, *, progress: bool = True) -> Dataset:
    """Return a Minari dataset, downloaded by the library unless it is local (``MINARI_DATASETS_PATH``).

    Minari keeps T + 1 observations of an episode of T steps, so that next observations are exact at its end too.
    Its terminations become ``terminals``, its truncations ``timeouts``; an episode that was recorded up to neither
    counts as timed out.

    Args:
        dataset_id: such as ``mujoco/hopper/expert-v0``.
        task: the task that the data are meant for; its environment must fit.

    Raises:
        RamacError: the library is missing, no such dataset, the download failed, no environment of ours, or data
            outside the contract.
    """
    name = f"minari {dataset_id}"
    source = _open(dataset_id, progress)
    env_id = _environment(name, source.env_spec, task)
    columns: dict[str, list[np.ndarray]] = {key: [] for key in KEYS}
    for file in sorted(Path(source.spec.data_path).glob("*.hdf5")):
        check_inside(file)
    try:
        for episode in source.iterate_episodes():
            for key, values in _transitions(name, episode):
                columns.setdefault(key, []).append(values)
    except (OSError, KeyError) as error:
        raise RamacError(f"{name} is damaged: expected readable episodes ({_line(error)})") from error
    if not columns["rewards"]:
        raise RamacError(f"{name}: rewards holds no transitions; at least one is needed")
    arrays: dict[str, Any] = {key: np.concatenate(values) for key, values in columns.items()}
    data = Dataset(**arrays, env_id=env_id, name=name)
    return data.with_(recipe={"source": "minari", "dataset_id": dataset_id, "sha256": data.sha256()})


def save(data: Dataset, dataset_id: str) -> Path:
    """Write data as a local dataset of Minari (``MINARI_DATASETS_PATH``), which `load` and the library read.

    Of an episode of T steps Minari keeps T + 1 observations, so within an episode each next observation becomes the
    next row's observation. Costs go into the steps' infos as ``cost``, T + 1 with a leading zero; what is cut short
    by the data's end is neither terminated nor truncated there. Returns the dataset's folder.

    Args:
        dataset_id: such as ``navigation/obstacle-mixed-v0``.

    Raises:
        RamacError: the library is missing, there is such a dataset, or it cannot be written; nothing is left of it.
    """
    minari, get_dataset_path = _library()
    from minari.data_collector import EpisodeBuffer

    buffers = []
    for i, (a, b) in enumerate(data.episode_bounds()):
        costs = {} if data.costs is None else {"cost": np.concatenate([[0], data.costs[a:b]]).astype(np.float32)}
        buffers.append(
            EpisodeBuffer(
                id=i,
                observations=np.concatenate([data.observations[a:b], data.next_observations[b - 1 : b]]),
                actions=data.actions[a:b],
                rewards=data.rewards[a:b],
                terminations=data.terminals[a:b],
                truncations=data.timeouts[a:b],
                infos=costs,
            )
        )
    there = False
    try:
        path = get_dataset_path(dataset_id)
        there = path.exists()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library misses an author and a link to code
            box = {
                key: gymnasium.spaces.Box(-limit, limit, columns.shape[1:], np.float32)
                for key, columns, limit in (
                    ("observation_space", data.observations, np.inf), ("action_space", data.actions, 1.0)
                )
            }  # fmt: skip
            minari.create_dataset_from_buffers(
                dataset_id, buffers, env=data.env_id, description=json.dumps(dict(data.recipe), sort_keys=True), **box
            )
    except Exception as error:  # as of `_open`
        if not there:
            shutil.rmtree(path, ignore_errors=True)
        raise RamacError(f"minari {dataset_id!r} could not be written: {_line(error)}") from error
    return Path(path)


def _transitions(name: str, episode: Any) -> Iterator[tuple[str, np.ndarray]]:
    steps = len(episode.rewards)
    if steps == 0:
        return
    for key, rows in (("observations", steps + 1), ("actions", steps)):
        values = getattr(episode, key)
        if not isinstance(values, np.ndarray) or values.ndim != 2 or len(values) != rows:
            found = values.shape if isinstance(values, np.ndarray) else type(values).__name__
            raise RamacError(f"{name}: {key} of episode {episode.id} is {found}; expected {rows} rows of vectors")
    observations = episode.observations.astype(np.float32)
    terminals, timeouts = (np.array(flags, dtype=bool) for flags in (episode.terminations, episode.truncations))
    timeouts[-1] |= not terminals[-1]
    yield "observations", observations[:-1]
    yield "next_observations", observations[1:]
    yield "actions", episode.actions.astype(np.float32)
    yield "rewards", episode.rewards.astype(np.float32)
    yield "terminals", terminals
    yield "timeouts", timeouts
    if "cost" in (infos := episode.infos or {}):
        yield "costs", np.asarray(infos["cost"], np.float32)[1:]


def _library() -> tuple[Any, Any]:
    try:
        import minari
        from minari.storage import get_dataset_path
    except ImportError as error:
        raise RamacError("a dataset of Minari needs the extra minari: pip install 'ramac-lib[minari]'") from error
    return minari, get_dataset_path


def _open(dataset_id: str, progress: bool) -> Any:
    minari, get_dataset_path = _library()
    # The library reports its downloads on standard output, which belongs to the command's own result.
    try:
        try:
            return minari.load_dataset(dataset_id)
        except FileNotFoundError:
            path = get_dataset_path(dataset_id)
            is_new = not path.exists()
            try:
                with contextlib.redirect_stdout(sys.stderr if progress else None):
                    minari.download_dataset(dataset_id)
            except BaseException:
                if is_new:  # never a folder that was there: an id cut short names that of other datasets
                    shutil.rmtree(path, ignore_errors=True)
                raise
            return minari.load_dataset(dataset_id)
    except Exception as error:  # the library, its stores and their networks each have their own
        raise RamacError(f"minari {dataset_id!r} could not be loaded: {_line(error)}") from error


def _environment(name: str, spec: Any, task: Task | None) -> str:
    expected = None if task is None else task.env_id(5)
    found = None if spec is None else str(spec.id)
    if found is not None and expected is not None and found.rsplit("-v", 1)[0] != expected.rsplit("-v", 1)[0]:
        raise RamacError(f"{name}: its environment is {found}; expected {expected}, as for {task}")
    env_id = found or expected
    if env_id is None:
        raise RamacError(f"{name} does not name its environment; expected a task beside it")
    return env_id


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
