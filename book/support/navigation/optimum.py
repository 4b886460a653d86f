"""The optima of risky navigation, computed: neutral, of the episode's CVaR, and what a per-state CVaR settles on.

On a grid of points whose moves are the whole multiples of its spacing within one step (51 × 51: spacing .02, 11 × 11
moves), without noise. A plan is executable in the environment: it starts on a point of the grid and each
move is an action, so its return there is the one computed here, to rounding. What is best here is thus a lower bound on
what policies of the continuous world reach; grids of 201 points add .02 on `obstacle` and .05 on the other maps.

Two criteria, on one grid of costs c(s) = distance + .1 and of risks (p, P) of the point that a step ends in:

- `neutral`: max E[R], R the episode's undiscounted return; dynamic programming over 50 steps.
- `Static`: max CVaR_α(R). By eq. 4, CVaR_α(R) = max_ν {ν − E[(ν − R)₊]/α}: with y = ν − (what was earned so far),
  the state (s, y) is Markov and W(s, y) = min E[(y − what is still earned)₊] is found once for every ν, hence every α.
  As y grows with every step, each level of W needs only higher ones. For y ≥ 0 it is y + E[cost to go], in closed
  form. Levels of y are `resolution` apart and c is rounded to them, which moves the return of an episode of T steps by
  at most T · resolution / 2, and so no CVaR by more. Values reported are those of the plan found, without rounding.
A mean's weight λ > 0 adds λ E[cost] to W. A small one decides among plans of equal CVaR; larger ones trace the frontier
of mean against CVaR_α. The 50 steps are left out of `Static`: its plans end before (`Plan.law` says so where not).
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import minimum_filter

from ramac_lib import risk
from ramac_lib.envs.hazards import Hazard
from ramac_lib.envs.maps import Map
from ramac_lib.envs.navigation import STEP_COST, observe
from ramac_lib.envs.tasks import CROSSING
from ramac_lib.system.errors import RamacError

Array = np.ndarray
Field = Float[Array, "n n"]
POINTS = 51
RESOLUTION = 0.005
TIE = 1e-3  # the mean's weight, in units of α, where it only decides among equals


class Grid:
    """A map and its dangers on a grid of points.

    Args:
        world: the map, without noise.
        hazard: a danger that the point that a step ends in decides.
        points: along each side.

    Raises:
        RamacError: a grid too coarse for a step or for the map's narrowest danger, a start or goal beside it, noise.
    """

    def __init__(self, world: Map, hazard: Hazard, points: int = POINTS) -> None:
        if points < 2:
            raise RamacError(f"a grid of {points} points has no moves; expected at least 2 a side")
        self.world, self.hazard, self.points, self.spacing = world, hazard, points, 1 / (points - 1)
        limit = min(world.step, world.narrowest / 2)
        if self.spacing > limit + 1e-9:
            raise RamacError(
                f"a grid of {points} points, {self.spacing:.3g} apart, is too coarse for the map {world.name}; "
                f"expected at most {limit:.3g}, a step or half of its narrowest danger"
            )
        if world.noise:
            raise RamacError(f"map {world.name} has noise {world.noise}; the optimum is exact without noise alone")
        self.reach = int(world.step / self.spacing + 1e-9)
        axis = np.linspace(0, 1, points).astype(np.float32)
        self.at = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
        self.costs: Field = world.distance(self.at.astype(np.float64)) + STEP_COST
        self.goal, self.wall = world.distance(self.at) <= 0.05 + 1e-6, world.blocked(self.at)
        if not (self.goal & ~self.wall).any():
            raise RamacError(f"no point of a grid of {points} points is within .05 of the goal {world.goal}")
        seen = observe(world, self.at).reshape(-1, 4)
        inside, p, penalty = hazard.risk(seen, seen[:, :2], seen)
        shape = (points, points)
        self.p: Field = (inside * p).reshape(shape)
        self.penalty: Field = (inside * -penalty).reshape(shape)
        width = 1.0 if world.spread is None else world.spread
        begun = (np.abs(self.at - np.array(world.start)) <= width + 1e-6).all(axis=-1) & ~self.wall
        if not begun.any():
            raise RamacError(
                f"no point of a grid of {points} points is the start {world.start} of the map {world.name}"
            )
        self.starts = np.flatnonzero(begun)
        self.shares = np.full(len(self.starts), 1 / len(self.starts))

    def least(self, values: Field) -> Field:
        """Return the least of the values that one move reaches from each point."""
        size = 2 * self.reach + 1
        return minimum_filter(np.where(self.wall, np.inf, values), size, mode="constant", cval=np.inf)

    def choices(self, values: Field) -> Int[Array, "n n"]:
        """Return the point, as a flat number, of the least value that a move reaches from each; of equals the first."""
        n, reach = self.points, self.reach
        padded = np.pad(np.where(self.wall, np.inf, values), reach, constant_values=np.inf)
        best, chosen = np.full((n, n), np.inf), np.zeros((n, n), int)
        rows, columns = np.indices((n, n))
        for i in range(2 * reach + 1):
            for j in range(2 * reach + 1):
                there = padded[i : i + n, j : j + n]
                better = there < best
                best = np.where(better, there, best)
                chosen = np.where(better, (rows + i - reach) * n + columns + j - reach, chosen)
        return chosen


@dataclass
class Plan:
    """What to do in every point, and the exact law of the episode's return that comes of it.

    Args:
        grid: of which points.
        to: where to go from each point, as flat numbers; with a memory, of each level too.
        settled: whether what made it came to an end.
    """

    grid: Grid
    to: Int[Array, " N"]
    settled: bool = True

    def go(self, point: int, memory: int) -> tuple[int, int]:
        """Return where to go from a point, and the memory after what the step costs; only `Adaptive` has one."""
        return int(self.to[point]), memory

    def struck(self, point: int, memory: int) -> int:
        """Return the memory after a penalty in a point."""
        return memory

    @property
    def memory(self) -> int:
        """What an episode begins with."""
        return 0

    @cached_property
    def law(self) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
        """The values and probabilities of the episode's return, from all starts; episodes are cut at 50 steps."""
        grid, found = self.grid, {}  # type: ignore[var-annotated]
        p, penalty, costs, goal = (a.reshape(-1) for a in (grid.p, grid.penalty, grid.costs, grid.goal))
        nodes: dict[tuple[int, int, float], float] = {
            (int(s), self.memory, 0.0): float(share) for s, share in zip(grid.starts, grid.shares, strict=True)
        }
        for _ in range(CROSSING):
            later: dict[tuple[int, int, float], float] = {}
            for (point, memory, earned), mass in nodes.items():
                there, after = self.go(point, memory)
                sure = round(earned - costs[point], 9)
                branches = [(1 - p[there], after, sure)]
                if p[there] > 0:
                    branches.append((p[there], self.struck(there, after), round(sure - penalty[there], 9)))
                for share, state, total in branches:
                    if share == 0:
                        continue
                    into: Any = found if goal[there] else later
                    key: Any = total if goal[there] else (there, state, total)
                    into[key] = into.get(key, 0.0) + mass * share
            nodes = later
            if not nodes:
                break
        for (_, _, earned), mass in nodes.items():
            found[earned] = found.get(earned, 0.0) + mass
        values = np.array(sorted(found))
        return values, np.array([found[v] for v in values])

    @property
    def mean(self) -> float:
        """The expected return."""
        return risk.risk_of_law(*self.law, "neutral")

    def cvar(self, alpha: float = 0.1) -> float:
        """Return CVaR_α of the episode's return."""
        return risk.risk_of_law(*self.law, "cvar", alpha=alpha)

    def path(self) -> Float[Array, "T1 2"]:
        """Return the positions of an episode from the first start that no penalty strikes, the start included."""
        point, memory, points = int(self.grid.starts[0]), self.memory, [int(self.grid.starts[0])]
        while not self.grid.goal.flat[points[-1]] and len(points) <= CROSSING:
            point, memory = self.go(point, memory)
            points.append(point)
        return self.grid.at.reshape(-1, 2)[points].astype(np.float64)


def neutral(grid: Grid) -> Plan:
    """Return the plan with the best expected return."""
    return Plan(grid, grid.choices(grid.p * grid.penalty + _to_go(grid, grid.costs)).reshape(-1))


def pessimist(grid: Grid, alpha: float) -> Plan:
    """Return the plan with the best expected return where every danger strikes 1/α times as often, surely at most."""
    p = np.minimum(grid.p / risk.check_alpha(alpha), 1)
    return Plan(grid, grid.choices(p * grid.penalty + _to_go(grid, grid.costs, p)).reshape(-1))


def _to_go(grid: Grid, costs: Field, p: Field | None = None) -> Field:
    """Return the least expected cost from each point over 50 steps; 0 at the goal."""
    dread = (grid.p if p is None else p) * grid.penalty
    value = np.zeros_like(costs)
    for _ in range(CROSSING):
        value = np.where(grid.goal, 0.0, costs + grid.least(dread + value))
    return value


@dataclass
class Adaptive(Plan):
    """A plan whose memory is the level of y: it may go on otherwise once it was struck."""

    static: "Static" = field(kw_only=True)
    level: int = field(kw_only=True)

    @property
    def memory(self) -> int:
        """The level of ν."""
        return self.level

    def go(self, point: int, memory: int) -> tuple[int, int]:
        """Return where W is least, and the level after the step's cost; below 0 all is decided by the mean."""
        after = max(memory - int(self.static.cost_levels.flat[point]), -1)
        return self.static.best(point, after), after

    def struck(self, point: int, memory: int) -> int:
        """Return the level after a penalty."""
        return max(memory - int(self.static.penalty_levels.flat[point]), -1)


class Static:
    """W for every y, hence the plan with the best CVaR_α of the episode's return for every α.

    Args:
        grid: whose dangers have penalties that are multiples of the resolution.
        least_alpha: below which no plan will be asked for.
        resolution: between levels of y.
        weight: λ, of the mean.

    Raises:
        RamacError: a resolution that is not above 0, or of which a penalty is no multiple.
    """

    def __init__(
        self, grid: Grid, least_alpha: float = 0.05, resolution: float = RESOLUTION, weight: float | None = None
    ) -> None:
        if not resolution > 0:
            raise RamacError(f"resolution is {resolution}; expected a number above 0")
        levels = grid.penalty / resolution
        if np.abs(levels - np.rint(levels)).max() > 1e-6:
            raise RamacError(f"a penalty is no multiple of the resolution {resolution}; expected one that divides all")
        self.grid, self.resolution, self.least_alpha = grid, resolution, risk.check_alpha(least_alpha)
        self.weight = TIE * least_alpha if weight is None else weight
        self.penalty_levels = np.rint(levels).astype(int)
        self.cost_levels = np.maximum(np.rint(grid.costs / resolution), 1).astype(int)
        self.to_go = _to_go(grid, self.cost_levels * resolution)
        # ν, the optimum's α-quantile, is no lower than any plan's CVaR_α.
        floor = max(plan.cvar(least_alpha) for plan in (neutral(grid), pessimist(grid, least_alpha)))
        self.w = self._solve(int(-floor / resolution) + 2)

    def _solve(self, levels: int) -> Float[Array, "K n n"]:
        """Return W at y = 0, −δ, −2δ, …; each level needs those above it alone."""
        grid, weight = self.grid, self.weight
        n, sure = grid.points, self.cost_levels * self.resolution * weight
        w, landed = np.empty((levels, n, n)), np.empty((levels, n, n))
        rows, columns = np.indices((n, n))
        above = (1 + weight) * grid.least(grid.p * grid.penalty + self.to_go)
        for k in range(levels):
            at = k - self.cost_levels
            past = landed[np.maximum(at, 0), rows, columns] if k else above
            w[k] = np.where(grid.goal, 0.0, sure + np.where(at < 0, above - at * self.resolution, past))
            landed[k] = grid.least(self._landing(w, k))
        return w

    def _landing(self, w: Float[Array, "K n n"], level: int) -> Field:
        """Return what it is worth to come to each point at a level of y, before the danger there has its say."""
        grid, weight = self.grid, self.weight
        if level < 0:  # y ≥ 0: only the mean counts
            return (1 + weight) * (grid.p * grid.penalty + self.to_go)
        rows, columns = np.indices(w.shape[1:])
        at = level - self.penalty_levels
        below = np.where(at < 0, (1 + weight) * self.to_go - at * self.resolution, w[np.maximum(at, 0), rows, columns])
        below = below + weight * grid.penalty
        return (1 - grid.p) * w[level] + grid.p * below

    def best(self, point: int, level: int) -> int:
        """Return where to go from a point at a level of y that includes the step's cost."""
        grid = self.grid
        if level not in self._chosen:
            self._chosen[level] = grid.choices(self._landing(self.w, level)).reshape(-1)
        return int(self._chosen[level][point])

    @cached_property
    def _chosen(self) -> dict[int, Int[Array, " N"]]:
        return {}

    def plan(self, alpha: float) -> Plan:
        """Return the plan with the best CVaR_α: that of W, or `neutral` or `pessimist` where W's rounding hides it.

        Raises:
            RamacError: α outside [least_alpha, 1].
        """
        if not self.least_alpha - 1e-12 <= alpha <= 1:
            raise RamacError(f"alpha is {alpha}; expected a number in [{self.least_alpha:g}, 1]")
        level = int(self._worth(alpha).argmax())
        found = Adaptive(self.grid, np.empty(0, int), static=self, level=level)
        worth = self.weight * alpha

        def merit(plan: Plan) -> float:
            return plan.cvar(alpha) + worth * plan.mean

        return max((found, neutral(self.grid), pessimist(self.grid, alpha)), key=merit)

    def _worth(self, alpha: float) -> Float[Array, " K"]:
        """Return ν − W(ν)/α at each level of ν, the starts' mean."""
        shortfall = self.w.reshape(len(self.w), -1)[:, self.grid.starts] @ self.grid.shares
        return -np.arange(len(self.w)) * self.resolution - shortfall / alpha

    def bound(self, alpha: float, steps: int = CROSSING) -> float:
        """Return what no plan on the grid that ends within `steps` exceeds in CVaR_α."""
        best = float(self._worth(alpha).max())
        return best + (steps + 1) * self.resolution / 2 + self.weight * abs(best) / alpha
