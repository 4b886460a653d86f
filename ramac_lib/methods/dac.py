"""DAC and DAC-CVaR (Fang et al. 2025, "Diffusion Actor-Critic", ICLR; arXiv 2405.20555).

Objective: policy iteration in which π* ∝ β exp(Q/η) of a behaviour policy β, as noise regression (its th. 2, eq. 15):
with x_t = √ᾱ_t a + √(1−ᾱ_t) ε the actor descends E‖ε_θ(x_t, s, t) − ε + √(1−ᾱ_t) g / η‖², written (eq. 16) as

    L_A = η E‖ε_θ − ε‖² + 2 E[√(1−ᾱ_t) g · ε_θ],   g = ∇_x Q̄(s, x_t) / E|Q̄(s, a)|,

Q̄ the mean of H target critics, no gradient through g. The dual variable ascends (algorithm 1): η ← η + rate · (‖ε_θ −
ε‖² − b), the gap within ±1, η in [.001, 100]. A critic fits r + γ(1−d)(mean_h Q̄_h − ρ std_h Q̄_h) at the EMA actor's
action (eq. 18). Acting is the best of 10 samples by the mean of the target critics. DAC-CVaR is ours: the same actor
with RAMAC's two quantile critics, CVaR_α(Z̄) in place of the mean in g and in acting, and the lower of the two in the
target. Theorem 1 holds for no t > 0: eq. 15's target is not the noise of a chain of π*, not even between Gaussians (the
numbers are in the method's tests).

Differences from the authors' code; `DACConfig.RELEASED` restores 1 to 5 and 8:

1. its actor's loss lacks the 2 of the square, which halves the guidance (``guidance_scale="code"``);
2. its reverse steps add noise of variance β_t, not the posterior's (``step_noise="beta"``);
3. its target is the mean over 10 next actions, algorithm 1 has one (``next_samples=10``), on AntMaze their largest
   (``next_value="max"``);
4. its EMA actor moves every 5 steps after the first 1000 (``ema_every``, ``ema_start``);
5. its score network is 3 × 256 with Mish; here RADAC's (256-256, SiLU), so that the two differ in nothing else;
6. rewards are as they are; there they are scaled to a range of 1000 over episodes, which g and π do not see;
7. gradient norms are clipped for each critic by itself, there for the ensemble together; weights start from PyTorch's
   default, there orthogonal; batches are drawn with replacement, there by epochs;
8. in short runs the rates of targets and of η are raised (`ramac_lib.methods.shared.short_runs`);
9. b is .1 on the bandit and on navigation, where nothing was published.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, short_runs, worlds
from ramac_lib.methods.shared.noise_regression import NoiseRegression, NoiseRegressionConfig
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig
from ramac_lib.methods.shared.quantile_critics import Distributional, DistributionalConfig, combined
from ramac_lib.methods.shared.registry import NEIGHBOURS, register
from ramac_lib.networks.critics import IQNCritic

RHO = {"hopper": 1.5, "walker2d": 1.0, "halfcheetah": 0.0}
THRESHOLD = {"hopper-medium-expert": 0.05, "halfcheetah-medium-expert": 0.1}
RELEASED: dict[str, Any] = {
    "guidance_scale": "code", "step_noise": "beta", "next_samples": 10, "hidden": (256, 256, 256), "activation": "mish",
    "ema_every": 5, "ema_start": 1000 / short_runs.REFERENCE_STEPS, "short_run_rate": False,
}  # fmt: skip


@dataclass(frozen=True)
class DACConfig(NoiseRegressionConfig, QLearningConfig):
    """DAC's settings."""

    RELEASED: ClassVar[dict[str, Any]] = RELEASED

    n_critics: int = 10  # H
    rho: float = 1.0  # ρ, standard deviations below the ensemble's mean

    @classmethod
    def for_task(cls, task: str) -> "DACConfig":
        """Return the authors' ρ and b of each task; the sizes and rates of the two worlds there."""
        own = {"rho": RHO.get(task.split("-")[0], 1.0), "threshold": THRESHOLD.get(task, 1.0)}
        return cls(**(worlds.settings(task, "policy", "chain", "q", threshold=0.1) or own))


@dataclass(frozen=True)
class DACCVaRConfig(NoiseRegressionConfig, DistributionalConfig):
    """DAC-CVaR's settings."""

    @classmethod
    def for_task(cls, task: str) -> "DACCVaRConfig":
        """Return DAC's b of each task; the sizes and rates of the two worlds there."""
        worldly = worlds.settings(task, "policy", "chain", "quantiles", threshold=0.1)
        return cls(**(worldly or {"threshold": THRESHOLD.get(task, 1.0)}))


@register("dac", label="DAC", colour="#8C510A", line="-", marker="2", group=NEIGHBOURS)
class DAC(NoiseRegression, QLearning):
    """Noise regression guided by an ensemble of critics."""

    Config: ClassVar[type[base.Config]] = DACConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "target_critic")
    config: DACConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_critic(n_critics=self.config.n_critics)
        self.add_actor()

    def aggregate(self, values: Float[Tensor, "S C B"]) -> Float[Tensor, "S B"]:
        """Return the mean of the critics."""
        return values.mean(dim=1)

    def goal(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return the mean of the target critics."""
        return self.aggregate(self.target_critic(observations, actions))

    def lower_bound(self, values: Float[Tensor, "S C B"]) -> Float[Tensor, "S B"]:
        """Return mean − ρ · standard deviation over the ensemble, H in its denominator (eq. 18)."""
        return values.mean(dim=1) - self.config.rho * values.std(dim=1, correction=0)

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return r + γ(1−d) times the lower bound of each critic's mean (or largest) value of the next actions."""
        if not self.config.bootstrap:
            return batch.rewards
        values = self.target_critic(*self.next_actions(batch)).unflatten(2, (-1, self.config.next_samples))
        each = values.amax(dim=3) if self.config.next_value == "max" else values.mean(dim=3)
        return self.returns(batch, self.lower_bound(each))


@register("dac-cvar", label="DAC-CVaR", colour="#BF812D", line="--", marker="3", group=NEIGHBOURS)
class DACCVaR(NoiseRegression, Distributional):
    """Noise regression guided by the CVaR of RAMAC's quantile critics."""

    Config: ClassVar[type[base.Config]] = DACCVaRConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "target_critic")
    CRITIC: ClassVar[type[nn.Module] | None] = IQNCritic
    config: DACCVaRConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_critic()
        self.add_actor()

    def goal(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return the risk measure of the target critics' distribution."""
        quantiles = self.target_critic(observations, actions, self.active_grid)
        return combined(quantiles, self.config.actor_critics) @ self.active_weights

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B K*N"]:
        """Return r + γ(1−d) min_k Z̄_k(s', a'; τ'), the quantiles of all next actions as one sample."""
        config, taus = self.config, self.fraction_draw()
        if not config.bootstrap:
            return batch.rewards[..., None].expand(*batch.rewards.shape, config.n_fractions)
        quantiles = combined(self.target_critic(*self.next_actions(batch), taus), "min")
        return self.returns(batch, quantiles.unflatten(1, (-1, config.next_samples)).flatten(2))

    def update_critic(self, batch: Batch) -> base.Metrics:
        """Make one update of the critics (eq. 7)."""
        loss, quantiles = self.critic_loss(batch, self.target_returns(batch))
        norm = self.optimizers["critic"].step(loss)
        value = quantiles.detach().mean(dim=(1, 2, 3))
        return {"critic_loss": loss.detach().mean(1), "value": value, "critic_grad_norm": norm.mean(1)}
