"""Known laws and the estimators' bias and spread on them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.preliminaries import laws, study

LAWS = {
    "normal": (laws.normal(2, 3), stats.norm(2, 3).cdf),
    "student": (laws.student(3, 2), stats.t(3, scale=2).cdf),
    "ruin": (laws.ruin(2), lambda x: np.exp(np.minimum(x, 0) / 2)),
    "mixture": (laws.mixture(), lambda x: 0.1 * stats.norm.cdf(x + 20) + 0.9 * stats.norm.cdf(x - 5)),
}


@pytest.mark.parametrize("name", LAWS)
def test_a_quantile_function_inverts_its_cdf(name):
    law, cdf = LAWS[name]
    u = np.linspace(0.001, 0.999, 500)
    np.testing.assert_allclose(cdf(law.quantile(u)), u, atol=1e-6)


def test_the_trap_is_the_bandits_ring():
    law = laws.trap()
    assert law.risk("cvar") == pytest.approx(-3.2)
    assert law.risk("neutral") == pytest.approx(1.3)
    assert sorted(set(law.quantile(np.array([0.049, 0.05, 0.051])))) == pytest.approx([-8.2, 1.8])


def test_closed_forms():
    assert laws.normal(2, 3).risk("cvar") == pytest.approx(2 - 3 * stats.norm.pdf(stats.norm.ppf(0.1)) / 0.1, abs=1e-7)
    assert laws.ruin(2).risk("cvar") == pytest.approx(2 * (np.log(0.1) - 1), abs=1e-7)
    assert laws.mixture().risk("neutral") == pytest.approx(2.5, abs=1e-6)


def test_draws_are_of_the_law_and_finite():
    draws = laws.normal().draw((100, 200), np.random.default_rng(0))
    assert draws.shape == (100, 200)
    assert stats.kstest(draws.ravel(), "norm").pvalue > 0.01

    class Zero:
        def random(self, shape):
            return np.zeros(shape)

    assert np.isfinite(laws.normal().draw(3, Zero())).all()


# -- what eq. 7 is minimal at -------------------------------------------------------------------------------------


def test_huber_quantiles_tend_to_the_quantiles_as_kappa_falls():
    grid = risk.grid(16)
    for law in (laws.normal(), laws.ruin()):
        errors = [np.abs(law.huber_quantiles(grid, kappa) - law.quantile(grid)).max() for kappa in (1, 0.1, 0.01)]
        assert errors[0] > 5 * errors[1] > 25 * errors[2]


def test_huber_quantiles_tend_to_expectiles_as_kappa_grows():
    law, tau = laws.normal(), np.array([0.1, 0.5, 0.9])
    z = law.quantile((np.arange(20_000) + 0.5) / 20_000)
    for q, t in zip(law.huber_quantiles(tau, 100.0), tau, strict=True):
        # An expectile balances the two sides' squared errors: τ E(Z − q)₊ = (1 − τ) E(q − Z)₊.
        assert t * np.maximum(z - q, 0).mean() == pytest.approx((1 - t) * np.maximum(q - z, 0).mean(), abs=1e-6)


@pytest.mark.parametrize(("sd", "percent"), [(1, 8.6), (5, 2.1), (10, 1.1)])
def test_the_bias_of_kappa_one_on_normal_laws(sd, percent):
    law, grid = laws.normal(0, sd), risk.grid(32)
    exact = law.quantile(grid)
    error = np.abs(law.huber_quantiles(grid) - exact).max() / np.ptp(exact)
    assert 100 * error == pytest.approx(percent, abs=0.06)


@given(st.floats(0.02, 0.98), st.floats(0.1, 5), st.floats(-3, 3), st.floats(0.5, 4))
def test_huber_quantiles_move_with_the_law(tau, kappa, shift, scale):
    # Scaling the law and κ together scales the minimiser, shifting the law shifts it.
    t = np.array([tau])
    base = laws.normal().huber_quantiles(t, kappa, 500)
    moved = laws.normal(shift, scale).huber_quantiles(t, kappa * scale, 500)
    np.testing.assert_allclose(moved, shift + scale * base, atol=1e-6)


@given(st.integers(0, 2**31), st.integers(1, 30), st.floats(0.01, 5))
def test_huber_quantiles_are_within_kappa_of_the_quantiles(seed, count, kappa):
    values = np.sort(np.random.default_rng(seed).normal(0, 3, count))
    law = laws.Law("empirical", lambda u: values[np.minimum((u * count).astype(int), count - 1)])
    grid = risk.grid(7)
    found = law.huber_quantiles(grid, kappa, points=40 * count)
    below, above = law.quantile(grid - 1e-9), law.quantile(grid + 1e-9)  # where F⁻¹ jumps, either will do
    assert (found >= below - kappa - 1e-6).all()
    assert (found <= above + kappa + 1e-6).all()


def test_huber_quantiles_minimise_the_librarys_loss():
    torch = pytest.importorskip("torch")
    from ramac_lib.networks.quantile_loss import quantile_huber

    law, taus = laws.trap(), risk.grid(8)
    z = torch.as_tensor(law.quantile((np.arange(2000) + 0.5) / 2000))[None]
    best = law.huber_quantiles(taus, points=2000)

    def loss(q):
        return quantile_huber(torch.as_tensor(q)[None], z, torch.as_tensor(taus)).item()

    for move in np.random.default_rng(0).normal(0, 0.1, (50, 8)):
        assert loss(best) <= loss(best + move) + 1e-12


# -- bias and spread ----------------------------------------------------------------------------------------------


def test_bias_and_spread_of_known_estimates():
    values = np.random.default_rng(1).normal(3, 2, 50_000)
    found = study.bias_and_spread(values, 2.5)
    assert found["bias"] == pytest.approx(0.5, abs=4 * found["bias_se"])
    assert found["bias_se"] == pytest.approx(2 / np.sqrt(50_000), rel=0.02)
    assert found["sd"] == pytest.approx(2, abs=4 * found["sd_se"])
    assert found["sd_se"] == pytest.approx(2 / np.sqrt(2 * 50_000), rel=0.05)  # σ/√(2R) for a normal law
    assert found["rmse"] == pytest.approx(np.sqrt(4 + 0.25), abs=0.05)
    constant = study.bias_and_spread(np.full(10, 0.1), 0.0)
    assert (constant["sd"], constant["sd_se"], constant["bias_se"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.0799, 0.0024, "0.080(3)"),
        (-0.0799, 0.002, "−0.080(2)"),
        (4.6976, 0.047, "4.70(5)"),
        (1.0, 0.0096, "1.00(1)"),
        (12.34, 3.1, "12(4)"),
        (-1.6667, 0.0, "−1.667"),
    ],
)
def test_values_are_shown_with_their_error(value, error, text):
    assert study.with_error(value, error) == text


@pytest.fixture(scope="module")
def on_the_normal_law():
    return {
        setting: study.estimates(laws.normal(), 32, setting, np.random.default_rng(2), repetitions=20_000)
        for setting in study.SETTINGS
    }


def bias(values):
    return study.bias_and_spread(values, -stats.norm.pdf(stats.norm.ppf(0.1)) / 0.1)


def test_of_a_quantile_function_only_eq_9_is_unbiased(on_the_normal_law):
    found = {name: bias(values) for name, values in on_the_normal_law["quantile function"].items()}
    assert set(found) == set(study.ESTIMATORS)
    assert abs(found["eq. 9"]["bias"]) < 4 * found["eq. 9"]["bias_se"]
    assert found["eq. 4"]["bias"] > 10 * found["eq. 4"]["bias_se"]
    # σ_τ of the lowest tenth over √32, from the truncated normal's variance.
    tail = stats.truncnorm(-np.inf, stats.norm.ppf(0.1)).std()
    assert found["eq. 9"]["sd"] == pytest.approx(tail / np.sqrt(32), rel=0.03)
    assert found["eq. 15"]["sd"] == found["bin weights"]["sd"] == 0
    grid = stats.norm.ppf(risk.grid(32))
    assert on_the_normal_law["quantile function"]["eq. 15"][0] == pytest.approx(grid[:3].mean())


def test_of_samples_the_bin_weights_are_eq_4_and_the_others_are_not(on_the_normal_law):
    values = on_the_normal_law["samples"]
    np.testing.assert_allclose(values["bin weights"], values["eq. 4"], atol=1e-12)
    found = {name: bias(v) for name, v in values.items()}
    # Fractions drawn from the empirical law add spread and no bias of their own.
    assert found["eq. 9"]["bias"] == pytest.approx(found["eq. 4"]["bias"], abs=6 * found["eq. 9"]["bias_se"])
    assert found["eq. 9"]["sd"] > found["eq. 4"]["sd"]
    assert found["eq. 15"]["bias"] < found["eq. 4"]["bias"] - 6 * found["eq. 4"]["bias_se"]  # a smaller α


@given(st.integers(1, 60), st.floats(0.02, 1), st.integers(0, 2**31))
def test_where_alpha_n_is_whole_the_floor_rule_is_exact_on_samples(n, alpha, seed):
    samples = np.random.default_rng(seed).normal(size=n)
    k = max(1, int(alpha * n))
    assert risk.cvar_grid(samples, n, k / n, "floor") == pytest.approx(float(risk.cvar(samples, k / n)), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: study.estimates(laws.normal(), 0, "samples", r), "values is 0"),
        (lambda r: study.estimates(laws.normal(), 8, "critic", r), "unknown setting 'critic'"),
        (lambda r: study.estimates(laws.normal(), 8, "samples", r, alpha=0), "alpha is 0"),
        (lambda r: study.estimates(laws.normal(), 8, "samples", r, repetitions=0), "repetitions is 0"),
        (lambda r: study.bias_and_spread(np.ones(1), 0.0), r"shape \(1,\)"),
        (lambda r: study.bias_and_spread(np.array([1.0, np.nan]), 0.0), "hold nan"),
        (lambda r: laws.normal().huber_quantiles(np.array([0.5]), 0.0), "kappa is 0"),
        (lambda r: laws.normal().huber_quantiles(np.array([1.5])), "fraction is 1.5"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(RamacError, match=words):
        call(np.random.default_rng(0))
