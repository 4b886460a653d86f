"""Linear behaviour policies for Bullet-Safety-Gym, each found by random search for a cost limit of its own.

``tools/search_bullet.py`` found them for this project; ``data/bullet/README.md`` says with which commands.
"""

from dataclasses import dataclass
from pathlib import Path

import gymnasium
import numpy as np
from jaxtyping import Float32, Int

from ramac_lib.envs.collect import Episode
from ramac_lib.envs.tasks import BULLET
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.paths import data_folder

NOISE = 0.2  # standard deviation of what is added before the tanh
ARRAYS = ("weights", "kappas", "seeds")


@dataclass(frozen=True, eq=False)
class LinearPolicies:
    """P policies a = tanh(W [s, 1] + σ ε), ε ~ N(0, I), each found for a cost limit of its own.

    Args:
        task: its name.
        weights: shape (P, a, s + 1).
        kappas: the cost an episode that each was searched for.
        seeds: of the searches that found them.
    """

    task: str
    weights: Float32[np.ndarray, "P a s1"]
    kappas: Float32[np.ndarray, " P"]
    seeds: Int[np.ndarray, " P"]

    def __len__(self) -> int:
        return len(self.weights)


def act(
    weights: Float32[np.ndarray, "a s1"], observation: Float32[np.ndarray, " s"], noise: Float32[np.ndarray, " a"]
) -> Float32[np.ndarray, " a"]:
    """Return tanh(W [s, 1] + σ ε) for standard normal noise ε."""
    return np.tanh(weights[:, :-1] @ observation + weights[:, -1] + np.float32(NOISE) * noise)


def policies_path(task: str) -> Path:
    """Return the file of a task's policies."""
    return data_folder() / "bullet" / f"{task}.npz"


def load_policies(task: str) -> LinearPolicies:
    """Return a task's linear policies, of ``data/bullet/TASK.npz``.

    Raises:
        RamacError: not a task of Bullet-Safety-Gym, or the file is missing or damaged.
    """
    if task not in BULLET:
        raise unknown("task of Bullet-Safety-Gym", task, BULLET)
    path = policies_path(task)
    try:
        with np.load(path, allow_pickle=False) as file:
            weights, kappas, seeds = (np.asarray(file[name]) for name in ARRAYS)
    except FileNotFoundError:
        raise RamacError(
            f"{task} has no shipped policies ({path} is not there); tools/search_bullet.py finds some"
        ) from None
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged archive
        raise RamacError(f"{path}: is not a set of linear policies (npz with {', '.join(ARRAYS)}): {error}") from error
    if weights.ndim != 3 or kappas.shape != weights.shape[:1] or seeds.shape != kappas.shape:
        shapes = f"{weights.shape}, {kappas.shape}, {seeds.shape}"
        raise RamacError(f"{path}: its arrays have shapes {shapes}; expected (P, a, s + 1), (P,), (P,)")
    if not np.isfinite(weights).all():
        raise RamacError(f"{path}: weights holds NaN or infinite values")
    return LinearPolicies(task, weights.astype(np.float32), kappas.astype(np.float32), seeds)


def play(env: gymnasium.Env, weights: Float32[np.ndarray, "a s1"], seed: np.random.SeedSequence) -> Episode:
    """Return one episode of a linear policy; the seed fixes its start and its noise."""
    for_env, for_noise = seed.spawn(2)
    noise = np.random.default_rng(for_noise)
    observation = env.reset(seed=int(for_env.generate_state(1)[0]))[0].astype(np.float32)
    observations, actions, rewards, costs = [observation], [], [], []
    done = terminated = False
    while not done:
        action = act(weights, observation, noise.standard_normal(len(weights), dtype=np.float32))
        following, reward, terminated, truncated, info = env.step(action)
        observation, done = following.astype(np.float32), terminated or truncated
        observations.append(observation)
        actions.append(action)
        rewards.append(reward)
        costs.append(info["cost"])
    sums = np.array([rewards, costs], np.float32)
    return Episode(np.array(observations), np.array(actions, np.float32), sums[0], bool(terminated), sums[1])
