"""BC-diffusion: noise prediction alone (L_BC of eq. 11 with the chain of eq. 5); what RADAC is with η = 0.

No code was released for the paper's figure 5; settings are the policy's part of RADAC's, with the same meaning.
"""

from dataclasses import dataclass
from typing import ClassVar

from ramac_lib.methods import base, generators, presets
from ramac_lib.methods.bc import BehaviourCloning
from ramac_lib.policies.diffusion import DiffusionPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class BCDiffusionConfig(base.Config):
    """The policy's part of RADAC's config."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    grad_clip: float | None = 5.0

    @classmethod
    def for_task(cls, task: str) -> "BCDiffusionConfig":
        """Return RADAC's policy on the bandit, and the defaults elsewhere."""
        return cls(**presets.BANDIT_POLICY, policy_steps=presets.BANDIT_CHAIN) if task == BANDIT else cls()


class BCDiffusion(BehaviourCloning):
    """Cloning with a diffusion policy."""

    Config: ClassVar[type[base.Config]] = BCDiffusionConfig

    def build_policy(self) -> DiffusionPolicy:
        """Return RADAC's policy."""
        return generators.diffusion(self)
