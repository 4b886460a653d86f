"""RAMAC, Algorithm 1: a generative policy trained by L_BC + η L_risk against a double IQN critic.

RADAC and RAFMAC are this class with a diffusion and a flow policy. The defaults are the paper's reading; each quirk of
the released code that changes what is learned is an option (see `RELEASED` in the two methods' files):

1. ``quantile_axis="target"``: RADAC's released loss weighs a residual by the *target's* fraction.
2. ``risk_path="one-step"``: RAFMAC's released risk gradient reaches only a separate one-step network, never the
   deployed velocity field; ``bootstrap=False`` and ``reward_clamp=1``: its critic fits the clamped one-step reward;
   ``done_mask="inverted"`` is the mask it would use if it bootstrapped; ``pairing="one-to-one"`` compares the i-th
   prediction with the i-th target alone; ``risk="neutral"`` is what its uniform fractions make of every distortion.
3. ``fractions="random"``: τ ~ U(0, 1), shared by the batch, in place of the fixed grid (eq. 14); ``eta_ramp=0``: η
   jumps at the end of the warm-up; ``critic_init="released"``: the released critic's start; and no rule for
   short runs (``short_run_rate=False``), as every released length is one of a run of 2M updates.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.quantile_critics import Combined, Distributional, DistributionalConfig, combined
from ramac_lib.methods.shared.short_runs import ramp, risk_weight, warmup
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import MLP
from ramac_lib.networks.policies.base import Policy


@dataclass(frozen=True)
class RAMACConfig(DistributionalConfig):
    """Settings that RADAC and RAFMAC share. Rates are a step's, lengths are fractions of the run."""

    # The objective (eq. 11): bc_weight · L_BC + η · L_risk.
    eta: float = 0.05
    bc_weight: float = 1.0
    eta_warmup: float = 0.0
    eta_ramp: float = 0.05
    scale_by_value: bool = False  # divide L_risk by the batch mean of |Z|
    # The critic (eq. 7, 14).
    lr_critic: float = 1e-5
    lr_critic_cap: float = 1e-3  # at 3e-4 the lowest fractions of a short run are learned too late
    td_clip: float | None = None  # bound on |target return|
    joint_relu: bool = field(default=True, metadata={"before": False})
    target_critics: Combined = field(default="min", metadata={"before": "min"})  # in the target; as `actor_critics`
    # The policy.
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    grad_clip: float | None = 5.0
    target_policy: Literal["ema", "online"] = "ema"  # "online": the policy that chooses a' in the target
    ema_every: int = 1
    ema_start: float = 0
    # The released code's quirks (see the module's docstring), beside those of the critic.
    done_mask: Literal["correct", "inverted"] = "correct"
    reward_clamp: float | None = None
    risk_path: Literal["deployed", "one-step"] = "deployed"


class RAMAC(Distributional):
    """The framework: one critic update (eq. 7), one policy update (eq. 11), then the targets follow."""

    Config: ClassVar[type[base.Config]] = RAMACConfig
    CRITIC: ClassVar[type[nn.Module] | None] = IQNCritic
    config: RAMACConfig

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, (s, a) = self.config, self.dims
        self.policy = self.new(self.build_policy())
        self.add_critic()
        self.target_policy = self.target_of(self.policy)
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        if config.risk_path == "one-step":
            self.one_step = self.new(MLP(self.stack, (a + s, *config.hidden[:2], a), config.activation))  # as released
            self.optimizers["one_step"] = StackedAdam(self.one_step, config.lr_actor, max_norm=config.grad_clip)

    @abstractmethod
    def build_policy(self) -> Policy:
        """Return the deployed policy ψ_θ, not yet initialised."""

    # -- the critic -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> tuple[Float[Tensor, "S B N"], Float[Tensor, " S"]]:
        """Return r + γ(1−d) min_k Z̄_k(s', a'; τ'), clipped where the config says so, and the clipped share."""
        config = self.config
        if config.reward_clamp is not None:
            batch = batch._replace(rewards=batch.rewards.clamp(-config.reward_clamp, config.reward_clamp))
        if config.done_mask == "inverted":
            batch = batch._replace(terminals=1 - batch.terminals)
        taus = self.fraction_draw()
        if config.bootstrap:
            policy = self.target_policy if config.target_policy == "ema" else self.policy
            actions = policy.sample(self.policy_noise(batch.next_observations), batch.next_observations)
            values = self.target_critic(batch.next_observations, actions, taus)
            targets = self.returns(batch, combined(values, config.target_critics))
        else:
            targets = batch.rewards[..., None].expand(*batch.rewards.shape, config.n_fractions)
        if config.td_clip is None:
            return targets, torch.zeros_like(batch.rewards[:, 0])
        clipped = (targets.abs() > config.td_clip).float().mean(dim=(1, 2))
        return targets.clamp(-config.td_clip, config.td_clip), clipped

    # -- the policy -------------------------------------------------------------------------------------------------

    def eta(self) -> Tensor:
        """Return η at this step: 0 during the warm-up, then a ramp to its full value."""
        config = self.config
        eta, start = config.eta, config.eta_warmup
        if config.short_run_rate:
            eta = risk_weight(eta, config.lr_critic, self.critic_rate)
            start = warmup(start, self.steps)
        return eta * ramp(self.step, self.steps, start, config.eta_ramp)

    def risk_loss(self, batch: Batch, actions: Float[Tensor, "S B a"]) -> tuple[Tensor, Tensor]:
        """Return L_risk = −E ρ(Z(s, a)) (eq. 10), scaled where the config says so, and the measure's value."""
        value, magnitude = self.risk_value(batch.observations, actions)
        return -(value / magnitude.clamp(min=1e-6) if self.config.scale_by_value else value), value.detach()

    # -- one update -------------------------------------------------------------------------------------------------

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update (Algorithm 1)."""
        targets, clipped = self.target_returns(batch)
        critic_loss, quantiles = self.critic_loss(batch, targets)
        critic_norm, quantiles = self.optimizers["critic"].step(critic_loss), quantiles.detach()

        bc_loss = self.bc_loss(batch)
        loss = self.config.bc_weight * bc_loss
        if self.config.risk_path == "deployed":
            actions = self.policy.sample(self.policy_noise(batch.observations), batch.observations)
            risk_loss, value = self.risk_loss(batch, actions)
            loss = loss + self.eta() * risk_loss
        policy_norm = self.optimizers["policy"].step(loss)
        if self.config.risk_path == "one-step":
            value = self.update_one_step(batch)

        base.follow(self.target_critic, self.critic, self.target_rate)
        base.follow(self.target_policy, self.policy, self.policy_rate())
        return {
            "critic_loss": critic_loss.detach().mean(1),
            "bc_loss": bc_loss.detach(),
            "risk": value,
            "value": quantiles.mean(dim=(1, 2, 3)),
            "critic_gap": (quantiles[:, 0] - quantiles[:, 1]).abs().mean(dim=(1, 2)),
            "clipped_share": clipped,
            "critic_grad_norm": critic_norm.mean(1),
            "policy_grad_norm": policy_norm,
        }

    def policy_rate(self) -> float | Tensor:
        """Return how far the target policy moves now; as released, only every `ema_every` steps after `ema_start`."""
        if self.config.ema_every == 1 and self.config.ema_start == 0:
            return self.target_rate
        moves = (self.step % self.config.ema_every == 0) & (self.step >= self.config.ema_start * self.steps)
        return moves * self.target_rate

    def update_one_step(self, batch: Batch) -> Tensor:
        """Update the released RAFMAC's separate network μ(s, z) on η L_risk alone. It is never deployed."""
        noise = self.policy_noise(batch.observations)
        actions = self.one_step(torch.cat([noise, batch.observations], dim=-1))
        risk_loss, value = self.risk_loss(batch, actions.clamp(-1, 1))
        self.optimizers["one_step"].step(self.eta() * risk_loss)
        return value
