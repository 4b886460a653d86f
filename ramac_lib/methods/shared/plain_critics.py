"""What methods with plain critics Q(s, a) share: two critics, their targets, their squared error (eq. 1)."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.policies.base import Policy


@dataclass(frozen=True)
class QLearningConfig(base.CriticConfig):
    """Settings of every method with plain critics."""

    critic_hidden: tuple[int, ...] = (256, 256, 256)
    critic_activation: str = "mish"
    critic_layer_norm: bool = False
    grad_clip: float | None = None


class QLearning(base.Method):
    """Critics Q(s, a) with targets, fitted to r + γ(1−d) · (a statistic of the target critics at the next action)."""

    config: QLearningConfig

    def add_critic(self, **others: Any) -> None:
        """Build the critics, their targets and their optimiser; `others` are further arguments of `QCritic`."""
        config, (s, a) = self.config, self.dims
        kinds: Any = {"activation": config.critic_activation, "layer_norm": config.critic_layer_norm, **others}
        self.critic = self.new(QCritic(self.stack, s, a, hidden=config.critic_hidden, **kinds))
        self.target_critic = self.target_of(self.critic)
        self.optimizers["critic"] = StackedAdam(self.critic, self.critic_rate, stack_rank=2, max_norm=config.grad_clip)

    def critics(self) -> dict[str, nn.Module]:
        """Return the critics of the return and their targets."""
        return {"critic": self.critic, "target_critic": self.target_critic}

    def levels(self) -> tuple[float, ...]:
        """Return the mean's level alone."""
        return (1.0,)

    def value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], alpha: float = 1.0
    ) -> Float[Tensor, "S B"]:
        """Return Q(s, a), the critics' `aggregate`."""
        if alpha != 1:
            return super().value(observations, actions, alpha)
        return self.aggregate(self.critic(self.scaled(observations), actions))

    def quantiles(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S C B 1"], Float[Tensor, " 1"]]:
        """Return each critic's number as a distribution of one point."""
        values = self.critic(self.scaled(observations), actions)
        return values[..., None], torch.full((1,), 0.5, device=self.device)

    def next_policy(self) -> Policy:
        """Return the policy that chooses the target's next action: the one in training, unless a method says more."""
        return self.policy

    def aggregate(self, values: Float[Tensor, "S C B"]) -> Float[Tensor, "S B"]:
        """Return the statistic of the critics that stands for the value: their minimum, unless a method says more."""
        return values.amin(dim=1)

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return r + γ(1−d) Q̄(s', a'), a' ~ π(·|s')."""
        if not self.config.bootstrap:
            return batch.rewards
        noise = self.policy_noise(batch.next_observations)
        actions = self.next_policy().sample(noise, batch.next_observations)
        return self.returns(batch, self.aggregate(self.target_critic(batch.next_observations, actions)))

    def critic_loss(
        self, batch: Batch, targets: Float[Tensor, "S B"]
    ) -> tuple[Float[Tensor, "S C"], Float[Tensor, "S C B"]]:
        """Return each critic's mean squared error (eq. 1), and the values at the batch's actions."""
        values = self.critic(batch.observations, batch.actions)
        return (values - targets.unsqueeze(1)).square().mean(dim=2), values

    def update_critic(self, batch: Batch) -> base.Metrics:
        """Make one update of the critics."""
        return self.step_critic(*self.critic_loss(batch, self.target_returns(batch)))

    def step_critic(self, loss: Float[Tensor, "S C"], values: Float[Tensor, "S C B"]) -> base.Metrics:
        """Descend what `critic_loss` returned."""
        norm = self.optimizers["critic"].step(loss)
        return {
            "critic_loss": loss.detach().mean(1),
            "value": values.detach().mean(dim=(1, 2)),
            "critic_grad_norm": norm.mean(1),
        }


def smoothed(
    actions: Float[Tensor, "S B a"], noise: Float[Tensor, "S B a"], clip: float, inside: bool = True
) -> Float[Tensor, "S B a"]:
    """Return actions with noise of at most `clip`: TD3's target policy smoothing (Fujimoto et al. 2018).

    Args:
        inside: whether they then are clamped to the box.
    """
    noisy = actions + noise.clamp(-clip, clip)
    return noisy.clamp(-1, 1) if inside else noisy


@dataclass(frozen=True)
class GenerativeQLConfig(QLearningConfig):
    """Settings of DiffusionQL and CVAE-QL."""

    eta: float = 1.0
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "mish"


class GenerativeQL(QLearning):
    """L_π = L_BC − η · mean Q_i / mean |Q_j| with a generative policy (Wang et al. 2023, eq. 3; RAMAC, sec. 4.3.1)."""

    config: GenerativeQLConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = self.new(self.build_policy())
        self.add_critic()
        self.target_policy = self.target_of(self.policy)
        self.optimizers["policy"] = StackedAdam(self.policy, self.config.lr_actor, max_norm=self.config.grad_clip)

    @abstractmethod
    def build_policy(self) -> Policy:
        """Return the deployed policy, not yet initialised."""

    def next_policy(self) -> Policy:
        """Return the EMA policy."""
        return self.target_policy

    def q_loss(self, batch: Batch, actions: Float[Tensor, "S B a"]) -> Float[Tensor, " S"]:
        """Return −mean Q_i / mean |Q_j|: i is drawn for each seed, j is the other critic, and carries no gradient."""
        with base.frozen(self.critic):
            values = self.critic(batch.observations, actions)
        first = self.noise.uniform(1) < 0.5
        one, two = values[:, 0], values[:, 1]
        mine, other = torch.where(first, one, two), torch.where(first, two, one)
        return -mine.mean(1) / other.detach().abs().mean(1).clamp(min=1e-6)

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: critics, policy, targets."""
        metrics = self.update_critic(batch)
        bc_loss = self.bc_loss(batch)
        actions = self.policy.sample(self.policy_noise(batch.observations), batch.observations)
        q_loss = self.q_loss(batch, actions)
        norm = self.optimizers["policy"].step(bc_loss + self.config.eta * q_loss)
        base.follow(self.target_critic, self.critic, self.target_rate)
        base.follow(self.target_policy, self.policy, self.target_rate)
        return metrics | {"bc_loss": bc_loss.detach(), "q_loss": q_loss.detach(), "policy_grad_norm": norm}
