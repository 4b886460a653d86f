"""How much the published formulas of QDQ and CPED hold a policy back, by arithmetic."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Array = np.ndarray


def effective_discount(
    spread: Float[Array, "*n"], bound: float, *, alpha: float = 0.992, beta: float = 0.8, discount: float = 0.99
) -> Float[Array, "*n"]:
    """Return γ (α + (1 − α) w), by which QDQ's target multiplies the next value (Zhang et al. 2024, eq. 7, 8).

    The sum of the two squared errors is least at one target, r + γ(1−d)(α + (1−α) w) m.

    Args:
        spread: H, the standard deviation of the returns that the model of (s', a') draws, in units of the return.
        bound: the batch's β-quantile of H; above it w is 1/H, else β.
    """
    spread = np.asarray(spread, dtype=float)
    weight = np.where(spread > bound, 1 / spread, beta)
    return discount * (alpha + (1 - alpha) * weight)


def window_coverage(
    lengths: Sequence[int], *, window: int = 200, step: int = 10, discount: float = 0.99
) -> tuple[float, float]:
    """Return the share of steps whose return QDQ's windows measure, and the share of the discount's mass in a window.

    Args:
        lengths: steps of each episode; one no longer than a window gives its first step alone.
        window, step: length of a window and distance of their starts.
    """
    starts = sum(1 if n <= window else (n - window) // step + 1 for n in lengths)
    return starts / sum(lengths), 1 - discount**window


def released_multiplier(update: int, flow_updates: int) -> float:
    """Return CPED's released weight of the density's term after so many updates, of which the first are the flow's.

    A table of step numbers: 1000 for the first 100k updates after the flow, then 10 less 2.5 for every 100k, and 1.5
    from one million on (1.5 there whatever came before).

    Raises:
        ValueError: a negative number of updates.
    """
    if update < 0 or flow_updates < 0:
        raise ValueError(f"updates are {update} and {flow_updates}; expected numbers of at least 0")
    if update > 1_000_000:
        return 1.5
    after = update - flow_updates - 100_000
    return 1000.0 if after < 0 else 10 - 2.5 * (after // 100_000)


def constrained_and_penalised(bound: float, weight: float, mean: float = 1.0, std: float = 0.2) -> tuple[float, float]:
    """Return where a value Q(a) = a stops at the right mode N(mean, std²) of a density, held in two ways.

    The first is the largest a with −log p(a) < `bound`, p = ½ N(mean, std²) as the other mode is far; the second the
    maximiser of a + weight · log p(a), at which p'/p = −1/weight.

    Raises:
        ValueError: the weight is not positive, or no action has so low a negative log density.
    """
    lowest = np.log(2 * std * np.sqrt(2 * np.pi))
    if not weight > 0 or not bound > lowest:
        raise ValueError(f"bound {bound} and weight {weight}; expected above {lowest:.4f} and above 0")
    return mean + std * np.sqrt(2 * (bound - lowest)), mean + std**2 / weight


def not_inverted(scale: Sequence[float], seed: int = 0, draws: int = 1000) -> float:
    """Return the largest |inverse(forward(x)) − x| where both multiply last, as CPED's released flow does.

    Two additive couplings on two dimensions, then a diagonal scale e^s: `forward` multiplies by e^s after the
    couplings, `inverse` undoes the couplings first and multiplies by e^−s after them.

    Args:
        scale: s of each of the two dimensions.
    """
    rng = np.random.default_rng(seed)
    slope, factor = rng.uniform(0.5, 1.5, 2), np.exp(np.asarray(scale, dtype=float))
    x = rng.standard_normal((draws, 2))

    def couple(z: Float[Array, "n 2"], sign: int) -> Float[Array, "n 2"]:
        for part in (0, 1)[::sign]:
            z = z.copy()
            z[:, part] += sign * np.tanh(slope[part] * z[:, 1 - part])
        return z

    return float(np.abs(couple(couple(x, 1) * factor, -1) / factor - x).max())
