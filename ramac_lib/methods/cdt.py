"""CDT (Liu et al. 2023, "Constrained Decision Transformer for Offline Safe RL", ICML; arXiv 2302.07351).

Objective. A causal transformer reads the last K steps as tokens (R̂_t, Ĉ_t, s_t, a_t), R̂ and Ĉ being what rewards and
costs still sum to in the episode, and predicts a_t from all before it. Descended is, over windows of the data,

    E[−log N(a_t; tanh μ_t, σ_t²) − α H(σ_t)] + w E[−log p(1{c_t > 0} | …, a_t)],

log α descending by the entropy less its target −|A|. Acting starts with the return and the cost that are asked for,
R̂₀ = `target_return` and Ĉ₀ = κ, and counts both down by what is earned and spent; tanh μ is played.

Costs have priority by augmentation: a share of each batch are windows of episodes on the data's Pareto front, labelled
with returns that no episode reached at that cost (`ramac_lib.methods.shared.pareto`).

Differences from the authors' code (OSRL):

1. two layers of width 64 and batches of 64, there three of 128 and 2048; no dropout and no weight decay;
2. a token knows its place in the context, there its step in the episode;
3. R̂ and Ĉ are divided by their root mean squares; there returns are multiplied by .1 and costs enter as 50 − Ĉ;
4. the front is a step function, the best return within a cost, there a polynomial of degree 4;
5. windows are uniform over the data, there those of cheap episodes are drawn more often;
6. R̂₀ is the best return of an episode of the data within κ, unless one is set; there it is set by hand for each task.
"""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ramac_lib.datasets.batches import Batch, Sampling, Windows
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import BANDIT, NAVIGATION
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.goals import GoalController, best_within, goals_of
from ramac_lib.methods.shared.limits import LimitConfig, Limited
from ramac_lib.methods.shared.pareto import FrontWindows, mixed
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import Multiplier
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.sequence import SequencePolicy
from ramac_lib.system.errors import RamacError
from ramac_lib.system.ranges import COUNT, FROM_0, SHARE


@dataclass(frozen=True)
class CDTConfig(LimitConfig):
    """CDT's settings.

    Raises:
        RamacError: a width that the heads do not divide.
    """

    normalize: bool = True
    batch_size: int = 64
    lr_actor: float = 1e-4
    lr_dual: float = 1e-4
    grad_clip: float | None = 0.25
    length: int = 10  # K
    width: int = field(default=64, metadata={"range": COUNT})
    heads: int = 4
    layers: int = field(default=2, metadata={"range": COUNT})
    cost_weight: float = field(default=0.02, metadata={"range": FROM_0})  # w
    augmented: float = field(default=0.2, metadata={"range": SHARE})  # of a batch
    target_return: float | None = None  # R̂₀; None: the best within κ

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % self.heads:
            raise RamacError(f"width is {self.width}; expected a multiple of the {self.heads} heads")

    @classmethod
    def for_task(cls, task: str) -> "CDTConfig":
        """Return half the size and a faster rate on the bandit and on navigation, and the defaults elsewhere."""
        small: dict[str, Any] = {"lr_actor": 1e-3, "width": 32, "heads": 2, "length": 1 if task == BANDIT else 5}
        return cls(**small) if task == BANDIT or task in NAVIGATION else cls()


@register("cdt", label="CDT", colour="#00BFC4", line="-", marker="$D$", needs=("costs",), group=SAFETY)
class CDT(Limited, base.Method):
    """A causal transformer that is asked for a return and a cost."""

    Config: ClassVar[type[base.Config]] = CDTConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "goal_square", "goal")
    policy: SequencePolicy  # type: ignore[assignment]
    goal: Tensor
    goal_square: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        sizes = {name: getattr(config, name) for name in ("length", "width", "heads", "layers")}
        self.policy = self.new(SequencePolicy(self.stack, *self.dims, **sizes))
        self.temperature = Multiplier(self.stack).to(self.device)
        torch.nn.init.constant_(self.temperature.log, math.log(0.1))
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        self.optimizers["temperature"] = StackedAdam(self.temperature, config.lr_dual)
        self.add_limits()
        self.shown: FrontWindows | None = None
        self.register_buffer("goal_square", torch.ones(*self.stack, 1, 2, device=self.device))
        self.register_buffer("goal", torch.zeros(*self.stack, 1, 2, device=self.device))  # (R̂₀, κ)

    def sampling(self) -> Sampling:
        """Return windows of K steps with what rewards and costs sum to from their first step on."""
        return Windows(self.config.length, padded=True, discount=1.0)

    def fit_data(self, data: Dataset) -> None:
        """Take the limit, the return to ask for and the windows to mix in; refuse data without costs."""
        self.fit_limits(data)
        config, kappa, asked = self.config, float(self.limits[0, 0]), self.config.target_return
        self.goal.copy_(torch.tensor([best_within(data, kappa) if asked is None else asked, kappa]))
        if config.augmented:
            self.shown = FrontWindows(data, config.length).to(self.device)

    def unit(self) -> Float[Tensor, "S 1 2"]:
        """Return what returns and costs to go are divided by."""
        return self.goal_square.sqrt() + 1

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update of the transformer and of the entropy's weight."""
        if self.shown is not None:
            count = int(self.config.augmented * batch.rewards.shape[1])
            batch = mixed(batch, self.normalized(self.shown.sample(self.noise, count)))
        goals, mask, costs = goals_of(batch), cast(Tensor, batch.mask), cast(Tensor, batch.costs)
        square = goals.square().mean(dim=(1, 2)).unsqueeze(1)
        self.goal_square.lerp_(square, (1 / (self.step + 1)).clamp(min=1e-3))  # the mean of all batches at first
        goals = goals / self.unit().unsqueeze(2)
        log_prob, spread, logit = self.policy.likelihood(goals, batch.observations, batch.actions)
        costly = functional.binary_cross_entropy_with_logits(logit, (costs > 0).float(), reduction="none")
        total, terms = mask.sum(dim=(1, 2)), (-log_prob, spread, costly)
        bc_loss, entropy, cost_loss = ((term * mask).sum(dim=(1, 2)) / total for term in terms)
        loss = bc_loss - self.temperature().detach() * entropy + self.config.cost_weight * cost_loss
        norm = self.optimizers["policy"].step(loss)
        self.optimizers["temperature"].step(self.temperature.log.squeeze(-1) * (entropy.detach() + self.dims[1]))
        found = {"bc_loss": bc_loss, "cost_loss": cost_loss, "entropy": entropy, "policy_grad_norm": norm}
        return {name: number.detach() for name, number in found.items()}

    def controller(self, noise: Noise) -> GoalController:
        """Return a fresh controller, which asks for the goal."""
        return GoalController(self, noise)

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the first action of an episode that begins here."""
        return self.controller(noise).play(observations)
