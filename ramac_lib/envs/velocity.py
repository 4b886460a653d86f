"""Speed limits: Gymnasium's robots with a cost of 1 for each step in which they run faster than allowed.

The velocity tasks of Safety-Gymnasium (Ji et al. 2023), which DSRL (Liu et al. 2024) has data of, on Gymnasium's own
``-v5`` robots, so that nothing else need be installed. The reward is Gymnasium's; a cost is no penalty on it. The speed
is ``info["x_velocity"]``, the way of a control step over its time. Observations hold the speed at the step's end
instead, so that costs cannot be told from them: the data carry their own.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v5 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

SPEEDS = {"Hopper": 0.7402, "Walker2d": 2.3415, "HalfCheetah": 3.2096}
"""Robot → the speed above which a step costs 1, m/s: half of what an unconstrained policy of PPO reaches there."""
STEPS = 1000


class _Limited:
    """A robot's environment that reports costs; comes before Gymnasium's class."""

    limit: float

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step; ``info`` gains ``cost`` and what a live hazard reports: ``violation``, ``monitored``, ``penalty``."""
        *stepped, info = super().step(action)  # type: ignore[misc]
        speed = float(info["x_velocity"])
        told = {"cost": float(speed > self.limit), "violation": speed > self.limit, "monitored": speed, "penalty": 0.0}
        return (*stepped, {**info, **told})  # type: ignore[return-value]


class HopperVelocity(_Limited, HopperEnv):
    """Hopper, at 0.7402 m/s at most."""

    limit = SPEEDS["Hopper"]


class Walker2dVelocity(_Limited, Walker2dEnv):
    """Walker2d, at 2.3415 m/s at most."""

    limit = SPEEDS["Walker2d"]


class HalfCheetahVelocity(_Limited, HalfCheetahEnv):
    """HalfCheetah, at 3.2096 m/s at most."""

    limit = SPEEDS["HalfCheetah"]


for _kind in (HopperVelocity, Walker2dVelocity, HalfCheetahVelocity):
    gymnasium.register(f"{_kind.__name__}-v5", entry_point=f"{__name__}:{_kind.__name__}", max_episode_steps=STEPS)
