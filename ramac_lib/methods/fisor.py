"""FISOR (Zheng et al. 2024, "Safe Offline RL with Feasibility-Guided Diffusion Model", ICLR; arXiv 2401.10700).

Objective. Hamilton-Jacobi feasibility: with h > 0 on a step that violates and h = −1 elsewhere, Q_h is fitted to
(1−γ)h + γ max(h, V_h(s')), to h where the episode ends, and V_h descends E L₂^τ(V_h − Q̄_h), the lower expectile: a
state with V_h ≤ 0 is feasible, some data lead on from it without a violation. The reward has IQL's pair, unpenalised.
A diffusion policy descends E[w ‖ε − ε_θ‖²] with

    w = min(e^{β_r (Q̄_r − V_r)}, 100)   where V_h ≤ 0 and Q̄_h ≤ 0,
    w = min(e^{−β_h (Q̄_h − V_h)}, 150)  where V_h > 0,    w = 0 elsewhere.

Of `candidates` actions of its average the one of least Q̄_h is played. There is no limit of cost: none is wanted.

h is 25 on a violation, as in the authors' code, where the paper has a distance-like function: an unavoidable violation
k steps ahead has V_h = 26γ^k − 1, so that its state counts as infeasible for k ≤ 324 (γ = .99); with 1 for k ≤ 68.
V_h is an expectile, not the least Q_h: with τ = .9 a state is infeasible, too, from which more than 26 % of the data's
actions violate at once, however safe the others are.

Differences from the authors' code:

1. time-outs do not end an episode, so that a violation after the horizon counts;
2. all networks see all of a batch of 256; there of 2048 rows the critics see 256 and the policy makes two updates;
3. the denoiser is an MLP (256-256, Mish), there a residual network with layer norm and dropout;
4. targets and the policy's average follow at one rate, raised in short runs; there .005 and .001;
5. the policy's rate decays by a cosine over the run, there over 3M updates of 1M.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.in_sample import InSample, InSampleConfig, weights_of
from ramac_lib.methods.shared.limits import safe_episodes
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.methods.shared.short_runs import decay
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.system.ranges import POSITIVE


@dataclass(frozen=True)
class FISORConfig(InSampleConfig):
    """FISOR's settings."""

    expectile: float = 0.9
    violation: float = field(default=25.0, metadata={"range": POSITIVE})  # h of a step with a cost
    temperature: float = 3.0  # β_r
    cost_temperature: float = 5.0  # β_h
    activation: str = "mish"
    policy_steps: int = 5
    candidates: int = 16

    @classmethod
    def for_task(cls, task: str) -> "FISORConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "chain", "q"))


@register("fisor", label="FISOR", colour="#762A83", line="--", marker="$F$", needs=("costs",), group=SAFETY)
class FISOR(InSample):
    """A diffusion policy, weighted by feasibility and return."""

    Config: ClassVar[type[base.Config]] = FISORConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("target_policy", "cost")
    policy: DiffusionPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = self.new(base.diffusion_policy(self))
        self.target_policy = self.target_of(self.policy)
        self.optimizers["policy"] = StackedAdam(self.policy, torch.tensor(self.config.lr_actor, device=self.device))
        self.add_pairs(costs=True)

    def fit_data(self, data: Dataset) -> None:
        """Take the unit of rewards; say so where no episode of the data is without a violation.

        Raises:
            RamacError: the data have no costs.
        """
        safe_episodes(data, 0.0)
        super().fit_data(data)

    @torch.no_grad()
    def feasibility(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return (1−γ)h + γ max(h, V_h(s')), and h where the episode ends."""
        assert batch.costs is not None
        discount = self.config.discount if self.config.bootstrap else 0.0
        h = torch.where(batch.costs > 0, self.config.violation, -1.0)
        on = (1 - discount) * h + discount * torch.maximum(h, self.cost.state_value(batch.next_observations))
        return torch.where(batch.terminals > 0, h, on)

    @torch.no_grad()
    def weights(self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return w."""
        state, action = self.cost.state_value(states), self.cost.action_value(states, actions)
        earns = weights_of(self.reward.gain(states, actions), self.config.temperature)
        escapes = weights_of(state - action, self.config.cost_temperature, cap=150.0)
        return torch.where(state > 0, escapes, torch.where(action > 0, 0.0, earns))

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: both V, policy, both critics, averages."""
        states, actions = batch.observations, batch.actions
        for pair in (self.cost, self.reward):
            pair.update_state_value(states, actions)
        weights = self.weights(states, actions)
        errors = self.policy.errors(states, actions, *self.policy.bc_draws(self.noise, actions.shape[1]))
        loss = (weights.unsqueeze(2) * errors).mean(dim=(1, 2))
        decay(self, {"policy": self.config.lr_actor})
        norm = self.optimizers["policy"].step(loss)
        base.follow(self.target_policy, self.policy, self.target_rate)
        infeasible = (self.cost.state_value(states).detach() > 0).float().mean(1)
        metrics = self.update_pair(self.cost, batch, self.feasibility(batch), "cost_")
        metrics |= self.update_pair(self.reward, batch, self.backup(batch, self.rewards(batch), self.reward))
        own = {"bc_loss": loss.detach(), "weight": weights.mean(1), "policy_grad_norm": norm}
        return metrics | own | {"infeasible": infeasible}

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return of each row's candidates the one of least Q̄_h; without noise all are the same."""
        count = 1 if noise.silent else self.config.candidates
        repeated = observations.repeat_interleave(count, dim=1)
        actions = self.target_policy.sample(self.policy_noise(repeated, noise), repeated)
        best = self.cost.action_value(repeated, actions).unflatten(1, (-1, count)).argmin(dim=2)
        return base.picked(actions.unflatten(1, (-1, count)), best)
