"""A policy held where a density of the data is high (CPED's eq. 7; Zhang et al. 2023), by a multiplier or a penalty."""

from abc import ABC
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import Multiplier
from ramac_lib.networks.noise import Noise

FLOW, TOTAL = 500_000, 1_500_000  # steps of CPED's released flow, and of a released run


def released_multiplier(step: Tensor, flow: int = FLOW) -> Tensor:
    """Return the released code's α at a step: 1000, then from 10 down by 2.5 every 100k steps, 1.5 after 1M.

    The descent does not stop at 0: after a flow phase of 50k steps α is 0 from 550k on and negative from 650k to 1M.

    Args:
        flow: steps of the flow's phase, until 100k after which α is 1000.
    """
    since = step - flow - 100_000
    table = torch.where(since < 0, 1000.0, 10 - 2.5 * torch.floor(since / 100_000))
    return torch.where(step > 1_000_000, 1.5, table)


@dataclass(frozen=True)
class ConstraintConfig(base.Config):
    """Settings of the constraint."""

    multiplier: Literal["dual", "released", "fixed"] = "dual"
    weight: float = 1.0  # α where it is fixed
    threshold: Literal["quantile", "own"] = "quantile"
    coverage: float = 0.95
    lr_dual: float = 3e-3
    scale_by_value: bool = True  # divide Q by the batch mean of |Q|


class DensityConstraint(ABC):
    """Updates of a deterministic policy within −log p < ε; mixed into a `Method` with a density and plain critics."""

    config: Any

    @property
    def prelude(self: Any) -> float:
        """The share of the run in which the policy has no Q."""
        return self.config.q_from

    def add_multiplier(self: Any) -> None:
        """Build the multiplier and its optimiser, where it is learned."""
        if self.config.multiplier == "dual":
            self.dual = Multiplier(self.stack).to(self.device)
            self.optimizers["dual"] = StackedAdam(self.dual, self.config.lr_dual)

    def multiplier(self: Any) -> Float[Tensor, " S"]:
        """Return α, without gradient."""
        if self.config.multiplier == "dual":
            return self.dual().detach()
        if self.config.multiplier == "fixed":
            return torch.full(self.stack, self.config.weight, device=self.device)
        return released_multiplier(self.step * (TOTAL / self.steps)).expand(self.stack)

    @torch.no_grad()
    def bound(self: Any, batch: Batch) -> Float[Tensor, " S"]:
        """Return ε: the quantile `coverage` of −log p over the batch's actions, or the mean (``own``)."""
        surprise = -self.log_density(batch.observations, batch.actions)
        if self.config.threshold == "own":
            return surprise.mean(1)
        rank = min(int(self.config.coverage * surprise.shape[1]), surprise.shape[1] - 1)
        return surprise.sort(dim=1).values[:, rank]

    def update_policy(self: Any, batch: Batch, values: bool) -> base.Metrics:
        """Make one update of policy and multiplier; of the policy alone and by the density while `values` is false.

        The policy descends α E[−log p(π(s) | s)] − E min_k Q_k(s, π(s)), log α ascends by E[−log p] − ε.
        """
        states = batch.observations
        actions = self.policy.mode(states)
        with base.frozen(self.flow):
            surprise = -self.log_density(states, actions).mean(1)
        if not values:
            return {"surprise": surprise.detach(), "policy_grad_norm": self.optimizers["policy"].step(surprise)}
        with base.frozen(self.critic):
            value = self.aggregate(self.critic(states, actions))
        scale = value.detach().abs().mean(1).clamp(min=1e-6) if self.config.scale_by_value else 1.0
        alpha, gap = self.multiplier(), surprise.detach() - self.bound(batch)
        norm = self.optimizers["policy"].step(alpha * surprise - value.mean(1) / scale)
        if self.config.multiplier == "dual":
            self.optimizers["dual"].step(-self.dual.log.squeeze(-1) * gap)
        found = {"surprise": surprise, "gap": gap, "multiplier": alpha, "policy_value": value.mean(1)}
        return {name: number.detach() for name, number in found.items()} | {"policy_grad_norm": norm}

    def choose(self: Any, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the policy's action."""
        return self.policy.mode(observations)
