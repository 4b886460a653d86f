"""The push test, on the bandit, whose laws say which way is up."""

import numpy as np
import pytest
import torch

from ramac_lib import diagnostics, toy
from ramac_lib.bandit import ENV_ID
from ramac_lib.errors import RamacError
from ramac_lib.methods import get_method


@pytest.fixture(scope="module")
def linear():
    """RADAC with critics that are known: Z(s, a; τ) = τ a₁ + (1 − τ) a₂."""
    method = get_method("radac")(get_method("radac").Config.for_task("risky-bandit"), 1, 2, (0,), 10)

    def quantiles(observations, actions, taus):
        one, two = actions[:, None, :, None, 0], actions[:, None, :, None, 1]
        return (taus * one + (1 - taus) * two).expand(-1, 2, -1, -1)

    method.critic.forward = quantiles
    return method


def test_a_move_follows_the_measures_gradient(linear):
    actions = torch.zeros(1, 3, 2)
    nothing = torch.zeros(1, 3, 1)
    for alpha, tau in ((0.1, 0.05), (1.0, 0.5)):  # CVaR_α averages the fractions below α: its mean fraction is α/2
        expected = 0.2 * np.array([tau, 1 - tau]) / np.hypot(tau, 1 - tau)
        moved = diagnostics.nudged(linear, nothing, actions, alpha, 0.2)
        np.testing.assert_allclose(moved.numpy(), np.broadcast_to(expected, (1, 3, 2)), atol=1e-6)
        back = diagnostics.nudged(linear, nothing, actions, alpha, -0.2)
        torch.testing.assert_close(back, -moved)


def test_moves_end_at_the_box(linear):
    edge = torch.ones(1, 2, 2)
    torch.testing.assert_close(diagnostics.nudged(linear, torch.zeros(1, 2, 1), edge, 1.0, 0.5), edge)


@pytest.mark.slow
def test_a_trained_critic_points_to_the_safe_mode():
    """From the inner half of the gap on, CVaR's gradient leads inward: returns rise along it and fall against it."""
    fitted = toy.fit_critic((0,), 700, {"n_fractions": 20, "lr_critic": 2e-3, "batch_size": 128})
    angle = torch.linspace(0, 2 * np.pi, 65)[:64]
    start = 0.75 * torch.stack([angle.cos(), angle.sin()], dim=-1)[None]  # on the ring's inner part
    states = torch.zeros(1, 64, 1)
    inward, outward = (diagnostics.nudged(fitted, states, start, 0.1, size).norm(dim=-1).mean() for size in (0.3, -0.3))
    assert inward < 0.75 < outward


def test_rows_and_refusals(linear):
    table = diagnostics.push_test(linear, ENV_ID, None, 1, 5)
    assert table["size"].tolist() == [0.0, 0.1, -0.1, 0.1, -0.1]
    assert table["length"].tolist() == [1.0] * 5
    clone = get_method("bc-flow")(get_method("bc-flow").Config.for_task("risky-bandit"), 1, 2, (0,), 10)
    with pytest.raises(RamacError, match="has no quantile critics"):
        diagnostics.push_test(clone, ENV_ID, None, 1, 5)
