"""DAC's actor: noise regression towards the noise of a guided chain, held to the data by a dual variable.

What it is guided by is the method's: `ramac_lib.methods.dac` has the objective and the source (Fang et al. 2025).
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, short_runs
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.diffusion import STEP_NOISE, DiffusionPolicy
from ramac_lib.system.ranges import Range

ETA_RANGE = 0.001, 100.0
ROWS = 20_000  # that critics value at a time where candidates are chosen among


@dataclass(frozen=True)
class NoiseRegressionConfig(base.CriticConfig):
    """Settings of DAC's actor."""

    threshold: float = 1.0  # b; a network that predicts 0 has a cloning loss of 1
    eta: float = field(default=1.0, metadata={"range": Range(*ETA_RANGE)})  # where the dual variable starts
    lr_dual: float = 1e-3
    lr_dual_cap: float = 1e-2  # up to which a short run raises lr_dual
    # "hard": without √(1−ᾱ_t); "denoised": Q of the sampled action, as DiffusionQL
    guidance: Literal["soft", "hard", "denoised"] = "soft"
    guidance_scale: Literal["paper", "code"] = "paper"
    next_samples: int = 1  # actions at s', in the target
    next_value: Literal["mean", "max"] = "mean"  # over them
    candidates: int = 10  # drawn for each action
    lr_decay: bool = True  # both rates, by a cosine over the run
    grad_clip: float | None = 1.0
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    step_noise: str = field(default="posterior", metadata={"range": STEP_NOISE})
    ema_every: int = 1
    ema_start: float = 0.0


class NoiseRegression(ABC):
    """DAC's actor, its dual variable and how it acts; mixed into a `Method` with critics."""

    @abstractmethod
    def goal(self: Any, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return what the target critics say that the policy is to ascend."""

    def add_actor(self: Any) -> None:
        """Build the policy, its EMA, the dual variable, and rates that decay; critics are there already."""
        config = self.config
        kinds = {"hidden": config.hidden, "activation": config.activation, "step_noise": config.step_noise}
        self.policy = self.new(DiffusionPolicy(self.stack, *self.dims, steps=config.policy_steps, **kinds))
        self.target_policy = self.target_of(self.policy)
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        self.rates = {"critic": self.critic_rate, "policy": config.lr_actor}
        for name, rate in self.rates.items():
            self.optimizers[name].lr = torch.tensor(rate, device=self.device)
        self.register_buffer("dual", torch.full(self.stack, config.eta, device=self.device))
        rate, cap = config.lr_dual, config.lr_dual_cap
        self.dual_rate = short_runs.short_run_rate(rate, self.steps, cap) if config.short_run_rate else rate

    def next_actions(self: Any, batch: Batch) -> tuple[Float[Tensor, "S B*K s"], Float[Tensor, "S B*K a"]]:
        """Return K times each next state and the EMA actor's actions there."""
        states = batch.next_observations.repeat_interleave(self.config.next_samples, dim=1)
        return states, self.target_policy.sample(self.policy_noise(states), states)

    def magnitude(self: Any, batch: Batch) -> Float[Tensor, " S"]:
        """Return E|Q̄(s, a)| over the data's actions."""
        with torch.no_grad():
            return self.goal(batch.observations, batch.actions).abs().mean(1) + 1e-6

    def slope(
        self: Any, batch: Batch, noisy: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S B a"], Float[Tensor, " S"]]:
        """Return g, the goal's gradient at noisy actions over its mean size at the data's, and its mean there."""
        noisy = noisy.detach().requires_grad_(True)
        goal = self.goal(batch.observations, noisy.clone())  # PyTorch's count of operations takes no leaf in a module
        (gradient,) = torch.autograd.grad(goal.sum(), noisy)
        return gradient / self.magnitude(batch)[:, None, None], goal.detach().mean(1)

    def guidance(
        self: Any, batch: Batch, times: Tensor, noisy: Tensor, predicted: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        """Return the part of L_A that guides, and the batch mean of what the policy ascends."""
        config, policy = self.config, self.policy
        if config.guidance == "denoised":
            actions = policy.sample(self.policy_noise(batch.observations), batch.observations)
            value = self.goal(batch.observations, actions).mean(1)
            return -value / self.magnitude(batch), value.detach()
        slope, value = self.slope(batch, noisy)
        if config.guidance == "soft":
            slope = policy.sqrt_one_minus_bar[times][..., None] * slope
        scale = 2 if config.guidance_scale == "paper" else 1
        return scale * (slope * predicted).mean(dim=(1, 2)), value

    def move_dual(self: Any, bc_loss: Float[Tensor, " S"]) -> None:
        """Let η ascend the gap of the cloning loss to b, in place."""
        gap = (bc_loss - self.config.threshold).clamp(-1, 1)
        self.dual.add_(self.dual_rate * gap).clamp_(*ETA_RANGE)

    def update_actor(self: Any, batch: Batch) -> base.Metrics:
        """Make one update of the actor, then of η on the same noise."""
        times, noise = self.policy.bc_draws(self.noise, batch.actions.shape[1])
        noisy = self.policy.corrupt(batch.actions, times, noise)
        predicted = self.policy.predict(noisy, times, batch.observations)
        bc_loss = (predicted - noise).square().mean(dim=(1, 2))
        guidance, value = self.guidance(batch, times, noisy, predicted)
        norm = self.optimizers["policy"].step(self.dual * bc_loss + guidance)
        with torch.no_grad():
            predicted = self.policy.predict(noisy, times, batch.observations)
            self.move_dual((predicted - noise).square().mean(dim=(1, 2)))
        parts = {"bc_loss": bc_loss.detach(), "guidance": guidance.detach(), "policy_value": value}
        return parts | {"eta": self.dual.clone(), "policy_grad_norm": norm}

    def learn(self: Any, batch: Batch) -> base.Metrics:
        """Make one update: critics, actor, η, targets."""
        if self.config.lr_decay:
            short_runs.decay(self, self.rates)
        metrics = self.update_critic(batch) | self.update_actor(batch)
        config = self.config
        moves = (self.step % config.ema_every == 0) & (self.step >= config.ema_start * self.steps)
        base.follow(self.target_critic, self.critic, self.target_rate)
        base.follow(self.target_policy, self.policy, self.target_rate * moves)
        return metrics

    def choose(self: Any, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the best of each row's candidates by the goal; without noise all are the same, and one is made."""
        count = 1 if noise.silent else self.config.candidates
        repeated = observations.repeat_interleave(count, dim=1)
        actions = self.policy.sample(self.policy_noise(repeated, noise), repeated)
        # An ensemble's activations of very many rows at once would not fit into memory.
        parts = zip(repeated.split(ROWS, dim=1), actions.split(ROWS, dim=1), strict=True)
        values = torch.cat([self.goal(*part) for part in parts], dim=1)
        best = values.unflatten(1, (-1, count)).argmax(dim=2)
        return base.picked(actions.unflatten(1, (-1, count)), best)
