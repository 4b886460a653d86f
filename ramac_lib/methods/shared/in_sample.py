"""In-sample values, IQL's pair (Kostrikov et al. 2021): Q and V of reward or cost, of single steps or of chunks.

V is an expectile of Q̄ over the data's own actions, Q is fitted to r + γV(s'): no action is asked about that the data
lack. Of a cost less is better: its V is the lower expectile, and of twin critics the larger counts.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import returns_to_go
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.plain_critics import QLearningConfig
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.layers import MLP
from ramac_lib.system.errors import RamacError


@dataclass(frozen=True)
class InSampleConfig(QLearningConfig):
    """Settings of in-sample values."""

    critic_hidden: tuple[int, ...] = (256, 256)
    critic_activation: str = "relu"
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    n_critics: int = 2
    expectile: float = 0.7  # τ, of a reward; of a cost 1 − τ
    scale_rewards: bool = True  # by T / (highest − lowest return of an episode), T the longest episode's steps


def expectile_loss(residuals: Float[Tensor, "*B"], expectile: float) -> Float[Tensor, "*B"]:
    """Return L₂^τ(u) = |τ − 1{u < 0}| u², least in m for u = x − m where m is the τ-expectile of x."""
    return torch.where(residuals < 0, 1 - expectile, expectile) * residuals.square()


def weights_of(gains: Float[Tensor, "S B"], temperature: float, cap: float = 100.0) -> Float[Tensor, "S B"]:
    """Return the weights min(e^{βA}, cap) of advantage-weighted regression (Peng et al. 2019)."""
    return (temperature * gains).exp().clamp(max=cap)


def chunk_return(
    signal: Float[Tensor, "S B *h"], terminals: Float[Tensor, "S B"], following: Float[Tensor, "S B"], discount: float
) -> Float[Tensor, "S B"]:
    """Return Σ_{k<h} γ^k r_{t+k} + γ^h (1−d) V(s_{t+h}); h is 1 where there is no such axis."""
    found = (1 - terminals) * following
    for rewards in reversed((signal if signal.ndim == 3 else signal.unsqueeze(2)).unbind(2)):
        found = rewards + discount * found
    return found


def worst_value(data: Dataset, discount: float) -> float:
    """Return a value below every one that the data show: the least discounted return, less a tenth of their range.

    After a time-out an episode is taken to go on with its mean reward for ever, as values bootstrap through it.
    """
    rewards = data.rewards.copy()
    for first, stop in data.episode_bounds():
        if not data.terminals[stop - 1] and discount < 1:
            rewards[stop - 1] += discount / (1 - discount) * data.rewards[first:stop].mean()
    returns = returns_to_go(data.with_(rewards=rewards), discount)
    return float(returns.min() - 0.1 * (returns.max() - returns.min() or 1.0))


class Pair(nn.Module):
    """Q(s, a_{t:t+h}) with targets, and V(s).

    Args:
        method: whose sizes, rates and initial draws it takes, and whose optimisers it adds to.
        name: of the optimiser of Q; of V's it is ``NAME_value``.
        width: of what Q is asked about, h·a.
        cost: less is better.
    """

    def __init__(self, method: Any, name: str, width: int, cost: bool = False) -> None:
        super().__init__()
        config, s = method.config, method.dims[0]
        self.cost, self.expectile = cost, config.expectile
        kinds: dict[str, Any] = {"activation": config.critic_activation, "layer_norm": config.critic_layer_norm}
        sizes = {"hidden": config.critic_hidden, "n_critics": config.n_critics}
        self.q = method.new(QCritic(method.stack, s, width, **sizes, **kinds))
        self.target = method.target_of(self.q)
        self.v = method.new(MLP(method.stack, (s, *config.critic_hidden, 1), **kinds))
        rate, norm = method.critic_rate, config.grad_clip
        self.optimizers = (
            StackedAdam(self.q, rate, stack_rank=2, max_norm=norm),
            StackedAdam(self.v, rate, max_norm=norm),
        )
        method.optimizers |= dict(zip((name, f"{name}_value"), self.optimizers, strict=True))

    def aggregate(self, values: Float[Tensor, "S C B"]) -> Float[Tensor, "S B"]:
        """Return the worst of the critics: the least return, the largest cost."""
        return values.amax(dim=1) if self.cost else values.amin(dim=1)

    def state_value(self, states: Float[Tensor, "S B s"]) -> Float[Tensor, "S B"]:
        """Return V(s)."""
        return self.v(states).squeeze(-1)

    @torch.no_grad()
    def action_value(self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return Q̄(s, a), the targets' aggregate, without gradient."""
        return self.aggregate(self.target(states, actions))

    @torch.no_grad()
    def gain(self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return how much better than V(s) an action is: Q̄ − V of a reward, V − Q̄ of a cost."""
        difference = self.action_value(states, actions) - self.state_value(states)
        return -difference if self.cost else difference

    def update_state_value(
        self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> Float[Tensor, " S"]:
        """Descend E L₂^τ(Q̄ − V), of a cost E L₂^τ(V − Q̄); return the loss."""
        residuals = self.action_value(states, actions) - self.state_value(states)
        loss = expectile_loss(-residuals if self.cost else residuals, self.expectile).mean(dim=1)
        self.optimizers[1].step(loss)
        return loss.detach()

    def update_action_value(
        self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], targets: Float[Tensor, "S B"]
    ) -> tuple[Float[Tensor, " S"], ...]:
        """Descend each critic's E(y − Q)²; return means over critics of loss, value and gradient's norm."""
        values = self.q(states, actions)
        loss = (values - targets.unsqueeze(1)).square().mean(dim=2)
        norm = self.optimizers[0].step(loss)
        return loss.detach().mean(1), values.detach().mean(dim=(1, 2)), norm.mean(1)


class InSample(base.Method):
    """What methods with in-sample values share: a pair of the reward, on demand one of the cost."""

    config: Any
    reward: Pair
    cost: Pair  # where there is one
    reward_unit: Tensor

    def add_pairs(self, costs: bool, width: int | None = None) -> None:
        """Build the pair of the reward, and of the cost; what they judge is `width` wide (default: one action)."""
        width = width or self.dims[1]
        self.judges_actions = width == self.dims[1]
        self.reward = Pair(self, "critic", width)
        if costs:
            self.cost = Pair(self, "cost_critic", width, cost=True)
        self.register_buffer("reward_unit", torch.ones(*self.stack, 1, device=self.device))

    def fit_data(self, data: Dataset) -> None:
        """Take the unit of rewards."""
        if self.config.scale_rewards:
            returns, longest = data.episode_returns(), max(stop - first for first, stop in data.episode_bounds())
            self.reward_unit.fill_(longest / (float(returns.max() - returns.min()) or float(longest)))

    def rewards(self, batch: Batch) -> Float[Tensor, "S B *h"]:
        """Return rewards in the unit that the critics have."""
        unit = self.reward_unit
        return batch.rewards * (unit.unsqueeze(2) if batch.rewards.ndim == 3 else unit)

    @torch.no_grad()
    def backup(self, batch: Batch, signal: Float[Tensor, "S B *h"], pair: Pair) -> Float[Tensor, "S B"]:
        """Return `chunk_return` with a pair's V."""
        last = batch.terminals if self.config.bootstrap else torch.ones_like(batch.terminals)
        return chunk_return(signal, last, pair.state_value(batch.next_observations), self.config.discount)

    def update_pair(self, pair: Pair, batch: Batch, targets: Float[Tensor, "S B"], prefix: str = "") -> base.Metrics:
        """Make an update of a pair's Q, then of its targets."""
        found = pair.update_action_value(batch.observations, batch.actions.flatten(2), targets)
        base.follow(pair.target, pair.q, self.target_rate)
        names = ("critic_loss", "value", "critic_grad_norm")
        return {prefix + name: number for name, number in zip(names, found, strict=True)}

    def critics(self) -> dict[str, nn.Module]:
        """Return the critics of reward and cost, their targets and their V."""
        found: dict[str, nn.Module] = {}
        for name, own in (("critic", "reward"), ("cost_critic", "cost")):
            if pair := getattr(self, own, None):
                found |= {name: pair.q, f"target_{name}": pair.target, f"{name}_value": pair.v}
        return found

    def levels(self) -> tuple[float, ...]:
        """Return the mean's level alone; none of critics of chunks."""
        return (1.0,) if self.judges_actions else ()

    def value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], alpha: float = 1.0
    ) -> Float[Tensor, "S B"]:
        """Return Q(s, a), the least of the critics of the return, in units of return."""
        if alpha not in self.levels():
            return super().value(observations, actions, alpha)
        return self.reward.aggregate(self.reward.q(self.scaled(observations), actions)) / self.reward_unit

    def quantiles(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S C B 1"], Float[Tensor, " 1"]]:
        """Return each critic's number as a distribution of one point.

        Raises:
            RamacError: they are critics of chunks.
        """
        if not self.judges_actions:
            raise RamacError(f"{type(self).__name__} has critics of chunks, which cannot be asked about an action")
        values = self.reward.q(self.scaled(observations), actions) / self.reward_unit.unsqueeze(2)
        return values[..., None], torch.full((1,), 0.5, device=self.device)
