"""IQL (Kostrikov et al. 2021, "Offline Reinforcement Learning with Implicit Q-Learning", ICLR 2022; arXiv 2110.06169).

Objective. V descends E L₂^τ(min_k Q̄_k(s, a) − V(s)) (eq. 5), the critics the squared error to r + γ(1−d) V(s') (eq.
6), a Gaussian policy E[−min(e^{β(Q̄ − V)}, 100) log π(a | s)] (eq. 7), advantage-weighted regression. Its mean is
deployed. It knows no cost: it is what the methods with a limit of cost are built on, and their control.

Differences from the authors' code:

1. rewards are scaled by T / (highest − lowest return), T the data's longest episode; there by 1000 / (…), the same on
   robots. It sets what β means, and shows in no reported number;
2. in short runs the targets' rate is raised (`ramac_lib.methods.shared.short_runs`);
3. weights and biases are drawn as PyTorch does, there orthogonally.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.in_sample import InSample, InSampleConfig, weights_of
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.methods.shared.short_runs import decay
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import CentredGaussianPolicy


@dataclass(frozen=True)
class IQLConfig(InSampleConfig):
    """IQL's settings, those of its locomotion tasks."""

    temperature: float = 3.0  # β
    lr_decay: bool = True  # the policy's rate, by a cosine over the run

    @classmethod
    def for_task(cls, task: str) -> "IQLConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "q"))


@register("iql", label="IQL", colour="#1B7837", line="-", marker="$I$", group=SAFETY)
class IQL(InSample):
    """In-sample values of the return, a Gaussian by advantage-weighted regression."""

    Config: ClassVar[type[base.Config]] = IQLConfig
    policy: CentredGaussianPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        kinds: Any = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(CentredGaussianPolicy(self.stack, *self.dims, **kinds))
        self.optimizers["policy"] = StackedAdam(self.policy, torch.tensor(config.lr_actor, device=self.device))
        self.add_pairs(costs=False)

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: V, policy, critics, targets."""
        states, actions = batch.observations, batch.actions
        value_loss = self.reward.update_state_value(states, actions)
        weights = weights_of(self.reward.gain(states, actions), self.config.temperature)
        loss = -(weights * self.policy.log_prob(states, actions)).mean(1)
        if self.config.lr_decay:
            decay(self, {"policy": self.config.lr_actor})
        norm = self.optimizers["policy"].step(loss)
        targets = self.backup(batch, self.rewards(batch), self.reward)
        metrics = self.update_pair(self.reward, batch, targets)
        own = {"bc_loss": loss.detach(), "weight": weights.mean(1), "policy_grad_norm": norm}
        return metrics | own | {"value_loss": value_loss}

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the policy's mean."""
        return self.policy.mode(observations)
