"""Laws of returns that are known exactly, to measure estimators and critics against."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri, stdtrit

from ramac_lib.risk.checks import Array, checked_fractions
from ramac_lib.risk.exact import risk_of_quantile_function
from ramac_lib.system.errors import RamacError

_LEAST = 2.0**-54  # the least fraction that is drawn: at 0 a quantile may be infinite


@dataclass(frozen=True)
class Law:
    """A law of returns, given by its quantile function.

    Args:
        name: for tables.
        quantile: F⁻¹, elementwise.
        jumps: fractions at which F⁻¹ jumps, for exact integrals.
    """

    name: str
    quantile: Callable[[Float[Array, "*n"]], Float[Array, "*n"]]
    jumps: tuple[float, ...] = ()

    def draw(self, shape: int | tuple[int, ...], rng: np.random.Generator) -> Float[Array, "..."]:
        """Return independent draws of this shape."""
        return self.quantile(np.maximum(rng.random(shape), _LEAST))

    def risk(self, measure: str, *, alpha: float = 0.1, parameter: float | None = None) -> float:
        """Return ρ of the law by quadrature (see `risk_of_quantile_function`)."""
        return risk_of_quantile_function(
            lambda u: float(self.quantile(np.array(u))), measure, alpha=alpha, parameter=parameter, jumps=self.jumps
        )

    def huber_quantiles(self, taus: Float[Array, " N"], kappa: float = 1.0, points: int = 20_000) -> Float[Array, " N"]:
        """Return what eq. 7 is minimal at for this law: not its quantiles, unless κ is small against its scale.

        The minimiser q of E |τ − 1{Z < q}| Huber_κ(Z − q) has E |τ − 1{Z < q}| clip(Z − q, −κ, κ) = 0. The law is
        replaced by `points` equally likely quantiles of it, and q found by bisection.

        Raises:
            RamacError: a fraction outside [0, 1], κ not above 0.
        """
        taus = checked_fractions(taus)
        if not kappa > 0:
            raise RamacError(f"kappa is {kappa}; expected a positive number")
        z = self.quantile((np.arange(points) + 0.5) / points)
        low, high = np.full_like(taus, z.min()), np.full_like(taus, z.max())
        for _ in range(50):
            q = (low + high) / 2
            delta = z - q[:, None]
            slope = (np.abs(taus[:, None] - (delta < 0)) * np.clip(delta, -kappa, kappa)).sum(1)
            low, high = np.where(slope > 0, q, low), np.where(slope > 0, high, q)
        return (low + high) / 2


def normal(mean: float = 0.0, sd: float = 1.0) -> Law:
    """Return N(mean, sd²)."""
    return Law(f"normal, σ = {sd:g}", lambda u: mean + sd * ndtri(u))


def student(df: float = 3.0, scale: float = 1.0) -> Law:
    """Return Student's t with `df` degrees of freedom, times `scale`: both tails are heavy."""
    return Law(f"t, {df:g} d.f.", lambda u: scale * stdtrit(df, u))


def ruin(scale: float = 1.0) -> Law:
    """Return minus an exponential: no gain, and a long tail of losses with mean `scale`."""
    return Law(f"−Exp({scale:g})", lambda u: scale * np.log(u))


def trap(reward: float = 1.8, penalty: float = 10.0, probability: float = 0.05) -> Law:
    """Return `reward`, less `penalty` with a probability: the Risky Bandit's ring. It has two atoms."""
    return Law(f"trap, p = {probability:g}", lambda u: reward - penalty * (u <= probability), (probability,))


def mixture(low: float = -20.0, high: float = 5.0, sd: float = 1.0, share: float = 0.1, points: int = 2**17) -> Law:
    """Return share · N(low, sd²) + (1 − share) · N(high, sd²), its CDF inverted by interpolation in a table."""
    x = np.linspace(low - 9 * sd, high + 9 * sd, points)
    cdf = share * ndtr((x - low) / sd) + (1 - share) * ndtr((x - high) / sd)
    return Law("mixture", lambda u: np.interp(u, cdf, x), (share,))
