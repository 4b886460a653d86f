"""What a policy is: a differentiable map from noise and state to an action; most have a cloning loss of their own."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.noise import Noise


class Policy(nn.Module, ABC):
    """a = ψ_θ(s, z) (eq. 8), actions in [−1, 1]; it knows nothing about values."""

    action_dim: int

    def noise_shape(self, batch: int) -> tuple[int, ...]:
        """Return the shape, without the seed axis, of the noise that `sample` consumes: an action's, unless told."""
        return (batch, self.action_dim)

    @abstractmethod
    def sample(self, noise: Float[Tensor, "S ..."], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return the action for each row's state and noise, differentiable in θ from end to end."""


class CloningPolicy(Policy):
    """A policy that can clone data."""

    @abstractmethod
    def bc_loss(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        *draws: Tensor,
    ) -> Float[Tensor, " S"]:
        """Return L_BC for each seed, given its draws."""

    @abstractmethod
    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Make the random draws that `bc_loss` needs for `batch` rows."""
