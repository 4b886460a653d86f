"""BC-CVAE: the negative ELBO of a conditional VAE alone (figure 5); what CVAE-QL is with η = 0.

Objective: E‖â − a‖² + ½ KL(q(z | s, a) ‖ N(0, I)), each a mean over rows and dimensions, as in BCQ (Fujimoto et al.
2019). No code was released for figure 5. One difference from CVAE-QL: a clone draws latents from the whole prior, not
from the box of ±.5 that BCQ and ORAAC clamp them to.
"""

from dataclasses import dataclass
from typing import ClassVar

from ramac_lib.methods import base, generators, presets
from ramac_lib.methods.bc import BehaviourCloning
from ramac_lib.policies.cvae import CVAEPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class BCCVAEConfig(base.Config):
    """The CVAE's settings."""

    hidden: tuple[int, ...] = (750, 750)
    activation: str = "relu"
    latent_clamp: float | None = None
    kl_weight: float = 0.5
    grad_clip: float | None = None

    @classmethod
    def for_task(cls, task: str) -> "BCCVAEConfig":
        """Return the bandit's network sizes and rate there, and the defaults elsewhere."""
        return cls(**presets.BANDIT_POLICY) if task == BANDIT else cls()


class BCCVAE(BehaviourCloning):
    """Cloning with a conditional VAE."""

    Config: ClassVar[type[base.Config]] = BCCVAEConfig

    def build_policy(self) -> CVAEPolicy:
        """Return the CVAE's policy."""
        return generators.cvae(self)
