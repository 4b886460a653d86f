"""What a perfect critic of N fractions says of a way: the return's quantiles, projected on the grid at every step.

Quantile regression on a fixed grid of fractions (eq. 7, 14) settles, given enough data and a network that can fit all,
on the quantiles F⁻¹(τ_i) of its target r + γ Z(s′, a′; τ_j). Z(s′, a′) is itself known at the grid alone, N atoms of
mass 1/N, so what one step's projection loses is lost for all steps before it. A penalty of probability p is in the
projection where p > τ_1 = 1/(2N), and then with the mass of a whole bin: N decides whether a critic sees it at all.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from ramac_lib import risk
from ramac_lib.system.errors import RamacError

Array = np.ndarray
SIZES = (8, 16, 20, 32, 40, 64)


def quantiles_of(values: Float[Array, " k"], masses: Float[Array, " k"], n: int) -> Float[Array, " n"]:
    """Return the distribution's quantiles F⁻¹(τ_i) at the grid of `n` fractions."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(masses[order])
    return values[order][np.searchsorted(reached, risk.grid(n) - 1e-12).clip(max=len(values) - 1)]


def settled(
    costs: Sequence[float], risks: Sequence[float], penalty: float, n: int, discount: float = 0.99
) -> Float[Array, " n"]:
    """Return Z(s_0, a_0; τ_i) of a way, as a perfect critic of `n` fractions settles on it.

    Args:
        costs: of each step, in order.
        risks: the probability with which each step is penalised.
        penalty: what it then costs.

    Raises:
        RamacError: no steps, or another number of risks.
    """
    if not len(costs) or len(costs) != len(risks):
        raise RamacError(f"a way has {len(costs)} costs and {len(risks)} risks; expected as many, one at least")
    following = np.zeros(n)
    for cost, p in zip(reversed(costs), reversed(risks), strict=True):
        target = -cost + discount * following
        both = np.concatenate([target, target - penalty])
        following = quantiles_of(both, np.repeat([(1 - p) / n, p / n], n), n)
    return following


def resolution(
    straight: tuple[Sequence[float], Sequence[float]],
    detour: tuple[Sequence[float], Sequence[float]],
    penalty: float,
    sizes: Sequence[int] = SIZES,
    alpha: float = 0.1,
    discount: float = 0.99,
) -> pd.DataFrame:
    """Return what critics of several sizes say of two ways: mean and CVaR_α of each, a row an N, the exact ones last.

    Args:
        straight, detour: each way's costs and risks, step by step.

    Returns:
        Columns ``straight_mean straight_cvar detour_mean detour_cvar averse neutral``; the last two say whether CVaR
        prefers the detour and whether the mean prefers the straight way. Indexed by N; the exact row's is 0.
    """
    rows = {}
    for n in (*sizes, 0):
        row: dict[str, float | bool] = {}
        for name, (costs, risks) in {"straight": straight, "detour": detour}.items():
            if n:
                found = settled(costs, risks, penalty, n, discount)
                row[f"{name}_mean"] = float(found.mean())
                row[f"{name}_cvar"] = float(found @ risk.weights("cvar", n, alpha=alpha))
            else:
                law = exact(costs, risks, penalty, discount)
                row[f"{name}_mean"] = risk.risk_of_law(*law, "neutral")
                row[f"{name}_cvar"] = risk.risk_of_law(*law, "cvar", alpha=alpha)
        row["averse"] = row["detour_cvar"] > row["straight_cvar"]
        row["neutral"] = row["straight_mean"] > row["detour_mean"]
        rows[n] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("N")


def exact(
    costs: Sequence[float], risks: Sequence[float], penalty: float, discount: float = 0.99
) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Return the discounted return's values and their probabilities, steps that may be penalised being independent."""
    values, masses = np.zeros(1), np.ones(1)
    for cost, p in zip(reversed(costs), reversed(risks), strict=True):
        target = -cost + discount * values
        if p > 0:
            target, masses = np.concatenate([target, target - penalty]), np.concatenate([(1 - p) * masses, p * masses])
        values = target
    return values, masses
