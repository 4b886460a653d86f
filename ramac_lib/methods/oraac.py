"""ORAAC (Urpí et al. 2021, "Risk-Averse Offline Reinforcement Learning"): a CVAE prior and a bounded residual.

Objective, source and numbered differences: see `ramac_lib.methods.anchored`. The CVAE's loss is the squared error of
the reconstruction and half the KL divergence, latents are clamped to ±.5 when acting, as in the official code.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ramac_lib.methods import base, generators
from ramac_lib.methods.anchored import Anchored, AnchoredConfig
from ramac_lib.policies.cvae import CVAEPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class ORAACConfig(AnchoredConfig):
    """ORAAC's settings: those of the anchored methods, and the CVAE's."""

    hidden: tuple[int, ...] = (750, 750)
    activation: str = "relu"
    latent_clamp: float | None = 0.5
    kl_weight: float = 0.5

    @classmethod
    def for_task(cls, task: str) -> "ORAACConfig":
        """Return the official settings of each environment."""
        prior: dict[str, Any] = {"hidden": (128, 128, 128)} if task == BANDIT else {}
        return cls(**prior, **cls.of_env(task))


class ORAAC(Anchored):
    """Offline Risk-Averse Actor-Critic."""

    Config: ClassVar[type[base.Config]] = ORAACConfig

    def build_prior(self) -> CVAEPolicy:
        """Return the CVAE."""
        return generators.cvae(self)
