"""How good are the paper's estimators of CVaR? Bias and spread on laws that are known, at equal numbers of values."""

from math import ceil, floor, log10

import numpy as np
from jaxtyping import Float

from ramac_lib.risk.checks import Array, check_alpha, checked_count, checked_finite
from ramac_lib.risk.estimators import cvar, cvar_grid
from ramac_lib.risk.grids import grid, risk_of_quantiles, weights
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.minus import minus
from support.preliminaries.laws import Law

ESTIMATORS = ("eq. 4", "eq. 9", "eq. 15", "bin weights")
SETTINGS = ("quantile function", "samples")


def estimates(
    law: Law, n: int, setting: str, rng: np.random.Generator, *, alpha: float = 0.1, repetitions: int = 4000
) -> dict[str, Float[Array, " R"]]:
    """Return `repetitions` independent values of each estimator of CVaR_α, each made of `n` values.

    In the setting "quantile function", a perfect critic's, F⁻¹ may be asked at n fractions of one's choice: eq. 4
    takes τ ~ U(0, 1) and the empirical law of the n answers, eq. 9 τ ~ U(0, α), eq. 15 and the bin weights the grid
    of eq. 14, so that these two do not vary. In the setting "samples", an evaluation's, there are n draws of the law
    and nothing else: eq. 4 is of their empirical law, eq. 9 draws n fractions of *its* quantile function, eq. 15 and
    the bin weights read it at the grid.

    Raises:
        RamacError: unknown setting, n or repetitions < 1, α outside (0, 1].
    """
    n, repetitions = checked_count(n, "the number of values"), checked_count(repetitions, "the number of repetitions")
    check_alpha(alpha)
    if setting not in SETTINGS:
        raise unknown("setting", setting, SETTINGS)
    draws = law.draw((repetitions, n), rng)
    tail = alpha * rng.random((repetitions, n))
    if setting == "samples":
        ordered = np.sort(draws, axis=1)
        at = np.minimum(np.ceil(tail * n).astype(int) - 1, n - 1).clip(0)
        return {
            "eq. 4": cvar(draws, alpha),
            "eq. 9": np.take_along_axis(ordered, at, axis=1).mean(axis=1),
            "eq. 15": cvar_grid(draws, n, alpha, "floor"),
            "bin weights": cvar_grid(draws, n, alpha, "exact"),
        }
    fixed = law.quantile(grid(n))
    values = {rule: risk_of_quantiles(fixed, weights("cvar", n, alpha=alpha, rule=rule)) for rule in ("floor", "exact")}
    return {
        "eq. 4": cvar(draws, alpha),
        "eq. 9": law.quantile(np.maximum(tail, 2.0**-54)).mean(axis=1),
        "eq. 15": np.full(repetitions, values["floor"]),
        "bin weights": np.full(repetitions, values["exact"]),
    }


def bias_and_spread(values: Float[Array, " R"], exact: float) -> dict[str, float]:
    """Return an estimator's bias, standard deviation and root mean squared error, the first two with standard errors.

    The standard error of the standard deviation s is √((m₄ − s⁴)/R) / 2s, m₄ the fourth central moment.

    Raises:
        RamacError: fewer than two values, or NaN or infinity among them.
    """
    values = checked_finite(values, "estimates")
    if values.ndim != 1 or len(values) < 2:
        raise RamacError(f"estimates have shape {values.shape}; expected (R,) with R of at least 2")
    count, spread = len(values), float(values.std(ddof=1))
    if np.ptp(values) == 0:  # a constant: rounding would leave a spread of 1e-16
        spread = 0.0
    fourth = float(((values - values.mean()) ** 4).mean())
    spread_error = np.sqrt(max(fourth - spread**4, 0.0) / count) / (2 * spread) if spread > 0 else 0.0
    return {
        "bias": float(values.mean()) - exact,
        "bias_se": float(spread / np.sqrt(count)),
        "sd": spread,
        "sd_se": float(spread_error),
        "rmse": float(np.sqrt(((values - exact) ** 2).mean())),
    }


def with_error(value: float, error: float) -> str:
    """Return a measured value with its standard error in units of the last digit: 0.0799 ± 0.0024 is 0.080(3).

    The error has one digit, rounded up; a value without an error is shown with three decimals.
    """
    if error <= 0:
        return minus(f"{value:.3f}")
    digits = max(0, -floor(log10(error)))
    shown = ceil(error * 10**digits - 1e-9)
    if shown >= 10 and digits > 0:  # .0096 is not 10 in the last digit, but 1 in the one before
        digits, shown = digits - 1, 1
    return minus(f"{value:.{digits}f}({shown})")
