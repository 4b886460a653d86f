"""A limit on the mean cost beside a tail of returns, exactly, on maps of risky navigation.

A step that ends in a danger costs 1. What is best in the mean under a limit on the expected cost of an episode is found
by a multiplier λ ≥ 0 on the cost: for each λ the neutral plan of a world where a step inside costs λ more, by dynamic
programming (`optimum.neutral`). The plans of all λ are the corners of the frontier of mean return against mean cost;
between two neighbours the best policy draws one of both before an episode begins (Altman 1999, chapter 3). So a limit
that no single plan meets with equality is met by a *mixture*, whose tail is the dangerous plan's as soon as that is
drawn often enough.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib import risk
from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION
from ramac_lib.envs.hazards import Area, Hazard, Region
from ramac_lib.envs.maps import MAPS, Map
from ramac_lib.system.errors import RamacError
from support.navigation.optimum import Grid, Plan, neutral

Array = np.ndarray
Law = tuple[Float[Array, " k"], Float[Array, " k"]]
MULTIPLIERS = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
ALPHA = 0.1


@dataclass(frozen=True)
class Corner:
    """A plan of the frontier: the exact law of its return, and its expected cost, steps inside the danger."""

    law: Law
    cost: float

    @property
    def mean(self) -> float:
        """The expected return."""
        return risk.risk_of_law(*self.law, "neutral")


def corners(world: Map, hazard: Hazard, multipliers: Sequence[float] = MULTIPLIERS) -> list[Corner]:
    """Return the plans that are best for some multiplier, the safest first; of one cost the best.

    Raises:
        RamacError: a negative multiplier, or a hazard without areas.
    """
    if min(multipliers) < 0:
        raise RamacError(f"a multiplier is {min(multipliers)}; expected numbers ≥ 0")
    if not isinstance(hazard, Region):
        raise RamacError(f"hazard {hazard.name} has no areas; expected a region of a map")
    grid, found = Grid(world, hazard), dict[float, Corner]()
    for multiplier in multipliers:
        dear = [_dearer(area, multiplier) for area in hazard.areas]
        to = neutral(Grid(world, replace(hazard, areas=tuple(dear)))).to
        plan = Plan(grid, to)
        corner = Corner(plan.law, cost_of(plan))
        kept = found.get(round(corner.cost, 9))
        if kept is None or corner.mean > kept.mean:
            found[round(corner.cost, 9)] = corner
    return _hull([found[cost] for cost in sorted(found)])


def _dearer(area: Area, multiplier: float) -> Area:
    """Return the area where each step costs what its penalty costs in the mean and the multiplier, for sure."""
    return replace(area, penalty=area.penalty * area.probability - multiplier, probability=1.0)


def cost_of(plan: Plan) -> float:
    """Return a plan's expected number of steps in a danger, over its starts."""
    total = 0.0
    for start, share in zip(plan.grid.starts, plan.grid.shares, strict=True):
        point, steps = int(start), 0
        while not plan.grid.goal.flat[point] and steps < 50:
            point, steps = int(plan.to[point]), steps + 1
            total += float(share) * float(plan.grid.p.flat[point] > 0)
    return total


def _hull(points: list[Corner]) -> list[Corner]:
    """Return the corners of the upper concave hull of mean against cost, for costs in rising order."""
    kept: list[Corner] = []
    for corner in points:
        if kept and corner.mean <= kept[-1].mean:
            continue  # dearer and no better
        while len(kept) > 1 and _slope(kept[-2], kept[-1]) <= _slope(kept[-1], corner):
            kept.pop()
        kept.append(corner)
    return kept


def _slope(one: Corner, other: Corner) -> float:
    return (other.mean - one.mean) / (other.cost - one.cost)


def mixture(one: Corner, other: Corner, share: float) -> Corner:
    """Return what it is to draw `other` with a probability, `one` else, before an episode begins."""
    (v, m), (w, n) = one.law, other.law
    law = np.concatenate([v, w]), np.concatenate([(1 - share) * m, share * n])
    return Corner(law, (1 - share) * one.cost + share * other.cost)


def under_limit(found: Sequence[Corner], limit: float) -> Corner:
    """Return the policy of the best mean among those whose expected cost is at most the limit.

    Raises:
        RamacError: a limit below zero, or below the safest plan's cost.
    """
    if limit < 0:
        raise RamacError(f"a limit on the cost is {limit}; expected a number ≥ 0")
    if limit < found[0].cost:
        raise RamacError(f"no plan costs {limit:g} or less; the safest costs {found[0].cost:g}")
    for one, other in itertools.pairwise(found):
        if limit < other.cost:
            return mixture(one, other, (limit - one.cost) / (other.cost - one.cost))
    return found[-1]


def by_limit(found: Sequence[Corner], limits: Sequence[float], alpha: float = ALPHA) -> pd.DataFrame:
    """Return, a row a limit, what the best policy under it has: columns ``limit cost mean cvar``."""
    rows = []
    for limit in limits:
        best = under_limit(found, limit)
        cvar = risk.risk_of_law(*best.law, "cvar", alpha=alpha)
        rows.append({"limit": limit, "cost": best.cost, "mean": best.mean, "cvar": cvar})
    return pd.DataFrame(rows)


def same_mean(
    probabilities: Sequence[float], name: str = "obstacle", preset: str = "rare", limit: float = 0.4
) -> pd.DataFrame:
    """Return how the tail changes while nothing that a mean cost sees does: rare and heavy against frequent and light.

    The penalty P is chosen with each probability p so that p · P, hence every plan's mean and cost, stays the preset's.

    Returns:
        A row a probability, columns ``probability penalty cvar_limited cvar_safe cvar_neutral``: CVaR_0.1 of the best
        policy under the limit, of the safest plan, of the neutral one.
    """
    world = MAPS[name]
    hazard = world.hazard(preset)
    areas = hazard.areas if isinstance(hazard, Region) else ()
    rows = []
    for p in probabilities:
        changed = tuple(replace(a, probability=p, penalty=a.penalty * a.probability / p) for a in areas)
        found = corners(world, replace(hazard, areas=changed))
        tails = [
            risk.risk_of_law(*c.law, "cvar", alpha=ALPHA) for c in (under_limit(found, limit), found[0], found[-1])
        ]
        rows.append({"probability": p, "penalty": changed[0].penalty, "cvar_limited": tails[0],
                     "cvar_safe": tails[1], "cvar_neutral": tails[2]})  # fmt: skip
    return pd.DataFrame(rows)


def draw(limits: pd.DataFrame, tails: pd.DataFrame, limit: float) -> Figure:
    """Draw mean and tail of the best policy against the limit, and its tail against the penalty's probability."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 3.1), layout="constrained")
    left.plot(limits["limit"], limits["mean"], color=TRUTH, label="mean")
    left.plot(limits["limit"], limits["cvar"], color=VIOLATION, label="CVaR$_{0.1}$")
    left.axvline(limit, color="0.6", lw=0.8, ls=":")
    left.set(xlabel="limit on the expected cost of an episode", ylabel="return")
    for column, colour, label in (
        ("cvar_safe", SAFE, "safest plan"),
        ("cvar_limited", TRUTH, f"best under the limit {limit:g}"),
        ("cvar_neutral", VIOLATION, "best mean"),
    ):
        right.plot(tails["probability"], tails[column], color=colour, marker=".", label=label)
    right.set(xlabel="probability $p$ of a penalty, $p \\cdot P$ fixed", ylabel="CVaR$_{0.1}$", xscale="log")
    _named(left)
    _named(right)
    return figure


def _named(axes: Axes) -> None:
    axes.legend(frameon=False, fontsize=8)
