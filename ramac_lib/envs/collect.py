"""Whole episodes of a behaviour policy: many at a time, on every core, the same bits however many there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import gymnasium
import numpy as np
from jaxtyping import Float32
from threadpoolctl import threadpool_limits

from ramac_lib.envs.behaviour import BehaviourPolicy, load_policy
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import ENVS, HORIZONS
from ramac_lib.system.processes import worker_map

BATCH = 8  # environments that share one product with the policy's weights
GROUP = 16  # episodes rolled out as one; who shares a product takes part in fixing an episode's last bits


@dataclass(frozen=True)
class Episode:
    """One episode of T steps.

    Args:
        observations: shape (T + 1, s), the last one included.
        actions: shape (T, a).
        rewards: shape (T,).
        terminated: whether the environment ended it; otherwise the clock did.
        costs: shape (T,), where the environment reports them.
    """

    observations: Float32[np.ndarray, "T1 s"]
    actions: Float32[np.ndarray, "T a"]
    rewards: Float32[np.ndarray, " T"]
    terminated: bool
    costs: Float32[np.ndarray, " T"] | None = None

    def __len__(self) -> int:
        return len(self.rewards)


@cache
def _environments(env_id: str) -> list[gymnasium.Env]:
    # Without wrappers: `collect` keeps the clock itself, which saves some microseconds a step.
    return [make_env(env_id).unwrapped for _ in range(BATCH)]


class _Slot:
    """One environment with the episode that it is in."""

    def __init__(self, env: Any, policy: BehaviourPolicy, horizon: int) -> None:
        self.env, self.horizon = env, horizon
        self.sizes = policy.sizes

    def start(self, index: int, seed: np.random.SeedSequence) -> None:
        s, a = self.sizes
        for_env, for_noise = seed.spawn(2)
        self.index, self.t = index, 0
        self.noise = np.random.default_rng(for_noise).standard_normal((self.horizon, a), dtype=np.float32)
        self.observations = np.empty((self.horizon + 1, s), np.float32)
        self.actions = np.empty((self.horizon, a), np.float32)
        self.rewards = np.empty(self.horizon, np.float32)
        self.costs = np.full(self.horizon, np.nan, np.float32)
        self.observations[0] = self.env.reset(seed=int(for_env.generate_state(1)[0]))[0]

    def step(self, action: np.ndarray) -> Episode | None:
        """Step on; return the episode when it is over."""
        observation, reward, terminated, _, info = self.env.step(action)
        self.actions[self.t], self.rewards[self.t], self.costs[self.t] = action, reward, info.get("cost", np.nan)
        self.t += 1
        self.observations[self.t] = observation
        if not (terminated or self.t == self.horizon):
            return None
        t = self.t
        return Episode(
            self.observations[: t + 1].copy(),
            self.actions[:t].copy(),
            self.rewards[:t].copy(),
            bool(terminated),
            None if np.isnan(self.costs[0]) else self.costs[:t].copy(),
        )


def collect(
    policy: BehaviourPolicy, env_id: str, seeds: Sequence[np.random.SeedSequence], horizon: int
) -> list[Episode]:
    """Return one episode for each seed, of `horizon` steps at most, in the order of the seeds.

    The seed alone fixes an episode's start and its noise. Episodes are worked through `BATCH` at a time; a
    finished one makes room for the next, so that short and long ones are equally likely to be in the result.
    """
    waiting = list(enumerate(seeds))[::-1]
    result: dict[int, Episode] = {}
    slots = []
    for env in _environments(env_id)[: len(seeds)]:
        slots.append(_Slot(env, policy, horizon))
        slots[-1].start(*waiting.pop())
    with threadpool_limits(1):  # a product split among threads is slower here, and may differ in its last bit
        while slots:
            actions = policy(
                np.stack([slot.observations[slot.t] for slot in slots]),
                np.stack([slot.noise[slot.t] for slot in slots]),
            )
            still = []
            for slot, action in zip(slots, actions, strict=True):
                episode = slot.step(action)
                if episode is not None:
                    result[slot.index] = episode
                    if not waiting:
                        continue
                    slot.start(*waiting.pop())
                still.append(slot)
            slots = still
    return [result[index] for index in range(len(seeds))]


@dataclass(frozen=True)
class EpisodeGroup:
    """The number-th `GROUP` episodes of a shipped policy; episode k of the policy has the seed (*key, k).

    Args:
        env: short name of the robot.
        step: the policy's stage of training.
        key: what the seeds of this use of the policy have in common.
        number: of the group.
        horizon: steps after which an episode is cut.
        env_id: of the environment that it is rolled out in; Gymnasium's ``-v5`` of the robot if empty.
    """

    env: str
    step: int
    key: tuple[int, ...]
    number: int
    horizon: int
    env_id: str = ""


def roll_out(group: EpisodeGroup) -> list[Episode]:
    """Return a group's episodes; a function of the group alone, so that any process may run it."""
    indices = range(group.number * GROUP, (group.number + 1) * GROUP)
    seeds = [np.random.SeedSequence([*group.key, index]) for index in indices]
    env_id = group.env_id or f"{ENVS[group.env]}-v5"
    return collect(load_policy(group.env, group.step), env_id, seeds, group.horizon)


def roll_out_policies(
    env: str,
    steps: tuple[int, ...],
    episodes: int,
    seed: int = 0,
    *,
    horizon: int | None = None,
    purpose: str = "measurement",
    workers: int | None = None,
) -> dict[int, list[Episode]]:
    """Return `episodes` episodes of each stage in `steps`, without any hazard, over the environment's horizon.

    `purpose` keeps seeds apart: the episodes that the rule was set on are never those that are reported.
    """
    key = (crc32(purpose.encode()), seed)
    numbers = range(-(-episodes // GROUP))
    groups = [EpisodeGroup(env, step, (*key, step), n, horizon or HORIZONS[env]) for step in steps for n in numbers]
    found: dict[int, list[Episode]] = {step: [] for step in steps}
    with worker_map(workers) as run:
        for group, played in zip(groups, run(roll_out, groups), strict=True):
            found[group.step] += played
    return {step: played[:episodes] for step, played in found.items()}
