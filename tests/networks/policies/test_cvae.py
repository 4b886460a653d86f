"""The conditional VAE: its negative ELBO by hand, its KL against torch's own, its clamps."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.cvae import CVAEPolicy


def make(seeds=(0,), **options):
    policy = CVAEPolicy((len(seeds),), 3, 2, **{"hidden": (16,), **options})
    initialise(policy, Noise(seeds, "init").generators)
    return policy


def test_negative_elbo_by_hand():
    """One row, two action dimensions, four latents: (â − a)² + ½ KL, each a mean over its dimensions."""
    policy = make()
    mean, log_std, noise = [0.5, -1.0, 0.0, 2.0], [0.0, -0.5, 1.0, 0.0], [1.0, 2.0, -1.0, 0.0]
    policy.encoder.forward = lambda x: torch.tensor([[mean + log_std]])
    policy.decoder.forward = lambda x: x[..., 3:5]  # the first two latents, behind the three observations
    actions = torch.tensor([[[0.2, -0.7]]])
    latents = [m + math.exp(s) * z for m, s, z in zip(mean, log_std, noise, strict=True)]
    error = ((math.tanh(latents[0]) - 0.2) ** 2 + (math.tanh(latents[1]) + 0.7) ** 2) / 2
    kl = sum((m**2 + math.exp(2 * s) - 1 - 2 * s) / 2 for m, s in zip(mean, log_std, strict=True)) / 4
    loss = policy.bc_loss(torch.zeros(1, 1, 3), actions, torch.tensor([[noise]]))
    assert loss.item() == pytest.approx(error + 0.5 * kl, rel=1e-5)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_kl_against_torchs(weight):
    """What the weight multiplies is the mean over rows and latents of KL(N(μ, σ²) ‖ N(0, 1))."""
    g = torch.Generator().manual_seed(0)
    s, a = torch.randn(2, 7, 3, generator=g), 2 * torch.rand(2, 7, 2, generator=g) - 1
    policy, without = make((0, 1), kl_weight=weight), make((0, 1), kl_weight=0.0)
    draws = policy.bc_draws(Noise((0, 1), "training"), 7)
    mean, log_std = policy.encoder(torch.cat([s, a], -1)).chunk(2, -1)
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0)).mean((1, 2))
    divergence = (policy.bc_loss(s, a, *draws) - without.bc_loss(s, a, *draws)) / weight
    torch.testing.assert_close(divergence, expected, rtol=1e-4, atol=1e-5)


def test_the_loss_reaches_encoder_and_decoder():
    policy = make((0, 1))
    s, a = torch.ones(2, 5, 3), torch.full((2, 5, 2), 0.3)
    policy.bc_loss(s, a, *policy.bc_draws(Noise((0, 1), "training"), 5)).sum().backward()
    assert all(p.grad.abs().flatten(1).sum(1).min() > 0 for p in policy.parameters())


@pytest.mark.parametrize("bound", [None, 0.5])
def test_latents_are_clamped_when_sampling(bound):
    policy = make(latent_clamp=bound)
    policy.decoder.forward = lambda x: x[..., 3:5]
    noise = torch.tensor([[[3.0, -0.2, 0.0, 0.0], [-0.5, -7.0, 0.0, 0.0]]])
    kept = [[0.5, -0.2], [-0.5, -0.5]] if bound else [[3.0, -0.2], [-0.5, -7.0]]
    torch.testing.assert_close(policy.sample(noise, torch.zeros(1, 2, 3)), torch.tensor([kept]).tanh())


def test_latents_are_not_clamped_when_training():
    """The posterior may lie outside the box that actions are sampled from."""
    s, a, z = torch.zeros(1, 4, 3), torch.zeros(1, 4, 2), torch.full((1, 4, 4), 3.0)
    torch.testing.assert_close(make(latent_clamp=0.5).bc_loss(s, a, z), make().bc_loss(s, a, z))


def test_the_posteriors_scale_is_clamped():
    policy = make()
    policy.encoder.forward = lambda x: torch.tensor([[[0.0] * 4 + [-9.0, -4.0, 2.0, 40.0]]])
    _, log_std = policy.encode(torch.zeros(1, 1, 3), torch.zeros(1, 1, 2))
    assert log_std.squeeze().tolist() == [-4.0, -4.0, 2.0, 15.0]


def test_latents_are_twice_as_wide_as_actions():
    policy = make()
    assert policy.noise_shape(7) == (7, 4)
    assert policy.bc_draws(Noise((0,), "training"), 7)[0].shape == (1, 7, 4)


def test_actions_lie_in_the_box_and_depend_on_the_state():
    policy = make()
    noise = 5 * Noise((0,), "training").normal(50, 4)
    here, there = (policy.sample(noise, torch.full((1, 50, 3), v)) for v in (0.0, 30.0))
    assert max(here.abs().max(), there.abs().max()) <= 1
    assert (here - there).abs().max() > 1e-2


def test_a_seed_does_not_depend_on_its_neighbours():
    both, alone = make((4, 9)), make((9,))
    noise = Noise((4, 9), "training").normal(6, 4)
    s = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(both.sample(noise, s)[1:], alone.sample(noise[1:], s[1:]))
