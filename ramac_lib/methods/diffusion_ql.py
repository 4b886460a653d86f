"""DiffusionQL (Wang et al. 2023, "Diffusion Policies as an Expressive Policy Class for Offline RL").

Objective (its eq. 3; RAMAC, sec. 4.3.1 (i)): the actor descends L_BC(θ) − η E[Q_i(s, ψ_θ(s, z))] / E|Q_j|, with L_BC
the noise-prediction loss, i drawn at random and j the other critic; the critics descend the squared error of eq. 1 with
the minimum of the target critics at the EMA actor's action. It acts by drawing 50 candidates of the actor, then one of
them with probability softmax(min_k Q̄_k).

Differences from the official code:

1. it decays both learning rates by a cosine that is stepped once an outer call and so hardly moves: they are constant;
2. its EMA actor moves every 5 steps after the first 1000; here a target moves at every step;
3. it selects checkpoints by their cloning loss (with an indexing slip); here the last one is deployed;
4. the score network is RADAC's (256-256, SiLU), not 3 × 256 with Mish, so that the two differ in nothing else;
5. gradient norms are clipped for each critic by itself; there for the two together;
6. the targets' rate, meant for 2M updates, is raised in short runs (`ramac_lib.methods.shared.short_runs`).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.plain_critics import GenerativeQL, GenerativeQLConfig
from ramac_lib.methods.shared.registry import register
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.diffusion import DiffusionPolicy

GRAD_CLIP = {
    "halfcheetah-medium-expert": 7.0, "halfcheetah-medium-replay": 2.0, "hopper-medium-expert": 5.0,
    "hopper-medium-replay": 4.0, "walker2d-medium-expert": 5.0, "walker2d-medium-replay": 4.0,
}  # fmt: skip


@dataclass(frozen=True)
class DiffusionQLConfig(GenerativeQLConfig):
    """DiffusionQL's settings."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    candidates: int = 50  # drawn for each action; 1 deploys the actor itself

    @classmethod
    def for_task(cls, task: str) -> "DiffusionQLConfig":
        """Return η = 1 and the official gradient clip of each dataset; RADAC's policy on the two worlds."""
        return cls(**(worlds.settings(task, "policy", "chain", "q") or {"grad_clip": GRAD_CLIP.get(task)}))


@register("diffusion-ql", label="DiffusionQL", colour="#0072B2", line="-", marker="^")
class DiffusionQL(GenerativeQL):
    """Risk-neutral Q-learning with a diffusion policy."""

    Config: ClassVar[type[base.Config]] = DiffusionQLConfig
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "target_critic")

    def build_policy(self) -> DiffusionPolicy:
        """Return RADAC's diffusion policy (eq. 5)."""
        return base.diffusion_policy(self)

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return, of each row's candidates, one drawn with probability softmax(min_k Q̄_k(s, a)).

        Without noise all candidates are the same: one is made, and the critics have no say.
        """
        config: Any = self.config
        count = 1 if noise.silent else config.candidates
        repeated = observations.repeat_interleave(count, dim=1)
        actions = self.policy.sample(self.policy_noise(repeated, noise), repeated)
        if count == 1:
            return actions
        values = self.aggregate(self.target_critic(repeated, actions)).unflatten(1, (-1, count))
        # The largest of logits with Gumbel noise is a draw from their softmax.
        gumbel = -torch.log(-torch.log(noise.uniform(*values.shape[1:]).clamp(1e-20, 1 - 1e-7)))
        return base.picked(actions.unflatten(1, (-1, count)), (values + gumbel).argmax(dim=2))
