"""f-divergences between stationary distributions (DICE methods; Lee et al. 2021, 2022): f and max(0, (f')⁻¹)."""

from jaxtyping import Float
from torch import Tensor, where

DIVERGENCES = ("softchi", "chi")


def correction(slopes: Float[Tensor, "*B"], divergence: str) -> Float[Tensor, "*B"]:
    """Return w = max(0, (f')⁻¹(y)), the w ≥ 0 of the largest w y − f(w).

    Args:
        slopes: y.
        divergence: ``chi``: f = ½(w−1)²; ``softchi``: that from 1 on and w log w − w + 1 below, whose w is never 0.
    """
    if divergence == "chi":
        return (slopes + 1).relu()
    return where(slopes < 0, slopes.clamp(max=0).exp(), slopes + 1)


def f_divergence(weights: Float[Tensor, "*B"], divergence: str) -> Float[Tensor, "*B"]:
    """Return f(w), by name as `correction`."""
    square = 0.5 * (weights - 1).square()
    if divergence == "chi":
        return square
    return where(weights < 1, weights * weights.clamp(min=1e-30).log() - weights + 1, square)
