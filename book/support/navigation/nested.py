"""What RAMAC's actor climbs on navigation's grid: in each state CVaR_α of the discounted return of its own policy.

The agent of eq. 10 chooses, in each state, the action whose discounted return has the best CVaR_α, given that it goes
on as it does. Later steps choose first, until nothing changes. It is not the optimum of the episode's CVaR_α: chapter 1
says why.
"""

import numpy as np
from jaxtyping import Float

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.navigation.optimum import Grid, Plan

Array = np.ndarray
SETTLED = 300  # sweeps within which the plan must settle


def nested(grid: Grid, alpha: float = 0.1, discount: float = 0.99) -> Plan:
    """Return the plan that in each point is greedy for CVaR_α of its own discounted return.

    Laws of returns are exact, as atoms. ``settled`` is False where sweeps go on changing the plan.

    Raises:
        RamacError: α outside (0, 1], a discount outside (0, 1].
    """
    risk.check_alpha(alpha)
    if not 0 < discount <= 1:
        raise RamacError(f"discount is {discount}; expected a number in (0, 1]")
    p, penalty = grid.p.reshape(-1, 1), grid.penalty.reshape(-1, 1)
    costs, goal = grid.costs.reshape(-1, 1), grid.goal.reshape(-1, 1)
    values, masses = np.zeros((len(p), 1)), np.ones((len(p), 1))
    to = np.full(len(p), -1)
    for _ in range(SETTLED):
        landed = np.where(goal, 0.0, discount * values)
        masses = np.where(goal, np.arange(masses.shape[1]) == 0, masses)  # nothing comes after the goal
        law = _packed(np.hstack([landed, landed - penalty]), np.hstack([(1 - p) * masses, p * masses]))
        worth = _cvar(*law, alpha)
        chosen = grid.choices(-worth.reshape(grid.points, grid.points)).reshape(-1)
        after = law[0][chosen] - costs, law[1][chosen]
        same = np.array_equal(chosen, to) and after[0].shape == values.shape and np.allclose(after[0], values)
        (values, masses), to = after, chosen
        if same:
            return Plan(grid, to)
    return Plan(grid, to, settled=False)


def _packed(values: Float[Array, "N A"], masses: Float[Array, "N A"]) -> tuple[Array, Array]:
    """Return laws in order of their values, atoms without mass at the end and dropped where no law needs them."""
    order = np.argsort(np.where(masses > 0, values, np.inf), axis=1, kind="stable")
    values, masses = np.take_along_axis(values, order, 1), np.take_along_axis(masses, order, 1)
    kept = int((masses > 0).sum(axis=1).max())
    return np.where(masses > 0, values, 0.0)[:, :kept], masses[:, :kept]


def _cvar(values: Float[Array, "N A"], masses: Float[Array, "N A"], alpha: float) -> Float[Array, " N"]:
    """Return CVaR_α of laws whose values stand in their order."""
    before = np.cumsum(masses, axis=1) - masses
    return (values * np.clip(alpha - before, 0, masses)).sum(axis=1) / alpha
