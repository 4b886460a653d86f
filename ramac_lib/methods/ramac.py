"""RAMAC, Algorithm 1: a generative policy trained by L_BC + η L_risk against a double IQN critic.

RADAC and RAFMAC are this class with a diffusion and a flow policy. The defaults are the paper's reading; each quirk of
the released code that changes what is learned is an option (see `RELEASED` in the two methods' files):

1. ``quantile_axis="target"``: RADAC's released loss weighs a residual by the *target's* fraction.
2. ``risk_path="one-step"``: RAFMAC's released risk gradient reaches only a separate one-step network, never the
   deployed velocity field; ``bootstrap=False`` and ``reward_clamp=1``: its critic fits the clamped one-step reward;
   ``done_mask="inverted"`` is the mask it would use if it bootstrapped; ``pairing="one-to-one"`` compares the i-th
   prediction with the i-th target alone; ``risk="neutral"`` is what its uniform fractions make of every distortion.
3. ``fractions="random"``: τ ~ U(0, 1), shared by the batch, in place of the fixed grid (eq. 14); ``eta_ramp=0``: η
   jumps at the end of the warm-up.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib import risk
from ramac_lib.errors import unknown
from ramac_lib.losses import AXES, quantile_huber
from ramac_lib.methods import base
from ramac_lib.networks import MLP, IQNCritic
from ramac_lib.optim import StackedAdam
from ramac_lib.policies.base import Policy
from ramac_lib.replay import Batch
from ramac_lib.schedules import critic_rate, ramp


@dataclass(frozen=True)
class RAMACConfig(base.Config):
    """Settings that RADAC and RAFMAC share. Rates are a step's, lengths are fractions of the run."""

    # The objective (eq. 11): bc_weight · L_BC + η · L_risk.
    risk: str = "cvar"
    alpha: float = 0.1
    risk_parameter: float | None = None
    grid_rule: str = "exact"  # "floor": eq. 15, the mean of the lowest ⌊αN⌋ fractions
    eta: float = 0.05
    bc_weight: float = 1.0
    eta_warmup: float = 0.0
    eta_ramp: float = 0.05
    scale_by_value: bool = False  # divide L_risk by the batch mean of |Z|
    # The critic (eq. 7, 14).
    discount: float = 0.99
    n_fractions: int = 32
    n_cos: int = 32
    embedding: int = 64
    critic_hidden: int = 256
    critic_init: str = "fan_in"  # or "released": N(0, 0.1²), head U(±3e-4), several times slower on the bandit
    kappa: float = 1.0
    lr_critic: float = 1e-5
    short_run_rate: bool = True  # `schedules.critic_rate`
    td_clip: float | None = None  # bound on |target return|
    target_rate: float = 0.005
    # The policy.
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    grad_clip: float | None = 5.0
    actor_critics: str = "min"  # over the two critics, elementwise; or "mean"
    target_policy: str = "ema"  # or "online": the policy that chooses a' in the target
    ema_every: int = 1
    ema_start: int = 0
    # The released code's quirks (see the module's docstring).
    fractions: str = "grid"
    quantile_axis: str = "prediction"
    pairing: str = "all"
    bootstrap: bool = True
    done_mask: str = "correct"
    reward_clamp: float | None = None
    risk_path: str = "deployed"

    def __post_init__(self) -> None:
        choices = {
            "fractions": ("grid", "random"),
            "quantile_axis": AXES,
            "pairing": ("all", "one-to-one"),
            "done_mask": ("correct", "inverted"),
            "risk_path": ("deployed", "one-step"),
            "actor_critics": ("min", "mean"),
            "target_policy": ("ema", "online"),
            "critic_init": ("fan_in", "released"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise unknown(f"value of {name}", getattr(self, name), known)
        self.weights()  # refuses an unknown measure and a wrong alpha

    def weights(self) -> Float[np.ndarray, " N"]:
        """Return the risk measure as weights over the grid of fractions (eq. 15 generalised)."""
        return risk.weights(
            self.risk, self.n_fractions, alpha=self.alpha, parameter=self.risk_parameter, rule=self.grid_rule
        )


class RAMAC(base.Method):
    """The framework: one critic update (eq. 7), one policy update (eq. 11), then the targets follow."""

    Config: ClassVar[type[base.Config]] = RAMACConfig
    config: RAMACConfig
    grid: Tensor
    active_grid: Tensor
    active_weights: Tensor
    distortion: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, (s, a) = self.config, self.dims
        self.policy = self.new(self.build_policy())
        self.critic = self.new(
            IQNCritic(self.stack, s, a, hidden=config.critic_hidden, embedding=config.embedding, n_cos=config.n_cos)
        )
        self.target_policy = self.target_of(self.policy)
        self.target_critic = self.target_of(self.critic)
        rate = critic_rate(config.lr_critic, self.steps) if config.short_run_rate else config.lr_critic
        self.optimizers = {
            "critic": StackedAdam(self.critic, rate, stack_rank=2, max_norm=config.grad_clip),
            "policy": StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip),
        }
        if config.risk_path == "one-step":
            self.one_step = self.new(MLP(self.stack, (a + s, *config.hidden, a), config.activation))
            self.optimizers["one_step"] = StackedAdam(self.one_step, config.lr_actor, max_norm=config.grad_clip)
        weights = config.weights()
        active = np.flatnonzero(weights)  # the policy's loss evaluates only the fractions that the measure weighs
        taus = risk.grid(config.n_fractions)
        self._constant("grid", taus)
        self._constant("active_grid", taus[active])
        self._constant("active_weights", weights[active])
        if config.fractions == "random":
            table = risk.distort_fractions(
                config.risk, np.linspace(0, 1, 10_001), alpha=config.alpha, parameter=config.risk_parameter
            )
            self._constant("distortion", table)

    def _constant(self, name: str, values: np.ndarray) -> None:
        tensor = torch.as_tensor(values, dtype=torch.float32, device=self.device)
        self.register_buffer(name, tensor, persistent=False)

    def build_policy(self) -> Policy:
        """Return the deployed policy ψ_θ, not yet initialised."""
        raise NotImplementedError

    # -- the critic -------------------------------------------------------------------------------------------------

    def fraction_draw(self) -> Tensor:
        """Return the N fractions of a loss: the fixed grid (eq. 14), or as released a draw for each seed."""
        return self.grid if self.config.fractions == "grid" else self.noise.uniform(self.config.n_fractions)

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> tuple[Float[Tensor, "S B N"], Float[Tensor, " S"]]:
        """Return r + γ(1−d) min_k Z̄_k(s', a'; τ'), clipped where the config says so, and the clipped share."""
        config = self.config
        rewards = batch.rewards
        if config.reward_clamp is not None:
            rewards = rewards.clamp(-config.reward_clamp, config.reward_clamp)
        taus = self.fraction_draw()
        if config.bootstrap:
            policy = self.target_policy if config.target_policy == "ema" else self.policy
            actions = policy.sample(self.policy_noise(batch), batch.next_observations)
            values = self.target_critic(batch.next_observations, actions, taus).amin(dim=1)
            goes_on = 1 - batch.terminals if config.done_mask == "correct" else batch.terminals
            targets = rewards[..., None] + config.discount * goes_on[..., None] * values
        else:
            targets = rewards[..., None].expand(*rewards.shape, config.n_fractions)
        if config.td_clip is None:
            return targets, torch.zeros_like(rewards[:, 0])
        clipped = (targets.abs() > config.td_clip).float().mean(dim=(1, 2))
        return targets.clamp(-config.td_clip, config.td_clip), clipped

    def critic_loss(self, batch: Batch, targets: Float[Tensor, "S B N"]) -> tuple[Float[Tensor, "S 2"], Tensor]:
        """Return eq. 7 for each of the two critics, and their quantiles at the batch's actions."""
        taus = self.fraction_draw()
        quantiles = self.critic(batch.observations, batch.actions, taus)
        loss = quantile_huber(
            quantiles,
            targets.unsqueeze(1),
            taus if taus.ndim == 1 else taus.unsqueeze(1),
            kappa=self.config.kappa,
            axis=self.config.quantile_axis,
            pairing=self.config.pairing,
        )
        return loss, quantiles.detach()

    # -- the policy -------------------------------------------------------------------------------------------------

    def policy_noise(self, batch: Batch) -> Tensor:
        """Draw the noise z of one action for each row (eq. 8)."""
        return self.noise.normal(*self.policy.noise_shape(batch.actions.shape[1]))

    def risk_value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, " S"], Float[Tensor, " S"]]:
        """Return the batch mean of the risk measure of Z(s, a) (eq. 9, 15) and of |Z|."""
        if self.config.fractions == "grid":
            taus, weights = self.active_grid, self.active_weights
        else:
            last = len(self.distortion) - 1
            taus = self.distortion[(self.fraction_draw() * last).round().long()]
            weights = torch.full_like(taus[0], 1 / taus.shape[-1])
        with base.frozen(self.critic):
            quantiles = self.critic(observations, actions, taus)
        quantiles = quantiles.amin(dim=1) if self.config.actor_critics == "min" else quantiles.mean(dim=1)
        return (quantiles @ weights).mean(dim=1), quantiles.detach().abs().mean(dim=(1, 2))

    def bc_loss(self, batch: Batch) -> Float[Tensor, " S"]:
        """Return the generator's own behaviour-cloning loss."""
        draws = self.policy.bc_draws(self.noise, batch.actions.shape[1])
        return self.policy.bc_loss(batch.observations, batch.actions, *draws)

    def eta(self) -> Tensor:
        """Return η at this step: 0 during the warm-up, then a ramp to its full value."""
        return self.config.eta * ramp(self.step, self.steps, self.config.eta_warmup, self.config.eta_ramp)

    def risk_loss(self, batch: Batch, actions: Float[Tensor, "S B a"]) -> tuple[Tensor, Tensor]:
        """Return L_risk = −E ρ(Z(s, a)) (eq. 10), scaled where the config says so, and the measure's value."""
        value, magnitude = self.risk_value(batch.observations, actions)
        return -(value / magnitude.clamp(min=1e-6) if self.config.scale_by_value else value), value.detach()

    # -- one update -------------------------------------------------------------------------------------------------

    def update(self, batch: Batch) -> base.Metrics:
        """Make one update (Algorithm 1)."""
        targets, clipped = self.target_returns(batch)
        critic_loss, quantiles = self.critic_loss(batch, targets)
        critic_norm = self.optimizers["critic"].step(critic_loss)

        bc_loss = self.bc_loss(batch)
        loss = self.config.bc_weight * bc_loss
        if self.config.risk_path == "deployed":
            actions = self.policy.sample(self.policy_noise(batch), batch.observations)
            risk_loss, value = self.risk_loss(batch, actions)
            loss = loss + self.eta() * risk_loss
        policy_norm = self.optimizers["policy"].step(loss)
        if self.config.risk_path == "one-step":
            value = self.update_one_step(batch)

        self.step += 1
        base.follow(self.target_critic, self.critic, self.config.target_rate)
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
            return self.config.target_rate
        moves = (self.step % self.config.ema_every == 0) & (self.step >= self.config.ema_start)
        return moves * self.config.target_rate

    def update_one_step(self, batch: Batch) -> Tensor:
        """Update the released RAFMAC's separate network μ(s, z): ‖μ − ψ_θ‖² + η L_risk. It is never deployed."""
        noise = self.policy_noise(batch)
        with torch.no_grad():
            anchor = self.policy.sample(noise, batch.observations)
        actions = self.one_step(torch.cat([noise, batch.observations], dim=-1))
        distance = (actions - anchor).square().mean(dim=(1, 2))
        risk_loss, value = self.risk_loss(batch, actions.clamp(-1, 1))
        self.optimizers["one_step"].step(distance + self.eta() * risk_loss)
        return value
