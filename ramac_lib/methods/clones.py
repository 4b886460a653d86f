"""Behaviour cloning: BC-diffusion, BC-flow and BC-CVAE (figure 5), and BC-Gaussian beside them.

No code was released for figure 5. BC-diffusion is noise prediction alone (L_BC of eq. 11 with the chain of eq. 5), what
RADAC is with η = 0; BC-flow is flow matching alone (the ODE of eq. 6), what RAFMAC is with η = 0; settings are the
policy's part of theirs, with the same meaning. BC-CVAE is the negative ELBO of a conditional VAE alone,
E‖â − a‖² + ½ KL(q(z | s, a) ‖ N(0, I)), each a mean over rows and dimensions, as in BCQ (Fujimoto et al. 2019), what
CVAE-QL is with η = 0 but for one thing: a clone draws latents from the whole prior, not from the box of ±.5.
BC-Gaussian is not the paper's: maximum likelihood of one Gaussian squashed by a tanh, the policy of CQL and CODAC (SAC,
Haarnoja et al. 2018), objective E[−log π(a | s)]. It has one mode, so that it shows what data with several do to such a
policy.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.registry import register
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.policies.base import Policy
from ramac_lib.networks.policies.cvae import CVAEPolicy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.networks.policies.gaussian import GaussianPolicy


class BehaviourCloning(base.Method):
    """min_θ L_BC(θ), the policy's own generative loss."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.policy = self.new(self.build_policy())
        self.optimizers["policy"] = StackedAdam(self.policy, self.config.lr_actor, max_norm=self.config.grad_clip)

    @abstractmethod
    def build_policy(self) -> Policy:
        """Return the policy, not yet initialised."""

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update."""
        loss = self.bc_loss(batch)
        norm = self.optimizers["policy"].step(loss)
        return {"bc_loss": loss.detach(), "policy_grad_norm": norm}


@dataclass(frozen=True)
class BCDiffusionConfig(base.Config):
    """The policy's part of RADAC's config."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    grad_clip: float | None = 5.0

    @classmethod
    def for_task(cls, task: str) -> "BCDiffusionConfig":
        """Return RADAC's policy on the bandit and on navigation, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "chain"))


@register("bc-diffusion", label="BC-diffusion", colour="#444444", line="-", marker="h")
class BCDiffusion(BehaviourCloning):
    """Cloning with a diffusion policy."""

    Config: ClassVar[type[base.Config]] = BCDiffusionConfig

    def build_policy(self) -> DiffusionPolicy:
        """Return RADAC's policy."""
        return base.diffusion_policy(self)


@dataclass(frozen=True)
class BCFlowConfig(base.Config):
    """The policy's part of RAFMAC's config."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 10
    grad_clip: float | None = 0.6

    @classmethod
    def for_task(cls, task: str) -> "BCFlowConfig":
        """Return RAFMAC's policy on the bandit and on navigation, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", grad_clip=5.0))


@register("bc-flow", label="BC-flow", colour="#707070", line="--", marker="H")
class BCFlow(BehaviourCloning):
    """Cloning with a flow policy."""

    Config: ClassVar[type[base.Config]] = BCFlowConfig

    def build_policy(self) -> FlowPolicy:
        """Return RAFMAC's policy."""
        return base.flow_policy(self)


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
        """Return the network sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy"))


@register("bc-cvae", label="BC-CVAE", colour="#9A9A9A", line=":", marker="*")
class BCCVAE(BehaviourCloning):
    """Cloning with a conditional VAE."""

    Config: ClassVar[type[base.Config]] = BCCVAEConfig

    def build_policy(self) -> CVAEPolicy:
        """Return the CVAE's policy."""
        return base.cvae_policy(self)


@dataclass(frozen=True)
class BCGaussianConfig(base.Config):
    """The Gaussian's settings."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    grad_clip: float | None = None

    @classmethod
    def for_task(cls, task: str) -> "BCGaussianConfig":
        """Return the network sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy"))


@register("bc-gaussian", label="BC-Gaussian", colour="#BBBBBB", line="-.", marker="1")
class BCGaussian(BehaviourCloning):
    """Cloning with one squashed Gaussian."""

    Config: ClassVar[type[base.Config]] = BCGaussianConfig

    def build_policy(self) -> GaussianPolicy:
        """Return the policy of CQL and CODAC."""
        config: Any = self.config
        return GaussianPolicy(self.stack, *self.dims, hidden=config.hidden, activation=config.activation)
