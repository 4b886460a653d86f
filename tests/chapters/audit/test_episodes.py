"""What few episodes and the choice among evaluations do to a report, on distributions that are known."""

import numpy as np
import pytest
from scipy.stats import norm

from ramac_lib.risk import cvar
from ramac_lib.system.errors import RamacError
from support.audit.episodes import best_of, expected_lowest, pooled_and_averaged


def test_the_lowest_of_n_from_two_outcomes_is_a_binomial():
    returns = np.array([0.0, 1.0])
    assert expected_lowest(returns, 3) == pytest.approx(1 / 8)  # only where all three are 1
    assert expected_lowest(returns, 2, 2) == pytest.approx(0.5)  # both of two: the mean
    # The two lowest of three: none, one, or two of them are 1.
    assert expected_lowest(returns, 3, 2) == pytest.approx(0.5 * (3 / 8) + 1 / 8)


def test_the_lowest_of_ten_normals_flatters_their_cvar():
    returns = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    assert expected_lowest(returns, 10) == pytest.approx(-1.53875, abs=2e-3)  # tables of order statistics
    assert cvar(returns, 0.1) == pytest.approx(-1.75498, abs=2e-3)
    assert expected_lowest(returns, 10) > expected_lowest(returns, 50, 5) > cvar(returns, 0.1)


def test_the_best_of_forty_means_of_ten():
    returns = norm.ppf((np.arange(4000) + 0.5) / 4000)
    found = best_of(returns, np.random.default_rng(0), repeats=4000)
    assert found.mean == pytest.approx(2.1608 / np.sqrt(10), abs=0.01)  # the largest of forty standard normals
    # Given the mean of ten normals, their lowest is shifted with it.
    assert found.cvar == pytest.approx(-1.53875 + 2.1608 / np.sqrt(10), abs=0.03)


def test_one_evaluation_flatters_no_mean_and_a_constant_nothing():
    returns = np.arange(10.0)
    found = best_of(returns, np.random.default_rng(0), evaluations=1, repeats=4000)
    assert found.mean == pytest.approx(4.5, abs=0.06)
    assert best_of(np.full(5, 3.0), np.random.default_rng(0)) == (3.0, 3.0)


def test_choosing_by_the_tail_lifts_the_tail_more():
    returns = np.random.default_rng(1).normal(size=500)
    by_mean, by_tail = (best_of(returns, np.random.default_rng(0), criterion=c) for c in ("mean", "cvar"))
    assert by_tail.cvar > by_mean.cvar
    assert by_mean.mean > by_tail.mean


def test_the_mean_over_seeds_is_never_below_the_pooled_cvar():
    rng = np.random.default_rng(0)
    groups = [rng.normal(mean, size=40) for mean in (0, 3, 6)]
    pooled, averaged = pooled_and_averaged(groups)
    assert averaged > pooled + 2
    same = pooled_and_averaged([groups[0]] * 3)
    assert same[0] == pytest.approx(same[1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: expected_lowest(np.arange(3.0), 2, 3), "3 lowest of 2"),
        (lambda: expected_lowest(np.array([]), 2), "expected"),
        (lambda: best_of(np.arange(3.0), np.random.default_rng(0), criterion="median"), "median"),
        (lambda: pooled_and_averaged([np.arange(2.0), np.arange(3.0)]), "[2, 3]"),
    ],
)
def test_bad_input_is_refused(call, says):
    with pytest.raises(RamacError, match=says.replace("[", r"\[").replace("]", r"\]")):
        call()
