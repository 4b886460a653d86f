"""CQL (Kumar et al. 2020, "Conservative Q-Learning for Offline Reinforcement Learning"), the variant CQL(H).

Objective (its eq. 4): each critic descends the squared error of eq. 1 plus α_CQL (E_s log Σ_a exp(Q(s, a) − log μ(a)) −
E_D Q(s, a)), with 10 uniform actions, 10 of π(·|s') and 10 of π(·|s) in the sum, each corrected by its density μ; the
policy descends E[α log π(a|s) − min_k Q_k(s, a)], α tuned to an entropy of −|A|.

The defaults are those of a well-kept implementation that reaches the published scores (CORL: α_CQL = 10, three hidden
layers, policy rate 3e-5, normalised observations, no entropy in the target, no Lagrange multiplier). Differences:

1. layers start from PyTorch's default scale; there the critics' are orthogonal, and every network's last layer is 100
   times smaller;
2. the rates of policy and targets, meant for 1M updates and more, are raised in short runs
   (`ramac_lib.methods.shared.short_runs`);
3. log σ(s) is the network's own output; there it has a learned scale and a learned offset that starts at −1;
4. the policy first clones, as in the authors' own code (for 40k updates), by the rule of `schedules.warmup`; there not;
5. α, policy and critics are updated one after another, each seeing the one before; there all losses are taken first.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig
from ramac_lib.methods.shared.registry import register
from ramac_lib.methods.shared.soft_actor import ConservativeConfig, SoftActor, conservative_gap, proposals, tile


@dataclass(frozen=True)
class CQLConfig(ConservativeConfig, QLearningConfig):
    """CQL's settings."""

    normalize: bool = True
    cql_weight: float = 10.0
    hidden: tuple[int, ...] = (256, 256, 256)
    critic_activation: str = "relu"

    @classmethod
    def for_task(cls, task: str) -> "CQLConfig":
        """Return the bandit's and navigation's network sizes and rates there, and the defaults elsewhere."""
        bandit = {"deterministic": False, "bc_warmup": 0.0} if task == BANDIT else {}
        return cls(**worlds.settings(task, "policy", "q", **bandit))


@register("cql", label="CQL", colour="#CC79A7", line="-", marker="P")
class CQL(SoftActor, QLearning):
    """Conservative Q-Learning."""

    Config: ClassVar[type[base.Config]] = CQLConfig
    config: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_actor()
        self.add_critic()

    def critic_loss(
        self, batch: Batch, targets: Float[Tensor, "S B"]
    ) -> tuple[Float[Tensor, "S C"], Float[Tensor, "S C B"]]:
        """Return each critic's squared error and conservative penalty, and the values at the batch's actions."""
        error, values = super().critic_loss(batch, targets)
        actions, densities = proposals(self.policy, self.noise, batch, self.config.n_actions)
        others = self.critic(tile(batch.observations, densities.shape[2]), actions)
        return error + self.config.cql_weight * conservative_gap(others, densities, values.mean(2)), values

    def policy_value(self, batch: Batch, actions: Float[Tensor, "S B a"]) -> Float[Tensor, " S"]:
        """Return E min_k Q_k(s, a)."""
        with base.frozen(self.critic):
            return self.aggregate(self.critic(batch.observations, actions)).mean(1)

    def learn(self, batch: Batch, *, clones: bool) -> base.Metrics:
        """Make one update: policy and entropy, critics, targets."""
        metrics = self.update_policy(batch, clones) | self.update_critic(batch)
        base.follow(self.target_critic, self.critic, self.target_rate)
        return metrics
