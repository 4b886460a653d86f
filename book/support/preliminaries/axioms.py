"""Coherence (Artzner et al. 1999), written for returns: by how much an axiom fails, and the smallest counterexample.

Of a position's return, larger is better, so that a coherent ρ (minus ρ is the risk measure of the literature) is

- monotone: X ≤ Y in every outcome ⇒ ρ(X) ≤ ρ(Y);
- translation-equivariant: ρ(X + c) = ρ(X) + c;
- positively homogeneous: ρ(cX) = c ρ(X) for c ≥ 0;
- superadditive: ρ(X + Y) ≥ ρ(X) + ρ(Y): holding both is no worse than the sum of the parts.

A distortion has the first three whatever g is, and the fourth where g is concave, that is, where the weights of
outcomes do not increase from worst to best.
"""

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, product
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ramac_lib.risk.checks import Array, checked_count, checked_finite
from ramac_lib.system.errors import RamacError

AXIOMS = ("monotone", "translation", "homogeneous", "superadditive")

Functional = Callable[[Array, Array], Any]


def violations(
    functional: Functional,
    x: Float[Array, " n"],
    y: Float[Array, " n"],
    probabilities: Float[Array, " n"],
    *,
    shift: float = 1.0,
    scale: float = 2.0,
) -> dict[str, float]:
    """Return by how much each of the `AXIOMS` fails for two positions on the same n outcomes; 0 where it holds.

    Args:
        functional: ρ of (values, probabilities), e.g. ``lambda v, p: risk_of_law(v, p, "wang")``.
        x, y: the positions' returns in each outcome; monotonicity compares their minimum with each.
        probabilities: of the outcomes.
        shift, scale: the constants of translation and homogeneity.

    Raises:
        RamacError: a negative scale, NaN or infinity among shift and scale, or what `functional` refuses.
    """
    checked_finite([shift, scale], "shift and scale")
    if scale < 0:
        raise RamacError(f"scale is {scale}; expected a number of at least 0")
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.shape != y.shape:
        raise RamacError(f"the positions have shapes {x.shape} and {y.shape}; expected one set of outcomes")

    def rho(position: Array) -> float:
        return float(functional(position, probabilities))

    a, b = rho(x), rho(y)
    return {
        "monotone": max(0.0, rho(np.minimum(x, y)) - min(a, b)),
        "translation": abs(rho(x + shift) - a - shift),
        "homogeneous": abs(rho(scale * x) - scale * a),
        "superadditive": max(0.0, a + b - rho(x + y)),
    }


class Counterexample(NamedTuple):
    """Two positions on n equally likely outcomes with ρ(X + Y) < ρ(X) + ρ(Y)."""

    x: Float[Array, " n"]
    y: Float[Array, " n"]
    parts: float  # ρ(X) + ρ(Y)
    whole: float  # ρ(X + Y)


def counterexample(
    functional: Functional, *, values: Sequence[float] = (-1.0, 0.0), most: int = 12, tolerance: float = 1e-9
) -> Counterexample | None:
    """Return the worst failure of superadditivity on the fewest equally likely outcomes, None if there is none.

    All pairs of positions with these values are tried, up to the outcomes' order, for n = 1, 2 … `most` outcomes.

    Args:
        functional: ρ of (values, probabilities); it depends on the law alone.
        values: that a position takes.
        most: where the search ends; with two values the pairs number n(n+1)(n+2)/6 and so on.
        tolerance: what counts as rounding.

    Raises:
        RamacError: no values, NaN or infinity among them, most < 1.
    """
    levels = checked_finite(values, "values")
    if levels.ndim != 1 or len(levels) == 0:
        raise RamacError(f"values have shape {levels.shape}; expected at least one")
    for n in range(1, checked_count(most, "the number of outcomes") + 1):
        even, worst = np.full(n, 1 / n), None
        for joint in combinations_with_replacement(product(levels, repeat=2), n):
            x, y = np.array(joint).T
            parts, whole = float(functional(x, even) + functional(y, even)), float(functional(x + y, even))
            if parts - whole > max(tolerance, 0.0 if worst is None else worst.parts - worst.whole + tolerance):
                worst = Counterexample(x, y, parts, whole)
        if worst is not None:
            return worst
    return None
