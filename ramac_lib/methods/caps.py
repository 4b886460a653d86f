"""CAPS (Chemingui et al. 2025, "Constraint-Adaptive Policy Switching for Offline Safe RL", AAAI; arXiv 2412.18946).

Objective. IQL's pairs of reward and of cost, and K policies on one trunk, each a Gaussian by advantage-weighted
regression, E[−w_i log π_i(a | s)], min(e^{βA}, 100) for each e^{βA}: the first has w = e^{βA_r}, the last w = e^{βA_c},
A_c = V_c − Q̄_c, those between e^{βA_r} + 2i/(K−1) e^{βA_c}. Acting, the means of the heads are compared: among those
with Q̄_c < ℓ_t the one of the largest Q̄_r is played, else the one of least Q̄_c. ℓ_t is what is left of the limit:

    κ_t = κ − Σ_{k<t} c_k,    ℓ_t = κ_t (1−γ^{T−t}) / ((1−γ)(T−t)),

so that once κ is spent, the cheapest head acts, with no head allowed. The limit is chosen when a run begins, but enters
no loss: it could be another one at every episode.

Differences from the authors' code:

1. time-outs do not end an episode, so that V_c counts what would be to come after T, and ℓ_t does not;
2. rewards are scaled as IQL's are here, there by .1; networks are 256 wide, there 512, and batches 256, there 512;
3. in short runs the targets' rate is raised (`ramac_lib.methods.shared.short_runs`).
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
from ramac_lib.methods.shared.limits import LimitConfig, Limited, discounted_share
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.methods.shared.short_runs import decay
from ramac_lib.methods.shared.switching import Budget, head
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import CentredGaussianPolicy
from ramac_lib.system.ranges import Range


@dataclass(frozen=True)
class CAPSConfig(LimitConfig, InSampleConfig):
    """CAPS's settings.

    Raises:
        RamacError: a limit below 0, fewer than two heads.
    """

    heads: int = field(default=2, metadata={"range": Range(2, 65_536)})  # K
    temperature: float = 3.0  # β

    @classmethod
    def for_task(cls, task: str) -> "CAPSConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "q"))


@register("caps", label="CAPS", colour="#C51B7D", line="-.", marker="$C$", needs=("costs",), group=SAFETY)
class CAPS(Limited, InSample):
    """Policies between return and cost, switched by what is left of the limit."""

    Config: ClassVar[type[base.Config]] = CAPSConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "reward", "cost", "limits")
    policy: CentredGaussianPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, (s, a) = self.config, self.dims
        kinds: Any = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(CentredGaussianPolicy(self.stack, s, config.heads * a, **kinds))
        self.optimizers["policy"] = StackedAdam(self.policy, torch.tensor(config.lr_actor, device=self.device))
        self.add_pairs(costs=True)
        self.add_limits()

    def fit_data(self, data: Dataset) -> None:
        """Take the unit of rewards, κ and T.

        Raises:
            RamacError: the data have no costs.
        """
        self.fit_limits(data)
        super().fit_data(data)

    def weights(self, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B K"]:
        """Return each head's weights."""
        pairs, last = (self.reward, self.cost), self.config.heads - 1
        earns, saves = (weights_of(pair.gain(states, actions), self.config.temperature) for pair in pairs)
        return torch.stack([earns, *(earns + 2 * i / last * saves for i in range(1, last)), saves], dim=2)

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: both V, the heads, both critics, targets."""
        assert batch.costs is not None
        states, actions = batch.observations, batch.actions
        for pair in (self.cost, self.reward):
            pair.update_state_value(states, actions)
        weights = self.weights(states, actions)
        each = self.policy.log_probs(states, actions.repeat(1, 1, self.config.heads))
        loss = -(weights * each.unflatten(2, (self.config.heads, -1)).sum(3)).mean(1).sum(1)
        decay(self, {"policy": self.config.lr_actor})
        norm = self.optimizers["policy"].step(loss)
        metrics = self.update_pair(self.cost, batch, self.backup(batch, batch.costs, self.cost), "cost_")
        metrics |= self.update_pair(self.reward, batch, self.backup(batch, self.rewards(batch), self.reward))
        return metrics | {"bc_loss": loss.detach(), "weight": weights.mean((1, 2)), "policy_grad_norm": norm}

    def left(self, spent: Float[Tensor, "S E"] | float, steps: int) -> Float[Tensor, "S E"]:
        """Return ℓ_t after `steps` steps in which an episode has `spent` so much cost; of its last step beyond T."""
        kappa, horizon = self.limits.unsqueeze(1).unbind(-1)
        return (kappa - spent) * discounted_share((horizon - steps).clamp(min=1), self.config.discount)

    def switch(self, states: Float[Tensor, "S B s"], allowed: Float[Tensor, "S B"]) -> Float[Tensor, "S B a"]:
        """Return of the heads' means the best one with Q̄_c < ℓ_t, else the cheapest."""
        means = self.policy.mode(states).unflatten(2, (self.config.heads, -1))
        repeated, flat = states.repeat_interleave(self.config.heads, dim=1), means.flatten(1, 2)
        pairs = (self.reward, self.cost)
        earned, paid = (p.action_value(repeated, flat).unflatten(1, (-1, self.config.heads)) for p in pairs)
        return base.picked(means, head(earned, paid, allowed))

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the action of an episode's first step."""
        return self.switch(observations, self.left(0.0, 0).expand(observations.shape[:2]))

    def controller(self, noise: Noise) -> Budget:
        """Return a fresh controller, with nothing spent."""
        return Budget(self, noise)
