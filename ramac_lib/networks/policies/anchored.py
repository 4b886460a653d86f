"""The anchored policy of ORAAC and its relatives: a behaviour prior and a bounded residual (eq. 12)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.layers import MLP
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy


class AnchoredPolicy(CloningPolicy):
    """a = clamp(b + Φ tanh ξ_θ(s, b)), b from the prior (eq. 12; Urpí et al. 2021).

    The prior learns by its own cloning loss alone: no gradient of `sample` reaches it.

    Args:
        prior: the policy that anchors are drawn from.
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        radius: Φ, the largest residual of a dimension, in units of the action bound.
        hidden: widths of ξ's hidden layers.
        activation: between its layers.
    """

    def __init__(
        self,
        prior: CloningPolicy,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        radius: float = 0.25,
        hidden: Sequence[int] = (400, 300),
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.radius = radius
        self.prior = prior
        self.residual = MLP(stack, (observation_dim + action_dim, *hidden, action_dim), activation)

    def noise_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape of the prior's noise, without the seed axis."""
        return self.prior.noise_shape(batch)

    def anchors(self, noise: Float[Tensor, "S ..."], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return the prior's actions b, without gradient."""
        with torch.no_grad():
            return self.prior.sample(noise, observations)

    def perturb(
        self, anchors: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"], residual: MLP | None = None
    ) -> Float[Tensor, "S B a"]:
        """Return clamp(b + Φ tanh ξ(s, b)), with the given network in ξ's place (its target, say)."""
        network = self.residual if residual is None else residual
        move = self.radius * network(torch.cat([observations, anchors], dim=-1)).tanh()
        return (anchors + move).clamp(-1, 1)

    def sample(self, noise: Float[Tensor, "S ..."], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return one action a row, differentiable in ξ's parameters."""
        return self.perturb(self.anchors(noise, observations), observations)

    def bc_loss(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], *draws: Tensor
    ) -> Float[Tensor, " S"]:
        """Return the prior's cloning loss."""
        return self.prior.bc_loss(observations, actions, *draws)

    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Make the prior's draws."""
        return self.prior.bc_draws(noise, batch)
