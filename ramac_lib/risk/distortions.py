"""The measures as distortions h of the sampled fraction and g = h⁻¹ of the CDF."""

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from ramac_lib.risk.checks import Array, check_alpha, checked_fractions
from ramac_lib.system.errors import RamacError, unknown

MEASURES = ("cvar", "wang", "cpw", "power", "neutral")
"""Names of the risk measures."""
PARAMETERS = {"wang": -0.7, "cpw": 0.71, "power": -2.0}
"""Default parameter of each measure that has one."""
# Below this exponent CPW's h is no longer increasing and has no inverse.
CPW_LEAST = 0.28
"""Least exponent c of CPW."""


def checked_parameter(measure: str, parameter: float | None, alpha: float) -> float:
    """Return the number that the measure needs: α for CVaR, else its own parameter or that one's default."""
    if measure not in MEASURES:
        raise unknown("risk measure", measure, MEASURES)
    check_alpha(alpha)
    if measure not in PARAMETERS:
        if parameter is not None:
            raise RamacError(f"parameter is {parameter}, but the risk measure {measure!r} takes none")
        return alpha
    value = PARAMETERS[measure] if parameter is None else float(parameter)
    if not np.isfinite(value):
        raise RamacError(f"parameter of {measure!r} is {value}; expected a finite number")
    if measure == "cpw" and value < CPW_LEAST:
        raise RamacError(f"parameter of 'cpw' is {value}; expected at least {CPW_LEAST}")
    return value


def _cpw(tau: Array, c: float) -> Array:
    return tau**c / (tau**c + (1 - tau) ** c) ** (1 / c)


def distort_fractions(
    measure: str, tau: Float[Array, "*n"], *, alpha: float = 0.1, parameter: float | None = None
) -> Float[Array, "*n"]:
    """Return h(τ): where the measure looks when the uniform fraction τ is drawn (see the table in `ramac_lib.risk`).

    Raises:
        RamacError: unknown measure, α outside (0, 1], a fraction outside [0, 1], a parameter out of range.
    """
    value = checked_parameter(measure, parameter, alpha)
    tau = checked_fractions(tau)
    if measure == "cvar":
        return value * tau
    if measure == "wang":
        return ndtr(ndtri(tau) + value)
    if measure == "cpw":
        return _cpw(tau, value)
    if measure == "power":
        power = 1 / (1 + abs(value))
        return tau**power if value >= 0 else 1 - (1 - tau) ** power
    return tau.copy()


def distort_cdf(
    measure: str, u: Float[Array, "*n"], *, alpha: float = 0.1, parameter: float | None = None
) -> Float[Array, "*n"]:
    """Return g(u) = h⁻¹(u): the mass that the measure puts on the lowest share u of outcomes.

    Raises:
        RamacError: unknown measure, α outside (0, 1], a fraction outside [0, 1], a parameter out of range.
    """
    value = checked_parameter(measure, parameter, alpha)
    u = checked_fractions(u)
    if measure == "cvar":
        return np.minimum(u / value, 1.0)
    if measure == "wang":
        return ndtr(ndtri(u) - value)
    if measure == "cpw":
        low, high = np.zeros_like(u), np.ones_like(u)
        for _ in range(60):  # bisection: h is increasing, and 2⁻⁶⁰ is below the spacing of doubles near 1
            middle = (low + high) / 2
            below = _cpw(middle, value) < u
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.where(u >= 1, 1.0, high * (u > 0))
    if measure == "power":
        power = 1 + abs(value)
        return u**power if value >= 0 else 1 - (1 - u) ** power
    return u.copy()
