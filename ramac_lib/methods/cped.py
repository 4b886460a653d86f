"""CPED (Zhang et al. 2023, "Constrained Policy optimization with Explicit behaviour Density", NeurIPS; 2301.12130).

Objective. A flow's density p of the behaviour policy, by maximum likelihood or as a Flow-GAN (eq. 4 to 6): min_θ max_φ
E D_φ(real) − E D_φ(fake) − λ E_D log p_θ. Then TD3, whose policy stays where the data are (eq. 7):

    max_ψ E Q(s, π_ψ(s))   subject to   −log p_θ(π_ψ(s) | s) < ε,

by a multiplier α > 0: π descends −E min_k Q_k(s, π(s)) / E|Q| + α E[−log p(π(s) | s)], and log α ascends by the gap
E[−log p(π(s) | s)] − ε. ε is the quantile `coverage` of −log p of the batch's own actions: the likeliest set that holds
this share of the data. The critics descend the squared error to r + γ(1−d) min_k Q̄_k(s', clamp(π̄(s') + noise)).
Until `q_from` of the run the policy has no Q and climbs log p alone; the flow learns until `flow_until`.

Differences from the authors' code; `CPEDConfig.RELEASED` restores 1 to 5, 7 and the rates of 8:

1. its α is a table of step numbers (``multiplier="released"``) and its ε the row's own −log p (``threshold="own"``), a
   constant of ψ: a penalty, no constraint. ``multiplier="fixed"`` has the penalty `weight`. Its Q is not scaled;
2. its density is joint in (s, a), so that ε mixes how rare the state is with how rare the action (``density``);
3. its couplings are NICE's, 750 wide, with a logistic prior, of one constant volume (``coupling``, ``prior``);
4. its target noise is two tensors, the same throughout, as each call of its flow seeds PyTorch anew; its noisy actions
   may leave the box (``fixed_noise``, ``clip_actions``);
5. its phases follow one another: flow, from ⅓ of the run policy by density, critics, Q; here all but Q begin at once;
6. its flow's `inverse` undoes the last scale last and is no inverse, so that its adversary trains another map than its
   likelihood; here, without an option, it is one, and points of the gradient penalty are mixed uniformly, not normally;
7. the default is likelihood alone, of actions with noise of .01, as p has no bound where actions are clipped
   (``jitter``); `gan_weight` 1 adds their adversary, every `gan_every` updates;
8. the flow's Adam is the usual, there β₂ = .01, its gradients clipped at 5; it and the policy learn at 3e-4, there at
   1e-4 (``lr_flow``, ``lr_actor``); in short runs the targets' rate is raised (`short_runs`).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.constraint import FLOW, TOTAL, ConstraintConfig, DensityConstraint
from ramac_lib.methods.shared.density import BehaviourDensity, DensityConfig
from ramac_lib.methods.shared.plain_critics import QLearning, QLearningConfig, smoothed
from ramac_lib.methods.shared.registry import NEIGHBOURS, register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.deterministic import DeterministicPolicy


@dataclass(frozen=True)
class CPEDConfig(DensityConfig, ConstraintConfig, QLearningConfig):
    """CPED's settings."""

    RELEASED: ClassVar[dict[str, Any]] = {
        "multiplier": "released", "threshold": "own", "scale_by_value": False, "density": "joint", "prior": "logistic",
        "coupling": "additive", "flow_hidden": (750, 750), "gan_weight": 1.0, "jitter": 0.0, "fixed_noise": True,
        "clip_actions": False, "actor_from": FLOW / TOTAL, "critic_from": 530_000 / TOTAL, "q_from": 550_000 / TOTAL,
        "lr_actor": 1e-4, "lr_flow": 1e-4, "short_run_rate": False,
    }  # fmt: skip

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    critic_hidden: tuple[int, ...] = (256, 256)
    critic_activation: str = "relu"
    policy_every: int = 2
    target_noise: float = 0.2
    noise_clip: float = 0.5
    fixed_noise: bool = False
    clip_actions: bool = True
    flow_until: float = FLOW / TOTAL
    actor_from: float = 0.0
    critic_from: float = 0.0
    q_from: float = FLOW / TOTAL

    @classmethod
    def for_task(cls, task: str) -> "CPEDConfig":
        """Return the sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "q", flow_hidden=(64, 64), couplings=6, lr_flow=1e-3))


@register("cped", label="CPED", colour="#7F0000", line="--", marker="+", group=NEIGHBOURS)
class CPED(BehaviourDensity, DensityConstraint, QLearning):
    """TD3 kept where an explicit density of the data is high."""

    Config: ClassVar[type[base.Config]] = CPEDConfig
    config: Any
    policy: DeterministicPolicy
    noise_table: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        kinds: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation}
        self.policy = self.new(DeterministicPolicy(self.stack, *self.dims, **kinds))
        self.target_policy = self.target_of(self.policy)
        self.add_density()
        self.add_critic()
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        self.add_multiplier()
        if config.fixed_noise:
            drawn = Noise(self.seeds, "training", keys=(1,)).normal(2, config.batch_size, self.dims[1])
            self.constant("noise_table", drawn)

    def phase(self) -> dict[str, bool]:
        """Return which parts learn: the flow, also against its adversary, the critics, the policy, also with Q."""
        config, number, progress = self.config, self.updates + 1, self.updates / self.steps
        flow, moves = progress < config.flow_until, number % config.policy_every == 0 and progress >= config.actor_from
        plays = flow and config.gan_weight > 0 and number % config.gan_every == 0
        critics, values = progress >= config.critic_from, moves and progress >= config.q_from
        return {"flow": flow, "plays": plays, "critics": critics, "moves": moves, "values": values}

    @property
    def period(self) -> int:
        """Return after how many updates policy and adversary are in step again."""
        return math.lcm(self.config.policy_every, self.config.gan_every if self.config.gan_weight else 1)

    def learn(self, batch: Batch, **parts: bool) -> base.Metrics:
        """Make one update of the parts whose turn it is."""
        metrics = self.update_density(batch, parts["plays"]) if parts["flow"] else {}
        if parts["critics"]:
            metrics |= self.update_critic(batch)
        if parts["moves"]:
            metrics |= self.update_policy(batch, parts["values"])
            base.follow(self.target_policy, self.policy, self.target_rate)
        if parts["critics"]:
            base.follow(self.target_critic, self.critic, self.target_rate)
        return metrics

    @torch.no_grad()
    def target_returns(self, batch: Batch) -> Float[Tensor, "S B"]:
        """Return r + γ(1−d) min_k Q̄_k at the target policy's noisy action."""
        config, states = self.config, batch.next_observations
        if not config.bootstrap:
            return batch.rewards
        if config.fixed_noise:
            draws = self.noise_table.index_select(1, (self.step % 2).long().view(1)).squeeze(1)
        else:
            draws = self.noise.normal(*batch.actions.shape[1:])
        noise = config.target_noise * draws
        actions = smoothed(self.target_policy.mode(states), noise, config.noise_clip, config.clip_actions)
        return self.returns(batch, self.aggregate(self.target_critic(states, actions)))
