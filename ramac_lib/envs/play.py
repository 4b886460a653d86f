"""Rollouts under the live hazard: many episodes in step with each other, one policy call a step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.envs.hazards import Hazard, HazardWrapper
from ramac_lib.envs.navigation import Together, map_of
from ramac_lib.envs.robots import make_env
from ramac_lib.networks.noise import derive_seed
from ramac_lib.system.errors import RamacError

DISCOUNT = 0.99

# What acts: a function, or a method's `Controller`, which is also told of rewards, costs and ends; by `ask` and `tell`.
Actor = Callable[[Float[Tensor, "S E s"]], Float[Tensor, "S E a"]]


def ask(actor: Actor, observations: Float[Tensor, "S E s"], action: tuple[int, ...]) -> Float[Tensor, "S E a"]:
    """Return an actor's next actions in float32, without a gradient; `action` is the shape of one.

    Raises:
        RamacError: neither a tensor nor an array, or one of another shape than (S, E, a).
    """
    with torch.no_grad():
        chosen: Any = actor(observations)
    wanted = (*observations.shape[:2], *action)
    is_array = isinstance(chosen, Tensor | np.ndarray)
    if not is_array or tuple(chosen.shape) != wanted:
        found = f"actions of shape {tuple(chosen.shape)}" if is_array else type(chosen).__name__
        raise RamacError(f"a controller returned {found}; expected {wanted}")
    return torch.as_tensor(chosen, dtype=torch.float32).detach()


def tell(actor: Actor, event: str, *news: Any) -> None:
    """Call an actor's method ``observe`` or ``keep`` with the news, where it has it."""
    if hasattr(actor, event):
        getattr(actor, event)(*news)


def live_env(env_id: str, hazard: Hazard | None, horizon: int) -> gymnasium.Env:
    """Return the environment, cut off after `horizon` steps, with the live hazard around it (None for none)."""
    env = make_env(env_id, max_episode_steps=horizon)
    return env if hazard is None else HazardWrapper(env, hazard)


class _Each:
    """Episodes side by side, each in an environment of its own."""

    def __init__(self, env_id: str, hazard: Hazard | None, horizon: int, seeds: Sequence[int]) -> None:
        self.envs = [live_env(env_id, hazard, horizon) for _ in seeds]
        first = [env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)]
        self.observations = np.stack(first).astype(np.float32)
        self.action: tuple[int, ...] = self.envs[0].action_space.shape or ()

    def step(self, chosen: Sequence[tuple[int, np.ndarray]]) -> list[Any]:
        """Return what `step` does in the environments of episodes, given by number with their actions."""
        return [self.envs[i].step(action) for i, action in chosen]

    def pose(self, index: int) -> Float[np.ndarray, " q"]:
        """Return MuJoCo's generalised positions in an episode's environment."""
        base: Any = self.envs[index].unwrapped
        return base.data.qpos.copy()

    def close(self) -> None:
        """Close the environments."""
        for env in self.envs:
            env.close()


@dataclass
class Rollout:
    """One episode: what is reported of it, and where asked for, every step's signal, penalty, pose, state and action.

    Attributes:
        violations: also the episode's cost, as a cost is 1 for a violation.
        completed: it reached the horizon; nothing ended it before.
        silent: it was played with the policy's sampler noise switched off.
    """

    seed: int
    episode: int
    ret: float = 0.0
    discounted: float = 0.0
    length: int = 0
    violations: int = 0
    completed: bool = False
    silent: bool = False
    monitored: list[float] = field(default_factory=list)
    violated: list[bool] = field(default_factory=list)
    struck: list[bool] = field(default_factory=list)
    poses: list[Float[np.ndarray, " q"]] = field(default_factory=list)
    states: list[Float[np.ndarray, " s"]] = field(default_factory=list)
    actions: list[Float[np.ndarray, " a"]] = field(default_factory=list)


def rollouts(
    act: Actor,
    env_id: str,
    hazard: Hazard | None,
    horizon: int,
    seeds: Sequence[int],
    episodes: int,
    keys: Sequence[int] = (),
    record: bool = False,
    poses: int = 0,
    steps: bool = False,
    drop: bool = False,
    move: Callable[[Float[Tensor, "S E s"], Float[Tensor, "S E a"]], Float[Tensor, "S E a"]] | None = None,
) -> list[Rollout]:
    """Play `episodes` episodes for each of S seeds, all of them side by side, one policy call a step.

    Each environment plays exactly one episode and is left alone after it, so no autoreset comes into it: no episode is
    dropped for being long, none counted for being short. A row of a finished episode keeps its last observation, or
    leaves (`drop`).

    Args:
        act: maps observations (S, E, s) to actions (S, E, a) in [−1, 1]; where it has a method ``observe``, that is
            told each step's rewards and costs (S, E), a cost being 1 for a violation.
        keys: tell these episodes from others of the same seeds (an evaluation's step, say).
        record: keep every step's monitored signal, and whether it was a violation and struck by a penalty.
        poses: of the first so many episodes of each seed, keep MuJoCo's generalised positions after every step, or
            the point's in navigation.
        steps: keep every step's state and the action played there.
        drop: go on without the rows of ended episodes, of which who acts is told by ``keep``; for one seed, as seeds
            end apart. Later actions then draw other noise than where the rows stay.
        move: maps observations and the chosen actions to those played; who acts is told of what these earned.

    Raises:
        RamacError: actions of another shape than (S, E, a), or rows to be dropped with more seeds than one.
    """
    if drop and len(seeds) != 1:
        raise RamacError(f"rows of ended episodes cannot be dropped for {len(seeds)} seeds; expected one")
    runs = [Rollout(seed, episode) for seed in seeds for episode in range(episodes)]
    drawn, world = [derive_seed("environment", run.seed, *keys, run.episode) for run in runs], map_of(env_id)
    played = _Each(env_id, hazard, horizon, drawn) if world is None else Together(world, hazard, horizon, drawn)
    try:
        observations = played.observations
        rows = list(range(len(runs)))  # of which actions are asked
        active = set(rows)
        while active:
            stacked = torch.as_tensor(observations[rows]).unflatten(0, (len(seeds), -1))
            chosen = ask(act, stacked, played.action)
            actions = (move(stacked, chosen) if move else chosen).flatten(0, 1).cpu().numpy()
            told = np.zeros((2, len(runs)), np.float32)
            still = [(i, action) for i, action in zip(rows, actions, strict=True) if i in active]
            for (i, action), stepped in zip(still, played.step(still), strict=True):
                observation, reward, terminated, truncated, info = stepped
                run = runs[i]
                if steps:
                    run.states.append(observations[i].copy())
                    run.actions.append(action.copy())
                run.completed = bool(truncated and not terminated)
                run.ret += float(reward)
                run.discounted += DISCOUNT**run.length * float(reward)
                run.length += 1
                run.violations += bool(info.get("violation", False))
                told[:, i] = reward, info.get("violation", False)
                if record and "monitored" in info:
                    run.monitored.append(float(info["monitored"]))
                    run.violated.append(bool(info["violation"]))
                    run.struck.append(info["penalty"] < 0)
                if run.episode < poses:
                    run.poses.append(played.pose(i))
                observations[i] = observation
                if terminated or truncated:
                    active.remove(i)
            tell(act, "observe", *told[:, rows].reshape(2, len(seeds), -1))
            if drop and 0 < len(active) < len(rows):
                tell(act, "keep", np.flatnonzero([i in active for i in rows]))
                rows = sorted(active)
    finally:
        played.close()
    return runs


def frame(runs: Sequence[Rollout]) -> pd.DataFrame:
    """Return one row an episode: seed, episode, return, discounted_return, length, violations, completed (0 or 1)."""
    fields = {"return": "ret", "discounted_return": "discounted"}  # the other columns have their fields' names
    columns = ("seed", "episode", "return", "discounted_return", "length", "violations", "completed")
    table = pd.DataFrame({name: [getattr(run, fields.get(name, name)) for run in runs] for name in columns})
    return table.astype({"completed": int})
