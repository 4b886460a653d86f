"""Finite MDPs in rational arithmetic: laws by hand, criteria against enumeration, and the example of chapter 1."""

from fractions import Fraction as F

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.preliminaries.tabular import TabularMDP, cvar_of, wait_or_gamble

TENTH, DISCOUNT = F(1, 10), F(99, 100)

RATIONALS = st.fractions(-10, 10, max_denominator=20)
LAWS = st.dictionaries(RATIONALS, st.integers(1, 9), min_size=1, max_size=6).map(
    lambda law: {value: F(count, sum(law.values())) for value, count in law.items()}
)


@given(LAWS, st.fractions(F(1, 50), 1, max_denominator=50))
def test_exact_cvar_agrees_with_the_librarys(law, alpha):
    values, mass = (np.array([float(x) for x in column]) for column in zip(*law.items(), strict=True))
    assert float(cvar_of(law, alpha)) == pytest.approx(
        risk.risk_of_law(values, mass / mass.sum(), "cvar", alpha=float(alpha)), abs=1e-9
    )


@given(LAWS, st.fractions(F(1, 50), 1, max_denominator=50))
def test_exact_cvar_is_the_maximum_of_the_dual(law, alpha):
    dual = [nu - sum(p * max(nu - z, F(0)) for z, p in law.items()) / alpha for nu in law]
    assert cvar_of(law, alpha) == max(dual)


def test_law_of_two_steps_by_hand():
    mdp = TabularMDP(
        {
            "a": {"go": [(F(1, 2), F(1), "b"), (F(1, 2), F(0), None)]},
            "b": {"left": [(F(1), F(2), None)], "right": [(F(1, 4), F(8), None), (F(3, 4), F(0), None)]},
        }
    )
    assert mdp.law({"a": "go", "b": "left"}, "a", "go", F(1, 2)) == {F(2): F(1, 2), F(0): F(1, 2)}
    right = mdp.law({"a": "go", "b": "right"}, "a", "go", F(1, 2))
    assert right == {F(5): F(1, 8), F(1): F(3, 8), F(0): F(1, 2)}
    assert len(mdp.policies()) == 2
    assert mdp.greedy(F(1))["b"] == "left"  # equal means: the first


def test_equal_returns_of_different_ways_are_one_atom():
    mdp = TabularMDP({"a": {"go": [(F(1, 2), F(1), None), (F(1, 2), F(0), "b")]}, "b": {"go": [(F(1), F(1), None)]}})
    assert mdp.law({"b": "go"}, "a", "go") == {F(1): F(1)}


def test_the_two_criteria_choose_differently():
    mdp = wait_or_gamble()
    agent = mdp.greedy(TENTH, DISCOUNT)
    reported = mdp.best(TENTH)
    assert (agent["choice"], reported["choice"]) == ("gamble", "wait")
    assert mdp.episode_cvar(agent, TENTH) == F(-197, 40)
    assert mdp.episode_cvar(reported, TENTH) == F(-83, 20)
    # Either difference alone changes the choice: no discount, or the view from the start.
    assert mdp.greedy(TENTH)["choice"] == "wait"
    assert mdp.best(TENTH, DISCOUNT)["choice"] == "wait"
    # And for the mean the two criteria agree.
    assert mdp.greedy(F(1), DISCOUNT) == mdp.best(F(1), DISCOUNT)


def test_the_state_is_worth_what_the_chapter_says():
    mdp = wait_or_gamble()
    policy = mdp.greedy(TENTH, DISCOUNT)
    assert cvar_of(mdp.law(policy, "choice", "gamble", DISCOUNT), TENTH) == F(3, 2)
    assert cvar_of(mdp.law(policy, "choice", "wait", DISCOUNT), TENTH) == F(17, 10) * DISCOUNT**20


def test_laws_have_mass_one_and_the_mean_obeys_bellman():
    mdp = wait_or_gamble(3)
    for policy in mdp.policies():
        law = mdp.law(policy, "start", "go", DISCOUNT)
        assert sum(law.values()) == 1
        later = mdp.law(policy, "choice", policy["choice"], DISCOUNT)
        mean = sum(z * p for z, p in later.items())
        assert sum(z * p for z, p in law.items()) == F(1, 20) * -10 + F(19, 20) * DISCOUNT * mean


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: TabularMDP({}), "0 states"),
        (lambda: TabularMDP({"a": {}}), "'a' has 0 actions"),
        (lambda: TabularMDP({"a": {"go": [(F(1, 2), F(0), None)]}}), "sum to 1/2"),
        (lambda: TabularMDP({"a": {"go": [(F(3, 2), F(0), None), (F(-1, 2), F(0), None)]}}), "probability -1/2"),
        (lambda: TabularMDP({"a": {"go": [(F(1), F(0), "a")]}}), "leads to 'a'"),
        (lambda: cvar_of({F(1): F(1)}, F(0)), "alpha is 0"),
        (lambda: cvar_of({F(1): F(1)}, F(3, 2)), "alpha is 3/2"),
        (lambda: cvar_of({}, TENTH), "sum to 0"),
        (lambda: cvar_of({F(1): F(2), F(2): F(-1)}, TENTH), "hold -1"),
        (lambda: wait_or_gamble(0), "delay is 0"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(RamacError, match=words):
        call()
