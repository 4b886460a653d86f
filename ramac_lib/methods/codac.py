"""CODAC (Ma et al. 2021, "Conservative Offline Distributional Reinforcement Learning"), risk-averse: CODAC-C.

Objective (its eq. 5 and Algorithm 1): two quantile critics descend the quantile-Huber loss (eq. 7 / N) on targets
r + γ(1−d)(min_k Z̄_k(s', a'; τ') − α log π̄(a'|s')), a' of a target policy, plus ω · gap with the gap
E log Σ_a exp(Z(s, a; τ) − log μ(a)) − E_D Z(s, a) at one random fraction an update, over the actions and densities of
CQL's penalty; with a Lagrange multiplier β ≥ 0 the penalty is β (ω · gap − ζ). The policy descends
E[α log π(a|s) − min_k ρ(Z_k(s, a))].

Differences from the official code, whose per-task settings are kept:

1. its target networks start from another draw than the networks; ours are copies;
2. its risk weights are clamped at 5, which halves CVaR_0.1; here they are exact, on the fixed grid of eq. 14 or, with
   random fractions, by drawing from the distorted distribution;
3. its target entropy is −3 whatever the task; here −|A|;
4. its fractions are midpoints of random increments, drawn for each row, and its targets are weighted by them; here all
   rows of a seed share the fractions (the penalty's too, which is one of the grid's), as in RADAC, and targets weigh
   the same;
5. its policy's layers start from Xavier's scale without biases; here from PyTorch's default scale;
6. no multiplier on the robots, as there on one task of six: on Hopper without hazards ω · gap ≤ ζ was not met within
   5,000 updates, β grew, and the critic learned the penalty alone (return 329 on seed 100, without β 994 on seed 101);
7. the policy's rate, meant for 1M updates, is raised in short runs, and the policy first clones, as in the code of
   CQL's authors: `ramac_lib.methods.shared.short_runs`.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.quantile_critics import Distributional, DistributionalConfig
from ramac_lib.methods.shared.registry import register
from ramac_lib.methods.shared.soft_actor import ConservativeConfig, SoftActor, conservative_gap, proposals, tile
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QuantileMLP
from ramac_lib.networks.layers import Multiplier
from ramac_lib.system.errors import RamacError

PER_TASK: dict[str, dict[str, Any]] = {
    "halfcheetah-medium-expert": {"conservative_weight": 0.1, "lr_actor": 3e-4},
    "halfcheetah-medium-replay": {"conservative_weight": 1.0, "entropy": None},
    "hopper-medium-replay": {"conservative_weight": 1.0, "entropy": None},
    "walker2d-medium-replay": {"conservative_weight": 1.0, "entropy": None, "lr_actor": 3e-6},
}


@dataclass(frozen=True)
class CODACConfig(ConservativeConfig, DistributionalConfig):
    """CODAC's settings; one that its own critics do not have is refused."""

    entropy: float | None = 0.2
    conservative_weight: float = 10.0  # ω
    lagrange_threshold: float | None = None  # ζ, 10 in the source; None: no multiplier
    lr_critic: float = 3e-4
    lr_lagrange: float = 3e-4
    n_cos: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("embedding", "critic_init", "joint_relu", "actor_critics"):
            if (value := getattr(self, name)) != getattr(DistributionalConfig, name):
                raise RamacError(f"option {name} is {value}, but CODAC's critics are its own and have none")

    @classmethod
    def for_task(cls, task: str) -> "CODACConfig":
        """Return the official settings of each dataset; networks of the common size on the bandit and navigation."""
        own: dict[str, Any] = {}
        if task == BANDIT:
            own = {"critic_hidden": 128, "deterministic": False, "bc_warmup": 0.0}
            own |= {"lagrange_threshold": 10.0, "lr_lagrange": 0.01}
        return cls(**(worlds.settings(task, "policy", "quantiles", **own) or PER_TASK.get(task, {})))


@register("codac", label="CODAC", colour="#882255", line="--", marker="X")
class CODAC(SoftActor, Distributional):
    """Conservative Offline Distributional Actor-Critic."""

    Config: ClassVar[type[base.Config]] = CODACConfig
    config: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        self.add_actor()
        self.add_critic()
        self.target_policy = self.target_of(self.policy)
        if config.lagrange_threshold is not None:
            self.lagrange = Multiplier((*self.stack, 1)).to(self.device)
            self.optimizers["lagrange"] = StackedAdam(self.lagrange, config.lr_lagrange)

    def build_critic(self) -> QuantileMLP:
        """Return CODAC's own quantile networks."""
        return QuantileMLP(self.stack, *self.dims, hidden=self.config.critic_hidden, n_cos=self.config.n_cos)

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B N"]:
        """Return r + γ(1−d)(min_k Z̄_k(s', a'; τ') − α log π̄(a'|s'))."""
        if not self.config.bootstrap:
            return batch.rewards[..., None].expand(*batch.rewards.shape, self.config.n_fractions)
        states = batch.next_observations
        actions, log_prob = self.target_policy.sample_with_log_prob(self.policy_noise(states), states)
        values = self.target_critic(states, actions, self.fraction_draw()).amin(dim=1)
        return self.returns(batch, values - (self.entropy_coefficient()[:, None] * log_prob)[..., None])

    def one_fraction(self) -> Float[Tensor, "S 1"]:
        """Draw a fraction that eq. 7 is fitted at: off a grid, values that nothing else sees meet a penalty."""
        fraction, last = self.noise.uniform(1), len(self.grid) - 1
        on_grid = self.config.fractions == "grid"
        return self.grid[(fraction * (last + 1)).long().clamp(max=last)] if on_grid else fraction

    def penalty(self, batch: Batch, quantiles: Float[Tensor, "S C B N"]) -> Float[Tensor, "S C"]:
        """Return ω · gap, the gap's values at one fraction a seed, the data's averaged over all."""
        actions, densities = proposals(self.policy, self.noise, batch, self.config.n_actions)
        values = self.critic(tile(batch.observations, densities.shape[2]), actions, self.one_fraction())
        data_value = quantiles.mean(dim=(2, 3))
        return self.config.conservative_weight * conservative_gap(values.squeeze(3), densities, data_value)

    def policy_value(self, batch: Batch, actions: Float[Tensor, "S B a"]) -> Float[Tensor, " S"]:
        """Return E min_k ρ(Z_k(s, a))."""
        taus, weights = self.risk_fractions()
        with base.frozen(self.critic):
            quantiles = self.critic(batch.observations, actions, taus)
        return (quantiles @ weights).amin(dim=1).mean(dim=1)

    def learn(self, batch: Batch, *, clones: bool) -> base.Metrics:
        """Make one update: critics with their penalty, policy and entropy, targets."""
        config = self.config
        # The source's loss is a mean over predicted fractions, eq. 7 a sum: ω is to be weighed against the former.
        loss, quantiles = self.critic_loss(batch, self.target_returns(batch))
        loss, penalty = loss / config.n_fractions, self.penalty(batch, quantiles)
        gap = penalty.detach() / config.conservative_weight
        if config.lagrange_threshold is not None:
            excess, multiplier = penalty - config.lagrange_threshold, self.lagrange()
            self.optimizers["lagrange"].step(-(multiplier * excess.detach()).mean(1))
            penalty = multiplier.detach() * excess  # the multiplier before its step, as in the source
        norm = self.optimizers["critic"].step(loss + penalty)
        metrics = self.update_policy(batch, clones)
        base.follow(self.target_critic, self.critic, self.target_rate)
        base.follow(self.target_policy, self.policy, self.target_rate)
        return {
            "critic_loss": loss.detach().mean(1),
            "conservative_gap": gap.mean(1),
            "value": quantiles.detach().mean(dim=(1, 2, 3)),
            "critic_grad_norm": norm.mean(1),
            **metrics,
        }
