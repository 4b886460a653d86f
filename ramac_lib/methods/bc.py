"""Behaviour cloning with the generators of RADAC and RAFMAC: BC-diffusion and BC-flow (figure 5)."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ramac_lib.methods import base
from ramac_lib.optim import StackedAdam
from ramac_lib.policies.base import Policy
from ramac_lib.policies.diffusion import DiffusionPolicy
from ramac_lib.policies.flow import FlowPolicy
from ramac_lib.replay import Batch


@dataclass(frozen=True)
class BCDiffusionConfig(base.Config):
    """The policy's part of RADAC's config, with the same meaning."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 5
    grad_clip: float | None = 5.0

    @classmethod
    def for_task(cls, task: str) -> "BCDiffusionConfig":
        """Return RADAC's policy on the bandit, which five steps cannot clone, and the defaults elsewhere."""
        return cls(policy_steps=20, hidden=(128, 128, 128), lr_actor=1e-3) if task == "risky-bandit" else cls()


@dataclass(frozen=True)
class BCFlowConfig(base.Config):
    """The policy's part of RAFMAC's config, with the same meaning."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 10
    grad_clip: float | None = 0.6

    @classmethod
    def for_task(cls, task: str) -> "BCFlowConfig":
        """Return RAFMAC's policy on the bandit, and the defaults elsewhere."""
        return cls(hidden=(128, 128, 128), lr_actor=1e-3, grad_clip=5.0) if task == "risky-bandit" else cls()


class BehaviourCloning(base.Method):
    """min_θ L_BC(θ), the policy's own generative loss."""

    generator: ClassVar[type[Policy]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config = self.config
        generator: Any = self.generator
        policy: Policy = generator(
            self.stack, *self.dims, steps=config.policy_steps, hidden=config.hidden, activation=config.activation
        )
        self.policy = self.new(policy)
        self.optimizers = {"policy": StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)}

    def update(self, batch: Batch) -> base.Metrics:
        """Make one update."""
        draws = self.policy.bc_draws(self.noise, batch.actions.shape[1])
        loss = self.policy.bc_loss(batch.observations, batch.actions, *draws)
        norm = self.optimizers["policy"].step(loss)
        self.step += 1
        return {"bc_loss": loss.detach(), "policy_grad_norm": norm}


class BCDiffusion(BehaviourCloning):
    """Noise prediction alone: what RADAC is with η = 0."""

    Config: ClassVar[type[base.Config]] = BCDiffusionConfig
    generator = DiffusionPolicy


class BCFlow(BehaviourCloning):
    """Flow matching alone: what RAFMAC is with η = 0."""

    Config: ClassVar[type[base.Config]] = BCFlowConfig
    generator = FlowPolicy
