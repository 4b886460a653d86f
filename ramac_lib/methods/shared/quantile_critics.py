"""What methods with quantile critics share: fractions, eq. 7, and a risk measure of Z(s, a) as the policy's goal."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib import risk
from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.quantile_loss import AXES, quantile_huber
from ramac_lib.risk import MEASURES, RULES

Combined = Literal["min", "mean", "one"]


def combined(quantiles: Float[Tensor, "S C B N"], how: Combined) -> Float[Tensor, "S B N"]:
    """Return the critics' quantiles as one: the elementwise ``min``, the ``mean``, or those of the first (``one``)."""
    if how == "one":
        return quantiles[:, 0]
    return quantiles.amin(dim=1) if how == "min" else quantiles.mean(dim=1)


@dataclass(frozen=True)
class DistributionalConfig(base.CriticConfig):
    """Settings of every method with quantile critics and a risk measure.

    Raises:
        RamacError: as `Config`'s; a parameter that the measure does not take.
    """

    risk: str = field(default="cvar", metadata={"range": MEASURES})
    alpha: float = 0.1
    risk_parameter: float | None = None
    # "floor": eq. 15, the mean of the lowest ⌊αN⌋ fractions.
    grid_rule: str = field(default="exact", metadata={"range": RULES})
    fractions: Literal["grid", "random"] = "grid"  # eq. 14; or "random": τ ~ U(0, 1), shared by the batch
    n_fractions: int = 32
    n_risk_fractions: int | None = None  # drawn for the policy's loss where fractions are random; None: n_fractions
    n_cos: int = 32
    embedding: int = 64
    critic_hidden: int = 256
    # "released": N(0, 0.1²), head U(±3e-4), several times slower on the bandit.
    critic_init: Literal["fan_in", "released"] = "fan_in"
    joint_relu: bool = field(default=False, metadata={"before": False})  # after s and a are joined
    actor_critics: Combined = "min"  # over the critics, elementwise; "one": the first alone
    kappa: float = 1.0
    quantile_axis: str = field(default="prediction", metadata={"range": AXES})
    pairing: Literal["all", "one-to-one"] = "all"
    grad_clip: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights()  # refuses a measure's wrong parameter

    def weights(self) -> Float[np.ndarray, " N"]:
        """Return the risk measure as weights over the grid of fractions (eq. 15 generalised)."""
        return risk.weights(
            self.risk, self.n_fractions, alpha=self.alpha, parameter=self.risk_parameter, rule=self.grid_rule
        )


class Distributional(base.Method):
    """Quantile critics Z(s, a; τ) with targets, their loss, and the risk measure that a policy ascends."""

    config: DistributionalConfig
    n_critics = 2
    grid: Tensor
    active_grid: Tensor
    active_weights: Tensor
    distortion: Tensor

    def build_critic(self) -> nn.Module:
        """Return the critics, not yet initialised."""
        config, (s, a) = self.config, self.dims
        return IQNCritic(
            self.stack,
            s,
            a,
            hidden=config.critic_hidden,
            embedding=config.embedding,
            n_cos=config.n_cos,
            n_critics=self.n_critics,
            init=config.critic_init,
            joint_relu=config.joint_relu,
        )

    def add_critic(self) -> None:
        """Build critics, their targets, their optimiser and the grid of fractions."""
        config = self.config
        self.critic: Any = self.new(self.build_critic())
        self.target_critic: Any = self.target_of(self.critic)
        self.optimizers["critic"] = StackedAdam(self.critic, self.critic_rate, stack_rank=2, max_norm=config.grad_clip)
        weights, taus = config.weights(), risk.grid(config.n_fractions)
        active = np.flatnonzero(weights)  # the policy's loss evaluates only the fractions that the measure weighs
        self.constant("grid", taus)
        self.constant("active_grid", taus[active])
        self.constant("active_weights", weights[active])
        if config.fractions == "random":
            even = np.linspace(0, 1, 10_001)
            self.constant("distortion", risk.distort_fractions(
                config.risk, even, alpha=config.alpha, parameter=config.risk_parameter
            ))  # fmt: skip

    # -- the critics ------------------------------------------------------------------------------------------------

    def critics(self) -> dict[str, nn.Module]:
        """Return the critics of the return and their targets."""
        return {"critic": self.critic, "target_critic": self.target_critic}

    def levels(self) -> tuple[float, ...]:
        """Return the levels of the mean and of the paper's CVaR."""
        return (1.0, 0.1)

    def value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], alpha: float = 1.0
    ) -> Float[Tensor, "S B"]:
        """Return CVaR_α(Z(s, a)) by the grid's weights, of the lower of the critics at each fraction."""
        weights = risk.weights("cvar", self.config.n_fractions, alpha=alpha)
        quantiles = self.critic(self.scaled(observations), actions, self.grid).amin(dim=1)
        return quantiles @ torch.as_tensor(weights, dtype=torch.float32, device=self.device)

    def quantiles(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S C B N"], Float[Tensor, " N"]]:
        """Return each critic's quantiles at the fixed grid of fractions (eq. 14), and that grid."""
        return self.critic(self.scaled(observations), actions, self.grid), self.grid

    def fraction_draw(self) -> Tensor:
        """Return the fractions of one evaluation: the fixed grid (eq. 14), or a draw for each seed."""
        return self.grid if self.config.fractions == "grid" else self.noise.uniform(self.config.n_fractions)

    def critic_loss(self, batch: Batch, targets: Float[Tensor, "S B N"]) -> tuple[Float[Tensor, "S C"], Tensor]:
        """Return eq. 7 for each critic, and their quantiles at the batch's actions."""
        taus = self.fraction_draw()
        quantiles = self.critic(batch.observations, batch.actions, taus)
        loss = quantile_huber(
            quantiles,
            targets.unsqueeze(1),
            taus if taus.ndim == 1 else taus.unsqueeze(1),
            kappa=self.config.kappa,
            axis=self.config.quantile_axis,
            pairing=self.config.pairing,
            native=getattr(self.critic, "native", False),
        )
        return loss, quantiles

    # -- the risk measure -------------------------------------------------------------------------------------------

    def risk_fractions(self) -> tuple[Tensor, Float[Tensor, " K"]]:
        """Return fractions and weights whose weighted sum of quantiles is the risk measure (eq. 9 or 15)."""
        config = self.config
        if config.fractions == "grid":
            return self.active_grid, self.active_weights
        count, last = config.n_risk_fractions or config.n_fractions, len(self.distortion) - 1
        taus = self.distortion[(self.noise.uniform(count) * last).round().long()]
        return taus, torch.full_like(taus[0], 1 / count)

    def risk_value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        """Return the batch mean of the risk measure of Z(s, a) (eq. 9, 15) and of |Z|; no gradient to the critics."""
        taus, weights = self.risk_fractions()
        with base.frozen(self.critic):
            quantiles = self.critic(observations, actions, taus)
        quantiles = combined(quantiles, self.config.actor_critics)
        return (quantiles @ weights).mean(dim=1), quantiles.detach().abs().mean(dim=(1, 2))
