"""Every public function of `ramac_lib.risk` refuses bad input with a ValueError that names the value."""

import numpy as np
import pytest

from ramac_lib import risk
from ramac_lib.analysis import intervals
from ramac_lib.system.errors import RamacError

ONE, TWO, EVEN = np.ones(1), np.arange(2.0), np.full(2, 0.5)
RNG = np.random.default_rng(0)

OF_ALPHA = {
    "check_alpha": risk.check_alpha,
    "cvar": lambda a: risk.cvar(TWO, a),
    "cvar_dual": lambda a: risk.cvar_dual(TWO, a),
    "cvar_grid": lambda a: risk.cvar_grid(TWO, 8, a),
    "cvar_random": lambda a: risk.cvar_random(np.sqrt, 4, RNG, a),
    "value_at_risk": lambda a: risk.value_at_risk(TWO, a),
    "value_at_risk_of_law": lambda a: risk.value_at_risk_of_law(TWO, EVEN, a),
    "risk": lambda a: risk.risk(TWO, "cvar", alpha=a),
    "risk_of_law": lambda a: risk.risk_of_law(TWO, EVEN, "cvar", alpha=a),
    "risk_of_quantile_function": lambda a: risk.risk_of_quantile_function(lambda u: u, "cvar", alpha=a),
    "weights": lambda a: risk.weights("cvar", 8, alpha=a),
    "weights, floor": lambda a: risk.weights("cvar", 8, alpha=a, rule="floor"),
    "distort_fractions": lambda a: risk.distort_fractions("cvar", EVEN, alpha=a),
    "distort_cdf": lambda a: risk.distort_cdf("cvar", EVEN, alpha=a),
}


@pytest.mark.parametrize("name", OF_ALPHA)
@pytest.mark.parametrize("alpha", [0, -0.1, 1.0000001, 10, float("nan"), float("inf")])
def test_alpha_outside_its_range(name, alpha):
    with pytest.raises(ValueError, match=rf"^alpha is {alpha}; expected a number in \(0, 1\]$"):
        OF_ALPHA[name](alpha)


@pytest.mark.parametrize("name", OF_ALPHA)
def test_alpha_of_one_is_allowed(name):
    OF_ALPHA[name](1)


OF_SAMPLES = {
    "cvar": risk.cvar,
    "cvar_dual": risk.cvar_dual,
    "cvar_grid": lambda z: risk.cvar_grid(z, 8),
    "value_at_risk": risk.value_at_risk,
    "risk": lambda z: risk.risk(z, "wang"),
    "bootstrap_interval": lambda z: intervals.bootstrap_interval([z], np.mean),
    "risk_of_law": lambda z: risk.risk_of_law(z, np.full(z.shape, 1 / max(z.size, 1)), "cvar"),
}


@pytest.mark.parametrize("name", OF_SAMPLES)
@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.empty(0), r"shape \(0,\)"),
        (np.array([1.0, np.nan]), "samples hold nan"),
        (np.array([-np.inf, 1.0]), "samples hold -inf"),
    ],
)
def test_samples_that_are_none(name, samples, words):
    with pytest.raises(ValueError, match=words):
        OF_SAMPLES[name](samples)


@pytest.mark.parametrize("of_law", [lambda v, p: risk.risk_of_law(v, p, "power"), risk.value_at_risk_of_law])
@pytest.mark.parametrize(
    ("mass", "words"),
    [
        ([0.5, 0.6], "probabilities sum to 1.1"),
        ([0.5, 0.499], "probabilities sum to 0.999"),
        ([-0.5, 1.5], "probabilities hold -0.5"),
        ([np.nan, 1.0], "probabilities hold nan"),
        ([np.inf, 0.0], "probabilities sum to inf"),
        ([1.0], r"shape \(1,\)"),
    ],
)
def test_probabilities_that_are_none(of_law, mass, words):
    with pytest.raises(ValueError, match=words):
        of_law(TWO, np.array(mass))


@pytest.mark.parametrize("of_weights", [risk.effective_alpha, lambda w: risk.risk_of_quantiles(np.zeros(len(w)), w)])
@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, 1.0, 1.0], "weights sum to 3.0"),
        ([1.5, -0.5], "weights hold -0.5"),
        ([np.nan, 1.0], "weights hold nan"),
        ([], r"weights have shape \(0,\)"),
    ],
)
def test_weights_that_are_none(of_weights, weights, words):
    with pytest.raises(ValueError, match=words):
        of_weights(np.array(weights))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: risk.risk(ONE, "var"), "unknown risk measure 'var'.*cvar, wang, cpw, power, neutral"),
        (lambda: risk.weights("cvar", 0), "fractions is 0"),
        (lambda: risk.weights("cvar", 2.5), "fractions is 2.5"),
        (lambda: risk.weights("cvar", 8, rule="ceil"), "unknown rule 'ceil'.*exact, floor"),
        (lambda: risk.weights("wang", 8, rule="floor"), "'cvar' only, not 'wang'"),
        (lambda: risk.weights("cpw", 8, parameter=0.2), "'cpw' is 0.2; expected at least 0.28"),
        (lambda: risk.weights("power", 8, parameter=np.nan), "'power' is nan"),
        (lambda: risk.weights("neutral", 8, parameter=1.0), "'neutral' takes none"),
        (lambda: risk.distort_fractions("wang", np.array([0.5, 1.2])), "fraction is 1.2"),
        (lambda: risk.grid(float("nan")), "fractions is nan"),
        (lambda: risk.grid(float("inf")), "fractions is inf"),
        (lambda: risk.distort_cdf("wang", np.array([np.nan])), "fraction is nan"),
        (lambda: risk.risk_of_quantiles(np.array([0.0, np.nan]), EVEN), "quantiles hold nan"),
        (lambda: risk.risk_of_quantiles(np.zeros(3), EVEN), r"shape \(3,\); expected 2"),
        (lambda: risk.risk_of_quantile_function(lambda u: np.nan, "cvar"), "quantile function is nan"),
        (lambda: risk.risk_of_quantile_function(lambda u: u, "cvar", jumps=[2]), "fraction is 2"),
        (lambda: risk.cvar_random(lambda u: np.full_like(u, np.nan), 4, RNG), "values hold nan"),
        (lambda: risk.cvar_random(np.sqrt, 0, RNG), "drawn fractions is 0"),
        (lambda: intervals.bootstrap_interval([], np.mean), "no seeds"),
        (lambda: intervals.bootstrap_interval([ONE], np.mean, level=95), "level is 95"),
        (lambda: intervals.bootstrap_interval([ONE], np.mean, resamples=0), "resamples is 0"),
    ],
)
def test_bad_input_is_refused_with_the_value(call, words):
    with pytest.raises(RamacError, match=words):
        call()
