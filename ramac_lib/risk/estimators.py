"""The measures of samples: exact for their empirical distribution, and the paper's estimators."""

from collections.abc import Callable
from math import ceil

import numpy as np
from jaxtyping import Float

from ramac_lib.risk.checks import TOLERANCE, Array, check_alpha, checked_count, checked_finite, checked_samples
from ramac_lib.risk.grids import bin_weights, grid, risk_of_quantiles, weights


def risk(
    samples: Float[Array, "*batch n"], measure: str, *, alpha: float = 0.1, parameter: float | None = None
) -> Float[Array, "*batch"]:
    """Return ρ of the empirical distribution of the samples along the last axis, exactly (no interpolation).

    Raises:
        RamacError: empty samples, NaN or infinity among them, unknown measure, α outside (0, 1].
    """
    ordered = np.sort(checked_samples(samples), axis=-1)
    return ordered @ bin_weights(measure, ordered.shape[-1], alpha, parameter)


def value_at_risk(samples: Float[Array, "*batch n"], alpha: float = 0.1) -> Float[Array, "*batch"]:
    """Return the α-quantile of the samples along the last axis, min {x: at least αn of n samples are ≤ x}.

    Raises:
        RamacError: empty samples, NaN or infinity among them, α outside (0, 1].
    """
    ordered = np.sort(checked_samples(samples), axis=-1)
    n = ordered.shape[-1]
    return ordered[..., max(0, ceil(check_alpha(alpha) * n - TOLERANCE * n) - 1)]


def cvar(samples: Float[Array, "*batch n"], alpha: float = 0.1) -> Float[Array, "*batch"]:
    """Return CVaR_α along the last axis: the mean of the lowest share α of the samples (eq. 4, right side).

    The boundary order statistic counts with the fraction of it that is needed, so n · α need not be whole.

    Raises:
        RamacError: empty samples, NaN or infinity among them, α outside (0, 1].
    """
    return risk(samples, "cvar", alpha=alpha)


def cvar_dual(samples: Float[Array, "*batch n"], alpha: float = 0.1) -> Float[Array, "*batch"]:
    """Return max_ν { ν − E[(ν − Z)₊]/α } of the empirical distribution along the last axis (eq. 4, left side).

    The objective is concave and piecewise linear in ν with kinks at the samples, so one of these attains it.

    Raises:
        RamacError: empty samples, NaN or infinity among them, α outside (0, 1].
    """
    alpha = check_alpha(alpha)
    nu = np.sort(checked_samples(samples), axis=-1)
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
    quantiles = np.quantile(checked_samples(samples), grid(n), axis=-1, method="inverted_cdf")
    return risk_of_quantiles(np.moveaxis(quantiles, 0, -1), w)


def cvar_random(quantile: Callable[[Array], Array], k: int, rng: np.random.Generator, alpha: float = 0.1) -> float:
    """Return the mean of F⁻¹ at `k` fractions drawn from U(0, α) (eq. 9): unbiased for CVaR_α.

    Raises:
        RamacError: k < 1, α outside (0, 1], F⁻¹ returns NaN or infinity.
    """
    tau = rng.uniform(0, check_alpha(alpha), checked_count(k, "the number of drawn fractions"))
    return float(np.mean(checked_finite(quantile(tau), "the quantile function's values")))
