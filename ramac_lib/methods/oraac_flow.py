"""ORAAC-Flow (RAMAC, sec. 4.3.2 (iii)): ORAAC with a flow prior.

Objective and numbered differences: see `ramac_lib.methods.anchored`. There is no public code; the prior is RAFMAC's
flow policy with BC-flow's loss and rate, all else is ORAAC.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ramac_lib.methods import base, generators
from ramac_lib.methods.anchored import Anchored, AnchoredConfig
from ramac_lib.policies.flow import FlowPolicy
from ramac_lib.tasks import BANDIT


@dataclass(frozen=True)
class ORAACFlowConfig(AnchoredConfig):
    """Settings: those of the anchored methods, and the flow prior's."""

    lr_prior: float = 3e-4
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "silu"
    policy_steps: int = 10

    @classmethod
    def for_task(cls, task: str) -> "ORAACFlowConfig":
        """Return ORAAC's settings of each environment; RAFMAC's policy on the bandit."""
        prior: dict[str, Any] = {"hidden": (128, 128, 128), "activation": "relu"}
        return cls(**(prior if task == BANDIT else {}), **cls.of_env(task))


class ORAACFlow(Anchored):
    """ORAAC on a flow prior."""

    Config: ClassVar[type[base.Config]] = ORAACFlowConfig

    def build_prior(self) -> FlowPolicy:
        """Return RAFMAC's policy."""
        return generators.flow(self)
