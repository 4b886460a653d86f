"""Data of risky navigation: whole episodes of its behaviour policy, side by side, without any danger's penalty."""

import numpy as np

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import navigation
from ramac_lib.envs.navigation_behaviour import Behaviour, get_behaviour
from ramac_lib.envs.tasks import CROSSING, Task, get_task
from ramac_lib.system.errors import RamacError

SIZE = 100_000


def dataset(task: str | Task, size: int = SIZE, seed: int = 0, behaviour: Behaviour | None = None) -> Dataset:
    """Return whole episodes of at most `size` transitions; penalties and costs are for `ramac_lib.datasets.relabel`.

    Args:
        task: of navigation.
        behaviour: another policy than the task's own, on any map.

    Raises:
        RamacError: a size below an episode's 50 steps, seed < 0.
    """
    chosen = get_task(task)
    if size < CROSSING:
        raise RamacError(f"size is {size}; expected at least {CROSSING} transitions, the longest episode")
    if seed < 0:
        raise RamacError(f"seed is {seed}; expected a whole number of at least 0")
    behaviour = behaviour or get_behaviour(chosen)
    rng, world = np.random.default_rng(np.random.SeedSequence([20, seed])), behaviour.world
    columns: list[list[np.ndarray]] = [[], [], [], [], [], []]
    missing = size
    while missing > 0:
        arrays, lengths = _play(behaviour, max(1, missing // 15), rng)
        kept = int(lengths[np.cumsum(lengths) <= missing].sum())  # whole episodes, in their order
        for column, array in zip(columns, arrays, strict=True):
            column.append(array[:kept])
        missing = missing - kept if kept == lengths.sum() else 0
    observations, actions, rewards, following, terminals, timeouts = (np.concatenate(c) for c in columns)
    recipe = {"source": "bundled", "task": chosen.name, "size": size, "seed": seed, "noise": behaviour.noise}
    return Dataset(
        navigation.observe(world, observations), actions, rewards, navigation.observe(world, following), terminals,
        timeouts, chosen.env_id(), f"bundled {chosen}", {**recipe, "shares": dict(behaviour.shares)},
    )  # fmt: skip


def _play(behaviour: Behaviour, episodes: int, rng: np.random.Generator) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """Return the columns of so many episodes, one after another, and the episodes' lengths."""
    world = behaviour.world
    positions = np.stack([navigation.start(world, rng) for _ in range(episodes)])
    active, lengths = np.arange(episodes), np.zeros(episodes, int)
    parts: list[tuple[np.ndarray, ...]] = []
    for t in range(CROSSING):
        actions = behaviour.sample(positions, rng)
        draws = rng.random(positions.shape) if world.noise else None
        moved, rewards, ended = navigation.step(world, positions, actions.astype(np.float64), draws)
        cut = ~ended & (t == CROSSING - 1)
        parts.append((active, positions, actions, rewards.astype(np.float32), moved, ended, cut))
        lengths[active] += 1
        active, positions = active[~ended], moved[~ended]
        if len(active) == 0:
            break
    episode, *columns = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(episode, kind="stable")  # steps of an episode stand in their order
    return tuple(column[order] for column in columns), lengths
