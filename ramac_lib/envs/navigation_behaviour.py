"""Behaviour policies of risky navigation: rules with bounded noise, whose mixture has a density that can be evaluated.

A rule follows its way (`Map.ways`). From where it stands it goes as far along the way as a step reaches, makes up half
of what it is beside it, and adds noise that is uniform in a box. It is therefore never farther from the way than a
*corridor* of half-width √2 · noise / ½. The rule `hesitant` stays where it is, but for the noise, and only near the
start. The policy that the data come from looks at the state alone:

    β(a | s) = Σ_m w_m(s) U(box about the action of rule m in s)(a).

In the start's zone w are the stated shares. Elsewhere the nearest way decides, in its corridor; the first step leads
from one to the other, so that episodes are mixed as stated. Where ways are equally near, as at their end, they share.
The support of β is a set: of states, the zone and the corridors; in each, one box of actions or some.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32

from ramac_lib.envs.maps import Map, get_map
from ramac_lib.envs.tasks import Task, get_task
from ramac_lib.system.errors import RamacError

Array = np.ndarray
NOISE = 0.2  # half-width of the box of actions, in units of the action bound
RETURN = 0.5  # the share of its offset from the way that a step makes up
ZONE = 0.04  # half-width of the box about the start in which rules are drawn
EQUAL = 0.005  # ways whose distances differ by less are equally near
# Positions and actions are stored in float32, whose rounding may carry one at an edge across it.
ROUNDING = 1e-5
RISKY, SLOW = "through", "hesitant"
MIXTURES = {"expert": (0.0, 0.0), "mixed": (1 / 3, 0.1), "biased": (0.95, 0.0)}
"""Mixture → the share of episodes through the danger, the safe ways sharing the rest equally; the share of steps at the
start that hesitate."""


def shares_of(world: Map, mixture: str) -> dict[str, float]:
    """Return the share of each rule in a mixture of `MIXTURES`, as drawn in the start's zone."""
    risky, slow = MIXTURES[mixture]
    safe = [rule for rule in world.ways if rule != RISKY]
    shares = {**{rule: (1 - risky) / len(safe) for rule in safe}, RISKY: risky}
    drawn = {rule: (1 - slow) * share for rule, share in shares.items()} | {SLOW: slow}
    return {rule: share for rule, share in drawn.items() if share > 0}


@dataclass(frozen=True)
class Behaviour:
    """The policy that navigation data come from.

    Args:
        world: the map.
        shares: rule → how often it is drawn in the start's zone, summing to 1.
        noise: half-width of the box of actions about a rule's own.

    Raises:
        RamacError: a rule that the map does not have, shares that do not sum to 1, noise outside (0, .3].
    """

    world: Map
    shares: dict[str, float]
    noise: float = NOISE

    def __post_init__(self) -> None:
        known = (*self.world.ways, SLOW)
        if unknown := [rule for rule in self.shares if rule not in known]:
            raise RamacError(f"map {self.world.name} has no rule {unknown[0]!r}; expected {', '.join(known)}")
        if min(self.shares.values()) < 0 or abs(sum(self.shares.values()) - 1) > 1e-9:
            raise RamacError(f"the rules' shares are {self.shares}; expected numbers of at least 0 that sum to 1")
        if not 0 < self.noise <= 0.3:
            raise RamacError(f"noise is {self.noise}; expected a number in (0, 0.3]")

    @property
    def width(self) -> float:
        """Half of a corridor's width, from w = (1 − ½) w + √2 · (what a step is disturbed by)."""
        return 2**0.5 * (self.world.step * self.noise + self.world.noise) / RETURN

    def means(self, positions: Float[Array, "N 2"]) -> tuple[Float[Array, "R N 2"], Float[Array, "R N"]]:
        """Return each rule's action without noise, and the weights w_m(s), in the order of `shares`.

        Where a position is in no corridor all weights are 0, and the actions say nothing.
        """
        here = np.asarray(positions, np.float64)
        moves, distances = [], []
        for rule in self.shares:
            if rule == SLOW:
                moves.append(np.zeros_like(here))
                distances.append(np.full(len(here), np.inf))
                continue
            way = np.array(self.world.ways[rule])
            beside, distance = _nearest(way, here)
            offset = here - beside
            target = _farthest(way, beside + RETURN * offset, self.world.step * (1 - self.noise))
            moves.append(target - beside - RETURN * offset)
            distances.append(distance)
        near = np.array(distances)
        first = (np.abs(here - self.world.start) <= ZONE + ROUNDING).all(axis=1)
        allowed = (near <= near.min(axis=0) + EQUAL) & (near <= self.width + ROUNDING) | first
        weights = np.array(list(self.shares.values()))[:, None] * allowed
        total = weights.sum(axis=0)
        return np.array(moves) / self.world.step, weights / np.where(total > 0, total, 1)

    def sample(self, positions: Float[Array, "N 2"], rng: np.random.Generator) -> Float32[Array, "N 2"]:
        """Draw an action in each position, which must lie in the zone or a corridor."""
        means, weights = self.means(positions)
        which = (rng.random(len(positions)) >= np.cumsum(weights, axis=0)).sum(axis=0).clip(max=len(weights) - 1)
        noise = rng.uniform(-self.noise, self.noise, (len(positions), 2))
        return (means[which, np.arange(len(positions))] + noise).astype(np.float32).clip(-1, 1)

    def density(self, positions: Float[Array, "N 2"], actions: Float[Array, "N 2"]) -> Float[Array, " N"]:
        """Return β(a | s) with respect to area, 0 outside the support; 0 also where s is in no corridor."""
        means, weights = self.means(positions)
        inside = (np.abs(np.asarray(actions, np.float64) - means) <= self.noise + ROUNDING).all(axis=-1)
        return (weights * inside).sum(axis=0) / (2 * self.noise) ** 2

    def log_density(self, positions: Float[Array, "N 2"], actions: Float[Array, "N 2"]) -> Float[Array, " N"]:
        """Return the logarithm of `density`, −∞ outside the support."""
        with np.errstate(divide="ignore"):
            return np.log(self.density(positions, actions))

    def support(self, positions: Float[Array, "N 2"], actions: Float[Array, "N 2"]) -> Bool[Array, " N"]:
        """Return whether each pair is one that the data can hold: β(a | s) > 0 in a state of a corridor."""
        return self.density(positions, actions) > 0

    def corridor(self, positions: Float[Array, "N 2"]) -> Bool[Array, " N"]:
        """Return whether each position lies in the start's zone or in a corridor."""
        return self.means(positions)[1].sum(axis=0) > 0


def get_behaviour(task: str | Task) -> Behaviour:
    """Return the behaviour policy of a navigation task's bundled data.

    Raises:
        RamacError: an unknown task, or one that is no navigation.
    """
    chosen = get_task(task)
    if not chosen.is_navigation:
        raise RamacError(f"{chosen} is no task of risky navigation; its behaviour policy has no formula here")
    world = get_map(chosen.env)
    return Behaviour(world, shares_of(world, chosen.quality))


def _legs(way: Float[Array, "C 2"]) -> "zip[tuple[Array, Array]]":
    return zip(way[:-1], np.diff(way, axis=0), strict=True)


def _nearest(way: Float[Array, "C 2"], here: Float[Array, "N 2"]) -> tuple[Float[Array, "N 2"], Float[Array, " N"]]:
    """Return the nearest point of a way to each position, and its distance."""
    best, point = np.full(len(here), np.inf), here.copy()
    for corner, leg in _legs(way):
        share = np.clip((here - corner) @ leg / (leg @ leg), 0, 1)
        there = corner + share[:, None] * leg
        distance = np.hypot(*(here - there).T)
        closer = distance < best
        best, point = np.where(closer, distance, best), np.where(closer[:, None], there, point)
    return point, best


def _farthest(way: Float[Array, "C 2"], here: Float[Array, "N 2"], reach: float) -> Float[Array, "N 2"]:
    """Return the last point of a way within a box of half-width `reach` about each position; where none is, itself.

    On each leg A + t D the box holds an interval of t, an intersection of one for each axis.
    """
    target = here.copy()
    for corner, leg in _legs(way):
        low, high = np.zeros(len(here)), np.ones(len(here))
        for axis in (0, 1):
            gap = here[:, axis] - corner[axis]
            if leg[axis] == 0:
                high = np.where(np.abs(gap) <= reach, high, -1.0)
                continue
            ends = np.sort([(gap - reach) / leg[axis], (gap + reach) / leg[axis]], axis=0)
            low, high = np.maximum(low, ends[0]), np.minimum(high, ends[1])
        target = np.where((low <= high)[:, None], corner + high[:, None] * leg, target)
    return target
