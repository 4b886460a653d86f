"""Gaussian policies: squashed by a tanh (Haarnoja et al. 2018, SAC, appendix C), or centred on a squashed mean."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ramac_lib.networks.layers import MLP
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy
from ramac_lib.networks.policies.deterministic import DeterministicPolicy

LOG_STD = (-20.0, 2.0)
EDGE = 1 - 1e-6  # actions of the data at ±1 have no preimage under tanh


class LikelihoodPolicy(CloningPolicy):
    """A policy with a density, cloned by maximum likelihood."""

    @abstractmethod
    def log_prob(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return log π(a | s) of given actions."""

    def bc_loss(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], *draws: Tensor
    ) -> Float[Tensor, " S"]:
        """Return the negative log-likelihood of the actions, averaged over rows."""
        return -self.log_prob(observations, actions).mean(dim=1)

    def bc_draws(self, noise: Noise, batch: int) -> tuple[Tensor, ...]:
        """Draw nothing: the likelihood is exact."""
        return ()


class GaussianPolicy(LikelihoodPolicy):
    """a = tanh(μ(s) + σ(s) z), z ~ N(0, I), with a known density.

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
        self.mlp = MLP(stack, (observation_dim, *hidden, 2 * action_dim), activation)

    def moments(self, observations: Float[Tensor, "S B s"]) -> tuple[Float[Tensor, "S B a"], Float[Tensor, "S B a"]]:
        """Return μ(s) and log σ(s), both before the tanh."""
        mean, log_std = self.mlp(observations).chunk(2, dim=-1)
        return mean, log_std.clamp(*LOG_STD)

    def sample(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return one action a row."""
        mean, log_std = self.moments(observations)
        return (mean + log_std.exp() * noise).tanh()

    def mode(self, observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return tanh(μ(s)), the action without noise that such a policy is usually evaluated with."""
        return self.moments(observations)[0].tanh()

    def sample_with_log_prob(
        self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]
    ) -> tuple[Float[Tensor, "S B a"], Float[Tensor, "S B"]]:
        """Return actions and log π(a | s), both differentiable in θ; always stochastic."""
        mean, log_std = self.moments(observations)
        before = mean + log_std.exp() * noise
        return before.tanh(), _log_prob(noise, log_std, before)

    def log_prob(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return log π(a | s) of given actions."""
        mean, log_std = self.moments(observations)
        before = actions.clamp(-EDGE, EDGE).atanh()
        return _log_prob((before - mean) / log_std.exp(), log_std, before)


class CentredGaussianPolicy(DeterministicPolicy, LikelihoodPolicy):
    """a ~ N(tanh μ(s), σ²) with one σ a dimension for all states: QDQ's. Its density is not of the clipped action."""

    def __init__(self, stack: Sequence[int], observation_dim: int, action_dim: int, **kinds: Any) -> None:
        super().__init__(stack, observation_dim, action_dim, **kinds)
        self.log_std = nn.Parameter(torch.zeros(*stack, 1, action_dim))

    def sample(self, noise: Float[Tensor, "S B a"], observations: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return one action a row, clipped to the box."""
        return (self.mode(observations) + self.log_std.clamp(*LOG_STD).exp() * noise).clamp(-1, 1)

    def log_prob(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return log N(a; tanh μ(s), σ²)."""
        return self.log_probs(observations, actions).sum(-1)

    def log_probs(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> Float[Tensor, "S B a"]:
        """Return each dimension's part of log N(a; tanh μ(s), σ²)."""
        log_std = self.log_std.clamp(*LOG_STD)
        standard = (actions - self.mode(observations)) / log_std.exp()
        return -0.5 * (standard.square() + math.log(2 * math.pi)) - log_std


def _log_prob(standard: Tensor, log_std: Tensor, before: Tensor) -> Tensor:
    """Return Σ_i log N(z_i; 0, 1) − log σ_i − log(1 − tanh² u_i), the last in a form that does not cancel."""
    normal = -0.5 * (standard.square() + math.log(2 * math.pi)) - log_std
    return (normal - 2 * (math.log(2) - before - functional.softplus(-2 * before))).sum(-1)
