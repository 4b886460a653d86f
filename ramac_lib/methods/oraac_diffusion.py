"""ORAAC-Diffusion (UDAC, Chen et al. 2024; RAMAC, sec. 4.3.2 (ii)): ORAAC with a diffusion prior.

Objective and numbered differences: see `ramac_lib.methods.anchored`. There is no public code; the prior is RADAC's
diffusion policy with BC-diffusion's loss and rate, all else is ORAAC.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ramac_lib.methods import base, generators, presets
from ramac_lib.methods.anchored import Anchored, AnchoredConfig
from ramac_lib.policies.diffusion import DiffusionPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class ORAACDiffusionConfig(AnchoredConfig):
    """Settings: those of the anchored methods, and the diffusion prior's."""

    lr_prior: float = 3e-4
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5

    @classmethod
    def for_task(cls, task: str) -> "ORAACDiffusionConfig":
        """Return ORAAC's settings of each environment; RADAC's policy on the bandit."""
        prior: dict[str, Any] = {"hidden": (128, 128, 128), "activation": "relu", "policy_steps": presets.BANDIT_CHAIN}
        return cls(**(prior if task == BANDIT else {}), **cls.of_env(task))


class ORAACDiffusion(Anchored):
    """ORAAC on a diffusion prior."""

    Config: ClassVar[type[base.Config]] = ORAACDiffusionConfig

    def build_prior(self) -> DiffusionPolicy:
        """Return RADAC's policy."""
        return generators.diffusion(self)
