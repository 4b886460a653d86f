"""What a hazard is: a predicate on steps (s, a, s′), and what violating it may cost.

`Hazard.decide` alone says what is a violation and what it costs; relabelled data and the live wrapper both ask it. Two
kinds of predicate are here: an `Interval` that a monitored entry of the *next* observation must not leave, as in the
paper's released environments, and a `Region` of discs and polygons that a position must not enter. A hazard of one's
own is a subclass; `ramac_lib.envs.hazards.register_hazard` gives it a name for a task.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from math import inf, isfinite
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32
from matplotlib.path import Path as Outline

from ramac_lib.system.errors import RamacError

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
