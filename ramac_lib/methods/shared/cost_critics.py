"""Critics of cost Q_c(s, a), and CPQ's pessimism of them (Xu et al. 2022, eq. 6): what the data lack is made costly."""

from abc import ABC
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, short_runs
from ramac_lib.methods.shared.soft_actor import tile
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.layers import Multiplier
from ramac_lib.networks.policies.cvae import CVAEPolicy
from ramac_lib.system.ranges import FROM_0, Range

LOG_ALPHA = 5.0  # α stays within exp(±5)


@dataclass(frozen=True)
class PessimismConfig(base.CriticConfig):
    """Settings of pessimistic critics of cost."""

    model_hidden: tuple[int, ...] = (400, 400)
    kl_weight: float = 0.5
    lr_model: float = 1e-3  # the VAE's
    lr_dual: float = 1e-4  # α's, raised in short runs
    lr_dual_cap: float = 1e-2
    n_actions: int = 10
    ood_share: float = field(default=0.25, metadata={"range": Range(0, 1, above=True)})
    ood_bound: float = field(default=1.5, metadata={"range": FROM_0})
    ood_capped: bool = True  # only what looks cheaper than the bound is pushed up
    ood_gradient: bool = True
    cost_ends: bool = True
    cost_aggregate: str = field(default="max", metadata={"range": ("max", "min")})


class PessimisticCosts(ABC):
    """Two critics of cost, a VAE that says which actions the data lack, and α; mixed into a `QLearning` with ℓ."""

    config: Any

    def add_costs(self: Any) -> None:
        """Build critics, VAE and multiplier, and their optimisers."""
        config = self.config
        kinds: dict[str, Any] = {"hidden": config.critic_hidden, "activation": config.critic_activation}
        self.cost_critic = self.new(QCritic(self.stack, *self.dims, **kinds))
        self.target_cost_critic = self.target_of(self.cost_critic)
        model = CVAEPolicy(self.stack, *self.dims, hidden=config.model_hidden, kl_weight=config.kl_weight)
        self.model, self.dual = self.new(model), Multiplier(self.stack).to(self.device)
        rate = config.lr_dual
        if config.short_run_rate:
            rate = short_runs.short_run_rate(rate, self.steps, config.lr_dual_cap)
        self.optimizers |= {
            "cost_critic": StackedAdam(self.cost_critic, self.critic_rate, stack_rank=2, max_norm=config.grad_clip),
            "model": StackedAdam(self.model, config.lr_model),
            "dual": StackedAdam(self.dual, rate),
        }

    def critics(self: Any) -> dict[str, nn.Module]:
        """Return the critics of return and of cost, and their targets."""
        own = {"cost_critic": self.cost_critic, "target_cost_critic": self.target_cost_critic}
        return super().critics() | own  # type: ignore[misc]

    def cost(self: Any, values: Float[Tensor, "S C B"]) -> Float[Tensor, "S B"]:
        """Return what the critics of cost together say: the higher, or the lower number."""
        return values.amax(dim=1) if self.config.cost_aggregate == "max" else values.amin(dim=1)

    @torch.no_grad()
    def target_costs(self: Any, batch: Batch) -> Float[Tensor, "S B"]:
        """Return c + γ(1−d) Q̄_c(s', a'), a' ~ π(·|s')."""
        costs: Any = batch.costs
        if not self.config.bootstrap:
            return costs
        states = batch.next_observations
        following = self.cost(self.target_cost_critic(states, self.drawn(states)))
        ends = batch.terminals if self.config.cost_ends else torch.zeros_like(batch.terminals)
        return self.returns(batch._replace(rewards=costs, terminals=ends), following)

    @torch.no_grad()
    def outsiders(
        self: Any, states: Float[Tensor, "S B s"]
    ) -> tuple[Float[Tensor, "S B*K s"], Float[Tensor, "S B*K a"], Float[Tensor, "S B*K"]]:
        """Return K actions of the policy a state, their states, and 1 for those that the data lack.

        Those are the ones whose KL(q(z|s,a) ‖ N(0, I)) is among the batch's highest share.
        """
        rows = tile(states, self.config.n_actions)
        actions = self.drawn(rows)
        mean, log_std = self.model.encode(rows, actions)
        divergence = (0.5 * (mean.square() + (2 * log_std).exp() - 1) - log_std).sum(-1)
        count = max(1, int(self.config.ood_share * divergence.shape[1]))
        least = divergence.sort(dim=1, descending=True).values[:, count - 1 : count]
        return rows, actions, (divergence >= least).float()

    def update_costs(self: Any, batch: Batch) -> base.Metrics:
        """Make one update of the VAE, of the critics of cost and of α."""
        states, targets = batch.observations, self.target_costs(batch)
        draws = self.model.bc_draws(self.noise, states.shape[1])
        bc_loss = self.model.bc_loss(states, batch.actions, *draws)
        self.optimizers["model"].step(bc_loss)
        rows, actions, outside = self.outsiders(states)
        error = (self.cost_critic(states, batch.actions) - targets.unsqueeze(1)).square().mean(dim=2)
        critic = self.cost_critic if self.config.ood_gradient else self.target_cost_critic
        weights = (outside / outside.sum(1, keepdim=True)).unsqueeze(1)
        bound, values, alpha = self.config.ood_bound * self.limit(), critic(rows, actions), self.dual().detach()
        pushed = torch.minimum(values, bound.unsqueeze(2)) if self.config.ood_capped else values
        self.optimizers["cost_critic"].step(error - alpha.unsqueeze(1) * ((pushed * weights).sum(2) - bound))
        gap = bound - (values * weights).sum(2)  # (S, C)
        self.optimizers["dual"].step(-self.dual.log.squeeze(-1) * gap.detach().mean(1))
        with torch.no_grad():
            self.dual.log.clamp_(-LOG_ALPHA, LOG_ALPHA)
        found = {"bc_loss": bc_loss, "cost_loss": error.mean(1), "ood_gap": gap.mean(1), "multiplier": alpha}
        return {name: number.detach() for name, number in found.items()}
