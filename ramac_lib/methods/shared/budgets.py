"""Budgets of cost that are counted while acting, and what a planner makes of them (TREBI; Lin et al. 2023)."""

from typing import Any

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from ramac_lib.methods.shared.planning import PlanController
from ramac_lib.networks.noise import Noise


def urgency(costs: Float[Tensor, "*B"], budgets: Float[Tensor, "*B"]) -> Float[Tensor, "*B"]:
    """Return exp(clip((V − b)/b, 0, 1)) where V > b, and 0 within the budget; from 1 to e, which it is if b ≤ 0."""
    excess = ((costs - budgets) / budgets.clamp(min=1e-6)).clamp(0, 1).exp()
    return torch.where(costs > budgets, excess, 0.0)


def within(
    rewards: Float[Tensor, "S B K"], costs: Float[Tensor, "S B K"], budgets: Float[Tensor, "S B K"]
) -> Int[Tensor, "S B"]:
    """Return which of K candidates has the highest reward of those within the budget, or the least cost of all."""
    allowed = costs <= budgets
    best = torch.where(allowed, rewards, -torch.inf).argmax(dim=2)
    return torch.where(allowed.any(dim=2), best, costs.argmin(dim=2))


class BudgetController(PlanController):
    """Follows plans within what is left of each episode's budget: b_{t+1} = (b_t − c_t)/γ.

    Args:
        method: a planner whose aim is a budget.
    """

    def __init__(self, method: Any, noise: Noise) -> None:
        super().__init__(method, noise, None)

    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action."""
        if self.aim is None:
            self.aim = self.planning.first_aim(observations)
        return super().__call__(observations)

    def observe(self, rewards: Float[ndarray, "S E"], costs: Float[ndarray, "S E"]) -> None:
        """Take what was spent off the budget, which is counted from the next step on."""
        spent = torch.as_tensor(costs, dtype=torch.float32, device=self.planning.device)
        budget = self.planning.first_aim(spent.unsqueeze(2)) if self.aim is None else self.aim
        self.aim = (budget - spent) / max(self.planning.config.discount, 1e-6)

    def keep(self, episodes: Int[ndarray, " K"]) -> None:
        """Go on with these episodes' plans and budgets."""
        super().keep(episodes)
        if self.aim is not None:
            self.aim = self.aim[:, torch.as_tensor(episodes, device=self.aim.device)]
