"""BC-flow: flow matching alone (L_BC of eq. 11 with the ODE of eq. 6); what RAFMAC is with η = 0.

No code was released for the paper's figure 5; settings are the policy's part of RAFMAC's, with the same meaning.
"""

from dataclasses import dataclass
from typing import ClassVar

from ramac_lib.methods import base, generators, presets
from ramac_lib.methods.bc import BehaviourCloning
from ramac_lib.policies.flow import FlowPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class BCFlowConfig(base.Config):
    """The policy's part of RAFMAC's config."""

    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 10
    grad_clip: float | None = 0.6

    @classmethod
    def for_task(cls, task: str) -> "BCFlowConfig":
        """Return RAFMAC's policy on the bandit, and the defaults elsewhere."""
        return cls(**presets.BANDIT_POLICY, grad_clip=5.0) if task == BANDIT else cls()


class BCFlow(BehaviourCloning):
    """Cloning with a flow policy."""

    Config: ClassVar[type[base.Config]] = BCFlowConfig

    def build_policy(self) -> FlowPolicy:
        """Return RAFMAC's policy."""
        return generators.flow(self)
