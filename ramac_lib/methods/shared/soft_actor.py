"""What CQL and CODAC share: soft actor-critic's policy and entropy, and the actions of the conservative penalty."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.short_runs import policy_rate, warmup
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import Multiplier
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import GaussianPolicy


@dataclass(frozen=True)
class ConservativeConfig(base.CriticConfig):
    """Settings of soft actor-critic with a conservative penalty."""

    lr_actor: float = 3e-5
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    entropy: float | None = None  # the coefficient α; None: tuned to an entropy of −|A| nats
    n_actions: int = 10  # of each of the three distributions in the penalty
    deterministic: bool = True  # deploy tanh(μ(s)); training always samples
    bc_warmup: float = 0.02  # share of the run in which the policy clones instead of following the critic


class SoftActor(ABC):
    """A tanh-Gaussian policy, its entropy coefficient and their updates; mixed into a `Method`."""

    config: Any

    def add_actor(self: Any) -> None:
        """Build the policy, the entropy coefficient and their optimisers."""
        config = self.config
        kinds = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(GaussianPolicy(self.stack, *self.dims, **kinds))
        rate = policy_rate(config.lr_actor, self.steps) if config.short_run_rate else config.lr_actor
        self.optimizers["policy"] = StackedAdam(self.policy, rate)
        self.target_entropy = -float(self.dims[1])
        if config.entropy is None:
            self.entropy_multiplier = Multiplier(self.stack).to(self.device)
            self.optimizers["entropy"] = StackedAdam(self.entropy_multiplier, rate)

    @property
    def bc_warmup(self: Any) -> float:
        """The share of the run in which the policy clones, by the rule for short runs where the config says so."""
        share = self.config.bc_warmup
        return warmup(share, self.steps) if self.config.short_run_rate else share

    def choose(self: Any, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the deployed actions: tanh(μ(s)), or one sample a row where the config says so."""
        if self.config.deterministic:
            return self.policy.mode(observations)
        return self.policy.sample(self.policy_noise(observations, noise), observations)

    def entropy_coefficient(self: Any) -> Float[Tensor, " S"]:
        """Return α, without gradient."""
        if self.config.entropy is None:
            return self.entropy_multiplier().detach()
        return torch.full(self.stack, self.config.entropy, device=self.device)

    def update_entropy(self: Any, log_prob: Float[Tensor, "S B"]) -> None:
        """Descend −log α · E[log π + H̄], if α is tuned."""
        if self.config.entropy is None:
            gap = log_prob.detach().mean(1) + self.target_entropy
            self.optimizers["entropy"].step(-self.entropy_multiplier.log.squeeze(-1) * gap)

    def phase(self: Any) -> dict[str, bool]:
        """Return whether the policy still clones."""
        return {"clones": self.updates < self.bc_warmup * self.steps}

    def update_policy(self: Any, batch: Batch, clones: bool) -> base.Metrics:
        """Descend α log π(a|s) − value(s, a); within the warm-up α log π(a|s) − log π of the data's actions."""
        noise = self.policy_noise(batch.observations)
        actions, log_prob = self.policy.sample_with_log_prob(noise, batch.observations)
        self.update_entropy(log_prob)
        if clones:
            value = self.policy.log_prob(batch.observations, batch.actions).mean(1)
        else:
            value = self.policy_value(batch, actions)
        norm = self.optimizers["policy"].step(self.entropy_coefficient() * log_prob.mean(1) - value)
        return {
            "policy_value": value.detach(),
            "entropy": -log_prob.detach().mean(1),
            "entropy_coefficient": self.entropy_coefficient(),
            "policy_grad_norm": norm,
        }

    @abstractmethod
    def policy_value(self: Any, batch: Batch, actions: Float[Tensor, "S B a"]) -> Float[Tensor, " S"]:
        """Return the batch mean of what the policy ascends."""


def tile(rows: Float[Tensor, "S B d"], count: int) -> Float[Tensor, "S B*K d"]:
    """Return each row `count` times, one after another."""
    return rows.repeat_interleave(count, dim=1)


@torch.no_grad()
def proposals(
    policy: GaussianPolicy, noise: Noise, batch: Batch, count: int
) -> tuple[Float[Tensor, "S B*K a"], Float[Tensor, "S B K"]]:
    """Return the penalty's K = 3·count actions a row and the log density that each was drawn with.

    `count` are uniform on the box, `count` of π(·|s') and `count` of π(·|s), in this order.
    """
    rows, width = batch.actions.shape[1:]
    uniform = 2 * noise.uniform(rows, count, width) - 1
    parts, densities = [uniform], [torch.full_like(uniform[..., 0], -width * math.log(2))]
    for states in (batch.next_observations, batch.observations):
        draws = noise.normal(rows * count, width)
        actions, log_prob = policy.sample_with_log_prob(draws, tile(states, count))
        parts.append(actions.unflatten(1, (rows, count)))
        densities.append(log_prob.unflatten(1, (rows, count)))
    return torch.cat(parts, dim=2).flatten(1, 2), torch.cat(densities, dim=2)


def conservative_gap(
    values: Float[Tensor, "S C B*K"], log_densities: Float[Tensor, "S B K"], data_value: Float[Tensor, "S C"]
) -> Float[Tensor, "S C"]:
    """Return E_s log Σ_a exp(value − log μ(a)) − E[value of the data's action], CQL(H) with importance weights."""
    corrected = values.unflatten(2, log_densities.shape[1:]) - log_densities.unsqueeze(1)
    return torch.logsumexp(corrected, dim=3).mean(2) - data_value
