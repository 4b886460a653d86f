"""R2PAC's safe region, {V_c ≤ ℓ}: its settings, ℓ and its schedule, the value that stands for leaving it."""

from abc import ABC
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared.in_sample import InSampleConfig, worst_value
from ramac_lib.methods.shared.limits import LimitConfig, Limited


@dataclass(frozen=True)
class RegionConfig(LimitConfig, InSampleConfig):
    """Settings of the region and of its penalty."""

    penalise: bool = True  # off: V_r of the reward alone, the paper's ablation
    penalty: Literal["paper", "sufficient"] = "sufficient"
    absorbing: float = 1.0  # |C̄|, where the penalty is the paper's
    region: Literal["quantile", "limit"] = "quantile"
    safe_share: float = 0.9  # α: this quantile of V_c over the data's states is ℓ
    penalty_from: float = 0.1  # of the run; no state counts as unsafe before, as V_c has not been learned


class Region(Limited, ABC):
    """The region, its threshold and its penalty; mixed into a `Method` with a pair of the cost."""

    worst: Tensor

    def add_region(self: Any) -> None:
        """Make room for κ and T, and for C̄."""
        self.add_limits()
        self.constant("worst", -self.config.absorbing)

    def fit_region(self: Any, data: Dataset) -> None:
        """Take κ and T, and C̄ where it is to lie below every value of the data.

        Raises:
            RamacError: the data have no costs.
        """
        self.fit_limits(data)
        if self.config.penalty == "sufficient":
            self.worst.fill_(worst_value(data, self.config.discount))

    @torch.no_grad()
    def safe_threshold(self: Any, costs: Float[Tensor, "S B"]) -> Float[Tensor, "S 1"]:
        """Return ℓ: the α-quantile of a batch's V_c, of which a share α is not above it; or eq. 42's, of κ and T."""
        if self.config.region == "limit":
            return self.limit("discounted")
        rank = min(int(self.config.safe_share * costs.shape[1]), costs.shape[1] - 1)
        return costs.sort(dim=1).values[:, rank : rank + 1]

    def unsafe(self: Any, costs: Float[Tensor, "S B"], threshold: Float[Tensor, "S 1"]) -> Bool[Tensor, "S B"]:
        """Return which states are unsafe, V_c > ℓ; none before `penalty_from` of the run."""
        return (costs > threshold) & (self.step >= self.config.penalty_from * self.steps)
