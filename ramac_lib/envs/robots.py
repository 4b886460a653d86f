"""Gymnasium's environments, the robots and our own, without checkers and notices; their time limits."""

import warnings
from typing import Any

import gymnasium
import mujoco
import numpy as np

from ramac_lib.envs.tasks import check_env_id
from ramac_lib.system.errors import RamacError


def make_env(env_id: str, **options: Any) -> gymnasium.Env:
    """Return Gymnasium's environment without its passive checker and without a known MuJoCo notice.

    Actions are in [−1, 1]: where the environment's own range is another one, they are scaled to it.

    MuJoCo 4 says at each HalfCheetah that its model file uses an attribute that will go; all else that it has
    to say becomes a Python warning instead of a file ``MUJOCO_LOG.TXT`` in the working directory.

    Raises:
        RamacError: Gymnasium does not know the id, or it names a module that no task of one's own was registered with.
    """
    check_env_id(env_id)
    if env_id.startswith("RiskyBandit"):
        import ramac_lib.envs.bandit
    if env_id.startswith("Navigation"):
        import ramac_lib.envs.navigation  # noqa: F401
    mujoco.set_mju_user_warning(_pass_on)
    try:
        env = gymnasium.make(env_id, disable_env_checker=True, **options)
    except gymnasium.error.Error as error:
        raise RamacError(f"the environment {env_id!r} cannot be made: {' '.join(str(error).split())}") from error
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Box) and not ((space.low == -1) & (space.high == 1)).all():
        env = gymnasium.wrappers.RescaleAction(env, np.float32(-1), np.float32(1))
    return env


def _pass_on(message: object) -> None:
    if "settotalmass" not in str(message):
        warnings.warn(f"MuJoCo: {message}", RuntimeWarning, stacklevel=2)


def time_limit(env_id: str) -> int:
    """Return the number of steps after which Gymnasium truncates an episode of `env_id`."""
    return int(gymnasium.spec(env_id).max_episode_steps or 1000)
