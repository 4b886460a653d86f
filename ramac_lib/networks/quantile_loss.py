"""The quantile-Huber loss (eq. 7), and the axis slip of the released code."""

from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.native import operators
from ramac_lib.system.errors import unknown

AXES = ("prediction", "target")


def quantile_huber(
    predicted: Float[Tensor, "*stack B N"],
    target: Float[Tensor, "*stack B M"],
    taus: Float[Tensor, " N"] | Float[Tensor, "*stack2 N"],
    *,
    kappa: float = 1.0,
    axis: str = "prediction",
    pairing: str = "all",
    native: bool = False,
) -> Float[Tensor, " *stack"]:
    """Return eq. 7, Σ_i mean_j |τ_i − 1{δ_ij < 0}| · Huber_κ(δ_ij)/κ with δ_ij = target_j − predicted_i, a row's mean.

    Args:
        predicted: quantiles at the fractions `taus`.
        target: samples (quantiles) of the target's distribution; no gradient flows into them.
        taus: fractions of the *prediction*, shape (N,) or (*stack, N) or one that broadcasts.
        kappa: Huber's threshold, in units of return. Quantiles are biased towards the mean where κ is not small
            against the distribution's scale.
        axis: ``"target"`` reproduces the released RADAC code, which weighs δ_ij by τ_j: every prediction then learns
            the Huber-median of the target. For that the two must have the same number of fractions.
        pairing: ``"one-to-one"`` reproduces the released RAFMAC code, which uses δ_ii alone.
        native: use the native kernel (`ramac_lib.networks.native`, which must be there) where it serves.

    Raises:
        RamacError: an unknown axis.
    """
    if axis not in AXES:
        raise unknown("quantile axis", axis, AXES)
    target = target.detach()
    if native and pairing == "all" and operators.serves(predicted, target, taus):
        return operators.quantile_huber(predicted, target, taus, kappa, axis == "target")
    weights = taus.unsqueeze(-2)  # (…, 1, N): a row axis
    if pairing == "one-to-one":
        delta = target - predicted
        return _pinball(delta, weights, kappa).sum(-1).mean(-1)
    delta = target.unsqueeze(-2) - predicted.unsqueeze(-1)  # (*stack, B, N, M)
    weights = weights.unsqueeze(-1) if axis == "prediction" else weights.unsqueeze(-2)
    return _pinball(delta, weights, kappa).mean(-1).sum(-1).mean(-1)


def _pinball(delta: Tensor, tau: Tensor, kappa: float) -> Tensor:
    magnitude = delta.abs()
    clipped = magnitude.clamp(max=kappa)
    huber = clipped * (magnitude - 0.5 * clipped) / kappa  # Huber_κ(δ)/κ without a branch
    return (tau - (delta.detach() < 0).to(delta.dtype)).abs() * huber
