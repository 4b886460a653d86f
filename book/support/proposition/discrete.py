"""Proposition 1 on finite action sets, in exact rational arithmetic.

With β the behaviour law, S its support and δ = 1 − π(S) the policy's mass outside it, the paper (eq. 13, appendix A)
states δ ≤ 1 − exp(−KL(β ‖ π)). A divergence of rational laws is no rational number, but with N the common denominator
of β

    exp(−N · KL(β ‖ π)) = Π_i (π_i / β_i)^{N β_i}

is one, so that the inequality, (1 − δ)^N ≥ exp(−N · KL), is decided here without any rounding.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite, lcm, prod
from typing import Any

import mpmath
import numpy as np
import pandas as pd
import sympy

from ramac_lib.system.errors import RamacError

Law = tuple[Fraction, ...]
DIGITS = 50


def law(probabilities: Iterable[Any]) -> Law:
    """Return probabilities as exact fractions; a float stands for its shortest decimal, so that .1 is 1/10.

    Raises:
        RamacError: none, one that is no finite number or below 0, or a sum that is not exactly 1.
    """
    exact = tuple(_fraction(p) for p in probabilities)
    if not exact:
        raise RamacError("there are no probabilities; expected at least one")
    if min(exact) < 0:
        raise RamacError(f"a probability is {min(exact)}; expected none below 0")
    if sum(exact) != 1:
        raise RamacError(f"probabilities sum to {sum(exact)}; expected exactly 1")
    return exact


def _fraction(value: Any) -> Fraction:
    if isinstance(value, float | np.floating):
        if not isfinite(value):
            raise RamacError(f"a probability is {value}; expected a finite number")
        return Fraction(repr(float(value)))
    try:
        return Fraction(int(value)) if isinstance(value, np.integer) else Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError):
        raise RamacError(f"a probability is {value!r}; expected a number") from None


def _pair(beta: Iterable[Any], policy: Iterable[Any]) -> tuple[Law, Law]:
    b, p = law(beta), law(policy)
    if len(b) != len(p):
        raise RamacError(f"the laws have {len(b)} and {len(p)} actions; expected the same actions")
    return b, p


def ood_probability(beta: Iterable[Any], policy: Iterable[Any]) -> Fraction:
    """Return δ = 1 − π(supp β), the policy's probability of an action that β never takes.

    Raises:
        RamacError: bad probabilities (see `law`), or laws of different length.
    """
    b, p = _pair(beta, policy)
    return sum((q for a, q in zip(b, p, strict=True) if a == 0), Fraction(0))


def restrict(beta: Iterable[Any], policy: Iterable[Any]) -> Law:
    """Return π_S, the policy conditioned on the support of β.

    Raises:
        RamacError: bad probabilities, or a policy without mass on the support.
    """
    b, p = _pair(beta, policy)
    kept = 1 - ood_probability(b, p)
    if kept == 0:
        raise RamacError("the policy's mass on the support is 0; expected some, to condition on it")
    return tuple(q / kept if a else Fraction(0) for a, q in zip(b, p, strict=True))


def exp_minus_divergence(beta: Iterable[Any], policy: Iterable[Any]) -> tuple[Fraction, int]:
    """Return exp(−N · KL(β ‖ π)), exactly, and N, the least common denominator of β; 0 where β is not ≪ π.

    Raises:
        RamacError: bad probabilities, or laws of different length.
    """
    b, p = _pair(beta, policy)
    n = lcm(*(a.denominator for a in b))
    return prod(((q / a) ** int(n * a) for a, q in zip(b, p, strict=True) if a), start=Fraction(1)), n


def divergence(beta: Iterable[Any], policy: Iterable[Any], digits: int = DIGITS) -> mpmath.mpf:
    """Return KL(β ‖ π) in nats to `digits` decimal digits, ∞ where the policy misses a part of the support.

    Raises:
        RamacError: bad probabilities, or laws of different length.
    """
    power, n = exp_minus_divergence(beta, policy)
    with mpmath.workdps(digits + 10):
        return -(mpmath.log(power.numerator) - mpmath.log(power.denominator)) / n if power else mpmath.inf


def bound(beta: Iterable[Any], policy: Iterable[Any], digits: int = DIGITS) -> mpmath.mpf:
    """Return 1 − exp(−KL(β ‖ π)), the right side of eq. 13, to `digits` decimal digits.

    Raises:
        RamacError: bad probabilities, or laws of different length.
    """
    with mpmath.workdps(digits + 10):
        return -mpmath.expm1(-divergence(beta, policy, digits))


def holds(beta: Iterable[Any], policy: Iterable[Any]) -> bool:
    """Return whether δ ≤ 1 − exp(−KL(β ‖ π)), decided in rational arithmetic.

    Raises:
        RamacError: bad probabilities, or laws of different length.
    """
    return _excess(beta, policy) >= 0


def is_tight(beta: Iterable[Any], policy: Iterable[Any]) -> bool:
    """Return whether both sides of eq. 13 are equal, decided in rational arithmetic.

    Raises:
        RamacError: bad probabilities, or laws of different length.
    """
    return _excess(beta, policy) == 0


def _excess(beta: Iterable[Any], policy: Iterable[Any]) -> Fraction:
    power, n = exp_minus_divergence(beta, policy)
    return (1 - ood_probability(beta, policy)) ** n - power


# -- the proof --------------------------------------------------------------------------------------------------------


def read(expression: sympy.Expr) -> str:
    """Return an expression as a line for a reader: powers with ^, products with ·, and a true minus sign."""
    return str(expression).replace("**", "^").replace("*", "·").replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True)
class Step:
    """One line of the proof: what it says, both of its sides as exact expressions, and how they must compare."""

    statement: str
    left: sympy.Expr
    relation: str
    right: sympy.Expr

    @property
    def holds(self) -> bool:
        """Whether the line is true: identities by symbolic simplification, inequalities to 50 digits beyond those."""
        gap = sympy.simplify(sympy.expand_log(self.left - self.right, force=True))
        if self.relation == "=" or gap == 0:
            return bool(gap == 0)
        return bool(gap.evalf(DIGITS) > 0 if self.relation == "≥" else gap.evalf(DIGITS) < 0)


def proof(beta: Iterable[Any], policy: Iterable[Any]) -> list[Step]:
    """Return the proof of Proposition 1 (appendix A), each line evaluated on this pair of laws.

    Raises:
        RamacError: bad probabilities, or β is not absolutely continuous with respect to the policy.
    """
    b, p = _pair(beta, policy)
    if missing := [i for i, (a, q) in enumerate(zip(b, p, strict=True)) if a and not q]:
        raise RamacError(f"action {missing[0]} has mass {b[missing[0]]} in β and 0 in π; expected β ≪ π")
    on = [i for i, a in enumerate(b) if a]
    inside = restrict(b, p)
    delta = _exact(ood_probability(b, p))

    def kl(first: Law, second: Law) -> sympy.Expr:
        terms = [_exact(first[i]) * sympy.log(_exact(first[i] / second[i])) for i in on]
        return sympy.Add(*terms)

    def total(values: Sequence[sympy.Expr]) -> sympy.Expr:
        return sympy.Add(*values)

    full, conditional = kl(b, p), kl(b, inside)
    factored = total([
        _exact(b[i]) * (sympy.log(_exact(b[i] / inside[i])) - sympy.log(1 - delta)) for i in on
    ])  # fmt: skip
    return [
        Step("β has all its mass on S", total([_exact(b[i]) for i in on]), "=", sympy.Integer(1)),
        Step("π(S) = 1 − δ", total([_exact(p[i]) for i in on]), "=", 1 - delta),
        Step("π_S = π / (1 − δ) on S is a distribution", total([_exact(inside[i]) for i in on]), "=", sympy.Integer(1)),
        Step("put π = (1 − δ) π_S into KL(β‖π)", full, "=", factored),
        Step("split the sum: KL(β‖π) = KL(β‖π_S) − log(1 − δ)", factored, "=", conditional - sympy.log(1 - delta)),
        Step("KL(β‖π_S) ≥ 0", conditional, "≥", sympy.Integer(0)),
        Step("hence KL(β‖π) ≥ −log(1 − δ)", full, "≥", -sympy.log(1 - delta)),
        Step("hence δ ≤ 1 − exp(−KL(β‖π))", delta, "≤", 1 - sympy.exp(-full)),
    ]


def _exact(value: Fraction) -> sympy.Rational:
    return sympy.Rational(value.numerator, value.denominator)


# -- many pairs -------------------------------------------------------------------------------------------------------


def random_pair(rng: np.random.Generator) -> tuple[Law, Law]:
    """Draw two laws of 2 to 8 actions: β misses some; π is unrelated to it, near π_S = β, or misses some too."""
    n = int(rng.integers(2, 9))
    support = np.zeros(n, bool)
    support[rng.permutation(n)[: rng.integers(1, n + 1)]] = True
    b = np.where(support, rng.integers(1, 13, n), 0)
    kind = rng.integers(3)
    if kind == 0:
        p = rng.integers(1, 13, n)
    elif kind == 1:  # β scaled up and one step off, with some mass outside: near to equality
        scale = int(rng.integers(4, 40))
        p = np.where(support, scale * b + rng.integers(-1, 2, n), rng.integers(0, 2 * scale, n))
    else:
        p = rng.integers(0, 5, n)
        p[rng.integers(n)] += 1
    return tuple(Fraction(int(v), int(b.sum())) for v in b), tuple(Fraction(int(v), int(p.sum())) for v in p)


def survey(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return δ, the bound, their ratio and the exact verdict of `count` random pairs, one row a pair.

    Columns: actions, ood, bound, ratio (NaN where both sides are 0), holds, tight, continuous (β ≪ π), clone (π_S = β).
    Ratios are taken in 50 digits and rounded to doubles afterwards; the verdicts are exact.

    Raises:
        RamacError: count < 1.
    """
    if count < 1:
        raise RamacError(f"count is {count}; expected at least one pair")
    rows = []
    for _ in range(count):
        b, p = random_pair(rng)
        delta, limit, excess = ood_probability(b, p), bound(b, p), _excess(b, p)
        rows.append(
            {
                "actions": len(b),
                "ood": float(delta),
                "bound": float(limit),
                "ratio": float(delta.numerator / (limit * delta.denominator)) if limit else float("nan"),
                "holds": excess >= 0,
                "tight": excess == 0,
                "continuous": all(q > 0 for a, q in zip(b, p, strict=True) if a),
                "clone": delta < 1 and restrict(b, p) == b,
            }
        )
    return pd.DataFrame(rows)
