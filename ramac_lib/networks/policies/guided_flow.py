"""A flow policy with a label, guided without a classifier (Ho and Salimans 2022; Frans et al. 2025, CFGRL)."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ramac_lib.networks.policies.flow import FlowPolicy


class GuidedFlowPolicy(FlowPolicy):
    """v = v_∅ + ω (v_{o=1} − v_∅): a field v_θ(a, t | s, o) of actions with the label o ∈ {∅, 0, 1}, solved for o = 1.

    The label is two numbers beside the state: (0, 0) for ∅, (1, 0) for 0, (0, 1) for 1. ω = 0 samples the actions of
    all labels, 1 those of o = 1, more goes beyond.

    Args:
        guidance: ω.
        others: as `FlowPolicy`'s.
    """

    def __init__(
        self, stack: Sequence[int], observation_dim: int, action_dim: int, *, guidance: float = 2.0, **others: Any
    ) -> None:
        super().__init__(stack, observation_dim + 2, action_dim, **others)
        self.guidance = guidance

    def labelled(
        self, observations: Float[Tensor, "S B s"], good: Bool[Tensor, "S B"], told: Bool[Tensor, "S B"]
    ) -> Float[Tensor, "S B s+2"]:
        """Return states with their label: 1 where `good`, else 0; ∅ where it is not `told`."""
        label = torch.stack([told & ~good, told & good], dim=-1)
        return torch.cat([observations, label.to(observations.dtype)], dim=-1)

    def sample(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Integrate the guided ODE from `noise`, both fields in one call of the network."""
        good = torch.ones(observations.shape[:2], dtype=torch.bool, device=observations.device)
        states = torch.cat([self.labelled(observations, good, ~good), self.labelled(observations, good, good)], dim=1)
        embedded, x = self.velocity.time(self.times), noise
        for k in range(self.steps):
            free, told = self.velocity(torch.cat([x, x], dim=1), embedded[:, k : k + 1], states).chunk(2, dim=1)
            x = x + torch.lerp(free, told, self.guidance) / self.steps
        return x.clamp(-1, 1)
