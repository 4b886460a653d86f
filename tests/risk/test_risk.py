"""Risk measures against closed forms, and the properties that hold for every law."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ramac_lib import risk
from ramac_lib.analysis import intervals

ALPHAS = st.floats(0.01, 1)
SAMPLES = arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100))
NORMAL = stats.norm(2.0, 3.0)


def normal_cvar(alpha: float) -> float:
    return 2 - 3 * stats.norm.pdf(stats.norm.ppf(alpha)) / alpha


# -- closed forms: a quantile function's exact risk ---------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.5, 1.0])
def test_cvar_of_the_normal_law(alpha):
    assert risk.risk_of_quantile_function(NORMAL.ppf, "cvar", alpha=alpha) == pytest.approx(
        normal_cvar(alpha), abs=1e-6
    )


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.5])
def test_cvar_of_the_exponential_law(alpha):
    exact = 1 + (1 - alpha) * np.log(1 - alpha) / alpha  # ∫₀^α −log(1−u) du / α
    assert risk.risk_of_quantile_function(stats.expon.ppf, "cvar", alpha=alpha) == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("w", [-0.7, 0.2])
def test_wang_shifts_the_normal_mean_by_w_standard_deviations(w):
    assert risk.risk_of_quantile_function(NORMAL.ppf, "wang", parameter=w) == pytest.approx(2 + 3 * w, abs=1e-6)


@pytest.mark.parametrize(("eta", "exact"), [(-2.0, 1 / 4), (-1.0, 1 / 3), (0.0, 1 / 2), (1.0, 2 / 3), (2.0, 3 / 4)])
def test_power_of_the_uniform_law(eta, exact):
    # η < 0: the mean of the least of 1 + |η| draws; η > 0: of the greatest of 1 + η draws.
    assert risk.risk_of_quantile_function(lambda u: u, "power", parameter=eta) == pytest.approx(exact, abs=1e-9)


def test_power_minus_two_of_the_exponential_law_is_the_mean_of_the_least_of_three():
    assert risk.risk_of_quantile_function(stats.expon.ppf, "power") == pytest.approx(1 / 3, abs=1e-8)


def test_cpw_on_sampled_fractions_underweighs_both_tails():
    # Values by the formula, worked with c = .71: h(½) = ½^.71 / (2 · ½^.71)^{1/.71}.
    half = 0.5**0.71 / (2 * 0.5**0.71) ** (1 / 0.71)
    assert risk.distort_fractions("cpw", np.array(0.5)) == pytest.approx(half, abs=1e-12)
    w = risk.weights("cpw", 100) * 100
    assert w[0] < 0.5
    assert w[-1] < 0.5
    assert w[40] > 1


def test_neutral_is_the_mean():
    assert risk.risk_of_quantile_function(NORMAL.ppf, "neutral") == pytest.approx(2, abs=1e-8)


@pytest.mark.parametrize("p", [0.04, 0.1, 0.25])
def test_two_point_law(p):
    values, mass = np.array([5.0, -20.0]), np.array([1 - p, p])
    share = min(p / 0.1, 1)
    assert risk.risk_of_law(values, mass, "cvar") == pytest.approx(-20 * share + 5 * (1 - share))
    assert risk.risk_of_law(values, mass, "neutral") == pytest.approx(5 - 25 * p)
    assert risk.risk_of_law(values, mass, "power") == pytest.approx(5 - 25 * (1 - (1 - p) ** 3))
    wang = stats.norm.cdf(stats.norm.ppf(p) + 0.7)
    assert risk.risk_of_law(values, mass, "wang") == pytest.approx(5 - 25 * wang)
    for measure in risk.MEASURES:
        by_quadrature = risk.risk_of_quantile_function(lambda u: -20.0 if u <= p else 5.0, measure, jumps=[p])
        assert risk.risk_of_law(values, mass, measure) == pytest.approx(by_quadrature, abs=1e-6)


# -- distortions and weights --------------------------------------------------------------------------------------

DISTORTIONS = [
    ("cvar", {"alpha": 0.1}),
    ("cvar", {"alpha": 1.0}),
    ("wang", {}),
    ("wang", {"parameter": 0.75}),
    ("cpw", {}),
    ("cpw", {"parameter": risk.CPW_LEAST}),
    ("power", {}),
    ("power", {"parameter": 2.0}),
    ("neutral", {}),
]


@pytest.mark.parametrize(("measure", "options"), DISTORTIONS)
def test_the_distortion_of_the_cdf_inverts_that_of_the_fractions(measure, options):
    tau = np.linspace(0, 1, 1001)
    fractions = risk.distort_fractions(measure, tau, **options)
    assert (np.diff(fractions) >= 0).all()
    assert fractions.min() >= 0
    assert fractions.max() <= 1
    np.testing.assert_allclose(risk.distort_cdf(measure, fractions, **options), tau, atol=1e-6)
    g = risk.distort_cdf(measure, tau, **options)
    assert g[0] == 0
    assert g[-1] == 1


@given(st.sampled_from(DISTORTIONS), st.integers(1, 200))
def test_weights_are_a_probability(distortion, n):
    w = risk.weights(distortion[0], n, **distortion[1])
    assert w.shape == (n,)
    assert w.dtype == np.float64
    assert (w >= -1e-15).all()
    assert w.sum() == pytest.approx(1, abs=1e-12)


@given(st.integers(1, 200), ALPHAS)
def test_averse_weights_decrease(n, alpha):
    for w in (
        risk.weights("cvar", n, alpha=alpha),
        risk.weights("cvar", n, alpha=alpha, rule="floor"),
        risk.weights("wang", n),
        risk.weights("power", n),
    ):
        assert (np.diff(w) <= 1e-12).all()


def test_exact_weights_split_the_bin_that_alpha_cuts():
    np.testing.assert_allclose(risk.weights("cvar", 16)[:3], [1 / 1.6, 0.6 / 1.6, 0], atol=1e-12)
    np.testing.assert_allclose(risk.weights("neutral", 4), 0.25)
    np.testing.assert_allclose(risk.weights("power", 2), [7 / 8, 1 / 8])


@pytest.mark.parametrize(("n", "alpha", "k"), [(8, 0.1, 1), (16, 0.1, 1), (32, 0.1, 3), (100, 0.29, 29), (5, 1.0, 5)])
def test_eq_15_averages_the_lowest_k_fractions(n, alpha, k):
    np.testing.assert_allclose(risk.weights("cvar", n, alpha=alpha, rule="floor"), [1 / k] * k + [0] * (n - k))


@pytest.mark.parametrize(
    ("n", "floor", "exact"), [(8, 0.125, 0.125), (16, 0.0625, 0.1), (32, 0.09375, 0.1), (40, 0.1, 0.1)]
)
def test_effective_alpha(n, floor, exact):
    assert risk.effective_alpha(risk.weights("cvar", n, rule="floor")) == pytest.approx(floor)
    assert risk.effective_alpha(risk.weights("cvar", n)) == pytest.approx(exact)
    assert risk.effective_alpha(risk.weights("neutral", n)) == pytest.approx(1)


@given(SAMPLES, st.sampled_from(DISTORTIONS))
def test_effective_alpha_bounds_the_risk_from_below(samples, distortion):
    q = np.sort(samples)
    w = risk.weights(distortion[0], len(q), **distortion[1])
    below = risk.cvar(q, min(risk.effective_alpha(w), 1.0))
    assert below <= risk.risk_of_quantiles(q, w) + 1e-9


def test_grid_midpoints():
    np.testing.assert_allclose(risk.grid(4), [0.125, 0.375, 0.625, 0.875])


@pytest.mark.parametrize("measure", risk.MEASURES)
def test_the_grid_converges_to_the_exact_risk(measure):
    # A bounded quantile function, so that no tail is left out.
    exact = risk.risk_of_quantile_function(lambda u: u**2, measure)
    n = 2000
    assert risk.risk_of_quantiles(risk.grid(n) ** 2, risk.weights(measure, n)) == pytest.approx(exact, abs=1e-5)


def test_weights_cannot_be_spoilt_by_a_caller():
    risk.weights("wang", 8)[:] = 0
    assert risk.weights("wang", 8).sum() == pytest.approx(1)


# -- estimators ---------------------------------------------------------------------------------------------------


def test_cvar_takes_a_fraction_of_the_boundary_sample():
    samples = np.array([4.0, 1.0, 3.0, 2.0, 5.0])
    assert risk.cvar(samples, 0.2) == pytest.approx(1)
    assert risk.cvar(samples, 0.3) == pytest.approx((1 + 0.5 * 2) / 1.5)
    assert risk.cvar(samples, 0.1) == pytest.approx(1)
    assert risk.cvar(samples, 1.0) == pytest.approx(3)


@given(SAMPLES, ALPHAS)
def test_the_dual_form_equals_the_primal_one(samples, alpha):
    assert risk.cvar_dual(samples, alpha) == pytest.approx(float(risk.cvar(samples, alpha)), abs=1e-8)


@given(SAMPLES, ALPHAS)
def test_cvar_lies_between_the_least_sample_and_the_mean_and_below_the_quantile(samples, alpha):
    value = risk.cvar(samples, alpha)
    assert samples.min() - 1e-9 <= value <= samples.mean() + 1e-9
    assert value <= risk.value_at_risk(samples, alpha) + 1e-9


@given(SAMPLES, ALPHAS)
def test_value_at_risk_is_the_least_value_with_enough_mass_below(samples, alpha):
    value = risk.value_at_risk(samples, alpha)
    assert value in samples
    assert (samples <= value).mean() >= alpha - 1e-9
    assert (samples < value).mean() < alpha
    even = np.full(len(samples), 1 / len(samples))
    assert risk.value_at_risk_of_law(samples, even, alpha) == value


def test_estimators_work_along_the_last_axis():
    samples = np.random.default_rng(0).normal(size=(2, 3, 50))
    for estimate in (
        risk.cvar,
        risk.cvar_dual,
        risk.value_at_risk,
        lambda x: risk.cvar_grid(x, 16),
        lambda x: risk.risk(x, "cpw"),
    ):
        whole = estimate(samples)
        assert whole.shape == (2, 3)
        assert whole[1, 2] == pytest.approx(float(estimate(samples[1, 2])))


def test_large_samples_reach_the_closed_form():
    samples = NORMAL.rvs(400_000, random_state=np.random.default_rng(1))
    assert risk.cvar(samples) == pytest.approx(normal_cvar(0.1), abs=0.05)
    assert risk.risk(samples, "wang") == pytest.approx(2 - 3 * 0.7, abs=0.05)


def test_eq_15_on_a_grid_is_another_cvar():
    samples = NORMAL.rvs(200_000, random_state=np.random.default_rng(2))
    floor = risk.cvar_grid(samples, 16)
    assert floor == pytest.approx(NORMAL.ppf(1 / 32), abs=0.05)  # one fraction, the first
    assert abs(floor - normal_cvar(0.1)) > 0.25
    assert risk.cvar_grid(samples, 2000) == pytest.approx(normal_cvar(0.1), abs=0.05)


def test_eq_9_is_unbiased():
    rng = np.random.default_rng(3)
    estimates = [risk.cvar_random(NORMAL.ppf, 8, rng) for _ in range(2000)]
    error = np.std(estimates) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - normal_cvar(0.1)) < 4 * error


# -- the bootstrap ------------------------------------------------------------------------------------------------


def test_bootstrap_interval_covers_the_mean_and_counts_the_seeds():
    rng = np.random.default_rng(4)
    hits, wider = 0, 0
    for trial in range(60):
        seeds = [rng.normal(effect, 1, 20) for effect in rng.normal(0, 1, 10)]
        low, high = intervals.bootstrap_interval(seeds, np.mean, resamples=300, seed=trial)
        hits += low <= 0 <= high
        pooled = intervals.bootstrap_interval([np.concatenate(seeds)], np.mean, resamples=300, seed=trial)
        wider += (high - low) > 2 * (pooled[1] - pooled[0])
    # 57 of 60 when this was written; pooling as if episodes were independent covers the mean in 22 of 60.
    assert hits >= 48
    assert wider >= 55


def test_the_bootstraps_variance_is_the_standard_errors():
    seeds = [np.full(4, value) for value in (0.0, 3.0, 6.0)]  # no spread within a seed
    values = []
    intervals.bootstrap_interval(seeds, lambda x: values.append(x.mean()) or x.mean(), resamples=20_000)
    assert np.var(values) == pytest.approx(np.var([0.0, 3.0, 6.0], ddof=1) / 3, rel=0.05)


def test_bootstrap_interval_is_reproducible_and_takes_unequal_seeds():
    seeds = [np.arange(5.0), np.arange(30.0)]
    first = intervals.bootstrap_interval(seeds, risk.cvar, resamples=50, seed=7)
    assert first == intervals.bootstrap_interval(seeds, risk.cvar, resamples=50, seed=7)
    assert first != intervals.bootstrap_interval(seeds, risk.cvar, resamples=50, seed=8)
    assert intervals.bootstrap_interval([np.ones(3)] * 2, np.mean, resamples=10) == (1, 1)


def test_importing_risk_does_not_import_torch():
    code = "import sys, ramac_lib.risk; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
