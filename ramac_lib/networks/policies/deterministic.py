"""TD3's policy (Fujimoto et al. 2018): one action a state."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.layers import MLP
from ramac_lib.networks.policies.base import Policy


class DeterministicPolicy(Policy):
    """a = tanh μ(s). It knows no noise and has no cloning loss of its own.

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
        activation: str = "relu",
    ) -> None:
        super().__init__()
        self.action_dim = action_dim
        self.mlp = MLP(stack, (observation_dim, *hidden, action_dim), activation)

    def mode(self, observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return tanh μ(s)."""
        return self.mlp(observations).tanh()

    def sample(self, noise: Tensor, observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return tanh μ(s), whatever the noise."""
        return self.mode(observations)
