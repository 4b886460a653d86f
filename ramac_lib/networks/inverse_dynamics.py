"""Inverse dynamics: which action led from one state to the next."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.layers import MLP


class InverseDynamics(nn.Module):
    """a = f(s, s' − s), a regression: the mean of the actions where several lead to the same state.

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        hidden: widths of the hidden layers.
        activation: between layers.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int] = (256, 256),
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.mlp = MLP(stack, (2 * observation_dim, *hidden, action_dim), activation)

    def forward(self, states: Float[Tensor, "S B s"], moves: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return the action, not clamped, of each step s → s + move; both in units of about 1."""
        return self.mlp(torch.cat([states, moves], dim=-1))

    def loss(
        self, states: Float[Tensor, "S B s"], moves: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> Float[Tensor, " S"]:
        """Return the mean squared error of the actions taken, over rows and dimensions."""
        return (self(states, moves) - actions).square().mean(dim=(1, 2))
