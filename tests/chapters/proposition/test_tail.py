"""The bounds on the difference of two CVaRs: never exceeded, attained, and the constant that cannot be improved."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.proposition import tail

ALPHAS = [0.02, 0.1, 0.3, 0.5, 0.7, 1.0]


@st.composite
def pairs(draw):
    """Values in [0, 1] and two laws on them."""
    n = draw(st.integers(2, 5))
    values = sorted(draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    both = [draw(st.lists(st.integers(0, 60), min_size=n, max_size=n).filter(any)) for _ in range(2)]
    return np.array(values), *(np.array(parts) / sum(parts) for parts in both)


@given(pairs(), st.floats(0.01, 1))
@settings(max_examples=200, deadline=None)
def test_no_pair_of_laws_exceeds_any_of_the_bounds(pair, alpha):
    values, first, second = pair
    gap = abs(float(tail.cvar(values, first, alpha) - tail.cvar(values, second, alpha)))
    kl = tail.divergence(first, second)
    by_tv = tail.total_variation_bound(min(np.abs(first - second).sum() / 2, 1), alpha)
    assert gap <= by_tv + 1e-9
    sharp = tail.sharp_bound(kl, alpha)
    assert gap <= sharp + 1e-7
    assert sharp <= tail.pinsker_bound(kl, alpha) + 1e-9
    assert sharp <= tail.best_constant(alpha) * np.sqrt(kl) + 1e-9


@pytest.mark.parametrize("alpha", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("kl", [1e-6, 1e-3, 0.02, 0.6])
def test_two_coins_attain_the_sharp_bound(alpha, kl):
    p, q = tail.extremal_pair(kl, alpha)
    assert tail.coin_divergence(p, q) <= kl + 1e-12
    worst = [risk.risk_of_law([-3.0, 1.0], [x, 1 - x], "cvar", alpha=alpha) for x in (p, q)]
    assert worst[0] - worst[1] == pytest.approx(float(tail.sharp_bound(kl, alpha, 4.0)), rel=1e-6)
    assert (p == 0) == (kl >= -log(1 - alpha))


@pytest.mark.parametrize("alpha", ALPHAS)
def test_total_variation_is_attained_by_moving_mass_to_the_worst(alpha):
    for t in (0.0, alpha / 3, alpha, 1.0):
        other = risk.risk_of_law([0.0, 1.0], [t, 1 - t], "cvar", alpha=alpha)
        assert 1 - other == pytest.approx(float(tail.total_variation_bound(t, alpha)), abs=1e-12)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_frontier_against_a_scan_of_all_pairs_of_coins(alpha):
    p, q = np.meshgrid(*[np.linspace(0, alpha, 801)] * 2)
    kl = tail.coin_divergence(p, q)
    for k in (0.001, 0.03, 0.4):
        scanned = np.abs(p - q)[kl <= k].max()
        assert scanned <= float(tail.tail_frontier(k, alpha)) + 1e-9 <= scanned + 2 * alpha / 800 + 1e-8


@pytest.mark.parametrize("alpha", [a for a in ALPHAS if a < 1])
def test_best_constant_is_the_limit_of_small_divergence_and_never_exceeded(alpha):
    k = np.logspace(-8, 1, 60)
    found = tail.tail_frontier(k, alpha) / (alpha * np.sqrt(k))
    assert found.max() <= tail.best_constant(alpha) * (1 + 1e-6)
    assert found[0] == pytest.approx(tail.best_constant(alpha), rel=1e-3)


def test_known_constants():
    assert tail.best_constant(0.1) == pytest.approx(sqrt(18))
    assert tail.best_constant(0.5) == pytest.approx(sqrt(2))
    assert tail.best_constant(1.0) == pytest.approx(sqrt(1 / 2))
    assert tail.pinsker_bound(0.02, 0.1, 3.0) == pytest.approx(3.0)
    assert tail.sharp_bound(-log(0.9), 0.1, 7.0) == pytest.approx(7.0)
    assert tail.tail_frontier(0.0, 0.1) == pytest.approx(0, abs=1e-12)
    assert tail.coin_divergence(0.0, 0.3) == pytest.approx(-log(0.7))
    assert tail.divergence([0.5, 0.5], [1.0, 0.0]) == np.inf


def test_batched_cvar_is_that_of_risk():
    rng = np.random.default_rng(0)
    values, laws = np.sort(rng.normal(size=6)), rng.dirichlet(np.ones(6), 20)
    for alpha in (0.1, 0.77, 1.0):
        want = [risk.risk_of_law(values, law, "cvar", alpha=alpha) for law in laws]
        np.testing.assert_allclose(tail.cvar(values, laws, alpha), want, atol=1e-12)


@pytest.mark.parametrize("alpha", [0.1, 0.8])
def test_survey_finds_pairs_near_the_sharp_bound_and_none_beyond(alpha):
    table = tail.survey(2000, alpha, np.random.default_rng(0))
    assert (table["gap"] <= table["sharp"] + 1e-9).all()
    assert (table["gap"] <= table["by_tv"] + 1e-9).all()
    assert (table["kl_returns"] <= table["kl"] + 1e-12).all()
    assert (table["gap"] / table["sharp"]).max() > 0.99
    assert table["constant"].max() <= tail.best_constant(alpha)


@pytest.mark.parametrize("alpha", [0.1, 0.7])
def test_a_search_that_knows_nothing_of_it_comes_near_the_sharp_bound_and_not_beyond(alpha):
    found, limit = tail.search(0.01, alpha, np.random.default_rng(0)), float(tail.sharp_bound(0.01, alpha))
    assert 0.97 * limit < found <= limit + 1e-9


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tail.sharp_bound(-0.1, 0.1), "divergence is -0.1"),
        (lambda: tail.pinsker_bound(np.nan, 0.1), "divergence is nan"),
        (lambda: tail.tail_frontier(0.1, 1.2), "alpha is 1.2"),
        (lambda: tail.best_constant(0.0), "alpha is 0"),
        (lambda: tail.extremal_pair(0.1, 0.7), "alpha is 0.7"),
        (lambda: tail.coin_divergence(1.1, 0.5), "probability is 1.1"),
        (lambda: tail.divergence([0.5, 0.6], [0.5, 0.5]), "sum to 1.1"),
        (lambda: tail.divergence([1.5, -0.5], [0.5, 0.5]), "probability is -0.5"),
        (lambda: tail.total_variation_bound(1.5, 0.1), "distance is 1.5"),
        (lambda: tail.pinsker_bound(0.1, 0.1, -1.0), "spread is -1.0"),
        (lambda: tail.search(0.0, 0.1, np.random.default_rng(0)), "kl is 0"),
        (lambda: tail.survey(0, 0.1, np.random.default_rng(0)), "count is 0"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(RamacError, match=said):
        call()
