"""FlowQL's deployed policy: a network that maps state and noise to an action at once (Park et al. 2025)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.layers import MLP
from ramac_lib.networks.policies.base import Policy


class OneStepPolicy(Policy):
    """a = clamp(μ(s, z)), z ~ N(0, I). It has no cloning loss of its own: FlowQL distils a flow into it.

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        hidden: widths of the hidden layers.
        activation: between layers.
        init: of every layer, ``fan_in`` or ``glorot`` (`Linear`).
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int] = (512, 512, 512, 512),
        activation: str = "gelu",
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.mlp = MLP(stack, (action_dim + observation_dim, *hidden, action_dim), activation, init=init)

    def unclamped(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Tensor:
        """Return μ(s, z), which the distillation compares with the flow's action."""
        return self.mlp(torch.cat([noise, observations], dim=-1))

    def sample(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return one action a row."""
        return self.unclamped(noise, observations).clamp(-1, 1)
