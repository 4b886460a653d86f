"""Data of Bullet-Safety-Gym: the shipped linear policies, each found for its own cost limit, rolled out and thinned.

They are not DSRL's data, and scores on them are not DSRL's scores.
"""

import hashlib
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from zlib import crc32

import numpy as np
from tqdm.auto import tqdm

from ramac_lib.datasets.bundled import cached, join
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.episodes import thin
from ramac_lib.envs.bullet import require
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.linear import load_policies, play, policies_path
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import Task
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import worker_map

SIZE = 100_000
PER_CELL = 10  # episodes that a cell of DSRL's grid keeps


@dataclass(frozen=True)
class _Part:
    """The first episodes of one policy of a task."""

    task: Task
    policy: int
    episodes: int
    key: tuple[int, ...]


def _roll_out(part: _Part) -> list[Episode]:
    """Return a part's episodes, in an environment of their own: cars carry traces of others through a reset."""
    weights = load_policies(part.task.name).weights[part.policy]
    env = make_env(part.task.env_id())
    try:
        seeds = [np.random.SeedSequence([*part.key, part.policy, k]) for k in range(part.episodes)]
        return [play(env, weights, seed) for seed in seeds]
    finally:
        env.close()


def build(task: Task, size: int = SIZE, seed: int = 0, workers: int | None = None, progress: bool = True) -> Dataset:
    """Roll out a task's policies, equally many episodes each, and thin them on DSRL's grid; costs come with them.

    Args:
        task: of Bullet-Safety-Gym.
        size: transitions to play; what thinning leaves is fewer, and the recipe counts each policy's ``episodes``.
        seed: of the episodes and of the thinning. Equal seeds give equal bits on one machine, however many workers.
        workers: processes; all cores if None.
        progress: show a bar.

    Raises:
        RamacError: the package or the task's policies are missing, a size below one episode of each policy, seed < 0.
    """
    recipe = make_recipe(task, size, seed)
    count = len(recipe["policies"])
    each = size // (count * task.horizon)
    key = crc32(f"bullet {task}".encode()), seed
    parts = [_Part(task, policy, each, key) for policy in range(count)]
    played: list[tuple[int, Episode]] = []
    with (
        worker_map(workers) as run,
        tqdm(total=count * each, unit="episode", desc=task.name, disable=not progress) as bar,
    ):
        for part, episodes in zip(parts, run(_roll_out, parts), strict=True):
            played += [(part.policy, episode) for episode in episodes]
            bar.update(len(episodes))
    costs, returns = ([float(getattr(e, name).sum()) for _, e in played] for name in ("costs", "rewards"))
    kept = [played[i] for i in thin(np.array(costs), np.array(returns), PER_CELL, np.random.default_rng([*key, 1]))]
    recipe["episodes"] = [sum(policy == number for policy, _ in kept) for number in range(count)]
    return join([episode for _, episode in kept], task.env_id(), f"bundled {task}", recipe)


def make_recipe(task: Task, size: int, seed: int) -> dict[str, Any]:
    """Return all that decides the data: the arguments, the policies and the simulator.

    Raises:
        RamacError: as `build`.
    """
    policies = load_policies(task.name)
    require(task.env_id())
    least = len(policies) * task.horizon
    if size < least:
        raise RamacError(
            f"size is {size}; {task} has {len(policies)} policies: expected at least {least}, an episode each"
        )
    if seed < 0:
        raise RamacError(f"seed is {seed}; expected a whole number from 0")
    limits = [None if np.isnan(kappa) else round(float(kappa), 3) for kappa in policies.kappas]
    return {
        "source": "bundled",
        "task": task.name,
        "size": size,
        "seed": seed,
        "per_cell": PER_CELL,
        "policies": [{"kappa": k, "search_seed": int(s)} for k, s in zip(limits, policies.seeds, strict=True)],
        "policies_sha256": hashlib.sha256(policies_path(task.name).read_bytes()).hexdigest(),
        **{package: metadata.version(package) for package in ("bullet-safety-gym", "pybullet")},
    }


def load(task: Task, size: int = SIZE, seed: int = 0, workers: int | None = None, progress: bool = True) -> Dataset:
    """Return `build`'s data from the cache, built first if not there.

    Raises:
        RamacError: as `build`, or the cache cannot be written.
    """
    recipe = make_recipe(task, size, seed)
    return cached(f"bullet-{task}-{size}-{seed}", recipe, lambda: build(task, size, seed, workers, progress))
