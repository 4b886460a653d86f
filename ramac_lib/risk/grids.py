"""Measures on the fixed grid of quantile fractions (eq. 14, 15): weights, and the level that they amount to."""

from functools import lru_cache
from math import floor

import numpy as np
from jaxtyping import Float

from ramac_lib.risk.checks import TOLERANCE, Array, checked_count, checked_finite, checked_mass
from ramac_lib.risk.distortions import checked_parameter, distort_cdf
from ramac_lib.system.errors import RamacError, unknown

RULES = ("exact", "floor")
"""Rules that make a measure weights over the grid."""


def grid(n: int) -> Float[Array, " n"]:
    """Return the fixed grid of quantile fractions τ_i = (i − ½)/n, i = 1…n (eq. 14).

    Raises:
        RamacError: n < 1.
    """
    n = checked_count(n, "the number of quantile fractions")
    return (np.arange(n) + 0.5) / n


@lru_cache(maxsize=64)
def bin_weights(measure: str, n: int, alpha: float, parameter: float | None) -> Array:
    """Return the rule "exact" of `weights`, once for each setting; nobody can write into it."""
    result = np.diff(distort_cdf(measure, np.arange(n + 1) / n, alpha=alpha, parameter=parameter))
    result.flags.writeable = False
    return result


def weights(
    measure: str, n: int, *, alpha: float = 0.1, parameter: float | None = None, rule: str = "exact"
) -> Float[Array, " n"]:
    """Return the weights w (n,) over the grid, ρ(Z) ≈ Σ_i w_i F⁻¹(τ_i); their sum is 1.

    ``rule="exact"``: w_i = g(i/n) − g((i−1)/n), the distortion's own mass of each bin; exact for a distribution of n
    equally likely outcomes. ``rule="floor"`` is eq. 15 (CVaR only): the lowest K = max(1, ⌊αn⌋) fractions
    weigh 1/K each, which silently replaces α by K/n; see `effective_alpha`.

    Raises:
        RamacError: unknown measure or rule, n < 1, α outside (0, 1], a parameter out of range, or the rule
            "floor" for another measure than CVaR.
    """
    n = checked_count(n, "the number of quantile fractions")
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if rule == "exact":
        return bin_weights(measure, n, alpha, parameter).copy()
    checked_parameter(measure, parameter, alpha)
    if measure != "cvar":
        raise RamacError(f"rule 'floor' (eq. 15) is for the risk measure 'cvar' only, not {measure!r}")
    k = max(1, floor(alpha * n + TOLERANCE))  # 0.29 · 100 is 28.999… in floating point
    return np.repeat([1 / k, 0.0], [k, n - k])


def effective_alpha(weights: Float[Array, " n"]) -> float:
    """Return the α of the CVaR that these weights (n,) amount to: min_i (i/n) / (w_1 + … + w_i).

    It is the largest α with CVaR_α ≤ Σ_i w_i q_i for every quantile function q, and 1 for the mean. It is K/n for
    eq. 15 (α = .1: .125, .0625, .094 for n = 8, 16, 32), α itself for the exact rule where αn ≥ 1, and 1/n, the
    finest that a grid can tell apart, where αn < 1 (n = 8, α = .1: .125, with the same weights under both rules).

    Raises:
        RamacError: no weights, one below 0 or NaN, or a sum other than 1.
    """
    array = checked_mass(weights, "weights", 1e-6)  # also of weights that were stored in single precision
    n = len(array)
    return float(1 / np.max(np.cumsum(array) * n / np.arange(1, n + 1)))


def risk_of_quantiles(quantiles: Float[Array, "*batch n"], weights: Float[Array, " n"]) -> Float[Array, "*batch"]:
    """Return Σ_i w_i q_i over the last axis: the risk of a quantile function given on the grid.

    Raises:
        RamacError: weights that are no probabilities, NaN or infinity among the quantiles, or another number of them.
    """
    mass, array = checked_mass(weights, "weights", 1e-6), checked_finite(quantiles, "quantiles")
    if array.ndim == 0 or array.shape[-1] != len(mass):
        raise RamacError(f"quantiles have shape {array.shape}; expected {len(mass)}, one a weight, on the last axis")
    return array @ mass
