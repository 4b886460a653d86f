"""The conditional VAE policy of CVAE-QL, ORAAC and BC-CVAE (Sohn et al. 2015; as in BCQ, Fujimoto et al. 2019)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.layers import MLP
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy

LOG_STD = (-4.0, 15.0)  # the encoder's log σ is kept in here, as in BCQ and ORAAC


class CVAEPolicy(CloningPolicy):
    """a = tanh(decoder(s, z)), z ~ N(0, I) of width 2·|A|; a unimodal map where the decoder is smooth.

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        hidden: widths of the hidden layers of encoder and decoder.
        activation: between layers.
        latent_clamp: bound on |z_i| when sampling (BCQ and ORAAC: .5, which keeps to the likely part of the prior and
            maps a box of latents onto the actions); None for the whole prior.
        kl_weight: of the KL term, against the mean squared error a dimension.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int] = (750, 750),
        activation: str = "relu",
        latent_clamp: float | None = None,
        kl_weight: float = 0.5,
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.latent_dim = 2 * action_dim
        self.latent_clamp = latent_clamp
        self.kl_weight = kl_weight
        self.encoder = MLP(stack, (observation_dim + action_dim, *hidden, 2 * self.latent_dim), activation)
        self.decoder = MLP(stack, (observation_dim + self.latent_dim, *hidden, action_dim), activation)

    def noise_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape, without the seed axis, of the noise that `sample` consumes."""
        return (batch, self.latent_dim)

    def decode(self, observations: Float[Tensor, "S B s"], latents: Float[Tensor, "S B z"]) -> Float[Tensor, "S B a"]:
        """Return the action of each latent."""
        return self.decoder(torch.cat([observations, latents], dim=-1)).tanh()

    def sample(self, noise: Float[Tensor, "S B z"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Decode the prior's draws, clamped where the policy says so."""
        clamp = self.latent_clamp
        return self.decode(observations, noise if clamp is None else noise.clamp(-clamp, clamp))

    def encode(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S B z"], Float[Tensor, "S B z"]]:
        """Return mean and log standard deviation of the latent's posterior."""
        mean, log_std = self.encoder(torch.cat([observations, actions], dim=-1)).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD)

    def bc_loss(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], *draws: Tensor
    ) -> Float[Tensor, " S"]:
        """Return the negative ELBO, E[(â − a)²] + ½ KL(q(z|s,a) ‖ N(0, I)), each averaged over rows and dimensions."""
        (noise,) = draws
        mean, log_std = self.encode(observations, actions)
        reconstructed = self.decode(observations, mean + log_std.exp() * noise)
        divergence = 0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std
        error = (reconstructed - actions).square().mean(dim=(1, 2))
        return error + self.kl_weight * divergence.mean(dim=(1, 2))

    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Draw the posterior's noise."""
        return (noise.normal(batch, self.latent_dim),)
