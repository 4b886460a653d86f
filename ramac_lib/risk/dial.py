"""One number from averse over neutral to seeking: the share of outcomes that a measure looks at, from either end."""

import numpy as np
from jaxtyping import Float

from ramac_lib.risk.checks import Array
from ramac_lib.risk.grids import weights
from ramac_lib.system.errors import RamacError

NAMED = {"averse": 0.1, "neutral": 1.0, "seeking": 1.9}
"""Names of three positions of the dial, which are CVaR_0.1, the mean, and the mean of the highest tenth."""


def check_level(level: float | str) -> float:
    """Return a position of the dial, given as a number or by name.

    Raises:
        RamacError: it is neither a name nor a number in (0, 2).
    """
    try:
        value = NAMED[level] if isinstance(level, str) and level in NAMED else float(level)
    except ValueError:
        value = float("nan")
    if not 0 < value < 2:
        raise RamacError(
            f"the risk level is {level}; expected a number in (0, 2), from averse (0.1: CVaR_0.1) over neutral (1: the "
            f"mean) to seeking (1.9: the mean of the highest tenth), or one of {', '.join(NAMED)}"
        )
    return value


def dial_weights(level: float | str, n: int) -> Float[Array, " n"]:
    """Return weights (n,) over the fixed grid of fractions (eq. 14): CVaR_level to 1, beyond it the upper tail's mean.

    At a level ℓ ≤ 1 they are those of CVaR_ℓ, the mean of the lowest share ℓ; at ℓ > 1 those of the mean of the highest
    share 2 − ℓ. Both are the mean at ℓ = 1, and dial_weights(2 − ℓ) is dial_weights(ℓ) in reverse.

    Raises:
        RamacError: a level outside (0, 2), n < 1.
    """
    value = check_level(level)
    if value <= 1:
        return weights("cvar", n, alpha=value)
    return np.ascontiguousarray(weights("cvar", n, alpha=2 - value)[::-1])
