"""Behaviour cloning: what BC-diffusion, BC-flow and BC-CVAE (figure 5) share."""

from abc import abstractmethod
from typing import Any

from ramac_lib.methods import base
from ramac_lib.optim import StackedAdam
from ramac_lib.policies.base import Policy
from ramac_lib.replay import Batch


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
