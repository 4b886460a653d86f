"""What QDQ makes of the spread of returns: weights of uncertain actions, and values that they lower."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.methods.shared import base


@dataclass(frozen=True)
class UncertaintyConfig(base.CriticConfig):
    """Settings of QDQ's penalty."""

    certain: float = 0.992  # α, the share of the unpenalised loss
    beta: float = 0.8  # β: quantile of H, and weight below it
    weight: Literal["relative", "paper", "capped"] = "relative"
    origin: Literal["floor", "zero"] = "floor"  # what values are counted from: the data's lowest return, or 0


def penalised(
    values: Float[Tensor, "S B"], spread: Float[Tensor, "S B"], lowest: Tensor, config: UncertaintyConfig
) -> Float[Tensor, "S B"]:
    """Return values of actions, lowered where the distribution of returns spreads, by a config's weight and origin.

    Args:
        lowest: return in the data.
    """
    weight = uncertainty_weight(spread, config.beta, config.weight)
    return lowered(values, weight, config.certain, lowest if config.origin == "floor" else 0.0)


def uncertainty_weight(spread: Float[Tensor, "S B"], beta: float, how: str) -> Float[Tensor, "S B"]:
    """Return w: β where a row's spread H is at most its batch's β-quantile, above it less the wider the distribution.

    Args:
        how: above the quantile 1/H (``paper``: Zhang et al. 2024, eq. 8), min(1, 1/H) (``capped``), or β times the
            quantile over H (``relative``), which has no unit and is at most β.
    """
    ranked, place = spread.sort(dim=1).values, beta * (spread.shape[1] - 1)
    below, above = ranked[:, int(place)], ranked[:, min(int(place) + 1, spread.shape[1] - 1)]
    quantile = torch.lerp(below, above, place % 1)[:, None]
    uncertain = beta * quantile / spread if how == "relative" else 1 / spread
    if how == "capped":
        uncertain = uncertain.clamp(max=1)
    return torch.where(spread > quantile, uncertain, beta)


def lowered(
    values: Float[Tensor, "S B"], weight: Float[Tensor, "S B"], certain: float, origin: Tensor | float
) -> Float[Tensor, "S B"]:
    """Return (α + (1−α) w) m, the minimiser of α L_H + (1−α) L_L, with m counted from an origin.

    Args:
        certain: α.
    """
    return origin + (certain + (1 - certain) * weight) * (values - origin)
