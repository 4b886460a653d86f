"""TREBI (Lin et al. 2023, "Safe Offline RL with Real-Time Budget Constraints", ICML; arXiv 2306.00603).

Objective. A diffusion model of plans x, and values of a plan by regression on the data's discounted sums from its
start to its episode's end: V_r(s, x) of rewards and V_c(s, x) of costs, E(V − Σ_k γ^k ·)². Plans are guided by

    ∇V_r(x) − n exp(clip((V_c(x) − b)/b, 0, 1)) 1{V_c(x) > b} ∇V_c(x);

of `candidates` plans the one of the highest V_r is followed whose V_c is within the budget b, or the one of the least
V_c where none is. The budget that is left is kept for each episode: b₀ = ℓ, the discounted equivalent of κ violations
an episode (`ramac_lib.methods.shared.limits`), b_{t+1} = (b_t − c_t)/γ.

It is the mean-value case of RS-Diffuser's planner (`ramac_lib.methods.shared.planning`).

Differences from the authors' code:

1. plans are moves of the state, followed by inverse dynamics, from an MLP that predicts noise; there of states and
   actions, from a U-Net that predicts plans, with ten times the weight on actions;
2. V_r and V_c guide in units of their standard deviations in the data, at x̂₀; there at noisy plans, in units of their
   own times .1, in two steps;
3. 16 candidates, there 64; plans of 16, 8 or 4 steps as RS-Diffuser's, there of 32; γ = .99, there .997;
4. its cost has 100 more where an episode ends with a terminal state; costs here are the data's.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import BANDIT, NAVIGATION
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.budgets import BudgetController, urgency, within
from ramac_lib.methods.shared.limits import LimitConfig, Limited
from ramac_lib.methods.shared.planning import PlanConfig, Planning
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import QCritic
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.planner import Goal
from ramac_lib.system.ranges import FROM_0


@dataclass(frozen=True)
class TREBIConfig(LimitConfig, PlanConfig):
    """TREBI's settings: a planner's, and those of its values and its guidance.

    Raises:
        RamacError: as `PlanConfig`'s; a limit below 0.
    """

    guidance: float = 1.0
    cost_weight: float = field(default=5.0, metadata={"range": FROM_0})  # n
    candidates: int = 16
    critic_hidden: tuple[int, ...] = (256, 256)

    @classmethod
    def for_task(cls, task: str) -> "TREBIConfig":
        """Return the sizes and rates of RS-Diffuser's planner."""
        small: dict[str, Any] = {"hidden": (256, 256, 256), "activation": "relu", "lr_actor": 1e-3, "lr_critic": 1e-3}
        if task == BANDIT:
            small |= {"hidden": (128, 128, 128), "critic_hidden": (128, 128), "candidates": 4}
            return cls(**small, plan="actions", length=1)
        return cls(**small, length=8, critic_hidden=(64, 64)) if task in NAVIGATION else cls(length=4)


@register("trebi", label="TREBI", colour="#F781BF", line=":", marker="$T$", needs=("costs",), group=SAFETY)
class TREBI(Limited, Planning):
    """Planning by diffusion within a budget of cost that is counted while acting."""

    Config: ClassVar[type[base.Config]] = TREBIConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = (*Planning.DEPLOYED, "critic", "sum_mean", "sum_square", "limits")
    sum_mean: Tensor
    sum_square: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        self.critic = self.new(QCritic(self.stack, self.dims[0], self.width, hidden=config.critic_hidden))
        self.optimizers["critic"] = StackedAdam(self.critic, config.lr_critic, stack_rank=2, max_norm=config.grad_clip)
        self.add_limits()
        for name in ("sum_mean", "sum_square"):  # of rewards and costs
            self.register_buffer(name, torch.ones(*self.stack, 2, 1, device=self.device))

    def critics(self) -> dict[str, nn.Module]:
        """Return the values of plans, V_r and V_c, as one network's two members."""
        return {"critic": self.critic}

    def fit_data(self, data: Dataset) -> None:
        """Take the limit; refuse data without costs."""
        self.fit_limits(data)

    def scales(self) -> tuple[Float[Tensor, "S 2 1"], Float[Tensor, "S 2 1"]]:
        """Return mean and standard deviation of the data's sums of rewards and of costs, as batches have shown them."""
        return self.sum_mean, (self.sum_square - self.sum_mean.square()).clamp(min=1e-12).sqrt() + 1e-6

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: planner, inverse dynamics, values."""
        states, plans = self.examples(batch)
        metrics = self.update_planner(batch, states, plans)
        sums = torch.stack([cast(Tensor, batch.returns), cast(Tensor, batch.cost_returns)], dim=1)
        self.track(self.sum_mean, sums.mean(dim=2, keepdim=True))
        self.track(self.sum_square, sums.square().mean(dim=2, keepdim=True))
        mean, scale = self.scales()
        values = self.critic(states, plans)
        loss = (values - (sums - mean) / scale).square().mean(dim=2)
        norm = self.optimizers["critic"].step(loss)
        value = (mean + scale * values.detach()).mean(dim=2)
        own = {"critic_loss": loss.detach().mean(1), "critic_grad_norm": norm.mean(1)}
        return metrics | own | {"value": value[:, 0], "cost_value": value[:, 1]}

    def costs(self, standard: Float[Tensor, "S B"]) -> Float[Tensor, "S B"]:
        """Return V_c of its standardised number."""
        mean, scale = self.scales()
        return mean[:, 1] + scale[:, 1] * standard

    def first_aim(self, states: Float[Tensor, "S B s"]) -> Float[Tensor, "S B"]:
        """Return the budget of episodes that begin in these states: ℓ."""
        return self.limit().expand(*states.shape[:2])

    def goal(self, states: Float[Tensor, "S B s"], budgets: Float[Tensor, "S B"]) -> Goal:
        """Return what plans from these states are guided by."""

        def goal(plans: Float[Tensor, "S B x"]) -> Float[Tensor, "S B"]:
            reward, cost = self.critic(states, plans).unbind(1)
            return reward - self.config.cost_weight * urgency(self.costs(cost.detach()), budgets) * cost

        return goal

    def choose_plans(self, states: Float[Tensor, "S B s"], noise: Noise, aim: Any) -> Float[Tensor, "S B x"]:
        """Return of each row's guided candidates the best within the budget `aim` (S, B), or the cheapest."""
        count = 1 if noise.silent else self.config.candidates
        rows, budgets = states.repeat_interleave(count, dim=1), aim.repeat_interleave(count, dim=1)
        predict = self.policy.guided(rows, self.goal(rows, budgets), self.config.guidance)
        plans = self.policy.sample(self.policy_noise(rows, noise), rows, predict)
        reward, cost = self.critic(rows, plans).unbind(1)
        numbers = (reward, self.costs(cost), budgets)
        best = within(*(number.unflatten(1, (-1, count)) for number in numbers))
        return base.picked(plans.unflatten(1, (-1, count)), best)

    def controller(self, noise: Noise) -> BudgetController:
        """Return a fresh controller with whole budgets."""
        return BudgetController(self, noise)
