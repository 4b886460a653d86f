"""What every function of this package refuses, in one sentence with the offending value."""

from typing import Any

import numpy as np

from ramac_lib.system.errors import RamacError

Array = np.ndarray
TOLERANCE = 1e-9  # of a sum of probabilities, and of a level times a count that should be a whole number


def check_alpha(alpha: float) -> float:
    """Return α as a float.

    Raises:
        RamacError: it does not lie in (0, 1].
    """
    if not 0 < alpha <= 1:
        raise RamacError(f"alpha is {alpha}; expected a number in (0, 1]")
    return float(alpha)


def checked_fractions(fractions: Any) -> Array:
    """Return quantile fractions as an array, refused unless all lie in [0, 1]."""
    array = np.asarray(fractions, dtype=np.float64)
    wrong = ~((array >= 0) & (array <= 1))
    if wrong.any():
        raise RamacError(f"a quantile fraction is {array[wrong][0]}; expected numbers in [0, 1]")
    return array


def checked_count(n: float, name: str) -> int:
    """Return a count, refused unless it is a whole number of at least 1."""
    if not (np.isfinite(n) and n == int(n) and n >= 1):
        raise RamacError(f"{name} is {n}; expected a whole number of at least 1")
    return int(n)


def checked_finite(values: Any, name: str) -> Array:
    """Return an array, refused where it holds NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise RamacError(f"{name} hold {array[~np.isfinite(array)][0]}; expected finite numbers")
    return array


def checked_samples(samples: Any) -> Array:
    """Return samples along the last axis, refused where there are none or one of them is not finite."""
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise RamacError(f"samples have shape {array.shape}; expected at least one sample along the last axis")
    return checked_finite(array, "samples")


def checked_mass(mass: Any, name: str, tolerance: float = TOLERANCE) -> Array:
    """Return a probability vector of shape (n,), refused where it is empty, negative, NaN or does not sum to 1."""
    array = np.asarray(mass, dtype=np.float64)
    if array.ndim != 1 or len(array) == 0:
        raise RamacError(f"{name} have shape {array.shape}; expected shape (n,) with n of at least 1")
    # A distortion's own weights are differences, which rounding may take below 0.
    wrong = ~(array >= -1e-12)
    if wrong.any():
        raise RamacError(f"{name} hold {array[wrong][0]}; expected numbers of at least 0")
    if not abs(array.sum() - 1) <= tolerance:
        raise RamacError(f"{name} sum to {array.sum()}; expected 1")
    return array
