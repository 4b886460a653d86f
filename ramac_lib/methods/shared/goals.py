"""What acts for a sequence model with goals: the context and the goals that are left, for each episode by itself."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.limits import episode_costs
from ramac_lib.networks.noise import Noise

COLUMNS = ("rewards", "costs"), ("returns", "cost_returns")


def goals_of(batch: Batch) -> Float[Tensor, "S B K 2"]:
    """Return what rewards and costs still sum to at each step of windows that have a discount of 1."""
    spent, firsts = (torch.stack([getattr(batch, n) for n in names], dim=-1) for names in COLUMNS)
    return firsts.unsqueeze(2) - spent.cumsum(dim=2) + spent


def best_within(data: Dataset, kappa: float) -> float:
    """Return the highest return of an episode whose cost is at most κ, of the cheapest ones if there is none.

    An episode that the data's end cuts does not count, unless there is no other.
    """
    returns, costs, ended = data.episode_returns(), episode_costs(data), data.terminals | data.timeouts
    whole = np.array([bool(ended[stop - 1]) for _, stop in data.episode_bounds()])
    if whole.any():
        returns, costs = returns[whole], costs[whole]
    return float(returns[costs <= max(kappa * (1 + 1e-6), costs.min())].max())


class GoalController(base.Controller):
    """Keeps each episode's last K steps, and counts return and cost to go down.

    Args:
        method: with a `SequencePolicy`, goals (R̂₀, Ĉ₀) in `goal` and their `unit`.
    """

    def __init__(self, method: Any, noise: Noise) -> None:
        super().__init__(method, noise)
        self.cdt = method
        self.goals: Tensor | None = None  # (S, E, n, 2), as are states and actions with their widths
        self.states: Tensor | None = None
        self.actions: Tensor | None = None
        self.spent: Tensor | None = None  # (S, E, 2) of rewards and costs

    @torch.no_grad()
    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action."""
        return self.play(self.cdt.scaled(observations.to(self.cdt.device)))

    def play(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action, given states as the networks see them."""
        cdt, states = self.cdt, observations.unsqueeze(2)
        if self.spent is None:
            self.spent = torch.zeros(*states.shape[:2], 2, device=cdt.device)
        goals, actions = (cdt.goal - self.spent).unsqueeze(2), states.new_zeros(*states.shape[:3], cdt.dims[1])
        if self.states is not None and self.goals is not None and self.actions is not None:
            pairs = ((self.goals, goals), (self.states, states), (self.actions, actions))
            kept = cdt.config.length
            goals, states, actions = (torch.cat(pair, dim=2)[:, :, -kept:] for pair in pairs)
        chosen = cdt.policy(goals / cdt.unit().unsqueeze(2), states, actions)[0][:, :, -1]
        self.goals, self.states, self.actions = goals, states, torch.cat([actions[:, :, :-1], chosen.unsqueeze(2)], 2)
        return chosen

    def observe(self, rewards: Float[ndarray, "S E"], costs: Float[ndarray, "S E"]) -> None:
        """Count down."""
        columns = [
            torch.as_tensor(numbers, dtype=torch.float32, device=self.cdt.device) for numbers in (rewards, costs)
        ]
        earned = torch.stack(columns, dim=-1)
        self.spent = earned if self.spent is None else self.spent + earned

    def keep(self, episodes: Int[ndarray, " K"]) -> None:
        """Go on with these episodes' contexts."""
        rows = torch.as_tensor(episodes, device=self.cdt.device)
        for name in ("goals", "states", "actions", "spent"):
            if (old := getattr(self, name)) is not None:
                setattr(self, name, old[:, rows])
