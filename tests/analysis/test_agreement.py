import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from ramac_lib import risk
from ramac_lib.analysis.agreement import (
    compare,
    crossed_interval,
    observed_frequency,
    ratio_interval,
    sampling_gap,
    summary,
)
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError

GRID = risk.grid(32)


@given(arrays(float, st.integers(1, 40), elements=st.floats(-1e3, 1e3)), st.integers(1, 33))
def test_a_samples_own_quantiles_are_calibrated_whatever_its_atoms(returns, n):
    fractions = risk.grid(n)
    learned = np.quantile(returns, fractions, method="inverted_cdf")
    np.testing.assert_allclose(observed_frequency(learned, returns, fractions), fractions, atol=1e-12)


def test_exact_quantiles_of_the_bandits_ring_are_on_the_diagonal():
    bandit = Bandit()
    values, probabilities = bandit.reward_law("ring")
    returns = np.repeat(values, np.rint(1000 * probabilities).astype(int))
    exact = bandit.reward_quantile("ring", GRID)
    np.testing.assert_allclose(observed_frequency(exact, returns, GRID), GRID)
    found = compare(bandit.reward_quantile("ring", risk.grid(20)), returns, risk.grid(20))
    assert found["learned_mean"] == pytest.approx(bandit.reward_mean("ring"))
    assert found["mc_cvar"] == pytest.approx(bandit.reward_risk("ring"))
    assert found["learned_cvar"] == pytest.approx(bandit.reward_risk("ring"))
    assert found["gap"] == pytest.approx(0)


def test_a_critic_that_knows_the_mean_alone_is_a_step():
    returns = norm.ppf(risk.grid(2000)) * 3 + 7
    flat = np.full(32, returns.mean())
    observed = observed_frequency(flat, returns, GRID)
    np.testing.assert_allclose(observed, 0.5, atol=1e-3)
    exact = observed_frequency(norm.ppf(GRID) * 3 + 7, returns, GRID)
    np.testing.assert_allclose(exact, GRID, atol=1e-3)


@given(st.floats(-50, 50), st.floats(0.1, 10))
def test_a_shift_is_the_bias_the_gap_and_the_distance(shift, scale):
    returns = scale * norm.ppf(GRID)
    found = compare(returns + shift, returns, GRID)
    assert found["learned_mean"] - found["mc_mean"] == pytest.approx(shift, abs=1e-9)
    assert found["gap"] == pytest.approx(abs(shift), abs=1e-9)
    assert found["wasserstein"] == pytest.approx(abs(shift), abs=1e-9)
    assert (found["mc_low"], found["mc_high"]) == (returns.min(), returns.max())


def test_crossed_quantiles_count_in_the_gap_but_not_in_the_distance_of_laws():
    returns = np.arange(32.0)
    found = compare(returns[::-1], returns, GRID)
    assert found["wasserstein"] == pytest.approx(0)
    assert found["gap"] == pytest.approx(np.abs(returns - returns[::-1]).mean())


def test_the_noise_is_about_the_gap_of_an_exact_critic():
    rng, exact = np.random.default_rng(0), norm.ppf(GRID)
    samples = rng.standard_normal((400, 64))
    gap = np.mean([compare(exact, sample, GRID)["gap"] for sample in samples])
    noise = np.mean([sampling_gap(sample, GRID) for sample in samples])
    assert noise == pytest.approx(gap, rel=0.15)
    assert sampling_gap(np.full(10, 3.0), GRID) == 0


def test_the_interval_counts_seeds_and_states_each_once():
    rng = np.random.default_rng(0)
    seeds, states = rng.normal(0, 2, (12, 1)), rng.normal(0, 3, (1, 15))
    values = seeds + states
    low, high = crossed_interval(values, resamples=4000)
    error = np.sqrt(seeds.var() / 12 + states.var() / 15)
    assert (high - low) / (2 * norm.ppf(0.975)) == pytest.approx(error, rel=0.08)
    assert low < values.mean() < high
    # One seed twice says no more of the states than once.
    once, twice = crossed_interval(states), crossed_interval(np.repeat(states, 2, axis=0))
    assert twice[1] - twice[0] == pytest.approx(once[1] - once[0], rel=0.05)
    low, high = crossed_interval(np.full((2, 3, 4), 5.0))
    np.testing.assert_allclose([low, high], 5.0)
    with pytest.raises(RamacError, match="at least one seed"):
        crossed_interval(np.zeros((0, 3)))


def states_table(bias):
    rows = [
        {
            "run": "a", "action": "policy", "seed": seed, "state": state, "critic": critic,
            "learned_mean": 10 + bias, "mc_mean": 10.0, "learned_cvar": 2.0, "mc_cvar": 4.0, "gap": 6.0,
            "learned_spread": 3.0 + critic, "mc_spread": 10.0 + state,
            "wasserstein": 3.0, "noise": 1.0, "mc_low": -10.0 - state, "mc_high": 40.0,
        }
        for seed in range(2) for state in range(3) for critic in range(2)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_summary_is_of_each_run_and_kind_of_action():
    table = pd.concat([states_table(5.0), states_table(-1.0).assign(action="data")])
    found = summary(table).set_index("action")
    assert found.loc["policy", ["bias", "bias_low", "bias_high"]].tolist() == pytest.approx([5, 5, 5])
    assert found.loc["data", "bias"] == pytest.approx(-1)
    assert found.loc["policy", ["tail_bias", "range", "seeds", "states"]].tolist() == pytest.approx([-2, 52, 2, 3])
    shares = found.loc["policy", ["gap", "wasserstein", "noise"]].tolist()
    assert shares == pytest.approx([6 / 52, 3 / 52, 1 / 52])


def test_the_spread_is_a_ratio_of_means_and_its_interval_moves_with_the_states():
    found = summary(states_table(0.0)).iloc[0]
    assert found["spread"] == pytest.approx(3.5 / 11)
    assert 3.5 / 12 <= found["spread_low"] < found["spread"] < found["spread_high"] <= 3.5 / 10
    assert all(np.isnan(ratio_interval(np.ones((1, 2)), np.zeros((1, 2)))[1:]))
    slip = compare(np.full(32, 3.0), norm.ppf(GRID), GRID)
    assert (slip["learned_spread"], slip["mc_spread"]) == (0, pytest.approx(2 * norm.ppf(0.9), rel=0.05))
