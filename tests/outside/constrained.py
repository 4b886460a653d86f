"""A method with a critic of the return and one of the cost: it climbs Q − λ Q_c near the data."""

from dataclasses import dataclass

import torch

from ramac_lib.methods import register
from ramac_lib.methods.shared.base import follow, frozen
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.policies.gaussian import GaussianPolicy


@dataclass(frozen=True)
class ConstrainedConfig(QLearningConfig):
    """Widths and weights."""

    hidden: tuple[int, ...] = (32, 32)
    critic_hidden: tuple[int, ...] = (32, 32)
    eta: float = 0.1
    price: float = 1.0  # λ


@register("priced-q", label="priced Q", colour="#999900", marker="s", needs=("costs",))
class PricedQ(QLearning):
    """Q-learning with a price on the expected discounted cost."""

    Config = ConstrainedConfig

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        config = self.config
        self.policy = self.new(GaussianPolicy(self.stack, *self.dims, hidden=config.hidden))
        self.add_critic()
        self.cost_critic = self.new(QCritic(self.stack, *self.dims, hidden=config.critic_hidden, n_critics=1))
        self.target_cost_critic = self.target_of(self.cost_critic)
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor)
        self.optimizers["cost_critic"] = StackedAdam(self.cost_critic, self.critic_rate, stack_rank=2)

    def critics(self):
        own = {"cost_critic": self.cost_critic, "target_cost_critic": self.target_cost_critic}
        return super().critics() | own

    def update_cost_critic(self, batch):
        """Fit Q_c to c + γ(1−d) Q̄_c(s', a')."""
        with torch.no_grad():
            following = self.policy.sample(self.policy_noise(batch.next_observations), batch.next_observations)
            later = self.target_cost_critic(batch.next_observations, following)[:, 0]
            targets = self.returns(batch._replace(rewards=batch.costs), later)
        loss = (self.cost_critic(batch.observations, batch.actions) - targets.unsqueeze(1)).square().mean(dim=2)
        self.optimizers["cost_critic"].step(loss)
        return loss.detach().mean(1)

    def learn(self, batch):
        metrics = self.update_critic(batch) | {"cost_loss": self.update_cost_critic(batch)}
        bc_loss = self.bc_loss(batch)
        actions = self.policy.sample(self.policy_noise(batch.observations), batch.observations)
        with frozen(self.critic), frozen(self.cost_critic):
            value = self.aggregate(self.critic(batch.observations, actions)).mean(dim=1)
            cost = self.cost_critic(batch.observations, actions).mean(dim=(1, 2))
        self.optimizers["policy"].step(bc_loss - self.config.eta * (value - self.config.price * cost))
        follow(self.target_critic, self.critic, self.target_rate)
        follow(self.target_cost_critic, self.cost_critic, self.target_rate)
        return metrics | {"bc_loss": bc_loss.detach(), "cost": cost.detach()}
