"""CVAE-QL: the RAMAC paper's risk-neutral control with a conditional VAE (sec. 4.3.1 (iii), figure 3).

Objective: L_BC(θ) − η E[Q_i(s, ψ_θ(s, z))] / E|Q_j|, as DiffusionQL's, with ψ_θ the decoder and L_BC its negative ELBO:
the mean squared error of the reconstruction and half the KL divergence of the posterior (BCQ, Fujimoto et al. 2019).

No code was released. Our reading, numbered:

1. the paper calls the decoder "autoregressive" and its loss an NLL; a decoder that maps a latent to the whole action is
   what its figures show, and a squared error is the NLL of a Gaussian of fixed scale;
2. latents are clamped to ±.5 wherever an action is sampled, as in BCQ and ORAAC;
3. in runs shorter than 2M updates the targets' rate is raised by the rule of `ramac_lib.methods.shared.short_runs`;
4. η = 1 with Q scaled as DiffusionQL scales it; one sample is deployed.
"""

from dataclasses import dataclass
from typing import ClassVar

from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.plain_critics import GenerativeQL, GenerativeQLConfig
from ramac_lib.methods.shared.registry import register
from ramac_lib.networks.policies.cvae import CVAEPolicy


@dataclass(frozen=True)
class CVAEQLConfig(GenerativeQLConfig):
    """CVAE-QL's settings: DiffusionQL's, and the CVAE's."""

    hidden: tuple[int, ...] = (750, 750)
    activation: str = "relu"
    latent_clamp: float | None = 0.5
    kl_weight: float = 0.5

    @classmethod
    def for_task(cls, task: str) -> "CVAEQLConfig":
        """Return the bandit's and navigation's network sizes and rates there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "q"))


@register("cvae-ql", label="CVAE-QL", colour="#332288", line=":", marker="<")
class CVAEQL(GenerativeQL):
    """Risk-neutral Q-learning with a conditional VAE."""

    Config: ClassVar[type[base.Config]] = CVAEQLConfig

    def build_policy(self) -> CVAEPolicy:
        """Return the CVAE's policy."""
        return base.cvae_policy(self)
