"""CPQ (Xu, Zhan, Zhu 2022, "Constraints Penalized Q-learning for Safe Offline RL", AAAI; arXiv 2107.09003).

Objective. Actions that the data lack are made to look costly: a conditional VAE of the data's actions is cloned, and ν
are those of `n_actions` samples a state of the policy whose KL(q(z|s,a) ‖ N(0, I)) is in the batch's highest
`ood_share`. The critics of cost descend (eq. 6), with a' ~ π(·|s'),

    E (Q_c(s,a) − c − γ(1−d) Q̄_c(s',a'))² − α (E_ν Q_c(s,a) − b),    b = `ood_bound` · ℓ,

and log α ascends by b − E_ν Q_c. The reward's backup and the policy see safe actions alone (eq. 7, 8): Q descends the
squared error to r + γ(1−d) 1{Q̄_c(s',a') ≤ ℓ} min_k Q̄_k(s',a'), π ascends E 1{Q_c(s,a) ≤ ℓ} min_k Q_k(s,a). ℓ is the
discounted equivalent of κ violations an episode (`ramac_lib.methods.shared.limits`); tanh μ(s) is deployed.

An unsafe action has the value 0 there, which is a reward where returns are negative, as on navigation. Here it has the
lowest return of the data; ``origin="zero"`` is the paper's. Of eq. 8 the gradient is that of Q on safe samples alone:
nothing holds the policy at the limit, and what has crossed it has no gradient back.

Differences from the public code that tables of benchmarks use (OSRL); `CPQConfig.RELEASED` restores 1 to 5:

1. it takes E_ν Q_c from the target critics without a gradient, so that neither α nor the VAE has an effect on anything
   that acts (``ood_gradient=false``); what is left of CPQ are the two indicators;
2. its backup of costs goes on after terminal states (``cost_ends=false``);
3. of two critics of cost it takes the lower one, which is optimism (``cost_aggregate="min"``);
4. its value of an unsafe action is 0 (``origin``);
5. of ν only actions that look cheaper than b are pushed up, and the policy clones at first (``ood_capped``,
   ``bc_warmup``); neither is in the paper. Without the first Q_c went to 1,700 where ℓ is .17 in 2,000 updates on
   navigation, seed 0, and nothing looked safe any more;
6. its time-outs end the backup of both values; here values are bootstrapped there, and rewards are not scaled;
7. in short runs the rates of targets and of α are raised (`short_runs`); the VAE is that of this library's policies.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import returns_to_go
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.cost_critics import PessimismConfig, PessimisticCosts
from ramac_lib.methods.shared.limits import LimitConfig, Limited
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import GaussianPolicy


@dataclass(frozen=True)
class CPQConfig(LimitConfig, PessimismConfig, QLearningConfig):
    """CPQ's settings.

    Raises:
        RamacError: a limit below 0.
    """

    RELEASED: ClassVar[dict[str, Any]] = {
        "ood_gradient": False, "ood_capped": False, "bc_warmup": 0.0, "cost_ends": False, "cost_aggregate": "min",
        "origin": "zero", "short_run_rate": False,
    }  # fmt: skip

    lr_actor: float = 1e-4
    lr_critic: float = 1e-3
    lr_critic_cap: float = 1e-3
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    critic_hidden: tuple[int, ...] = (256, 256)
    critic_activation: str = "relu"
    bc_warmup: float = 0.1  # share of the run in which the policy clones
    origin: str = field(default="floor", metadata={"range": ("floor", "zero")})  # what an unsafe action is worth

    @classmethod
    def for_task(cls, task: str) -> "CPQConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "q", model_hidden=(128, 128)))


@register("cpq", label="CPQ", colour="#B2182B", line=":", marker="$Q$", needs=("costs",), group=SAFETY)
class CPQ(Limited, PessimisticCosts, QLearning):
    """Q-learning that backs up safe actions alone, with a pessimistic critic of cost."""

    Config: ClassVar[type[base.Config]] = CPQConfig
    config: Any
    policy: GaussianPolicy
    floor: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        sizes: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(GaussianPolicy(self.stack, *self.dims, **sizes))
        self.add_critic()
        self.add_costs()
        self.add_limits()
        self.constant("floor", 0.0)
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)

    def fit_data(self, data: Dataset) -> None:
        """Take the limit, and the data's lowest return, which an unsafe action is worth.

        Raises:
            RamacError: the data have no costs.
        """
        self.fit_limits(data)
        if self.config.origin == "floor":
            self.floor.fill_(float(returns_to_go(data, self.config.discount).min()))

    def phase(self) -> dict[str, bool]:
        """Return whether the policy still clones."""
        return {"clones": self.updates < self.config.bc_warmup * self.steps}

    def learn(self, batch: Batch, clones: bool) -> base.Metrics:
        """Make one update: VAE and critics of cost, critics of return, policy, targets."""
        metrics = self.update_costs(batch) | self.update_critic(batch) | self.update_policy(batch, clones)
        base.follow(self.target_critic, self.critic, self.target_rate)
        base.follow(self.target_cost_critic, self.cost_critic, self.target_rate)
        return metrics

    def drawn(self, states: Float[Tensor, "S B s"]) -> Float[Tensor, "S B a"]:
        """Return one action of the policy for each row."""
        return self.policy.sample(self.policy_noise(states), states)

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return r + γ(1−d) Q̄(s', a'), where Q̄ is the floor if Q̄_c(s', a') > ℓ."""
        if not self.config.bootstrap:
            return batch.rewards
        states, actions = batch.next_observations, self.drawn(batch.next_observations)
        safe = self.cost(self.target_cost_critic(states, actions)) <= self.limit()
        return self.returns(batch, torch.where(safe, self.aggregate(self.target_critic(states, actions)), self.floor))

    def update_policy(self, batch: Batch, clones: bool) -> base.Metrics:
        """Make one update of the policy (eq. 8), or of its likelihood alone."""
        if clones:
            return {"policy_grad_norm": self.optimizers["policy"].step(self.bc_loss(batch))}
        actions = self.drawn(batch.observations)
        with base.frozen(self.critic):
            values = self.aggregate(self.critic(batch.observations, actions))
        with torch.no_grad():
            safe = (self.cost(self.cost_critic(batch.observations, actions)) <= self.limit()).float()
        norm = self.optimizers["policy"].step(-(safe * values).mean(1))
        return {"policy_value": values.detach().mean(1), "safe": safe.mean(1), "policy_grad_norm": norm}

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return tanh μ(s)."""
        return self.policy.mode(observations)
