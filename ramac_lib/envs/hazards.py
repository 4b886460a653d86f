"""Hazards by name: presets for each task, those of one's own, and the wrapper that applies one live.

What a hazard is stands in `ramac_lib.envs.predicates`, whose names are here too.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, is_dataclass, replace
from math import inf
from typing import Any

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from ramac_lib.envs.maps import MAPS
from ramac_lib.envs.predicates import Area, Hazard, Interval, Outcome, Region, hazard_from_json  # noqa: F401
from ramac_lib.envs.tasks import NAVIGATION, TASKS, Task, get_task
from ramac_lib.system.errors import RamacError, check_name, unknown
from ramac_lib.system.plugins import load_entry_points

PITCH, VELOCITY = 1, 8  # of Hopper's and Walker2d's torso, rad; of HalfCheetah along x, m/s

# Released configuration of Stochastic-D4RL. Pose tasks end at twice the upper bound (Hopper medium-expert: never).
PAPER = {
    "hopper-medium-expert": Interval(PITCH, -0.17, 0.04, -50.0, 0.1),
    "hopper-medium-replay": Interval(PITCH, -0.1, 0.1, -50.0, 0.1, limit=0.2),
    "walker2d-medium-expert": Interval(PITCH, -0.5, 0.5, -30.0, 0.1, limit=1.0),
    "walker2d-medium-replay": Interval(PITCH, -0.5, 0.5, -30.0, 0.1, limit=1.0),
    "halfcheetah-medium-expert": Interval(VELOCITY, -10.0, 10.0, -70.0, 0.05),
    "halfcheetah-medium-replay": Interval(VELOCITY, -5.0, 5.0, -60.0, 0.05),
}
# What `support.hazards.calibration.calibrate` finds from the shipped behaviour policies, by the rule written there.
CALIBRATED = {
    "hopper-medium-expert": Interval(PITCH, -0.12, inf, -1900.0, 0.0044),
    "hopper-medium-replay": Interval(PITCH, -0.093, inf, -510.0, 0.0085),
    "walker2d-medium-expert": Interval(PITCH, 0.092, inf, -2000.0, 0.0014),
    "walker2d-medium-replay": Interval(PITCH, 0.092, inf, -2000.0, 0.0014),
    "halfcheetah-medium-expert": Interval(VELOCITY, -inf, 10.0, -2400.0, 0.0054),
    "halfcheetah-medium-replay": Interval(VELOCITY, -inf, 5.4, -230.0, 0.015),
}
# The signal is still monitored. The bandit's trap is its own and no hazard in this sense.
NONE = {name: Interval(PAPER[name].signal if name in PAPER else 0, -inf, inf, 0.0, 0.0) for name in TASKS}
PRESETS: dict[str, dict[str, Hazard]] = {
    preset: {task: replace(hazard, name=preset) for task, hazard in hazards.items()}
    for preset, hazards in (("paper", PAPER), ("calibrated", CALIBRATED), ("none", NONE))
}
# Those of risky navigation: the dangers of each map (`ramac_lib.envs.maps`).
for _task, (_map, _) in NAVIGATION.items():
    for _preset in MAPS[_map].dangers:
        PRESETS.setdefault(_preset, {})[_task] = MAPS[_map].hazard(_preset)
DEFAULT = {**dict.fromkeys(PAPER, "paper"), **dict.fromkeys(NAVIGATION, "rare")}
"""Task → the hazard that it has unless told; none for others."""


def get_hazard(name: str | None, task: str | Task) -> Hazard:
    """Return a task's hazard of that name; every task has ``none``.

    Args:
        name: None for the paper's, ``rare`` on navigation, and none on other tasks.
        task: by name or itself.

    Raises:
        RamacError: the task is unknown, or no such hazard is known, or none for this task.
    """
    chosen = get_task(task)
    task = chosen.name
    if name is None:
        name = DEFAULT.get(task, "none")
    if name not in PRESETS:
        load_entry_points()
    if name not in PRESETS:
        raise unknown("hazard", name, PRESETS)
    known = PRESETS[name]
    if name == "none":
        known.setdefault(task, Interval(0, -inf, inf, 0.0, 0.0, name=name))
    if task not in known:
        choices = ", ".join(preset for preset, hazards in PRESETS.items() if task in hazards and preset != "none")
        own = " (the trap is the task's own)" if chosen.is_bandit else f" or {choices}" * bool(choices)
        raise RamacError(f"the hazard {name!r} is not defined for {task}; choose none{own}")
    return known[task]


def register_hazard(name: str, task: str | Task, hazard: Hazard) -> Hazard:
    """Make a hazard of one's own known under a name for a task; return a copy with that name.

    Registering an equal one again does nothing; one of a class that was defined again replaces its former self.

    Raises:
        RamacError: the task has another hazard of that name, or it is no name, or ``none``.
    """
    if name == "none":
        raise RamacError("the hazard 'none' is every task's own; expected another name")
    task, known = get_task(task).name, PRESETS.setdefault(check_name("the hazard's name", name), {})
    hazard = copy(hazard)
    object.__setattr__(hazard, "name", name)
    there = known.setdefault(task, hazard)
    one, two = ((type(h).__module__, type(h).__qualname__, _plain(vars(h))) for h in (there, hazard))
    if one != two:
        raise RamacError(f"the hazard {name!r} is registered twice for {task}; another one needs another name")
    if type(there) is not type(hazard):  # in a notebook, a cell that was run again
        known[task] = hazard
    return known[task]


def _plain(value: Any) -> Any:
    """Return a value in which arrays, which ``==`` compares entry by entry, are their shapes and bytes."""
    value = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value.shape, value.dtype.str, value.tobytes()) if isinstance(value, np.ndarray) else value


class HazardWrapper(gymnasium.Wrapper[np.ndarray, np.ndarray, np.ndarray, np.ndarray], RecordConstructorArgs):
    """The live hazard: adds the penalty to the reward and ends the episode where the hazard does.

    ``info`` of a step gains ``monitored`` (the signal), ``violation`` and ``penalty``. Each step takes exactly one
    draw, after the environment's own step, from the environment's seeded ``np_random``, in violation or not; so a
    seed fixes the penalties, and two hazards on the same trajectory meet the same draws. Wrap each environment, not
    a vector of them: ``gymnasium.vector`` then resets around it in any autoreset mode.

    Args:
        env: an environment with vector observations.
        hazard: the hazard, or its record as a mapping (so it is recorded in ``env.spec``).

    Raises:
        RamacError: observations that are no vector, or lack what the hazard watches.
    """

    def __init__(self, env: gymnasium.Env, hazard: Hazard | Mapping[str, Any]) -> None:
        self.hazard = hazard if isinstance(hazard, Hazard) else hazard_from_json(hazard)
        RecordConstructorArgs.__init__(self, hazard=self.hazard.to_json())
        super().__init__(env)
        shape = env.observation_space.shape
        if shape is None or len(shape) != 1:
            raise RamacError(f"{env}: observations have shape {shape}; a hazard watches entries of a vector")
        if problem := self.hazard.check(shape[0]):
            raise RamacError(f"{env}: observations have {problem}")
        self._before = np.zeros(shape, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """Reset the environment."""
        self._before, info = self.env.reset(seed=seed, options=options)
        return self._before, info

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict[str, Any]]:
        """Step the environment, then let the hazard judge the observation that it came to."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        draw = np.asarray(self.np_random.random())
        outcome = self.hazard.decide(self._before, action, observation, draw)
        self._before = observation
        report = {
            "monitored": float(self.hazard.monitored(np.asarray(observation, np.float32))),
            "violation": bool(outcome.violation),
            "penalty": float(outcome.penalty),
        }
        # A hazard that is off must not hide what an environment (the bandit) reports of its own.
        info = {**info, **report} if self.hazard.strikes else {**report, **info}
        return observation, float(reward) + report["penalty"], terminated or bool(outcome.ends), truncated, info
