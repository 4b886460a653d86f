"""Gymnasium's environments, the robots and our own, without checkers and notices; their time limits."""

import contextlib
import warnings
from typing import Any

import gymnasium
import mujoco
import numpy as np

from ramac_lib.envs.tasks import BULLET, ENVS, TASKS, check_env_id
from ramac_lib.system.errors import RamacError

BULLET_IDS = tuple(TASKS[name].env_id() for name in BULLET)


def make_env(env_id: str, **options: Any) -> gymnasium.Env:
    """Return Gymnasium's environment without its passive checker and without a known MuJoCo notice.

    Actions are in [−1, 1]: where the environment's own range is another one, they are scaled to it.

    MuJoCo 4 says at each HalfCheetah that its model file uses an attribute that will go; all else that it has
    to say becomes a Python warning instead of a file ``MUJOCO_LOG.TXT`` in the working directory.

    Raises:
        RamacError: Gymnasium does not know the id, or it names a module that no task of one's own was registered with,
            or what it needs is missing.
    """
    _register(env_id)
    mujoco.set_mju_user_warning(_pass_on)
    try:
        with np.errstate(over="ignore"):  # Gymnasium compares Bullet-Safety-Gym's bounds with float32's
            env = gymnasium.make(env_id, disable_env_checker=True, **options)
    except (gymnasium.error.Error, ImportError, TypeError) as error:  # some need what is not installed, or arguments
        raise RamacError(f"the environment {env_id!r} cannot be made: {' '.join(str(error).split())}") from error
    if env_id in BULLET_IDS:
        from ramac_lib.envs.bullet import Reported

        env = Reported(env)
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Box) and not ((space.low == -1) & (space.high == 1)).all():
        env = gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
    return env


def _register(env_id: str) -> None:
    """Import what registers an id with Gymnasium, only when it is asked for.

    Raises:
        RamacError: as `make_env`.
    """
    check_env_id(env_id)
    if env_id.startswith("RiskyBandit"):
        import ramac_lib.envs.bandit
    if env_id.startswith("Navigation"):
        import ramac_lib.envs.navigation
    if env_id.removesuffix("Velocity-v5") in ENVS.values():
        import ramac_lib.envs.velocity  # noqa: F401
    if env_id in BULLET_IDS:
        from ramac_lib.envs import bullet

        bullet.require(env_id)


def _pass_on(message: object) -> None:
    if "settotalmass" not in str(message):
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)


def time_limit(env_id: str) -> int:
    """Return the number of steps after which Gymnasium truncates an episode of `env_id`."""
    _register(env_id)
    return int(gymnasium.spec(env_id).max_episode_steps or 1000)


def check_columns(env_id: str, name: str, observations: tuple[int, ...], actions: tuple[int, ...]) -> None:
    """Check that an environment has observations and actions of these shapes.

    Args:
        name: of the data that have them.

    Raises:
        RamacError: it has others, or cannot be made.
    """
    with contextlib.closing(make_env(env_id)) as env:
        live = env.observation_space.shape, env.action_space.shape
    if live != (observations, actions):
        raise RamacError(
            f"{name}: observations and actions of shapes {observations} and {actions}; expected those of {env_id}, "
            f"{live[0]} and {live[1]}"
        )
