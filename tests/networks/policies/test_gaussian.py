"""The tanh-Gaussian policy against torch's own distributions, and its density's integral and edges."""

import math

import pytest
import torch
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import GaussianPolicy


def make(seeds=(0, 1), dims=(3, 2)):
    policy = GaussianPolicy((len(seeds),), *dims, hidden=(16,))
    initialise(policy, Noise(seeds, "init").generators)
    return policy


def fixed(mean, log_std):
    """A policy of one action dimension and one law in every state."""
    policy = make((0,), (1, 1))
    policy.mlp.forward = lambda s: torch.tensor([mean, log_std]).expand(*s.shape[:-1], 2)
    return policy


def reference(policy, observations):
    mean, log_std = policy.mlp(observations).double().chunk(2, dim=-1)
    return Independent(TransformedDistribution(Normal(mean, log_std.exp()), [TanhTransform()]), 1)


def states(rows=50):
    return torch.randn(2, rows, 3, generator=torch.Generator().manual_seed(2))


def test_log_prob_of_given_actions():
    policy, s = make(), states()
    actions = 1.98 * torch.rand(2, 50, 2, generator=torch.Generator().manual_seed(3)) - 0.99
    expected = reference(policy, s).log_prob(actions.double()).float()
    torch.testing.assert_close(policy.log_prob(s, actions), expected, rtol=1e-4, atol=1e-4)


def test_samples_and_their_log_prob():
    policy, s = make(), states()
    noise = Noise((0, 1), "training").normal(50, 2)
    actions, log_prob = policy.sample_with_log_prob(noise, s)
    mean, log_std = policy.mlp(s).chunk(2, dim=-1)
    torch.testing.assert_close(actions, torch.tanh(mean + log_std.exp() * noise))
    torch.testing.assert_close(actions, policy.sample(noise, s), rtol=0, atol=0)
    torch.testing.assert_close(log_prob, reference(policy, s).log_prob(actions.double()).float(), rtol=1e-3, atol=1e-3)


def test_atanh_round_trip():
    """A sampled action's density is the same when it is asked for by the action alone."""
    policy, s = make(), states()
    actions, log_prob = policy.sample_with_log_prob(Noise((0, 1), "training").normal(50, 2), s)
    assert actions.abs().max() < 0.999  # where atanh in single precision is exact enough to compare
    torch.testing.assert_close(policy.log_prob(s, actions), log_prob, rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.0, -1.0), (-0.5, 0.5)])
def test_density_integrates_to_one(mean, log_std):
    edges = torch.linspace(-1, 1, 20_001)
    middles = ((edges[1:] + edges[:-1]) / 2)[None, :, None]
    density = fixed(mean, log_std).log_prob(torch.zeros_like(middles), middles).exp()
    assert density.sum().item() * 1e-4 == pytest.approx(1, abs=2e-3)


def test_entropy_by_sampling():
    """−E log π by samples against the same integral over the interval."""
    policy = fixed(0.3, -0.7)
    _, log_prob = policy.sample_with_log_prob(Noise((0,), "training").normal(40_000, 1), torch.zeros(1, 40_000, 1))
    middles = (torch.arange(20_000) + 0.5)[None, :, None] / 10_000 - 1
    log_density = policy.log_prob(torch.zeros_like(middles), middles)
    integral = -(log_density.exp() * log_density).sum().item() * 1e-4
    error = log_prob.std().item() / math.sqrt(40_000)
    assert -log_prob.mean().item() == pytest.approx(integral, abs=4 * error + 1e-3)


@pytest.mark.parametrize("action", [1.0, -1.0])
def test_actions_on_the_edge_have_a_finite_density_and_gradient(action):
    policy, s = make(), states(4)
    log_prob = policy.log_prob(s, torch.full((2, 4, 2), action))
    gradients = torch.autograd.grad(log_prob.sum(), list(policy.parameters()))
    assert torch.isfinite(log_prob).all()
    assert all(torch.isfinite(g).all() for g in gradients)
    torch.testing.assert_close(log_prob, policy.log_prob(s, torch.full((2, 4, 2), action * (1 - 1e-6))))


def test_log_prob_far_outside_does_not_cancel():
    """log(1 − tanh² u) in single precision is −∞ from |u| ≈ 9 on; the true value is 2 (log 2 − |u|)."""
    policy = fixed(30.0, 0.0)
    actions, log_prob = policy.sample_with_log_prob(torch.zeros(1, 1, 1), torch.zeros(1, 1, 1))
    assert actions.item() == 1
    assert log_prob.item() == pytest.approx(-0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - 30), rel=1e-6)


def test_scale_is_clamped():
    for raw, kept in ((-50.0, -20.0), (0.3, 0.3), (9.0, 2.0)):
        assert fixed(0.0, raw).moments(torch.zeros(1, 1, 1))[1].item() == pytest.approx(kept)


def test_mode_is_the_sample_without_noise():
    policy, s = make(), states()
    torch.testing.assert_close(policy.mode(s), policy.sample(torch.zeros(2, 50, 2), s))


def test_cloning_loss_is_the_mean_negative_log_likelihood():
    policy, s = make(), states()
    actions = torch.full((2, 50, 2), 0.4)
    expected = -reference(policy, s).log_prob(actions.double()).mean(1).float()
    assert policy.bc_draws(Noise((0, 1), "training"), 50) == ()
    torch.testing.assert_close(policy.bc_loss(s, actions), expected, rtol=1e-4, atol=1e-4)


def test_gradient_of_samples_against_finite_differences():
    policy = make().double()
    s, noise = states(3).double(), Noise((0, 1), "training").normal(3, 2).double()
    bias = policy.mlp.layers[-1].bias

    def objective(value):
        policy.mlp.layers[-1].bias.data.copy_(value)
        actions, log_prob = policy.sample_with_log_prob(noise, s)
        return actions.square().sum() + 0.3 * log_prob.sum()

    start = bias.detach().clone()
    (gradient,) = torch.autograd.grad(objective(start), bias)
    for index in [(0, 0, 0), (1, 0, 3)]:
        step = torch.zeros_like(start)
        step[index] = 1e-6
        slope = (objective(start + step) - objective(start - step)).item() / 2e-6
        assert gradient[index].item() == pytest.approx(slope, rel=1e-5)
