"""Risky navigation: a point that crosses a square, many episodes at a time or one as a Gymnasium environment.

The world of CODAC's risky point mass (Ma et al. 2021): observations (x, y, goal x, goal y); an action in [−1, 1]²
moves the point by a tenth of it; a step pays −(distance to the goal before it) − .1; an episode ends within .05 of the
goal or after 50 steps. Dangers are hazards of the library (`ramac_lib.envs.maps`), live in the wrapper and on data.

Differences from its released code: 1. the danger is judged where a step ends, not where it begins; 2. an episode ends
with the step that reaches the goal, not with the one after it; 3. data start where evaluated episodes do, not anywhere
(`Map.spread`); 4. penalties are drawn from the environment's seeded generator.

Positions are rounded to float32 after every step, so that a stored state is the whole state. What an episode draws (its
start, disturbances, the hazard's draws) depends on its seed alone: episodes played `Together` are, to the bit, those
that the environment in its wrapper plays one by one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from jaxtyping import Bool, Float, Float32, Shaped

from ramac_lib.envs.hazards import Hazard
from ramac_lib.envs.maps import MAPS, Map, get_map
from ramac_lib.envs.tasks import CROSSING
from ramac_lib.system.errors import RamacError

Array = np.ndarray
Points = Float[Array, "*N 2"]
STEP_COST = 0.1
WIDTH = 4  # of an observation
ID = "Navigation{}-v0"


def step(
    world: Map, positions: Float32[Array, "*N 2"], actions: Points, disturbance: Points | None = None
) -> tuple[Float32[Array, "*N 2"], Float[Array, "*N"], Bool[Array, "*N"]]:
    """Return where steps lead, what they pay without any danger, and whether they end at the goal.

    Args:
        actions: clipped to [−1, 1].
        disturbance: draws from U[0, 1) for each axis, where the map has noise.
    """
    here = np.asarray(positions, np.float64)
    moved = here + world.step * np.clip(actions, -1, 1)
    if world.noise and disturbance is not None:
        moved = moved + world.noise * (2 * disturbance - 1)
    moved = np.clip(moved, 0, 1).astype(np.float32)
    if world.walls:
        moved = np.where(world.blocked(moved)[..., None], positions, moved)
    return moved, -world.distance(here) - STEP_COST, world.at_goal(moved)


def observe(world: Map, positions: Float32[Array, "*N 2"]) -> Float32[Array, "*N 4"]:
    """Return observations: positions and the goal."""
    goal = np.broadcast_to(np.array(world.goal, np.float32), positions.shape)
    return np.concatenate([positions, goal], axis=-1)


def start(world: Map, rng: np.random.Generator) -> Float32[Array, " 2"]:
    """Draw where an episode begins: in the box about the map's start, or anywhere; never in a wall."""
    while True:
        draws = rng.random(2)
        point = draws if world.spread is None else np.array(world.start) + world.spread * (2 * draws - 1)
        point = np.clip(point, 0, 1).astype(np.float32)
        if not world.blocked(point):
            return point


def crossings(world: Map, before: Points, after: Points) -> Shaped[Array, "*N"]:
    """Return the route, by name, of each step that crosses the map's cut; of others the empty string."""
    centre, along = np.array(world.cut[0]), np.array(world.cut[1])
    across = np.array([-along[1], along[0]])
    sides = [(np.asarray(points, np.float64) - centre) @ across for points in (before, after)]
    crossed = (sides[0] > 0) != (sides[1] > 0)
    share = np.where(crossed, sides[0] / np.where(crossed, sides[0] - sides[1], 1), 0)
    where = ((np.asarray(before, np.float64) - centre) @ along) * (1 - share)
    where = where + ((np.asarray(after, np.float64) - centre) @ along) * share
    names = np.array(world.routes)[np.searchsorted(np.array(world.edges), where)]
    return np.where(crossed, names, "")


class NavigationEnv(gymnasium.Env[Array, Array]):
    """Risky navigation as a Gymnasium environment, without the danger: that is its hazard's, in `HazardWrapper`.

    ``info`` of a reset: ``start``, what the episode starts in: ``free``, ``goal`` or ``danger``.

    Args:
        world: a map or its name.
        changes: fields of the map that are to differ, e.g. ``{"noise": 0.01}``.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own attribute)

    def __init__(
        self, world: str | Map = "obstacle", changes: Mapping[str, Any] | None = None, render_mode: None = None
    ) -> None:
        self.world = replace(get_map(world), **(changes or {}))
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (WIDTH,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.position = np.array(self.world.start, np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start the next episode, where ``options`` says: ``{"start": (x, y)}``.

        Raises:
            RamacError: a start outside the square or in a wall.
        """
        super().reset(seed=seed)
        self.position = start(self.world, self.np_random)
        if options and "start" in options:
            self.put(np.asarray(options["start"], np.float32))
        x, y = map(float, self.position)
        return observe(self.world, self.position), {"start": self.world.place((x, y))}

    def put(self, position: Float32[Array, " 2"]) -> None:
        """Set the point to a position; refuse one outside the square or in a wall with a `RamacError`."""
        inside = position.shape == (2,) and ((position >= 0) & (position <= 1)).all()
        if not inside or self.world.blocked(position):
            raise RamacError(f"the start is {position.tolist()}; expected a point of the unit square, outside walls")
        self.position = position.astype(np.float32)

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Move the point; actions beyond [−1, 1] are clipped."""
        draws = self.np_random.random(2)
        self.position, reward, ended = step(self.world, self.position, np.asarray(action, np.float64), draws)
        return observe(self.world, self.position), float(reward), bool(ended), False, {}


class Together:
    """Episodes side by side in NumPy, the same to the bit as environments in their wrappers.

    Args:
        world: the map.
        hazard: the live one, or None.
        horizon: steps at which an episode is cut.
        seeds: one an episode, as the environment's `reset` takes it.
    """

    def __init__(self, world: Map, hazard: Hazard | None, horizon: int, seeds: Sequence[int]) -> None:
        self.world, self.hazard, self.horizon, self.steps = world, hazard, horizon, 0
        generators = [seeding.np_random(seed)[0] for seed in seeds]
        self.positions = np.stack([start(world, rng) for rng in generators])
        width = 2 + (hazard is not None)  # what a step draws
        self.draws = np.stack([rng.random((horizon, width)) for rng in generators])

    action = (2,)  # shape of one

    @property
    def observations(self) -> Float32[Array, "N 4"]:
        """What the episodes observe now."""
        return observe(self.world, self.positions)

    def step(self, chosen: Sequence[tuple[int, Array]]) -> list[tuple[Array, float, bool, bool, dict[str, Any]]]:
        """Return what `NavigationEnv.step` would of each of these episodes, given by number with its action."""
        rows, actions = np.array([row for row, _ in chosen]), np.array([action for _, action in chosen])
        draws = self.draws[rows, self.steps]
        before = observe(self.world, self.positions[rows])
        moved, rewards, ended = step(self.world, self.positions[rows], actions.astype(np.float64), draws[:, :2])
        self.positions[rows] = moved
        self.steps += 1
        after, cut = observe(self.world, moved), self.steps >= self.horizon
        infos: list[dict[str, Any]] = [{} for _ in chosen]
        if self.hazard is not None:
            outcome = self.hazard.decide(before, actions, after, draws[:, 2])
            rewards, ended = rewards + outcome.penalty.astype(np.float64), ended | outcome.ends
            columns = self.hazard.monitored(after), outcome.violation, outcome.penalty
            names = ("monitored", "violation", "penalty")
            infos = [dict(zip(names, row, strict=True)) for row in zip(*(c.tolist() for c in columns), strict=True)]
        return [
            (observation, reward, end, cut, info)
            for observation, reward, end, info in zip(after, rewards.tolist(), ended.tolist(), infos, strict=True)
        ]

    def pose(self, index: int) -> Float32[Array, " 2"]:
        """Return an episode's position."""
        return self.positions[index].copy()

    def close(self) -> None:
        """Do nothing: nothing is open."""


def map_of(env_id: str) -> Map | None:
    """Return the map of an environment of ours by its id, None of any other."""
    return next((MAPS[name] for name in MAPS if env_id == ID.format(name.capitalize())), None)


for _name in MAPS:
    if ID.format(_name.capitalize()) not in gymnasium.registry:
        _entry = "ramac_lib.envs.navigation:NavigationEnv"
        gymnasium.register(ID.format(_name.capitalize()), _entry, max_episode_steps=CROSSING, kwargs={"world": _name})
