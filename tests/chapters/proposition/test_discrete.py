"""Proposition 1 on finite action sets: exact, with properties that hypothesis would shrink a counterexample of."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from ramac_lib.system.errors import RamacError
from support.proposition import discrete

BETA, POLICY = ("1/2", "1/4", "1/4", 0), ("2/5", "1/5", "1/10", "3/10")


def laws(n):
    """Rational laws of n actions; zeros and large numbers alike. Shrinks to few, equal, small shares."""
    shares = st.lists(st.integers(0, 200), min_size=n, max_size=n).filter(any)
    return shares.map(lambda parts: tuple(Fraction(p, sum(parts)) for p in parts))


def decimal(value):
    with mpmath.workdps(60):
        return mpmath.mpf(value.numerator) / value.denominator


PAIRS = st.integers(1, 6).flatmap(lambda n: st.tuples(laws(n), laws(n)))


@given(PAIRS)
@settings(max_examples=400, deadline=None)
def test_proposition_1(pair):
    beta, policy = pair
    assert discrete.holds(beta, policy)
    with mpmath.workdps(60):
        assert decimal(discrete.ood_probability(beta, policy)) <= discrete.bound(beta, policy) + mpmath.mpf(10) ** -50


@given(PAIRS)
@settings(max_examples=200, deadline=None)
def test_it_is_tight_iff_beta_is_the_restricted_policy(pair):
    beta, policy = pair
    if discrete.ood_probability(beta, policy) == 1:
        assert discrete.is_tight(beta, policy)  # both sides are 1: nothing is left to restrict
    else:
        everywhere = all(q for b, q in zip(beta, policy, strict=True) if b)
        assert discrete.is_tight(beta, policy) == (everywhere and discrete.restrict(beta, policy) == beta)


@given(PAIRS, st.data())
@settings(max_examples=200, deadline=None)
def test_coarser_actions_have_no_larger_divergence(pair, data):
    beta, policy = pair
    group = data.draw(st.lists(st.integers(0, 2), min_size=len(beta), max_size=len(beta)))
    merged = [
        [sum((v for v, g in zip(law, group, strict=True) if g == k), Fraction(0)) for k in range(3)] for law in pair
    ]
    with mpmath.workdps(60):
        assert discrete.divergence(*merged) <= discrete.divergence(beta, policy) + mpmath.mpf(10) ** -50


def test_a_false_bound_is_refuted_by_a_small_example():
    # δ ≤ KL/2 fails for small KL; the search must find this and shrink it to few actions.
    def false(pair):
        return decimal(discrete.ood_probability(*pair)) > discrete.divergence(*pair) / 2

    beta, _ = find(PAIRS, false, settings=settings(derandomize=True, database=None, max_examples=2000))
    assert sorted(beta) == [0, 1]
    with pytest.raises(NoSuchExample):
        find(PAIRS, lambda pair: not discrete.holds(*pair), settings=settings(database=None, max_examples=300))


def test_known_values():
    assert discrete.ood_probability(BETA, POLICY) == Fraction(3, 10)
    power, n = discrete.exp_minus_divergence(BETA, POLICY)
    assert (power, n) == (Fraction(4, 5) ** 3 * Fraction(2, 5), 4)
    with mpmath.workdps(60):
        kl = 3 * mpmath.log(mpmath.mpf(5) / 4) / 4 + mpmath.log(mpmath.mpf(5) / 2) / 4
        assert abs(discrete.divergence(BETA, POLICY) - kl) < mpmath.mpf(10) ** -50
    assert discrete.restrict(BETA, POLICY) == (Fraction(4, 7), Fraction(2, 7), Fraction(1, 7), 0)
    assert discrete.divergence(POLICY, POLICY) == 0
    assert discrete.law([0.1, 0.9]) == (Fraction(1, 10), Fraction(9, 10))


def test_without_absolute_continuity_the_bound_is_one():
    assert discrete.divergence(["1/2", "1/2"], [1, 0]) == mpmath.inf
    assert discrete.bound(["1/2", "1/2"], [1, 0]) == 1
    assert discrete.ood_probability(["1/2", "1/2"], [1, 0]) == 0


def test_each_step_of_the_proof_holds_and_a_wrong_one_would_not():
    steps = discrete.proof(BETA, POLICY)
    assert all(step.holds for step in steps)
    first = steps[4]
    assert not discrete.Step("", first.left + 1, "=", first.right).holds
    assert not discrete.Step("", steps[-1].right, "≤", steps[-1].left).holds
    assert discrete.read(steps[-1].right) == "1 − 2·2^(3/4)/5"
    with pytest.raises(RamacError, match="action 1 has mass 1/2 in β and 0 in π"):
        discrete.proof(["1/2", "1/2"], [1, 0])


def test_survey_has_no_violation_and_comes_near_to_equality():
    table = discrete.survey(400, np.random.default_rng(0))
    assert table["holds"].all()
    assert 0.99 < table.loc[~table["tight"], "ratio"].max() <= 1
    assert 0.5 < table["continuous"].mean() < 1
    assert (table["tight"] == (table["clone"] | (table["ood"] == 1))).all()
    np.testing.assert_allclose(table.loc[table["tight"], "ood"], table.loc[table["tight"], "bound"], atol=1e-15)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ([], "no probabilities"),
        ([0.5, 0.6], "sum to 11/10"),
        ([1.5, -0.5], "is -1/2"),
        ([float("nan"), 1.0], "is nan"),
        (["x"], "'x'"),
        ([None], "None"),
    ],
)
def test_bad_probabilities(bad, said):
    with pytest.raises(ValueError, match=said):
        discrete.law(bad)


def test_bad_pairs():
    with pytest.raises(RamacError, match="2 and 1 actions"):
        discrete.holds([0.5, 0.5], [1])
    with pytest.raises(RamacError, match="mass on the support is 0"):
        discrete.restrict([1, 0], [0, 1])
    with pytest.raises(RamacError, match="count is 0"):
        discrete.survey(0, np.random.default_rng(0))
