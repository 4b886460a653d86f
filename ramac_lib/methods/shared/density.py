"""An explicit density of the behaviour policy, by maximum likelihood, with an adversary on demand (Flow-GAN)."""

from abc import ABC
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared import base
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.coupling import KINDS, PRIORS, CouplingFlow
from ramac_lib.networks.discriminator import Discriminator, gradient_penalty


@dataclass(frozen=True)
class DensityConfig(base.Config):
    """Settings of a behaviour policy's density."""

    density: Literal["conditional", "joint"] = "conditional"  # log p(a | s); or log p(s, a)
    coupling: str = field(default="affine", metadata={"range": KINDS})  # RealNVP's; or "additive": NICE's
    prior: str = field(default="normal", metadata={"range": PRIORS})
    couplings: int = 4
    flow_hidden: tuple[int, ...] = (128, 128)
    flow_activation: str = "leaky_relu"
    lr_flow: float = 3e-4
    jitter: float = 0.01  # standard deviation of what is added to actions, without which a density at ±1 has no bound
    gan_weight: float = 0.0  # of the adversary's loss beside the likelihood's
    gan_every: int = 5  # updates of the adversary for one of the flow against it
    penalty_weight: float = 0.5


class BehaviourDensity(ABC):
    """The density log p(a | s), or log p(s, a), and its updates; mixed into a `Method`."""

    ASIDE: ClassVar[tuple[str, ...]] = ("slope_penalty",)  # torch.compile has no second derivatives
    config: Any

    def add_density(self: Any) -> None:
        """Build the flow, its adversary where there is one, and their optimisers."""
        config, (s, a) = self.config, self.dims
        width, condition = (a, s) if config.density == "conditional" else (s + a, 0)
        kinds: dict[str, Any] = {"couplings": config.couplings, "kind": config.coupling, "prior": config.prior}
        kinds |= {"hidden": config.flow_hidden, "activation": config.flow_activation}
        self.flow = self.new(CouplingFlow(self.stack, width, condition, **kinds))
        self.optimizers["flow"] = StackedAdam(self.flow, config.lr_flow, max_norm=5.0)
        if config.gan_weight:
            self.adversary = self.new(Discriminator(self.stack, s + a))
            self.optimizers["adversary"] = StackedAdam(self.adversary, config.lr_flow)

    def log_density(self: Any, states: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S B"]:
        """Return log p(a | s), or log p(s, a)."""
        if self.config.density == "conditional":
            return self.flow.log_prob(actions, states)
        return self.flow.log_prob(torch.cat([states, actions], dim=-1))

    def update_density(self: Any, batch: Batch, plays: bool) -> base.Metrics:
        """Descend −E log p, and where `plays` says so also −w E D(fake), w the adversary's weight; then the adversary.

        The adversary descends E D(fake) − E D(real) and the gradient penalty (Gulrajani et al. 2017), D of (s, a).
        """
        config, states, actions = self.config, batch.observations, batch.actions
        if config.jitter:
            actions = actions + config.jitter * self.noise.normal(*actions.shape[1:])
        likelihood = -self.log_density(states, actions).mean(1)
        loss = likelihood
        if config.gan_weight:
            fake = self.fakes(states)
            if plays:
                with base.frozen(self.adversary):
                    loss = loss - config.gan_weight * self.adversary(fake).mean(1)
        self.optimizers["flow"].step(loss)
        metrics = {"bc_loss": likelihood.detach()}
        if not config.gan_weight:
            return metrics
        real, fake = torch.cat([states, actions], dim=-1), fake.detach()
        distance = self.adversary(real).mean(1) - self.adversary(fake).mean(1)
        penalty = self.slope_penalty(real, fake)
        self.optimizers["adversary"].step(config.penalty_weight * penalty - distance)
        return metrics | {"adversary_distance": distance.detach(), "adversary_penalty": penalty.detach()}

    def slope_penalty(self: Any, real: Float[Tensor, "S B d"], fake: Float[Tensor, "S B d"]) -> Float[Tensor, " S"]:
        """Return the adversary's gradient penalty at points drawn between real and fake pairs."""
        return gradient_penalty(self.adversary, real, fake, self.noise.uniform(real.shape[1]))

    def fakes(self: Any, states: Float[Tensor, "S B s"]) -> Float[Tensor, "S B s+a"]:
        """Return the flow's own pairs (s, a), s drawn too where the density is joint."""
        noise = self.noise.normal(states.shape[1], self.flow.width)
        if self.config.density == "conditional":
            return torch.cat([states, self.flow.sample(noise, states)], dim=-1)
        return self.flow.sample(noise)
