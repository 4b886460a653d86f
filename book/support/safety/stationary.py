"""COptiDICE (Lee et al. 2022) in a world of two states, against the linear programme that it approximates."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import optimize

Array = np.ndarray


@dataclass(frozen=True)
class Tabular:
    """A world by its tables: P (s, a, s'), r and c (s, a), where episodes begin, γ, and the behaviour policy (s, a)."""

    moves: Float[Array, "s a s"] = field(default_factory=lambda: np.array([[[0.9, 0.1], [0.2, 0.8]]] * 2))
    rewards: Float[Array, "s a"] = field(default_factory=lambda: np.array([[0.2, 1.0], [0.4, 2.0]]))
    costs: Float[Array, "s a"] = field(default_factory=lambda: np.array([[0.0, 1.0], [0.0, 1.0]]))
    begins: Float[Array, " s"] = field(default_factory=lambda: np.array([1.0, 0.0]))
    discount: float = 0.9
    behaviour: Float[Array, "s a"] = field(default_factory=lambda: np.full((2, 2), 0.5))

    def flow(self) -> Float[Array, "s sa"]:
        """Return F of the Bellman flow F d = (1−γ) p₀: Σ_a d(s, a) less γ times what moves there."""
        s, a, _ = self.moves.shape
        leaves = np.repeat(np.eye(s), a, axis=1)
        return leaves - self.discount * self.moves.reshape(s * a, s).T

    def occupancy(self, policy: Float[Array, "s a"]) -> Float[Array, " sa"]:
        """Return the stationary distribution d(s, a) of a policy."""
        ahead = np.einsum("sa,sat->st", policy, self.moves)
        states = np.linalg.solve(np.eye(len(ahead)) - self.discount * ahead.T, (1 - self.discount) * self.begins)
        return (states[:, None] * policy).ravel()


class Solution(NamedTuple):
    """A stationary distribution, its mean reward and cost a step, and the price λ of the cost."""

    distribution: Float[Array, " sa"]
    reward: float
    cost: float
    price: float


def linear_programme(world: Tabular, limit: float) -> Solution:
    """Return max_d E_d r subject to the Bellman flow and E_d c ≤ ĉ."""
    flow = world.flow()
    found = optimize.linprog(
        -world.rewards.ravel(), A_ub=world.costs.reshape(1, -1), b_ub=[limit], A_eq=flow,
        b_eq=(1 - world.discount) * world.begins, bounds=(0, None),
    )  # fmt: skip
    if not found.success or found.x is None:
        raise ValueError(f"no stationary distribution costs at most {limit}: {found.message}")
    price = -float(found.ineqlin.marginals[0])
    return Solution(found.x, float(world.rewards.ravel() @ found.x), float(world.costs.ravel() @ found.x), price)


def regularised(world: Tabular, limit: float, strength: float, sampled: bool = False) -> Solution:
    """Return max_d E_d r − α D(d ‖ d^D), D with f = ½(w−1)², under the same constraints, by its dual.

    The dual, (1−γ) E ν(s₀) + E_D max_{w ≥ 0} [w e − α f(w)] + λ ĉ, e = r − λc + γ E ν(s') − ν(s), is what the method
    descends in ν and λ ≥ 0; w = max(0, e/α + 1) at its least.

    Args:
        sampled: e from one s' at a time, as the method has it. A row's weight then depends on where it led, so that
            the solution is a distribution of a world in which the better of the moves are more frequent.
    """
    n, actions = world.rewards.shape
    data = world.occupancy(world.behaviour)
    source = np.repeat(np.eye(n), actions, axis=0)  # (s·a, s): of each pair, the state
    ahead = world.moves.reshape(-1, n)
    rewards, costs = world.rewards.ravel(), world.costs.ravel()
    if sampled:  # a row for each (s, a, s')
        data, source = (data[:, None] * ahead).ravel(), np.repeat(source, n, axis=0)
        rewards, costs = np.repeat(rewards, n), np.repeat(costs, n)
        ahead = np.tile(np.eye(n), (len(ahead), 1))
    flow = (source - world.discount * ahead).T
    start = (1 - world.discount) * world.begins

    def weights(variables: Float[Array, " v"]) -> tuple[Float[Array, " rows"], Float[Array, " rows"]]:
        gain = rewards - variables[n] * costs - flow.T @ variables[:n]
        return gain, np.maximum(0, gain / strength + 1)

    def dual(variables: Float[Array, " v"]) -> tuple[float, Float[Array, " v"]]:
        gain, w = weights(variables)
        value = start @ variables[:n] + data @ (w * gain - strength * 0.5 * (w - 1) ** 2) + variables[n] * limit
        return float(value), np.append(start - flow @ (data * w), limit - costs @ (data * w))

    found = optimize.minimize(
        dual, np.zeros(n + 1), jac=True, method="L-BFGS-B", bounds=[(None, None)] * n + [(0, None)],
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-10},
    )  # fmt: skip
    d = data * weights(found.x)[1]
    pairs = d.reshape(n * actions, -1).sum(1)
    return Solution(pairs, float(rewards @ d), float(costs @ d), float(found.x[n]))


def played(world: Tabular, distribution: Float[Array, " sa"]) -> tuple[float, float]:
    """Return reward and cost a step of the policy that clones a distribution's actions, in the world itself."""
    table = distribution.reshape(world.rewards.shape)
    d = world.occupancy(table / table.sum(1, keepdims=True))
    return float(world.rewards.ravel() @ d), float(world.costs.ravel() @ d)
