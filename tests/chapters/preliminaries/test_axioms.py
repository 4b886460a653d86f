"""Coherence: the axioms hold where theory says so, and fail where it says so, by as much as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.preliminaries.axioms import AXIOMS, counterexample, violations

COHERENT = [
    ("cvar", {"alpha": 0.1}),
    ("cvar", {"alpha": 0.35}),
    ("cvar", {"alpha": 1.0}),
    ("wang", {}),
    ("wang", {"parameter": -0.2}),
    ("power", {}),
    ("power", {"parameter": -0.5}),
    ("neutral", {}),
]
NOT_SUPERADDITIVE = [
    ("cpw", {}),
    ("wang", {"parameter": 0.2}),  # RAFMAC's released setting
    ("power", {"parameter": 2.0}),
]
VALUES = st.floats(-100, 100)


def measure(name, options):
    return lambda values, mass: risk.risk_of_law(values, mass, name, **options)


@st.composite
def positions(draw):
    """Two positions on up to eight outcomes, some of which may be impossible."""
    n = draw(st.integers(1, 8))
    mass = draw(arrays(np.float64, n, elements=st.floats(0, 1)).filter(lambda p: p.sum() > 1e-3))
    x, y = (draw(arrays(np.float64, n, elements=VALUES)) for _ in range(2))
    return x, y, mass / mass.sum()


@given(st.sampled_from(COHERENT), positions(), VALUES, st.floats(0, 10))
def test_averse_measures_are_coherent(chosen, pair, shift, scale):
    found = violations(measure(*chosen), *pair, shift=shift, scale=scale)
    assert set(found) == set(AXIOMS)
    assert max(found.values()) < 1e-9 * 1e4  # values up to 1000, probabilities to 1e-9


@given(st.sampled_from(NOT_SUPERADDITIVE), positions(), VALUES, st.floats(0, 10))
def test_every_distortion_has_the_other_three_axioms(chosen, pair, shift, scale):
    found = violations(measure(*chosen), *pair, shift=shift, scale=scale)
    assert max(found[axiom] for axiom in AXIOMS[:3]) < 1e-5


@given(positions(), VALUES, st.floats(0, 10), st.floats(0.05, 1))
def test_value_at_risk_has_the_other_three_axioms(pair, shift, scale, alpha):
    found = violations(lambda v, p: risk.value_at_risk_of_law(v, p, alpha), *pair, shift=shift, scale=scale)
    # A shift or a scale may round two values into a tie, which moves a quantile only between these two.
    assert max(found[axiom] for axiom in AXIOMS[:3]) < 1e-9


def test_cpw_fails_on_three_outcomes_by_the_difference_of_its_weights():
    # With weights w₁ < w₂, losing 1 in outcome 1 and losing 1 in outcome 2 cost w₁ each, both together w₁ + w₂.
    found = counterexample(measure("cpw", {}))
    w = risk.weights("cpw", 3)
    assert w[0] < w[1]
    assert len(found.x) == 3
    assert found.parts == pytest.approx(-2 * w[0])
    assert found.whole == pytest.approx(-w[0] - w[1])


def test_a_risk_seeking_measure_fails_on_two_outcomes():
    found = counterexample(measure("wang", {"parameter": 0.2}))
    assert len(found.x) == 2
    assert found.whole == -1


def test_value_at_risk_first_fails_where_a_loss_is_rarer_than_alpha():
    # One loss in ten is seen by VaR_0.1, one in eleven is not, two in eleven are.
    value_at_risk = risk.value_at_risk_of_law
    assert counterexample(value_at_risk, most=10) is None
    found = counterexample(value_at_risk, most=11)
    assert len(found.x) == 11
    assert (found.parts, found.whole) == (0, -1)


@pytest.mark.parametrize("chosen", COHERENT)
def test_no_counterexample_to_a_coherent_measure(chosen):
    assert counterexample(measure(*chosen), most=6) is None
    assert counterexample(measure(*chosen), values=(-2, 0, 1), most=3) is None


def test_the_released_floor_rule_is_a_cvar_and_hence_coherent():
    w = risk.weights("cvar", 6, alpha=0.4, rule="floor")  # two of six
    floor = lambda v, p: float(np.sort(v) @ w)  # noqa: E731
    even = np.full(6, 1 / 6)
    rng = np.random.default_rng(0)
    for _ in range(200):
        x, y = rng.normal(size=(2, 6))
        assert max(violations(floor, x, y, even).values()) < 1e-12


def test_violations_are_measured():
    even = np.full(2, 0.5)
    x, y = np.array([-1.0, 0.0]), np.array([0.0, -1.0])
    best = lambda v, p: float(v.max())  # noqa: E731
    assert violations(best, x, y, even)["superadditive"] == 1  # 0 + 0 against −1
    square = lambda v, p: float((v**2).mean())  # noqa: E731
    found = violations(square, x, y, even, shift=3, scale=2)
    assert found["translation"] == pytest.approx(abs((4 + 9) / 2 - 0.5 - 3))
    assert found["homogeneous"] == pytest.approx(2 - 1)
    assert found["monotone"] == pytest.approx(1 - 0.5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: violations(f, np.ones(2), np.ones(2), np.full(2, 0.5), scale=-1), "scale is -1"),
        (lambda f: violations(f, np.ones(2), np.ones(2), np.full(2, 0.5), shift=np.nan), "hold nan"),
        (lambda f: violations(f, np.ones(2), np.ones(3), np.full(2, 0.5)), r"shapes \(2,\) and \(3,\)"),
        (lambda f: violations(f, np.ones(2), np.ones(2), np.full(2, 0.4)), "sum to 0.8"),
        (lambda f: counterexample(f, most=0), "outcomes is 0"),
        (lambda f: counterexample(f, values=(0, np.inf)), "hold inf"),
        (lambda f: counterexample(f, values=()), r"shape \(0,\)"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(RamacError, match=words):
        call(measure("cvar", {}))
