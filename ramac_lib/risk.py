"""Risk measures of a law of returns: distortions of its quantile function, weights over a grid, estimators.

One convention holds throughout. A risk measure is an increasing map h of [0, 1] that bends the *sampled
fraction*, as IQN (Dabney et al. 2018), ORAAC and RAMAC write it; its inverse g distorts the *CDF*:

    ρ(Z) = E_{τ~U(0,1)}[F_Z⁻¹(h(τ))] = ∫₀¹ F_Z⁻¹(u) dg(u),    g = h⁻¹.

Z is a return, so bad outcomes lie in its lower tail, and ρ is averse where g lies above the diagonal.

=========  =================================  =======================  =====================
measure    h(τ)                               g(u)                     parameter (default)
=========  =================================  =======================  =====================
cvar       α τ                                min(u/α, 1)              α (0.1)
wang       Φ(Φ⁻¹(τ) + w)                      Φ(Φ⁻¹(u) − w)            w (−0.7, averse)
cpw        τᶜ / (τᶜ + (1−τ)ᶜ)^{1/c}           inverted numerically     c (0.71)
power      η < 0: 1 − (1−τ)^{1/(1+|η|)}       1 − (1−u)^{1+|η|}        η (−2, averse)
..         η ≥ 0: τ^{1/(1+η)}                 u^{1+η}
neutral    τ                                  u                        none
=========  =================================  =======================  =====================

Where sources differ: CODAC (Ma et al. 2021) distorts the CDF, so its Wang parameter has the opposite sign
(positive is averse); the actuarial literature applies Wang's transform to losses. RAFMAC's released w = +0.2 is
risk-*seeking* here. CPW is Tversky and Kahneman's weighting of *probabilities*, which overweighs both tails; put
on sampled fractions, as IQN does and hence we do, the same formula *under*weighs them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import floor
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from ramac_lib.errors import RamacError, unknown

MEASURES = ("cvar", "wang", "cpw", "power", "neutral")
RULES = ("exact", "floor")
PARAMETERS = {"wang": -0.7, "cpw": 0.71, "power": -2.0}
# Below this exponent CPW's h is no longer increasing and has no inverse.
CPW_LEAST = 0.28

Array = np.ndarray


def check_alpha(alpha: float) -> float:
    """Return α, refused with a RamacError unless it lies in (0, 1]."""
    if not 0 < alpha <= 1:
        raise RamacError(f"alpha is {alpha}; expected a number in (0, 1]")
    return float(alpha)


def _parameter(measure: str, parameter: float | None, alpha: float) -> float:
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


def _checked_fractions(fractions: Any) -> Array:
    array = np.asarray(fractions, dtype=np.float64)
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        raise RamacError(f"a quantile fraction is {array[wrong][0]}; expected numbers in [0, 1]")
    return array


def _cpw(tau: Array, c: float) -> Array:
    return tau**c / (tau**c + (1 - tau) ** c) ** (1 / c)


def distort_fractions(
    measure: str, tau: Float[Array, "*n"], *, alpha: float = 0.1, parameter: float | None = None
) -> Float[Array, "*n"]:
    """Return h(τ): where the measure looks when the uniform fraction τ is drawn (see the table above).

    Raises:
        RamacError: unknown measure, α outside (0, 1], a fraction outside [0, 1], a parameter out of range.
    """
    value = _parameter(measure, parameter, alpha)
    tau = _checked_fractions(tau)
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
    value = _parameter(measure, parameter, alpha)
    u = _checked_fractions(u)
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


def _checked_count(n: int, name: str) -> int:
    if n != int(n) or n < 1:
        raise RamacError(f"{name} is {n}; expected a whole number of at least 1")
    return int(n)


def grid(n: int) -> Float[Array, " n"]:
    """Return the fixed grid of quantile fractions τ_i = (i − ½)/n, i = 1…n (eq. 14).

    Raises:
        RamacError: n < 1.
    """
    n = _checked_count(n, "the number of quantile fractions")
    return (np.arange(n) + 0.5) / n


@lru_cache(maxsize=64)
def _weights(measure: str, n: int, alpha: float, parameter: float | None) -> Array:
    result = np.diff(distort_cdf(measure, np.arange(n + 1) / n, alpha=alpha, parameter=parameter))
    result.flags.writeable = False
    return result


def weights(
    measure: str, n: int, *, alpha: float = 0.1, parameter: float | None = None, rule: str = "exact"
) -> Float[Array, " n"]:
    """Return the weights w (n,) over the grid, ρ(Z) ≈ Σ_i w_i F⁻¹(τ_i); their sum is 1.

    ``rule="exact"``: w_i = g(i/n) − g((i−1)/n), the distortion's own mass of each bin; exact for a law of n
    equally likely outcomes. ``rule="floor"`` is eq. 15 (CVaR only): the lowest K = max(1, ⌊αn⌋) fractions
    weigh 1/K each, which silently replaces α by K/n; see `effective_alpha`.

    Raises:
        RamacError: unknown measure or rule, n < 1, α outside (0, 1], a parameter out of range, or the rule
            "floor" for another measure than CVaR.
    """
    n = _checked_count(n, "the number of quantile fractions")
    if rule not in RULES:
        raise unknown("rule", rule, RULES)
    if rule == "exact":
        return _weights(measure, n, alpha, parameter).copy()
    _parameter(measure, parameter, alpha)
    if measure != "cvar":
        raise RamacError(f"rule 'floor' (eq. 15) is for the risk measure 'cvar' only, not {measure!r}")
    k = max(1, floor(alpha * n + 1e-9))  # 0.29 · 100 is 28.999… in floating point
    return np.repeat([1 / k, 0.0], [k, n - k])


def effective_alpha(weights: Float[Array, " n"]) -> float:
    """Return the α of the CVaR that these weights (n,) amount to: min_i (i/n) / (w_1 + … + w_i).

    It is the largest α with CVaR_α ≤ Σ_i w_i q_i for every quantile function q, and 1 for the mean. It is K/n for
    eq. 15 (α = .1: .125, .0625, .094 for n = 8, 16, 32), α itself for the exact rule where αn ≥ 1, and 1/n, the
    finest that a grid can tell apart, where αn < 1 (n = 8, α = .1: .125, with the same weights under both rules).

    Raises:
        RamacError: the weights are not one finite number a fraction or do not sum to 1.
    """
    array = np.asarray(weights, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0 or not abs(array.sum() - 1) < 1e-6:
        raise RamacError(f"weights have shape {array.shape} and sum {array.sum()}; expected shape (n,) and sum 1")
    n = len(array)
    return float(1 / np.max(np.cumsum(array) * n / np.arange(1, n + 1)))


def risk_of_quantiles(quantiles: Float[Array, "*batch n"], weights: Float[Array, " n"]) -> Float[Array, "*batch"]:
    """Return Σ_i w_i q_i over the last axis: the risk of a quantile function given on the grid."""
    return np.asarray(quantiles, dtype=np.float64) @ np.asarray(weights, dtype=np.float64)


def risk_of_quantile_function(
    quantile: Callable[[float], float],
    measure: str,
    *,
    alpha: float = 0.1,
    parameter: float | None = None,
    jumps: Sequence[float] = (),
) -> float:
    """Return ρ(Z) = ∫₀¹ F⁻¹(h(τ)) dτ by adaptive quadrature, for a law whose quantile function is known.

    Args:
        quantile: F⁻¹, a function of a fraction in (0, 1).
        measure, alpha, parameter: see the table above.
        jumps: fractions u at which F⁻¹ jumps or bends; the integral is split there.
    """

    def integrand(tau: float) -> float:
        fraction = distort_fractions(measure, np.array(tau), alpha=alpha, parameter=parameter)
        return float(quantile(float(fraction)))

    inner = distort_cdf(measure, np.sort(np.asarray(jumps, dtype=float)), alpha=alpha, parameter=parameter)
    ends = [0.0, *np.unique(inner[(inner > 0) & (inner < 1)]), 1.0]
    return float(sum(quad(integrand, a, b, epsabs=1e-10, epsrel=1e-10, limit=200)[0] for a, b in pairwise(ends)))


def _checked_samples(samples: Any) -> Array:
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise RamacError(f"samples have shape {array.shape}; expected at least one sample along the last axis")
    if not np.isfinite(array).all():
        raise RamacError(f"samples hold {array[~np.isfinite(array)][0]}; expected finite numbers")
    return array


def risk(
    samples: Float[Array, "*batch n"], measure: str, *, alpha: float = 0.1, parameter: float | None = None
) -> Float[Array, "*batch"]:
    """Return ρ of the empirical law of the samples along the last axis, exactly (no interpolation).

    Raises:
        RamacError: empty samples, NaN or infinity among them, unknown measure, α outside (0, 1].
    """
    ordered = np.sort(_checked_samples(samples), axis=-1)
    return ordered @ _weights(measure, ordered.shape[-1], alpha, parameter)


def risk_of_law(
    values: Float[Array, " n"],
    probabilities: Float[Array, " n"],
    measure: str,
    *,
    alpha: float = 0.1,
    parameter: float | None = None,
) -> float:
    """Return ρ of the discrete law with these values and probabilities, exactly.

    Raises:
        RamacError: no values, NaN, probabilities below 0 or not summing to 1, unknown measure, α outside (0, 1].
    """
    values, mass = _checked_samples(values), np.asarray(probabilities, dtype=np.float64)
    if mass.shape != values.shape or values.ndim != 1:
        raise RamacError(f"probabilities have shape {mass.shape}; expected one for each of {values.shape} values")
    if not (mass >= 0).all():
        raise RamacError(f"a probability is {mass[~(mass >= 0)][0]}; expected none below 0")
    if abs(mass.sum() - 1) > 1e-9:
        raise RamacError(f"probabilities sum to {mass.sum()}; expected 1")
    order = np.argsort(values, kind="stable")
    cumulative = np.minimum(np.concatenate([[0.0], np.cumsum(mass[order])]), 1.0)
    cumulative[-1] = 1.0
    return float(values[order] @ np.diff(distort_cdf(measure, cumulative, alpha=alpha, parameter=parameter)))


def cvar(samples: Float[Array, "*batch n"], alpha: float = 0.1) -> Float[Array, "*batch"]:
    """Return CVaR_α along the last axis: the mean of the lowest share α of the samples (eq. 4, right side).

    The boundary order statistic counts with the fraction of it that is needed, so n · α need not be whole.

    Raises:
        RamacError: empty samples, NaN or infinity among them, α outside (0, 1].
    """
    return risk(samples, "cvar", alpha=alpha)


def cvar_dual(samples: Float[Array, "*batch n"], alpha: float = 0.1) -> Float[Array, "*batch"]:
    """Return max_ν { ν − E[(ν − Z)₊]/α } of the empirical law along the last axis (eq. 4, left side).

    The objective is concave and piecewise linear in ν with kinks at the samples, so one of these attains it.

    Raises:
        RamacError: empty samples, NaN or infinity among them, α outside (0, 1].
    """
    alpha = check_alpha(alpha)
    nu = np.sort(_checked_samples(samples), axis=-1)
    n = nu.shape[-1]
    shortfall = (np.arange(1, n + 1) * nu - np.cumsum(nu, axis=-1)) / n
    return np.max(nu - shortfall / alpha, axis=-1)


def cvar_grid(
    samples: Float[Array, "*batch m"], n: int, alpha: float = 0.1, rule: str = "floor"
) -> Float[Array, "*batch"]:
    """Return CVaR_α from the samples' quantiles at the `n` grid fractions: eq. 15, or the exact bin weights.

    Raises:
        RamacError: empty samples, NaN or infinity among them, n < 1, α outside (0, 1], unknown rule.
    """
    w = weights("cvar", n, alpha=alpha, rule=rule)
    quantiles = np.quantile(_checked_samples(samples), grid(n), axis=-1, method="inverted_cdf")
    return risk_of_quantiles(np.moveaxis(quantiles, 0, -1), w)


def cvar_random(quantile: Callable[[Array], Array], k: int, rng: np.random.Generator, alpha: float = 0.1) -> float:
    """Return the mean of F⁻¹ at `k` fractions drawn from U(0, α) (eq. 9): unbiased for CVaR_α.

    Raises:
        RamacError: k < 1, α outside (0, 1].
    """
    tau = rng.uniform(0, check_alpha(alpha), _checked_count(k, "the number of drawn fractions"))
    return float(np.mean(quantile(tau)))


def bootstrap_interval(
    returns_by_seed: Sequence[Float[Array, " _"]],
    statistic: Callable[[Float[Array, " n"]], Any],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the percentile interval of a statistic of the pooled returns, seeds being resampled first.

    Episodes of one seed share a trained policy, so they are not independent. Each resample draws as many seeds as
    there are, with replacement, then each drawn seed's episodes, with replacement, and pools them. With a single
    seed the interval speaks of that one policy only. With few seeds percentile intervals are too short: for a mean
    whose seeds spread .7 as much as their episodes, a nominal 95 % covers 88 % with five seeds and 72 % with two.

    Args:
        returns_by_seed: one array of episode returns for each seed; lengths may differ.
        statistic: of a 1-D array, e.g. ``np.mean`` or ``cvar``.
        level: the interval's nominal coverage, in (0, 1).
        resamples: how many resamples.
        seed: of the resampling's own generator.

    Raises:
        RamacError: no seeds, a seed without returns, NaN, a level outside (0, 1), resamples < 1.
    """
    groups = [_checked_samples(returns).ravel() for returns in returns_by_seed]
    if not groups:
        raise RamacError("no seeds to resample; expected the returns of at least one")
    if not 0 < level < 1:
        raise RamacError(f"level is {level}; expected a number in (0, 1)")
    rng = np.random.default_rng(seed)
    values = np.empty(_checked_count(resamples, "the number of resamples"))
    for i in range(len(values)):
        drawn = (groups[j] for j in rng.integers(len(groups), size=len(groups)))
        values[i] = statistic(np.concatenate([rng.choice(group, len(group)) for group in drawn]))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
