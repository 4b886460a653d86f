"""RADAC on r − λc: RAMAC's tail of a return that has the cost in it, a control for methods with a limit (no paper).

Objective. RADAC's (`ramac_lib.methods.radac`, eq. 11), with r − λc in the place of r: a step of cost c takes λc from
the return whose CVaR is maximised. No limit enters it; λ decides how much cost is left, and is swept beforehand.

Differences from RADAC:

1. rewards are r − λc in its losses. Reported returns and costs are the environment's.
"""

from dataclasses import dataclass
from typing import ClassVar

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.radac import RADAC, RADACConfig
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.limits import episode_costs
from ramac_lib.methods.shared.registry import SAFETY, register


@dataclass(frozen=True)
class RADACCostConfig(RADACConfig):
    """RADAC's settings, and the price of a cost of 1."""

    cost_weight: float = 1.0  # λ, in units of reward


@register(
    "radac-cost", label="RADAC, r − λc", colour="#A63603", line="--", marker="$P$", group=SAFETY, needs=("costs",)
)
class RADACCost(RADAC):
    """RADAC, its rewards less a price of each cost."""

    Config: ClassVar[type[base.Config]] = RADACCostConfig
    config: RADACCostConfig

    def fit_data(self, data: Dataset) -> None:
        """Refuse data without costs.

        Raises:
            RamacError: they have none.
        """
        episode_costs(data)

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update of RADAC on r − λc."""
        assert batch.costs is not None  # `fit_data`
        return super().learn(batch._replace(rewards=batch.rewards - self.config.cost_weight * batch.costs))
