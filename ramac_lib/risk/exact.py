"""The measures of distributions that are known: by a quantile function, or by values and their probabilities."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad

from ramac_lib.risk.checks import TOLERANCE, Array, check_alpha, checked_mass, checked_samples
from ramac_lib.risk.distortions import distort_cdf, distort_fractions
from ramac_lib.system.errors import RamacError


def risk_of_quantile_function(
    quantile: Callable[[float], float],
    measure: str,
    *,
    alpha: float = 0.1,
    parameter: float | None = None,
    jumps: Sequence[float] = (),
) -> float:
    """Return ρ(Z) = ∫₀¹ F⁻¹(h(τ)) dτ by adaptive quadrature, for a distribution whose quantile function is known.

    Args:
        quantile: F⁻¹, a function of a fraction in (0, 1).
        measure, alpha, parameter: see the table in `ramac_lib.risk`.
        jumps: fractions u at which F⁻¹ jumps or bends; the integral is split there.

    Raises:
        RamacError: F⁻¹ returns NaN, unknown measure, α outside (0, 1], a jump outside [0, 1].
    """

    def integrand(tau: float) -> float:
        fraction = float(distort_fractions(measure, np.array(tau), alpha=alpha, parameter=parameter))
        value = float(quantile(fraction))
        if np.isnan(value):
            raise RamacError(f"the quantile function is {value} at {fraction}; expected a number")
        return value

    inner = distort_cdf(measure, np.sort(np.asarray(jumps, dtype=float)), alpha=alpha, parameter=parameter)
    ends = [0.0, *np.unique(inner[(inner > 0) & (inner < 1)]), 1.0]
    return float(sum(quad(integrand, a, b, epsabs=1e-10, epsrel=1e-10, limit=200)[0] for a, b in pairwise(ends)))


def risk_of_law(
    values: Float[Array, " n"],
    probabilities: Float[Array, " n"],
    measure: str,
    *,
    alpha: float = 0.1,
    parameter: float | None = None,
) -> float:
    """Return ρ of the discrete distribution with these values and probabilities, exactly.

    Raises:
        RamacError: no values, NaN, probabilities below 0 or not summing to 1, unknown measure, α outside (0, 1].
    """
    ordered, cumulative = checked_law(values, probabilities)
    edges = np.concatenate([[0.0], cumulative])
    return float(ordered @ np.diff(distort_cdf(measure, edges, alpha=alpha, parameter=parameter)))


def value_at_risk_of_law(values: Float[Array, " n"], probabilities: Float[Array, " n"], alpha: float = 0.1) -> float:
    """Return F⁻¹(α) = min {x: P(Z ≤ x) ≥ α} of a discrete distribution, the value at risk of a return; not coherent.

    Raises:
        RamacError: no values, NaN, probabilities below 0 or not summing to 1, α outside (0, 1].
    """
    ordered, cumulative = checked_law(values, probabilities)
    return float(ordered[np.searchsorted(cumulative, check_alpha(alpha) - TOLERANCE)])


def checked_law(values: Any, probabilities: Any) -> tuple[Array, Array]:
    """Return a discrete distribution as increasing values (n,) and the probability P(Z ≤ value) of each."""
    array, mass = checked_samples(values), np.asarray(probabilities, dtype=np.float64)
    if mass.shape != array.shape or array.ndim != 1:
        raise RamacError(f"probabilities have shape {mass.shape}; expected one for each of {array.shape} values")
    mass = checked_mass(mass, "probabilities")
    order = np.argsort(array, kind="stable")
    cumulative = np.clip(np.cumsum(mass[order]), 0.0, 1.0)
    cumulative[-1] = 1.0
    return array[order], cumulative
