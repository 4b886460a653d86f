"""The bundled data: the shipped behaviour policies, rolled out on the spot in Gymnasium's ``-v5`` environments.

They are not D4RL's policies, and data made from them are not D4RL.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import gymnasium
import mujoco
import numpy as np
from tqdm.auto import tqdm

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.hdf5 import load_file, save_file
from ramac_lib.envs.behaviour import load_policy, policy_path, stages_behind
from ramac_lib.envs.collect import GROUP, Episode, EpisodeGroup, roll_out
from ramac_lib.envs.robots import time_limit
from ramac_lib.envs.tasks import Task
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import cache_folder
from ramac_lib.system.processes import worker_map

SIZE = 200_000


@dataclass
class _Part:
    """One policy's share: the first of its episodes that together reach a quota of transitions."""

    step: int
    quota: int
    seed: tuple[int, ...]
    episodes: list[Episode] = field(default_factory=list)

    @property
    def transitions(self) -> int:
        return sum(map(len, self.episodes))

    @property
    def mean_length(self) -> float:
        return self.transitions / max(1, len(self.episodes))

    def groups(self, task: Task) -> list[EpisodeGroup]:
        """Return the groups still needed, by the mean length so far: one to begin with, none at the quota."""
        missing = self.quota - self.transitions
        if missing <= 0:
            return []
        done = len(self.episodes) // GROUP
        count = int(np.ceil(missing / (self.mean_length * GROUP))) if done else 1
        horizon = time_limit(task.env_id())
        env_id = task.env_id()
        return [EpisodeGroup(task.env, self.step, self.seed, done + i, horizon, env_id) for i in range(count)]

    def chosen(self) -> list[Episode]:
        """Return the episodes up to the one that reaches the quota, all of them whole."""
        before = np.cumsum([0, *map(len, self.episodes)])[:-1]
        return self.episodes[: int(np.searchsorted(before, self.quota))]


def build(task: Task, size: int = SIZE, seed: int = 0, workers: int | None = None, progress: bool = True) -> Dataset:
    """Roll out a task's behaviour policies, with stochastic actions.

    medium-expert is the medium policy, then the expert, medium-replay the stages of training in their order; the data
    of a speed limit are of all shipped stages and carry costs, and their recipe counts each one's ``episodes``. The
    policies share the transitions equally. Each contributes whole episodes until its share is reached, so a few more
    transitions than `size` come (one episode's, for each policy).

    A policy's episodes are numbered, each with a seed of its own, and taken by number, not in the order in which
    parallel environments finish them, which would favour short ones. When to stop is decided by the episodes
    already taken, so by Wald's identity a policy's expected sums (of rewards, of violations) are its number of
    episodes times their mean: nothing but the last episode's length is selected for.

    Args:
        task: e.g. ``hopper-medium-expert``.
        size: transitions asked for.
        seed: of the episodes. Equal seeds give equal bits, however many workers there are and whatever the matrix
            products' library chooses for the processor; one without fused multiply-add rounds otherwise in MuJoCo.
        workers: processes; all cores if None.
        progress: show a bar.

    Raises:
        RamacError: the task has no bundled rollouts, or the size is too small for its mix of policies.
    """
    recipe = make_recipe(task, size, seed)
    steps = recipe["policies"]
    # The key keeps apart data whose seeds are equal: of other tasks, and of other uses of the policies.
    key = crc32(f"bundled {task}".encode())
    parts = [_Part(step, -(-size // len(steps)), (key, seed, step)) for step in steps]
    with (
        worker_map(workers) as run,
        tqdm(total=size, unit="transition", unit_scale=True, desc=task.name, disable=not progress) as bar,
    ):
        while wave := [(part, group) for part in parts for group in part.groups(task)]:
            wave.sort(key=lambda item: -item[0].mean_length)  # long groups first: no core waits for the last one
            for (part, _), episodes in zip(wave, run(roll_out, [group for _, group in wave]), strict=True):
                part.episodes += episodes
                bar.update(min(sum(map(len, episodes)), size - bar.n))
    chosen = [part.chosen() for part in parts]
    if task.reports_costs:
        recipe["episodes"] = [len(episodes) for episodes in chosen]
    return join([e for episodes in chosen for e in episodes], task.env_id(), f"bundled {task}", recipe)


def join(episodes: list[Episode], env_id: str, name: str, recipe: dict[str, Any]) -> Dataset:
    """Return whole episodes as one data set, with costs where they have them."""
    lengths = np.array([len(e) for e in episodes])
    last = np.cumsum(lengths) - 1
    terminals, timeouts = np.zeros((2, lengths.sum()), np.bool_)
    costs = [e.costs for e in episodes if e.costs is not None]
    ended = np.array([e.terminated for e in episodes])
    terminals[last], timeouts[last] = ended, ~ended
    return Dataset(
        observations=np.concatenate([e.observations[:-1] for e in episodes]),
        actions=np.concatenate([e.actions for e in episodes]),
        rewards=np.concatenate([e.rewards for e in episodes]),
        next_observations=np.concatenate([e.observations[1:] for e in episodes]),
        terminals=terminals,
        timeouts=timeouts,
        env_id=env_id,
        name=name,
        recipe=recipe,
        costs=np.concatenate(costs) if costs else None,
    )


def make_recipe(task: Task, size: int, seed: int) -> dict[str, Any]:
    """Return all that decides the data: the arguments, the policies and the simulator.

    Raises:
        RamacError: as `build`.
    """
    if task.is_bandit:
        raise RamacError(f"{task} has no behaviour policies; its data are drawn from their exact distribution")
    if seed < 0:
        raise RamacError(f"seed is {seed}; expected a whole number from 0")
    steps = stages_behind(task)
    least = len(steps) * time_limit(task.env_id())
    if size < least:
        raise RamacError(
            f"size is {size}; {task} mixes {len(steps)} policies in equal shares of whole episodes: "
            f"expected at least {least}"
        )
    digest = hashlib.sha256()
    for step in steps:
        load_policy(task.env, step)  # refuses what is missing or damaged, before any work
        digest.update(policy_path(task.env, step).read_bytes())
    return {
        "source": "bundled",
        "task": task.name,
        "size": size,
        "seed": seed,
        "policies": list(steps),
        "policies_sha256": digest.hexdigest(),
        "actions": "float64",  # the policies' arithmetic
        "gymnasium": gymnasium.__version__,
        "mujoco": mujoco.__version__,
    }


def load(task: Task, size: int = SIZE, seed: int = 0, workers: int | None = None, progress: bool = True) -> Dataset:
    """Return `build`'s data from the cache (`ramac_lib.system.paths.cache_folder`), built first if not there.

    Raises:
        RamacError: as `build`, or the cache cannot be written.
    """
    recipe = make_recipe(task, size, seed)
    return cached(f"bundled-{task}-{size}-{seed}", recipe, lambda: build(task, size, seed, workers, progress))


def cached(name: str, recipe: Mapping[str, Any], make: Callable[[], Dataset]) -> Dataset:
    """Return data from the cache, made first if they are not there or were made by another recipe.

    Args:
        name: the beginning of their file's.
        recipe: all that decides them; what they were found to be when made may stand in theirs, too.
        make: what makes them.

    Raises:
        RamacError: the cache cannot be written.
    """
    digest = hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:8]
    path = cache_folder() / f"{name}-{digest}.hdf5"
    if path.exists():
        try:
            data = load_file(path)
            if {key: data.recipe.get(key) for key in recipe} == recipe:
                return data
        except RamacError:
            pass  # a damaged copy: what can be rebuilt is rebuilt
    data = make()
    save_file(data, path)
    return data.with_(name=str(path))
