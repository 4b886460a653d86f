"""QDQ (Zhang et al. 2024, "Q-Distribution guided Q-learning", NeurIPS; arXiv 2410.20312).

Objective. First a model of the data's Monte-Carlo returns q | (s, a), from windows of episodes; its spread H(s', a'),
the standard deviation of K samples, marks uncertain actions. Then TD3, whose critics descend α L_H + (1−α) L_L (eq. 7,
8), squared errors to r + γ(1−d) m and r + γ(1−d) w m: m is the lower target critic at the noisy EMA policy's a', w is
1/H where H is above its β-quantile in the batch, else β; to r + γ(1−d)(α + (1−α) w) m, up to a constant. The policy
ascends E min_k Q_k(s, tanh μ(s)) + γ_π E log N(a; tanh μ(s), σ²) (eq. 9); tanh μ(s) is deployed.

As published the penalty is a discount of .982 to .989, and optimism where H < 1 (then w > 1) or m < 0. For returns of
any scale and sign w is β · (β-quantile) / H here, without unit and at most β, and m is counted from the data's lowest
return; ``weight="paper", origin="zero"`` are eq. 8, ``"capped"`` is min(1, 1/H).

Differences from the authors' code; `QDQConfig.RELEASED` restores 1 to 4:

1. it has eq. 8's weight and origin, see above;
2. the consistency model is trained on the windows directly, with 18 scales; there distilled from a score model of the
   same windows, with 1000 (``model="distilled"``); ``model="quantiles"`` is our control, RADAC's quantile network in
   its place, whose spread is the standard deviation of its quantiles;
3. 16 samples, there 50;
4. Q in the policy's loss is divided by the batch mean of |Q|. As it stands in eq. 9 it ran away in a short run: Hopper
   medium-expert without a hazard, 4,000 updates, seed 100, 20 episodes, a mean return of 2 against 736;
5. the model has the first `model_share` of the run, there 2.4M updates before the run's 1M; short runs raise its rate;
6. its network has no group normalisation, and ¼ ln t as a number, there embedded; the samples' noise is new at every
   update, there drawn once in a run. 5 and 6 have no option: the first is a budget, the second is inside the network.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared import base, short_runs, worlds
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig, smoothed
from ramac_lib.methods.shared.registry import NEIGHBOURS, register
from ramac_lib.methods.shared.return_models import LearnsReturns, ReturnModelConfig, return_model
from ramac_lib.methods.shared.uncertainty import UncertaintyConfig, penalised
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import CentredGaussianPolicy

CLONING = {"halfcheetah-medium-replay": 0.1, "hopper-medium-replay": 0.8, "walker2d-medium-replay": 0.8}


@dataclass(frozen=True)
class QDQConfig(ReturnModelConfig, UncertaintyConfig, QLearningConfig):
    """QDQ's settings."""

    RELEASED: ClassVar[dict[str, Any]] = {
        "weight": "paper", "origin": "zero", "model": "distilled", "scales": 1000, "samples": 50,
        "scale_by_value": False,
    }  # fmt: skip

    bc_weight: float = 2.0  # γ_π
    scale_by_value: bool = True  # divide the policy's Q by the batch mean of |Q|
    hidden: tuple[int, ...] = (256, 256, 256)
    activation: str = "relu"
    grad_clip: float | None = 10.0  # the critics'
    target_noise: float = 0.2
    noise_clip: float = 0.5
    lr_decay: bool = True  # the policy's rate, by a cosine over the run

    @classmethod
    def for_task(cls, task: str) -> "QDQConfig":
        """Return the authors' β and γ_π of each task; sizes and short windows, of ours, on the two worlds."""
        ours: dict[str, Any] = {
            "window": 1 if task == BANDIT else 10, "window_step": 1, "lr_model": 1e-3, "teacher_rate": 0.05,
            "model_hidden": (128, 128, 128), "model_activation": "relu",
        }  # fmt: skip
        own = {"beta": 0.9 if task.startswith("halfcheetah") else 0.8, "bc_weight": CLONING.get(task, 2.0)}
        return cls(**(worlds.settings(task, "policy", "q", **ours) or own))


@register("qdq", label="QDQ", colour="#AA4499", line="-.", marker="4", group=NEIGHBOURS)
class QDQ(LearnsReturns, QLearning):
    """TD3 held by cloning, its target lowered where the data's returns spread."""

    Config: ClassVar[type[base.Config]] = QDQConfig
    config: QDQConfig
    policy: CentredGaussianPolicy

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        kinds: Any = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(CentredGaussianPolicy(self.stack, *self.dims, **kinds))
        self.target_policy = self.target_of(self.policy)
        self.add_critic()
        self.law = return_model(self)
        self.optimizers["policy"] = StackedAdam(self.policy, torch.tensor(config.lr_actor, device=self.device))

    def phase(self) -> dict[str, bool]:
        """Return whether the score model learns, whether any model of returns does, whether the policy moves."""
        phase = self.model_phase()
        return {**phase, "moves": not phase["models"] and self.updates % 2 == 1}

    @property
    def period(self) -> int:
        """Two updates: the policy moves at every second."""
        return 2

    def learn(self, batch: Batch, scores: bool, models: bool, moves: bool) -> base.Metrics:
        """Make one update of the model of returns, or of the critics and at every second the policy."""
        if models:
            return self.law.learn(self, scores)
        metrics = self.update_critic(batch)
        if moves:
            metrics |= self.update_policy(batch)
            base.follow(self.target_policy, self.policy, self.target_rate)
        base.follow(self.target_critic, self.critic, self.target_rate)
        return metrics

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return r + γ(1−d)(α + (1−α) w) m at the EMA policy's noisy action."""
        config, states = self.config, batch.next_observations
        if not config.bootstrap:
            return batch.rewards
        noise = config.target_noise * self.noise.normal(*batch.actions.shape[1:])
        actions = smoothed(self.target_policy.mode(states), noise, config.noise_clip)
        values = self.aggregate(self.target_critic(states, actions))
        spread = self.law.spread(states, actions, self.noise)
        return self.returns(batch, penalised(values, spread, self.law.lowest, config))

    def update_policy(self, batch: Batch) -> base.Metrics:
        """Make one update of the policy (eq. 9)."""
        config: Any = self.config
        if config.lr_decay:
            short_runs.decay(self, {"policy": config.lr_actor})
        with base.frozen(self.critic):
            values = self.aggregate(self.critic(batch.observations, self.policy.mode(batch.observations)))
        scale = values.detach().abs().mean(1) + 1e-6 if config.scale_by_value else 1.0
        bc_loss = self.bc_loss(batch)
        norm = self.optimizers["policy"].step(config.bc_weight * bc_loss - values.mean(1) / scale)
        return {"bc_loss": bc_loss.detach(), "policy_value": values.detach().mean(1), "policy_grad_norm": norm}

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return tanh μ(s)."""
        return self.policy.mode(observations)
