"""Hazards: rare penalties for steps (s, a, s′) that a predicate forbids.

`Hazard.decide` alone says what is a violation and what it costs; relabelled data and the live wrapper both ask it. Two
kinds of predicate are here: an `Interval` that a monitored entry of the *next* observation must not leave, as in the
paper's released environments, and a `Region` of discs and polygons that a position must not enter. A hazard of one's
own is a subclass; `register_hazard` gives it a name for a task.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from math import inf, isfinite
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.utils import RecordConstructorArgs
from jaxtyping import Bool, Float, Float32
from matplotlib.path import Path as Outline

from ramac_lib.envs.tasks import TASKS, Task, get_task
from ramac_lib.system.errors import RamacError, check_name, unknown
from ramac_lib.system.plugins import load_entry_points

Array = np.ndarray
Numbers = float | Float[Array, "*N"]
States = Float[Array, "*N s"]
Actions = Float[Array, "*N a"]
Risk = tuple[Bool[Array, "*N"], Numbers, Numbers]


class Outcome(NamedTuple):
    """What a hazard does to each of N steps."""

    violation: Bool[Array, "*N"]
    penalty: Float32[Array, "*N"]
    ends: Bool[Array, "*N"]


class Hazard(ABC):
    """A predicate on steps, and what violating it may cost.

    Attributes:
        name: what `get_hazard` finds it under; empty for one that has no name.
    """

    name: str = ""

    @abstractmethod
    def risk(self, observations: States, actions: Actions, next_observations: States) -> Risk:
        """Return which steps are violations, the probability that such a step is penalised, and the penalty (≤ 0)."""

    def ends(self, next_observations: Float[Array, "*N s"]) -> Bool[Array, "*N"]:
        """Return after which steps the hazard ends the episode: none, unless it says so."""
        return np.zeros(np.shape(next_observations)[:-1], bool)

    def monitored(self, next_observations: Float[Array, "*N s"]) -> Float32[Array, "*N"]:
        """Return the number that figures show of each step: 0, unless the hazard watches one."""
        return np.zeros(np.shape(next_observations)[:-1], np.float32)

    def check(self, width: int) -> str | None:
        """Return what is wrong with observations of `width` entries, None where nothing is."""
        return None

    @property
    def strikes(self) -> bool:
        """Whether it ever penalises; a hazard that does not must not hide what an environment reports itself."""
        return True

    def to_json(self) -> dict[str, Any]:
        """Return what it is as plain data, for recipes and records: its kind, and the fields of a dataclass."""
        fields: dict[str, Any] = asdict(self) if is_dataclass(self) else {}
        return {"kind": type(self).__name__, **fields, "name": self.name}

    def decide(
        self, observations: States, actions: Actions, next_observations: States, uniforms: Float[Array, "*M"]
    ) -> Outcome:
        """Return violation, penalty and end of episode of steps, given draws from U[0, 1).

        Args:
            uniforms: shape (N,), or (D, N) to let each step meet D draws; the penalty has its shape.

        Raises:
            RamacError: the risk of a violation has a positive penalty or a probability outside [0, 1].
        """
        # In float32, the precision of stored data: a live step is judged as the same one read from a file.
        steps = [np.asarray(part, np.float32) for part in (observations, actions, next_observations)]
        violation, probability, penalty = self.risk(*steps)
        if np.any(violation):  # which few live steps are; what the safe ones would cost does not matter
            for extreme in (np.min, np.max):
                _check_cost(extreme(violation * penalty, initial=0), extreme(violation * probability, initial=0))
        strikes = violation & (np.asarray(uniforms) < probability)
        return Outcome(violation, strikes * np.float32(penalty), self.ends(steps[-1]))


def _check_cost(penalty: float, probability: float) -> None:
    if not (isfinite(penalty) and penalty <= 0):
        raise RamacError(f"hazard: penalty is {penalty}; expected a finite number ≤ 0, added to rewards")
    if not 0 <= probability <= 1:
        raise RamacError(f"hazard: probability is {probability}; expected a number in [0, 1]")


@dataclass(frozen=True)
class Interval(Hazard):
    """A signal's safe range and what leaving it may cost.

    A signal on a bound is no violation. Bounds and signals are compared in float32, the precision of stored data.

    Args:
        signal: index of the monitored entry of the next observation.
        low, high: the safe range; a violation lies strictly outside.
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
    name: str = field(default="", compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.signal < 0:
            raise RamacError(f"hazard: signal is {self.signal}; expected an index into an observation, from 0")
        if not self.low <= self.high:
            raise RamacError(f"hazard: the range [{self.low}, {self.high}] is empty; expected low ≤ high")
        _check_cost(self.penalty, self.probability)
        if not self.limit > 0:
            raise RamacError(f"hazard: limit is {self.limit}; expected a positive number")

    def outside(self, signals: Float[Array, "*N"]) -> Bool[Array, "*N"]:
        """Return which signals lie outside the safe range."""
        signals = np.asarray(signals, np.float32)
        return np.logical_or(signals < np.float32(self.low), signals > np.float32(self.high))

    def monitored(self, next_observations: Float[Array, "*N s"]) -> Float32[Array, "*N"]:
        """Return the monitored entry of each next observation."""
        return np.asarray(next_observations[..., self.signal], np.float32)

    def risk(self, observations: States, actions: Actions, next_observations: States) -> Risk:
        """Return which steps leave the range, and what that may cost."""
        return self.outside(self.monitored(next_observations)), self.probability, self.penalty

    def ends(self, next_observations: Float[Array, "*N s"]) -> Bool[Array, "*N"]:
        """Return where the signal's magnitude exceeds the limit."""
        return np.abs(self.monitored(next_observations)) > np.float32(self.limit)

    def check(self, width: int) -> str | None:
        """Refuse observations that lack the monitored entry."""
        return None if self.signal < width else f"{width} columns; the hazard monitors column {self.signal}"

    @property
    def strikes(self) -> bool:
        """Whether its probability is above 0."""
        return self.probability > 0

    def to_json(self) -> dict[str, Any]:
        """Return its fields but the name."""
        return {key: value for key, value in asdict(self).items() if key != "name"}


@dataclass(frozen=True)
class Area:
    """A disc or a polygon of the plane, with a risk of its own.

    Args:
        centre, radius: of a disc, closed.
        corners: of a polygon, in order.
        penalty, probability: as an interval's.

    Raises:
        RamacError: neither a disc nor a polygon of three corners, or a wrong penalty or probability.
    """

    penalty: float
    probability: float
    centre: tuple[float, float] | None = None
    radius: float = 0.0
    corners: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        _check_cost(self.penalty, self.probability)
        if (self.centre is None) == (len(self.corners) < 3) or (self.centre is not None and not self.radius > 0):
            raise RamacError("hazard: an area is a disc (centre and a radius above 0) or a polygon of three corners")

    def contains(self, points: Float[Array, "*N 2"]) -> Bool[Array, "*N"]:
        """Return which points lie in the area."""
        points = np.asarray(points, np.float64)
        if self.centre is not None:
            return np.hypot(*np.moveaxis(points - np.asarray(self.centre), -1, 0)) <= self.radius
        inside = Outline(np.asarray(self.corners)).contains_points(points.reshape(-1, 2))
        return inside.reshape(points.shape[:-1])


@dataclass(frozen=True)
class Region(Hazard):
    """Areas that two entries of the next observation must not enter; where several overlap, the first one counts.

    Args:
        areas: each with its own probability and penalty.
        axes: the two entries that are the position.

    Raises:
        RamacError: no areas, or axes that are not two different entries.
    """

    areas: tuple[Area, ...]
    axes: tuple[int, int] = (0, 1)
    name: str = field(default="", compare=False, kw_only=True)

    def __post_init__(self) -> None:
        if not self.areas:
            raise RamacError("hazard: a region has no areas; expected at least one")
        if len(set(self.axes)) != 2 or min(self.axes) < 0:
            raise RamacError(f"hazard: the axes of a region are {self.axes}; expected two different entries, from 0")

    def _inside(self, next_observations: Float[Array, "*N s"]) -> Bool[Array, "A *N"]:
        points = np.asarray(next_observations)[..., list(self.axes)]
        return np.stack([area.contains(points) for area in self.areas])

    def monitored(self, next_observations: Float[Array, "*N s"]) -> Float32[Array, "*N"]:
        """Return the number of areas that each position lies in."""
        return self._inside(next_observations).sum(axis=0).astype(np.float32)

    def risk(self, observations: States, actions: Actions, next_observations: States) -> Risk:
        """Return which steps end in an area, and that area's risk."""
        inside = self._inside(next_observations)
        first = inside.argmax(axis=0)
        probabilities = np.array([area.probability for area in self.areas])
        penalties = np.array([area.penalty for area in self.areas])
        return np.asarray(inside.any(axis=0)), probabilities[first], penalties[first]

    def check(self, width: int) -> str | None:
        """Refuse observations that lack the position's entries."""
        return None if max(self.axes) < width else f"{width} columns; the region's position is in columns {self.axes}"

    def to_json(self) -> dict[str, Any]:
        """Return areas and axes."""
        return {"areas": [asdict(area) for area in self.areas], "axes": list(self.axes)}


def hazard_from_json(data: Mapping[str, Any]) -> Hazard:
    """Return the interval or region that `to_json` wrote.

    Raises:
        RamacError: it is neither.
    """
    if "areas" in data:
        areas = [{k: _tuples(v) for k, v in area.items()} for area in data["areas"]]
        return Region(tuple(Area(**area) for area in areas), tuple(data["axes"]))
    if "signal" not in data:
        raise RamacError(f"a hazard of the kind {data.get('kind')!r} cannot be made from a record; register it by name")
    return Interval(**data)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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


def get_hazard(name: str | None, task: str | Task) -> Hazard:
    """Return a task's hazard of that name; every task has ``none``.

    Args:
        name: None for the paper's, or none where the paper has no such task.
        task: by name or itself.

    Raises:
        RamacError: the task is unknown, or no such hazard is known, or none for this task.
    """
    chosen = get_task(task)
    task = chosen.name
    if name is None:
        name = "paper" if task in PAPER else "none"
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
