"""Returns of a policy from given states and first actions: the simulator is set to a state and rolled out, many times.

The discounted return of a policy that goes on for ever, as a critic that bootstraps through time-outs means it: only
the environment and the hazard end an episode, and rollouts are cut where what would follow is negligible.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil, log
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int

from ramac_lib.envs.hazards import Hazard
from ramac_lib.envs.play import Actor, ask, live_env, tell
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import ENVS
from ramac_lib.networks.noise import derive_seed
from ramac_lib.system.errors import RamacError

TOLERANCE = 0.005  # rollouts are cut where γ^T is no larger
TOGETHER = 512  # rollouts side by side, which share a call of the policy
CLIP = 10.0  # what the observations of Hopper and Walker2d clip velocities to
CLIPPED = ("Hopper", "Walker2d")


def rollout_length(discount: float, tolerance: float = TOLERANCE) -> int:
    """Return the least T with γ^T ≤ tolerance: 528 at γ = .99; 1 at γ = 0."""
    return max(1, ceil(log(tolerance) / log(discount))) if discount > 0 else 1


def _split(env: Any, observation: Float[np.ndarray, " s"]) -> tuple[np.ndarray, np.ndarray]:
    """Return positions and velocities from an observation: all positions but the way forward, then all velocities."""
    positions = env.model.nq - 1
    return np.concatenate([[0.0], observation[:positions]]), np.asarray(observation[positions:], np.float64)


def restore(env: Any, observation: Float[np.ndarray, " s"], seed: int = 0) -> None:
    """Set an unwrapped environment to the state that it would observe as `observation`.

    The three robots observe all of their state but the way forward, on which nothing depends, and what of a velocity
    lies beyond ± 10 (Hopper, Walker2d). The Risky Bandit has no state; navigation's is what it observes.

    Args:
        seed: of what the environment itself draws, which of these is the bandit's trap alone.

    Raises:
        RamacError: another environment, or an observation that it cannot have.
    """
    env.reset(seed=seed)  # also clears what the solver kept from an earlier episode
    name = env.spec.id
    if name.startswith("RiskyBandit"):
        return
    if name.startswith("Navigation"):
        return env.put(np.asarray(observation[:2], np.float32))
    if not name.startswith(tuple(ENVS.values())):
        raise RamacError(f"{name}: its state cannot be set from an observation; expected {', '.join(ENVS.values())}")
    if len(observation) != env.model.nq - 1 + env.model.nv:
        raise RamacError(
            f"{name}: an observation has {len(observation)} entries; expected {env.model.nq - 1 + env.model.nv}"
        )
    env.set_state(*_split(env, np.asarray(observation, np.float64)))
    if not np.allclose(env._get_obs(), observation, atol=1e-5):
        raise RamacError(f"{name}: set to the state of an observation, it observes another one; expected the same")


def fixed_by_observation(env_id: str, observations: Float[np.ndarray, "N s"]) -> Bool[np.ndarray, " N"]:
    """Return which observations fix the state: those without a velocity at the observation's clip."""
    if not env_id.startswith(CLIPPED):
        return np.ones(len(observations), bool)
    return (np.abs(observations[:, _positions(env_id) :]) < CLIP).all(axis=1)


@cache
def _positions(env_id: str) -> int:
    base: Any = make_env(env_id).unwrapped
    return int(base.model.nq) - 1


@cache
def _pool(env_id: str) -> list[Any]:
    return []


def _environments(env_id: str, count: int) -> list[Any]:
    pool = _pool(env_id)
    while len(pool) < count:
        pool.append(live_env(env_id, None, 1).unwrapped)
    return pool[:count]


@dataclass(frozen=True)
class Returns:
    """Discounted returns of M rollouts from each of K states.

    Args:
        values: shape (K, M).
        alive: the share of rollouts that were cut, not ended.
    """

    values: Float[np.ndarray, "K M"]
    alive: float


def discounted_returns(
    begin: Callable[[Int[np.ndarray, " B"]], Actor],
    env_id: str,
    hazard: Hazard | None,
    states: Float32[np.ndarray, "K s"],
    actions: Float32[np.ndarray, "K a"],
    rollouts: int,
    discount: float,
    horizon: int,
    keys: Sequence[int],
    done: Callable[[int], object] = lambda count: None,
) -> Returns:
    """Return Σ_t γ^t r_t over `horizon` steps at most, from each state with its first action, then with the policy's.

    Rollouts are worked through `TOGETHER` side by side; the policy is called once a step for those that go on.
    Errors as `restore` and `play.ask`.

    Args:
        begin: given of which state each of B new rollouts is, returns what acts in them: observations (1, B, s) to
            actions (1, B, a) in [−1, 1]. It is told of every step, the first too, and which rollouts go on.
        hazard: the live one; its penalties count, and it may end a rollout.
        keys: of the seeds of the hazard's and the environments' draws.
        done: told of how many rollouts have come to their end.
    """
    which = np.repeat(np.arange(len(states)), rollouts)
    values = np.zeros(len(which))
    cut = 0
    for first in range(0, len(which), TOGETHER):
        part = np.arange(first, min(first + TOGETHER, len(which)))
        rng = np.random.default_rng(derive_seed("environment", *keys, first))
        envs = _environments(env_id, len(part))
        for env, k in zip(envs, part, strict=True):
            restore(env, states[which[k]], derive_seed("environment", *keys, first, int(k)) % 2**31)
        of = which[part]
        actor, active, before, chosen = begin(of), np.arange(len(part)), states[of], actions[of]
        for t in range(horizon):
            stepped = [envs[i].step(action) for i, action in zip(active, chosen, strict=True)]
            observations = np.stack([step[0] for step in stepped]).astype(np.float32)
            rewards = np.array([step[1] for step in stepped], np.float64)
            ends = np.array([step[2] for step in stepped], bool)
            costs = np.array([step[4].get("violation", False) for step in stepped])
            if hazard is not None:
                outcome = hazard.decide(before, chosen, observations, rng.random(len(active)))
                rewards, ends = rewards + outcome.penalty, ends | outcome.ends
                # As in the live wrapper: a hazard that is off must not hide what an environment reports itself.
                reported = not hazard.strikes and "violation" in stepped[0][4]
                costs = costs if reported else outcome.violation
            values[part[active]] += discount**t * rewards
            tell(actor, "observe", rewards.astype(np.float32)[None], costs.astype(np.float32)[None])
            if ends.any():
                tell(actor, "keep", np.flatnonzero(~ends))
            active = active[~ends]
            done(int(ends.sum()))
            if len(active) == 0 or t == horizon - 1:
                break
            before = observations[~ends]
            chosen = ask(actor, torch.as_tensor(before)[None], actions.shape[1:])[0].cpu().numpy()
        cut += len(active)
        done(len(active))
    return Returns(values.reshape(len(states), rollouts), cut / len(which))
