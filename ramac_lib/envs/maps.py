"""Maps of risky navigation as data: where an episode starts and ends, what is dangerous, what is solid, known ways.

A point crosses the unit square. Three maps, each with a short way through a danger and a long way without (`gates`:
with a smaller one); left and right are as seen on the map, with x to the right and y upwards:

=========  ===================================================  ===============  ===================================
map        danger                                               short way        long ways
=========  ===================================================  ===============  ===================================
obstacle   a disc of radius .3 in the middle (Ma et al. 2021)   through it       left and right round it
bridge     a bridge .106 wide over a solid river                over the bridge  left and right round the river
gates      two in a solid wall: near, .106 wide; far, .2 wide   the near gate    the far gate, on the right
=========  ===================================================  ===============  ===================================

Each has presets of what its danger costs. Under ``rare`` the short way has the better mean and by far the worse tail,
so that a neutral and a risk-averse optimum differ. ``codac`` has the probability .1 and the penalty 50 that CODAC (Ma
et al. 2021) trains with (.02 in the far gate): there the long way is best in the mean too, and choosing it says nothing
about risk. ``toll`` is ``rare`` on the first map with a penalty of 40 that strikes one episode in ten at its first
step, wherever that leads: those episodes are the lowest tenth, so that the best CVaR_0.1 of the episode goes through
the danger once it has paid, while CVaR_0.1 of what is still to come, taken in each state, goes round it.

Edges of dangers and walls lie beside the points of the planner's grids (`support.navigation.optimum`), so that
no rounding decides on which side a point is; the disc's radius is therefore .2999.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_dilation

from ramac_lib.envs.predicates import Area, Region
from ramac_lib.envs.tasks import CROSSING
from ramac_lib.system.errors import RamacError, unknown

Array = np.ndarray
Point = tuple[float, float]
GOAL_RADIUS = 0.05
CHECKED = 101  # points a side on which it is checked that the goal can be reached


@dataclass(frozen=True)
class Map:
    """A square to cross.

    Args:
        name: what it is called.
        start, goal: positions in the unit square; an episode ends within .05 of the goal.
        dangers: preset → areas with the probability and the penalty of a step that ends in each; where several overlap
            the first one counts. The first preset's areas are the map's, the others may have more after these.
        walls: rectangles (x, y, x, y), low corner first, that cannot be entered: such a step stays where it is.
        cut: a point and a direction: the line that every way from start to goal crosses.
        edges, routes: where along the cut one route ends and the next begins, and the routes' names in that order.
        ways: rule of behaviour → its way as corners, from start to goal.
        spread: half-width of the box about the start in which episodes begin; None for the whole square.
        noise: largest disturbance of a step along each axis, uniform; 0 for none.
        step: largest displacement along each axis.

    Raises:
        RamacError: a point outside the square or in a wall, no danger, a goal that cannot be reached in 50 steps.
    """

    name: str
    start: Point
    goal: Point
    dangers: Mapping[str, tuple[Area, ...]]
    walls: tuple[tuple[float, float, float, float], ...] = ()
    cut: tuple[Point, Point] = ((0.5, 0.5), (1.0, 0.0))
    edges: tuple[float, ...] = ()
    routes: tuple[str, ...] = ("through",)
    ways: Mapping[str, tuple[Point, ...]] = field(default_factory=dict)
    spread: float | None = 0.0
    noise: float = 0.0
    step: float = 0.1

    def __post_init__(self) -> None:
        for name, point in (("start", self.start), ("goal", self.goal)):
            if not all(0 <= x <= 1 for x in point):
                raise RamacError(f"map {self.name}: the {name} is {point}; expected a point of the unit square")
            if self.blocked(np.array(point)):
                raise RamacError(f"map {self.name}: the {name} {point} is in a wall; expected a free point")
        if not self.noise >= 0 or not self.step > 0 or not (self.spread is None or self.spread >= 0):
            raise RamacError(f"map {self.name}: noise, step and spread are {self.noise}, {self.step}, {self.spread}")
        if not self.dangers:
            raise RamacError(f"map {self.name} has no dangers; expected areas for one preset at least")
        if (inside := self.place(self.start)) != "free":
            logging.getLogger(__name__).warning(f"map {self.name}: episodes start in the {inside}, at {self.start}")
        if not self._reachable():
            raise RamacError(
                f"map {self.name}: the goal {self.goal} cannot be reached from {self.start} in {CROSSING} steps; "
                "expected a way round or through its walls"
            )

    @property
    def areas(self) -> tuple[Area, ...]:
        """The areas of danger, with the risks of the first preset."""
        return next(iter(self.dangers.values()))

    def hazard(self, preset: str) -> Region:
        """Return the dangers under a preset, as a hazard of that name; refuse an unknown one with a `RamacError`."""
        if preset not in self.dangers:
            raise unknown(f"preset of the map {self.name}", preset, self.dangers)
        return Region(self.dangers[preset], name=preset)

    @property
    def narrowest(self) -> float:
        """The width of its narrowest danger, which a planner's grid must resolve."""
        widths = [2 * s.radius if s.centre else min(np.ptp(np.array(s.corners), axis=0)) for s in self.areas]
        return float(min(widths, default=1.0))

    def blocked(self, points: Float[Array, "*N 2"]) -> Bool[Array, "*N"]:
        """Return which points lie in a wall; its edge belongs to it."""
        inside = np.zeros(points.shape[:-1], bool)
        for x0, y0, x1, y1 in self.walls:
            x, y = points[..., 0], points[..., 1]
            inside |= (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        return inside

    def at_goal(self, points: Float[Array, "*N 2"]) -> Bool[Array, "*N"]:
        """Return which points lie within .05 of the goal."""
        return self.distance(points) <= GOAL_RADIUS

    def distance(self, points: Float[Array, "*N 2"]) -> Float[Array, "*N"]:
        """Return each point's distance to the goal."""
        return np.hypot(points[..., 0] - self.goal[0], points[..., 1] - self.goal[1])

    def place(self, point: Point) -> str:
        """Return what a point is in: ``goal``, ``danger``, ``wall``, or else ``free``."""
        if self.blocked(np.array(point)):
            return "wall"
        if hypot(point[0] - self.goal[0], point[1] - self.goal[1]) <= GOAL_RADIUS:
            return "goal"
        return "danger" if any(bool(s.contains(np.array(point))) for s in self.areas) else "free"

    def _reachable(self) -> bool:
        axis = np.linspace(0, 1, CHECKED)
        points = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
        free, reach = ~self.blocked(points), int(self.step * (CHECKED - 1) + 1e-9)
        begun = (np.abs(points - self.start) <= 1 / (CHECKED - 1)).all(axis=-1) & free
        moves = np.ones((2 * reach + 1, 2 * reach + 1), bool)
        reached = binary_dilation(begun, moves, iterations=CROSSING, mask=free)
        return bool((reached & (self.distance(points) <= GOAL_RADIUS + 1e-9)).any())


def _box(risk: tuple[float, float], x0: float, y0: float, x1: float, y1: float) -> Area:
    return Area(-risk[1], risk[0], corners=((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


def _obstacle(p: float, penalty: float) -> tuple[Area, ...]:
    return (Area(-penalty, p, (0.5, 0.5), 0.2999),)


def _bridge(p: float, penalty: float) -> tuple[Area, ...]:
    return (_box((p, penalty), 0.447, 0.401, 0.553, 0.599),)


def _gates(near: float, far: float, penalty: float) -> tuple[Area, ...]:
    return (
        _box((near, penalty), 0.247, 0.401, 0.353, 0.599),
        _box((far, penalty), 0.707, 0.401, 0.907, 0.599),
    )


_DOWN = 0.5**0.5
MAPS = {
    "obstacle": Map(
        "obstacle", start=(0.86, 0.86), goal=(0.1, 0.1),
        dangers={
            "rare": _obstacle(0.03, 20.0), "codac": _obstacle(0.1, 50.0),
            "toll": (*_obstacle(0.03, 20.0), _box((0.1, 40.0), 0.751, 0.751, 0.969, 0.969)),
        },
        cut=((0.5, 0.5), (_DOWN, -_DOWN)), edges=(-0.27, 0.27), routes=("left", "through", "right"),
        ways={
            "left": ((0.86, 0.86), (0.6, 0.93), (0.36, 0.9), (0.1, 0.64), (0.1, 0.1)),
            "right": ((0.86, 0.86), (0.93, 0.6), (0.9, 0.36), (0.64, 0.1), (0.1, 0.1)),
            "through": ((0.86, 0.86), (0.1, 0.1)),
        },
    ),
    "bridge": Map(
        "bridge", start=(0.5, 0.8), goal=(0.5, 0.2),
        dangers={"rare": _bridge(0.03, 20.0), "codac": _bridge(0.1, 50.0)},
        walls=((0.137, 0.401, 0.447, 0.599), (0.553, 0.401, 0.863, 0.599)),
        edges=(-0.2, 0.2), routes=("left", "through", "right"),
        ways={
            "left": ((0.5, 0.8), (0.3, 0.78), (0.07, 0.64), (0.07, 0.36), (0.5, 0.2)),
            "right": ((0.5, 0.8), (0.7, 0.78), (0.93, 0.64), (0.93, 0.36), (0.5, 0.2)),
            "through": ((0.5, 0.8), (0.5, 0.2)),
        },
    ),
    "gates": Map(
        "gates", start=(0.3, 0.84), goal=(0.3, 0.16),
        dangers={"rare": _gates(0.05, 0.005, 20.0), "codac": _gates(0.1, 0.02, 50.0)},
        walls=((0.0, 0.401, 0.247, 0.599), (0.353, 0.401, 0.707, 0.599), (0.907, 0.401, 1.0, 0.599)),
        edges=(0.0,), routes=("through", "right"),
        ways={
            "right": ((0.3, 0.84), (0.6, 0.8), (0.8, 0.62), (0.8, 0.38), (0.3, 0.16)),
            "through": ((0.3, 0.84), (0.3, 0.16)),
        },
    ),
}  # fmt: skip
"""The library's maps by name."""


def get_map(name: "str | Map") -> Map:
    """Return the map of that name; a map is returned as it is.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if isinstance(name, Map):
        return name
    if name not in MAPS:
        raise unknown("map", name, MAPS)
    return MAPS[name]
