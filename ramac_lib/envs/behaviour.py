"""The shipped behaviour policies: tanh-Gaussian actors of soft actor-critic runs, evaluated in plain NumPy.

``data/behaviour/{env}/step_{N}.npz`` holds the policy after N environment steps of training (float16, to keep
the repository small), ``data/behaviour/stages.json`` says which of them are *expert*, *medium* and *replay*.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from ramac_lib.envs.tasks import ENVS, VELOCITY, Task, get_task
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.files import atomic
from ramac_lib.system.paths import data_folder

WEIGHTS = ("w0", "b0", "w1", "b1", "w_mean", "b_mean", "w_log_std", "b_log_std")
LOG_STD_RANGE = (-20.0, 2.0)  # the range that the actors were trained with


@dataclass(frozen=True, eq=False)
class BehaviourPolicy:
    """A policy a = tanh(mean(s) + std(s) · ε), ε ~ N(0, I) (Haarnoja et al. 2018, appendix C).

    Args:
        env: short name of its environment, e.g. ``hopper``.
        step: environment steps of training behind it.
        weights: float64 arrays by name (`WEIGHTS`); layers act as x @ w + b, hidden ones with ReLU. In float64, as
            processors differ in a product's last bits, which rounding an action to float32 then takes away.
    """

    env: str
    step: int
    weights: Mapping[str, np.ndarray]

    @property
    def sizes(self) -> tuple[int, int]:
        """Return (s, a), the sizes of an observation and of an action."""
        return len(self.weights["w0"]), len(self.weights["b_mean"])

    def __call__(
        self, observations: Float32[np.ndarray, "B s"], noise: Float32[np.ndarray, "B a"]
    ) -> Float32[np.ndarray, "B a"]:
        """Return actions in [-1, 1] for standard normal `noise`; zeros for it give the mode of the Gaussian."""
        w = self.weights
        hidden = np.maximum(observations @ w["w0"] + w["b0"], 0)
        hidden = np.maximum(hidden @ w["w1"] + w["b1"], 0)
        mean = hidden @ w["w_mean"] + w["b_mean"]
        log_std = np.clip(hidden @ w["w_log_std"] + w["b_log_std"], *LOG_STD_RANGE)
        return np.tanh(mean + np.exp(log_std) * noise).astype(np.float32)


@dataclass(frozen=True)
class Stages:
    """Which training stages of an environment play which part, by their numbers of steps.

    Args:
        expert: the policy of the highest mean return.
        medium: one that earns a third to a half of the expert's return.
        replay: stages from the untrained policy to the medium one, in the order of training.
    """

    expert: int
    medium: int
    replay: tuple[int, ...]

    @property
    def shipped(self) -> tuple[int, ...]:
        """Return every stage once, in the order of training."""
        return tuple(sorted({*self.replay, self.medium, self.expert}))


def stages(env: str) -> Stages:
    """Return the stages of environment `env`, as ``data/behaviour/stages.json`` lists them.

    Raises:
        RamacError: the environment is unknown, or the file is missing or damaged.
    """
    if env not in ENVS:
        raise unknown("environment", env, ENVS)
    path = data_folder() / "behaviour" / "stages.json"
    try:
        entry = json.loads(path.read_text())[env]
        return Stages(int(entry["expert"]), int(entry["medium"]), tuple(map(int, entry["replay"])))
    except OSError as error:
        raise RamacError(
            f"{path}: cannot be read ({error.strerror}); set RAMAC_DATA to the repository's folder data"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise RamacError(f"{path}: expected {env!r} with the keys expert, medium and replay ({error!r})") from error


def stages_behind(task: str | Task) -> tuple[int, ...]:
    """Return the stages that a task's bundled data are made of."""
    chosen = get_task(task)
    parts = stages(chosen.env)
    if chosen.quality == VELOCITY:
        return parts.shipped
    return (parts.medium, parts.expert) if chosen.quality == "medium-expert" else parts.replay


def policy_path(env: str, step: int) -> Path:
    """Return the file of the policy of `env` after `step` steps."""
    return data_folder() / "behaviour" / env / f"step_{step:07d}.npz"


def load_policy(env: str, step: int) -> BehaviourPolicy:
    """Return the policy of environment `env` after `step` steps of training.

    Raises:
        RamacError: the file is missing, damaged, or its arrays are not a policy's.
    """
    path = policy_path(env, step)
    try:
        with np.load(path, allow_pickle=False) as file:
            weights = {name: file[name].astype(np.float64) for name in WEIGHTS}
    except OSError as error:
        raise RamacError(f"{path}: cannot be read ({error}); expected a behaviour policy (npz)") from error
    except Exception as error:  # NumPy and zipfile raise many kinds for a damaged archive
        raise RamacError(f"{path}: is not a behaviour policy (npz with {', '.join(WEIGHTS)}): {error}") from error
    s, h, a = len(weights["w0"]), len(weights["b1"]), len(weights["b_mean"])
    shapes = ((s, h), (h,), (h, h), (h,), (h, a), (a,), (h, a), (a,))
    for (name, array), shape in zip(weights.items(), shapes, strict=True):
        if array.shape != shape:
            raise RamacError(f"{path}: {name} has shape {array.shape}; expected {shape}")
        if not np.isfinite(array).all():
            raise RamacError(f"{path}: {name} holds NaN or infinite values")
    return BehaviourPolicy(env, step, weights)


def save_policy(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write a policy's weights in the layout that `load_policy` reads (float16, compressed), atomically.

    Raises:
        RamacError: an array is missing.
    """
    missing = [name for name in WEIGHTS if name not in weights]
    if missing:
        raise RamacError(f"{path}: a behaviour policy needs the arrays {', '.join(missing)}")
    arrays: dict[str, Any] = {name: np.asarray(weights[name], np.float16) for name in WEIGHTS}
    with atomic(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)
