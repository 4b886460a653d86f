"""RS-Diffuser (Gong 2026, arXiv 2606.27766): plans by diffusion, guided by a risk level that is chosen when acting.

Known are its abstract and a summary: a diffusion planner of future states, inverse dynamics that make actions of them,
a Monte-Carlo critic of plans trained by quantile regression, and a gradient of a tail-aware objective (CVaR) while
denoising, so that one model acts averse, neutral or seeking. All else is our reading.

Objective. With x the moves s_{t+k} − s_t, k = 1 … H, in units of their root mean squares, and G = Σ_k γ^k r_{t+k} the
data's return from the plan's start to its episode's end, penalties included, three losses are descended:
E‖ε_θ(x_i, i, s) − ε‖² (planner), eq. 7 of Z(s, x; τ) on standardised G (critic), E‖f(s, s' − s) − a‖² (inverse
dynamics). A plan is drawn from p_θ(x|s) exp(w J_ℓ(x)) by guidance (`ramac_lib.networks.policies.planner`), with
J_ℓ = Σ_i w_i Z(s, x; τ_i) the dial's measure at level ℓ (`ramac_lib.risk.dial`): CVaR_ℓ for ℓ ≤ 1, the mean of the
highest share 2 − ℓ above. Of `candidates` plans the one of the largest J_ℓ is followed. `guidance` 0 switches the one
off, 1 candidate the other.

Our reading, numbered:

1. the state is a condition of the networks, which are MLPs on the flattened window, not a U-Net with inpainting;
2. plans are moves in scaled units, as positions differ less from step to step than between states;
3. the gradient goes through x̂₀ and the denoiser, exact only as the noise vanishes unless `guidance_iterations` are
   many; the critic is trained on plans without noise;
4. J is in units of the data's returns, standardised over the batch: w = 1 is an e-fold density a standard deviation;
5. a plan that a terminal state cuts goes on in it; one that a time-out cuts is left out; returns end at time-outs;
6. both guidance and selection among candidates use the level; which of them the paper has is not known;
7. the policy is deployed as trained, without an average of its weights;
8. where states do not tell actions (the bandit has one state), `plan` ``actions`` denoises a plan of actions instead.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib import risk
from ramac_lib.datasets.batches import Batch
from ramac_lib.envs.tasks import BANDIT, NAVIGATION
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.planning import DialConfig, DialPlanning
from ramac_lib.methods.shared.registry import NEIGHBOURS, register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.planner import Goal
from ramac_lib.networks.quantile_loss import quantile_huber


@dataclass(frozen=True)
class RSDiffuserConfig(DialConfig):
    """RS-Diffuser's settings: a planner's, and those of its critic and its guidance."""

    guidance: float = 1.0  # w
    guidance_iterations: int = 1
    candidates: int = 16
    n_fractions: int = 32
    n_cos: int = 32
    embedding: int = 64
    critic_hidden: int = 256
    kappa: float = 0.05  # of standardised returns

    @classmethod
    def for_task(cls, task: str) -> "RSDiffuserConfig":
        """Return smaller networks and plans of 1 and 8 steps on the bandit and on navigation; of 4 steps on robots."""
        small: dict[str, Any] = {"hidden": (256, 256, 256), "activation": "relu", "lr_actor": 1e-3, "lr_critic": 1e-3}
        if task == BANDIT:
            small |= {"hidden": (128, 128, 128), "critic_hidden": 128, "n_fractions": 20, "candidates": 4}
            return cls(**small, plan="actions", length=1)
        if task in NAVIGATION:
            return cls(**small, length=8, n_fractions=40, n_cos=16, critic_hidden=64)
        return cls(length=4)  # of 16 steps too little is learned in a short run: Hopper, 4,000 updates, seed 100


@register("rs-diffuser", label="RS-Diffuser", colour="#6A3D9A", line="--", marker=">", group=NEIGHBOURS)
class RSDiffuser(DialPlanning):
    """Risk-sensitive planning by diffusion, its risk level chosen when acting."""

    Config: ClassVar[type[base.Config]] = RSDiffuserConfig
    CRITIC: ClassVar[type[nn.Module] | None] = IQNCritic
    DEPLOYED: ClassVar[tuple[str, ...]] = (*DialPlanning.DEPLOYED, "critic")
    grid: Tensor
    return_mean: Tensor
    return_square: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        sizes: dict[str, Any] = {"hidden": config.critic_hidden, "embedding": config.embedding, "n_cos": config.n_cos}
        critic = IQNCritic(self.stack, self.dims[0], self.width, n_critics=1, joint_relu=True, **sizes)
        self.critic = self.new(critic)
        self.optimizers["critic"] = StackedAdam(self.critic, config.lr_critic, stack_rank=2, max_norm=config.grad_clip)
        self.constant("grid", risk.grid(config.n_fractions))
        for name in ("return_mean", "return_square"):
            self.register_buffer(name, torch.ones(*self.stack, 1, device=self.device))

    def critics(self) -> dict[str, nn.Module]:
        """Return the critic of plans."""
        return {"critic": self.critic}

    def return_scale(self) -> tuple[Float[Tensor, "S 1"], Float[Tensor, "S 1"]]:
        """Return mean and standard deviation of the data's returns, as batches have shown them."""
        variance = self.return_square - self.return_mean.square()
        return self.return_mean, variance.clamp(min=1e-12).sqrt() + 1e-6

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update: planner, inverse dynamics, critic."""
        states, plans = self.examples(batch)
        metrics = self.update_planner(batch, states, plans)
        returns: Any = batch.returns
        self.track(self.return_mean, returns.mean(dim=1, keepdim=True))
        self.track(self.return_square, returns.square().mean(dim=1, keepdim=True))
        mean, scale = self.return_scale()
        quantiles = self.critic(states, plans, self.grid)
        targets = ((returns - mean) / scale)[:, None, :, None]
        loss = quantile_huber(quantiles, targets, self.grid, kappa=self.config.kappa, native=self.critic.native)
        norm = self.optimizers["critic"].step(loss)
        value = mean.squeeze(1) + scale.squeeze(1) * quantiles.detach().mean(dim=(1, 2, 3))
        return metrics | {"critic_loss": loss.detach().mean(1), "value": value, "critic_grad_norm": norm.mean(1)}

    def goal(self, states: Float[Tensor, "S B s"], risk_level: float) -> Goal:
        """Return J_ℓ(x), the dial's measure of standardised returns, of plans from these states."""
        weights = torch.as_tensor(risk.dial_weights(risk_level, self.config.n_fractions), dtype=torch.float32)
        active = weights.nonzero().squeeze(1)
        taus, kept = self.grid[active.to(self.device)], weights[active].to(self.device)
        return lambda plans: self.critic(states, plans, taus)[:, 0] @ kept

    def choose_plans(self, states: Float[Tensor, "S B s"], noise: Noise, aim: float) -> Float[Tensor, "S B x"]:
        """Return of each row's guided candidates the one of the largest J at level `aim`; without noise all are one."""
        count = 1 if noise.silent else self.config.candidates
        repeated = states.repeat_interleave(count, dim=1)
        goal = self.goal(repeated, aim)
        predict = self.policy.guided(repeated, goal, self.config.guidance, self.config.guidance_iterations)
        plans = self.policy.sample(self.policy_noise(repeated, noise), repeated, predict)
        if count == 1:
            return plans
        best = goal(plans).unflatten(1, (-1, count)).argmax(dim=2)
        return base.picked(plans.unflatten(1, (-1, count)), best)
