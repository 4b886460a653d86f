"""What switches between policies while an episode goes on: a count of its cost, and the rule which head acts (CAPS)."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ramac_lib.methods.shared import base
from ramac_lib.networks.noise import Noise


class Budget(base.Controller):
    """Keeps count of each episode's cost and of the steps, and has the heads compared with what is left.

    Args:
        method: says what is ``left(spent, steps)`` of the limit, and which action to take, ``switch(states, allowed)``.
    """

    def __init__(self, method: Any, noise: Noise) -> None:
        super().__init__(method, noise)
        self.switching, self.steps = method, 0
        self.spent: Float[Tensor, "S E"] | None = None

    @torch.no_grad()
    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action."""
        states = self.switching.scaled(observations.to(self.switching.device))
        allowed = self.switching.left(0.0 if self.spent is None else self.spent, self.steps)
        self.steps += 1
        return self.switching.switch(states, allowed.expand(states.shape[:2]))

    def observe(self, rewards: Float[np.ndarray, "S E"], costs: Float[np.ndarray, "S E"]) -> None:
        """Add the last actions' costs."""
        found = torch.as_tensor(costs, dtype=torch.float32, device=self.switching.device)
        self.spent = found if self.spent is None else self.spent + found

    def keep(self, episodes: Int[np.ndarray, " K"]) -> None:
        """Go on with these episodes' costs."""
        if self.spent is not None:
            self.spent = self.spent[:, torch.as_tensor(episodes, device=self.spent.device)]


def head(
    earned: Float[Tensor, "S B K"], paid: Float[Tensor, "S B K"], allowed: Float[Tensor, "S B"]
) -> Int[Tensor, "S B"]:
    """Return which head acts: of those that pay less than is allowed the one that earns most, else the cheapest."""
    within = paid < allowed.unsqueeze(2)
    best = torch.where(within, earned, -torch.inf).argmax(dim=2)
    return torch.where(within.any(dim=2), best, paid.argmin(dim=2))
