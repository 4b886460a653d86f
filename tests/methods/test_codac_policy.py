"""What CODAC's policy ascends, against values computed another way; the weights that the official code clamps."""

import numpy as np
import pytest
import torch
from method_helpers import batch, scramble
from quantile_helpers import ACT, B, N, S, drawn, intercept, law_of, reaches
from quantile_helpers import make as plain

from ramac_lib import risk
from ramac_lib.methods import get_method


def make(**options):
    """A method with critics away from their initial scale."""
    method = plain("codac", **options)
    scramble(method.critic, 1)
    scramble(method.policy, 2)
    return method


@pytest.mark.parametrize("measure", risk.MEASURES)
def test_policy_loss_by_hand(measure):
    """α log π − E min_k Σ_i w_i Z_k(τ_i), gradient into the policy alone."""
    method, data = make(risk=measure), batch()
    seen = intercept(method)
    noise = torch.randn(S, B, ACT, generator=torch.Generator().manual_seed(2))
    method.policy_noise = lambda *_: noise
    method.update_policy(data, clones=False)
    actions, log_prob = drawn(method.policy, noise, data.observations)
    quantiles = method.critic(data.observations, actions, method.grid)
    weights = torch.tensor(risk.weights(measure, N), dtype=torch.float32)
    one, two = (quantiles[:, c] @ weights for c in range(2))
    expected = 0.2 * log_prob.mean(1) - torch.minimum(one, two).mean(1)
    torch.testing.assert_close(seen["policy"], expected, rtol=1e-4, atol=1e-4)
    assert not reaches(seen["policy"], method.critic)
    losses, policy = (seen["policy"], expected), list(method.policy.parameters())
    for a, b in zip(*(torch.autograd.grad(loss.sum(), policy) for loss in losses), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=1e-5)


def test_the_minimum_is_of_the_measures_not_of_the_quantiles():
    """Two laws that cross: the lesser mean is −1, the mean of the lesser quantiles would be below."""
    method = make(risk="neutral")
    laws = torch.stack([torch.linspace(-10, 10, N), torch.full((N,), -1.0)])
    method.critic.forward = lambda s, a, taus: laws[:, None].expand(S, 2, B, N)
    assert method.policy_value(batch(), batch().actions).tolist() == pytest.approx([-1, -1])
    assert laws.amin(0).mean() < -2


@pytest.mark.parametrize("measure", risk.MEASURES)
@pytest.mark.parametrize("fractions", ["grid", "random"])
def test_the_measure_of_a_constant_is_the_constant(measure, fractions):
    """The official weights, min(g', 5) times the bins' widths, make half of it with CVaR_0.1; ours do not."""
    method = make(risk=measure, fractions=fractions, n_fractions=20)
    method.critic.forward = lambda s, a, taus: torch.full((S, 2, B, taus.shape[-1]), -8.0)
    assert method.policy_value(batch(), batch().actions).tolist() == pytest.approx([-8, -8], rel=1e-5)
    density = np.where(risk.grid(20) < 0.1, 10.0, 0.0)
    assert (np.minimum(density, 5) / 20).sum() == pytest.approx(0.5)
    assert (density / 20).sum() == pytest.approx(1.0)


def test_cvar_reads_the_lowest_tenth():
    method = make(n_fractions=20)
    method.critic.forward = lambda s, a, taus: (100 * taus).expand(S, 2, B, -1)
    assert method.policy_value(batch(), batch().actions).tolist() == pytest.approx([5, 5])  # ∫₀^.1 100 u du / .1


def test_random_fractions_draw_from_the_distorted_law():
    method = make(fractions="random", n_risk_fractions=20_000)
    method.critic.forward = lambda s, a, taus: (100 * taus)[:, None, None].expand(S, 2, B, -1)
    assert method.policy_value(batch(), batch().actions).tolist() == pytest.approx([5, 5], abs=0.1)


def test_the_policy_clones_within_its_warmup():
    method, data = make(steps=10, bc_warmup=0.2, short_run_rate=False), batch()
    seen = intercept(method)
    noise = torch.randn(S, B, ACT, generator=torch.Generator().manual_seed(2))
    method.policy_noise = lambda *_: noise
    for updates, clones in ((0, True), (1, True), (2, False)):
        method.updates = updates
        method.update_policy(data, **method.phase())
        _, log_prob = drawn(method.policy, noise, data.observations)
        _, _, law = law_of(method.policy, data.observations)
        likelihood = law.log_prob(data.actions).sum(-1).mean(1)
        expected = 0.2 * log_prob.mean(1) - likelihood
        assert torch.allclose(seen["policy"], expected, rtol=1e-4, atol=1e-4) == clones
    assert make(steps=5_000).bc_warmup == 0.5  # longer in a short run


def test_no_multiplier_on_the_robots_unless_asked_for():
    config = get_method("codac").Config
    assert config.for_task("hopper-medium-expert").lagrange_threshold is None
    assert config.for_task("risky-bandit").lagrange_threshold == 10
    assert not hasattr(make(), "lagrange")
    optimizer = make(lagrange_threshold=10.0, lr_lagrange=0.02).optimizers["lagrange"]
    assert optimizer.lr == 0.02
