"""Bullet-Safety-Gym (Gronauer 2022), of whose tasks DSRL has data: found when asked for, seeded, costs reported.

The package is no extra of this one: it asks for an old Gymnasium, so it is installed without its dependencies,
``make bullet``. Behaviour policies for it are in `ramac_lib.envs.linear`.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import gymnasium
import numpy as np

from ramac_lib.system.errors import RamacError


def require(env_id: str) -> None:
    """Register Bullet-Safety-Gym's environments with Gymnasium.

    Raises:
        RamacError: the package is not installed.
    """
    try:
        # It wants the process's own streams while it is imported; a notebook has others in their place.
        with redirect_stdout(sys.__stdout__), redirect_stderr(sys.__stderr__):
            import bullet_safety_gym  # noqa: F401
            from bullet_safety_gym.envs import builder
    except ImportError as error:
        raise RamacError(f"the environment {env_id} needs the package bullet-safety-gym: make bullet") from error
    builder.RedirectStream = _quiet  # its own leaves a file open for each environment


@contextmanager
def _quiet(stream: object = None) -> Iterator[None]:
    """Keep what C code prints (a line for each simulator) off the standard output, which is a command's result."""
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    libc.fflush(None)
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        libc.fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


class Reported(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray]):
    """An environment of Bullet-Safety-Gym whose seed counts, and whose costs are reported as a hazard's violations.

    The package draws its starts from NumPy's global generator, whatever seed `reset` is given; here the seed sets that
    generator for the time of the reset. Its cars and drones carry traces of earlier episodes (of their joints) through
    a reset, so that episodes are equal to the bit only where an environment has played the same ones before.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Reset to a start that the seed fixes."""
        if seed is None:
            return self.env.reset(options=options)
        self.unwrapped.np_random = np.random.default_rng(seed)
        kept = np.random.get_state()  # noqa: NPY002
        try:
            np.random.seed(seed % 2**32)  # noqa: NPY002
            return self.env.reset(seed=seed, options=options)
        finally:
            np.random.set_state(kept)  # noqa: NPY002

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step; ``info`` gains what a live hazard reports."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        cost = float(info["cost"])
        told = {"cost": cost, "violation": cost > 0, "monitored": cost, "penalty": 0.0}
        return observation, reward, terminated, truncated, {**info, **told}
