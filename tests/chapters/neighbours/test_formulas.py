"""What the neighbours' formulas say, against closed forms and numbers worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import norm

from ramac_lib import risk
from ramac_lib.methods.shared import constraint
from support.neighbours import guidance, pessimism

PROBLEM = guidance.Problem()


def test_the_tilted_gaussian():
    assert PROBLEM.tilted == pytest.approx((0.36897, 0.18570), abs=5e-6)


@pytest.mark.parametrize(
    ("t", "values"),
    [
        (1, (0.44829, 0.33477, -0.08281, 0.18274)),
        (3, (0.41176, 0.38244, -0.68904, -0.13864)),
        (5, (0.47739, 0.47187, -0.71876, -0.12068)),
    ],
)
def test_noises_at_one_half(t, values):
    bar = np.prod(1 - np.array(guidance.BETAS[:t]))
    assert [PROBLEM.noise(kind, 0.5, bar) for kind in guidance.KINDS] == pytest.approx(values, abs=1e-4)
    with pytest.raises(ValueError, match="cloning"):
        PROBLEM.noise("other", 0.5, bar)


def test_the_schedule():
    assert guidance.betas(5) == pytest.approx(guidance.BETAS, abs=5e-6)


@pytest.mark.parametrize(
    ("kind", "mean", "std"),
    [("cloning", 0.3, 0.071), ("exact", 0.369, 0.063), ("paper", 0.561, 0.33), ("code", 0.463, 0.14)],
)
def test_five_steps_of_the_chain(kind, mean, std):
    actions = guidance.generate(lambda x, bar: PROBLEM.noise(kind, x, bar), 5, 100_000, 0)
    assert (actions.mean(), actions.std()) == pytest.approx((mean, std), abs=4e-3)


def test_many_steps_of_the_exact_noise_give_the_tilted_policy():
    actions = guidance.generate(lambda x, bar: PROBLEM.noise("exact", x, bar), 1000, 20_000, 0)
    assert (actions.mean(), actions.std()) == pytest.approx(PROBLEM.tilted, abs=6e-3)


@pytest.mark.parametrize(("sign", "mean", "variance"), [(1, 0.23502, 0.58755), (0, 0.4, 1.0), (-1, 1.34225, 3.35562)])
def test_guided_plans(sign, mean, variance):
    kappa = sign * norm.pdf(norm.ppf(0.1)) / 0.1
    assert guidance.tilted_by_plan(0.4, kappa) == pytest.approx((mean, variance), abs=2e-5)
    with pytest.raises(ValueError, match="above 0"):
        guidance.tilted_by_plan(1.0, -1.5)


@pytest.mark.parametrize(("alpha", "kappa"), [(0.05, 2.06271), (0.1, 1.75498), (0.25, 1.27111)])
def test_the_tail_of_a_plan_lies_kappa_standard_deviations_down(alpha, kappa):
    """CVaR_α of N(x, (½x²)²) is x − κ ½x², here by the library's estimator on quantiles."""
    assert norm.pdf(norm.ppf(alpha)) / alpha == pytest.approx(kappa, abs=5e-6)
    fractions = risk.grid(200_000)
    for x in (-1.0, 0.5, 2.0):
        returns = norm.ppf(fractions, loc=x, scale=0.5 * x**2)
        assert risk.cvar(returns, alpha) == pytest.approx(x - kappa * 0.5 * x**2, abs=1e-3)


def test_qdqs_discount():
    found = pessimism.effective_discount(np.array([0.5, 1, 2, 4, 8]), 4.8)
    assert found == pytest.approx([0.98842] * 4 + [0.98307], abs=5e-6)
    # An uncertain action whose spread is .2 in units of the return is rewarded.
    assert 1 + 10 * pessimism.effective_discount(0.2, 0.1) == pytest.approx(11.2168)
    # With negative values the smaller discount is the larger value.
    assert 1 - 10 * pessimism.effective_discount(8.0, 4.8) == pytest.approx(-8.8307, abs=1e-4)


def test_windows():
    assert pessimism.window_coverage([150]) == pytest.approx((1 / 150, 0.866), abs=1e-4)
    assert pessimism.window_coverage([250, 1000])[0] == pytest.approx((6 + 81) / 1250)


def test_cpeds_table_of_steps():
    flow = 500_000
    every = [pessimism.released_multiplier(k, flow) for k in (0, 599_999, 600_000, 700_000, 900_000, 1_000_001)]
    assert every == [1000, 1000, 10, 7.5, 2.5, 1.5]
    assert [pessimism.released_multiplier(k, 50_000) for k in (150_000, 600_000, 700_000)] == [10, 0, -2.5]
    with pytest.raises(ValueError, match="at least 0"):
        pessimism.released_multiplier(-1, 0)


def test_a_constraint_and_a_penalty():
    assert pessimism.constrained_and_penalised(1.92345, 0.1) == pytest.approx((1.392, 1.4), abs=1e-3)
    assert pessimism.constrained_and_penalised(1.92345, 1.5)[1] == pytest.approx(1.02667, abs=1e-5)
    with pytest.raises(ValueError, match="above 0"):
        pessimism.constrained_and_penalised(-1, 1)


def test_a_scale_at_the_wrong_end():
    assert pessimism.not_inverted([0, 0]) < 1e-12
    assert pessimism.not_inverted([0.5, -0.5]) > 0.1


def test_one_gradient_a_step_keeps_the_order_and_not_the_distance():
    """In 200 steps .287, .397, .573 (`tests/networks/policies/test_planner`); the tilted laws have .235, .4, 1.342."""
    kappa = norm.pdf(norm.ppf(0.1)) / 0.1
    found = [guidance.reconstructed(0.4, sign * kappa, 200)[0] for sign in (1, 0, -1)]
    assert found == pytest.approx([0.287, 0.397, 0.573], abs=1e-3)
    assert guidance.reconstructed(0.0, kappa, 1000) == pytest.approx((0, 1), abs=0.01)
    seeking = guidance.reconstructed(0.4, -kappa)[0]  # by default
    assert (seeking - 0.4) / (1.34225 - 0.4) == pytest.approx(1 / 6, abs=0.01)


def test_the_two_tables_of_steps_agree():
    """The arithmetic of the page and the method's."""
    for flow in (50_000, 500_000):
        steps = [0, 149_999, 150_000, 550_000, 650_000, 999_999, 1_000_001, 1_400_000]
        own = [pessimism.released_multiplier(step, flow) for step in steps]
        assert constraint.released_multiplier(torch.tensor(steps), flow=flow).tolist() == own
