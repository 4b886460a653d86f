"""Stochastic-D4RL's hazards: rare penalties where a monitored signal leaves its safe range.

`decide` alone says what is a violation and what it costs; relabelled data and the live wrapper both ask it.
The signal is an entry of the *next* observation, as in the paper's released environments.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from jaxtyping import Bool, Float, Float32

from ramac_lib.envs.tasks import TASKS, get_task
from ramac_lib.system.errors import RamacError, unknown


@dataclass(frozen=True)
class Hazard:
    """A signal's safe range and what leaving it may cost.

    Args:
        signal: index of the monitored entry of the next observation.
        low, high: the safe range; a violation lies strictly outside (in float32, as data are stored).
        penalty: added to the reward (≤ 0) when the hazard strikes.
        probability: that it strikes in a step of violation, independently of all other steps.
        limit: the episode ends where the signal's absolute value exceeds it (no such rule if infinite).

    Raises:
        RamacError: an empty range, a positive penalty, a probability outside [0, 1].
    """

    signal: int
    low: float
    high: float
    penalty: float
    probability: float
    limit: float = inf

    def __post_init__(self) -> None:
        if self.signal < 0:
            raise RamacError(f"hazard: signal is {self.signal}; expected an index into an observation, from 0")
        if not self.low <= self.high:
            raise RamacError(f"hazard: the range [{self.low}, {self.high}] is empty; expected low ≤ high")
        if not (isfinite(self.penalty) and self.penalty <= 0):
            raise RamacError(f"hazard: penalty is {self.penalty}; expected a finite number ≤ 0, added to rewards")
        if not 0 <= self.probability <= 1:
            raise RamacError(f"hazard: probability is {self.probability}; expected a number in [0, 1]")
        if not self.limit > 0:
            raise RamacError(f"hazard: limit is {self.limit}; expected a positive number")


PITCH, VELOCITY = 1, 8  # of Hopper's and Walker2d's torso, rad; of HalfCheetah along x, m/s

# Released configuration of Stochastic-D4RL. Pose tasks end at twice the upper bound (Hopper medium-expert: never).
PAPER = {
    "hopper-medium-expert": Hazard(PITCH, -0.17, 0.04, -50.0, 0.1),
    "hopper-medium-replay": Hazard(PITCH, -0.1, 0.1, -50.0, 0.1, limit=0.2),
    "walker2d-medium-expert": Hazard(PITCH, -0.5, 0.5, -30.0, 0.1, limit=1.0),
    "walker2d-medium-replay": Hazard(PITCH, -0.5, 0.5, -30.0, 0.1, limit=1.0),
    "halfcheetah-medium-expert": Hazard(VELOCITY, -10.0, 10.0, -70.0, 0.05),
    "halfcheetah-medium-replay": Hazard(VELOCITY, -5.0, 5.0, -60.0, 0.05),
}
# What `ramac_lib.envs.calibration.calibrate` finds from the shipped behaviour policies, by the rule written there.
CALIBRATED = {
    "hopper-medium-expert": Hazard(PITCH, -0.12, inf, -1900.0, 0.0044),
    "hopper-medium-replay": Hazard(PITCH, -0.093, inf, -510.0, 0.0085),
    "walker2d-medium-expert": Hazard(PITCH, 0.092, inf, -2000.0, 0.0014),
    "walker2d-medium-replay": Hazard(PITCH, 0.092, inf, -2000.0, 0.0014),
    "halfcheetah-medium-expert": Hazard(VELOCITY, -inf, 10.0, -2400.0, 0.0054),
    "halfcheetah-medium-replay": Hazard(VELOCITY, -inf, 5.4, -230.0, 0.015),
}
# The signal is still monitored. The bandit's trap is its own and no hazard in this sense.
NONE = {name: Hazard(PAPER[name].signal if name in PAPER else 0, -inf, inf, 0.0, 0.0) for name in TASKS}
PRESETS: dict[str, dict[str, Hazard]] = {"paper": PAPER, "calibrated": CALIBRATED, "none": NONE}


def get_hazard(name: str, task: str) -> Hazard:
    """Return a preset's hazard for a task.

    Raises:
        RamacError: the preset or the task is unknown, or the preset has none for the task.
    """
    if name not in PRESETS:
        raise unknown("hazard", name, PRESETS)
    if get_task(task).name not in PRESETS[name]:
        raise RamacError(f"the hazard {name!r} is not defined for {task}; choose none (the trap is the task's own)")
    return PRESETS[name][task]


class Outcome(NamedTuple):
    """What a hazard does to each of N steps."""

    violation: Bool[np.ndarray, "*N"]
    penalty: Float32[np.ndarray, "*N"]
    ends: Bool[np.ndarray, "*N"]


def decide(hazard: Hazard, signals: Float[np.ndarray, "*N"], uniforms: Float[np.ndarray, "*N"]) -> Outcome:
    """Return violation, penalty and end of episode for monitored signals and draws from U[0, 1).

    A signal on a bound is no violation. Bounds and signals are compared in float32, the precision of stored
    data: a live step and the same step read from a file are judged alike.
    """
    signals = np.asarray(signals, np.float32)
    violation = (signals < np.float32(hazard.low)) | (signals > np.float32(hazard.high))
    strikes = violation & (np.asarray(uniforms) < hazard.probability)
    penalty = strikes * np.float32(hazard.penalty)
    return Outcome(violation, penalty, np.abs(signals) > np.float32(hazard.limit))


class HazardWrapper(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """The live hazard: adds the penalty to the reward and ends the episode where the hazard does.

    ``info`` of a step gains ``monitored`` (the signal), ``violation`` and ``penalty``. Each step takes exactly one
    draw, after the environment's own step, from the environment's seeded ``np_random``, in violation or not; so a
    seed fixes the penalties, and two hazards on the same trajectory meet the same draws. Wrap each environment, not
    a vector of them: ``gymnasium.vector`` then resets around it in any autoreset mode.

    Args:
        env: an environment with vector observations.
        hazard: the hazard, or its fields as a mapping (so it is recorded in ``env.spec``).

    Raises:
        RamacError: observations are no vectors, or have no entry that the hazard monitors.
    """

    def __init__(self, env: gymnasium.Env, hazard: Hazard | Mapping[str, Any]) -> None:
        self.hazard = hazard if isinstance(hazard, Hazard) else Hazard(**hazard)
        RecordConstructorArgs.__init__(self, hazard=asdict(self.hazard))
        super().__init__(env)
        shape = env.observation_space.shape
        if shape is None or len(shape) != 1 or shape[0] <= self.hazard.signal:
            raise RamacError(
                f"{env}: observations have shape {shape}; the hazard monitors entry {self.hazard.signal} of a vector"
            )

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step the environment, then let the hazard judge the observation that it came to."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        signal = observation[self.hazard.signal]
        outcome = decide(self.hazard, signal, np.asarray(self.np_random.random()))
        report = {
            "monitored": float(signal),
            "violation": bool(outcome.violation),
            "penalty": float(outcome.penalty),
        }
        # A hazard that is off must not hide what an environment (the bandit) reports of its own.
        info = {**info, **report} if self.hazard.probability > 0 else {**report, **info}
        return observation, float(reward) + report["penalty"], terminated or bool(outcome.ends), truncated, info
