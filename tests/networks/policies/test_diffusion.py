"""The diffusion policy: its schedule, its chain against a hand-rolled one, its loss, and what it can learn."""

import pytest
import torch

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.diffusion import DiffusionPolicy, vp_betas


def make(seeds=(0,), **options):
    policy = DiffusionPolicy((len(seeds),), 3, 2, **{"hidden": (32,), **options})
    initialise(policy, Noise(seeds, "init").generators)
    return policy


def test_vp_schedule_of_five_steps():
    # The values of the released configuration, b = (0.1, 10).
    assert vp_betas(5).tolist() == pytest.approx([0.196, 0.459, 0.636, 0.755, 0.835], abs=5e-4)


@pytest.mark.parametrize("steps", [5, 20, 50])
def test_vp_schedule_destroys_the_action(steps):
    # Summed over t the exponent is b_min + (b_max − b_min)/2, whatever T: ᾱ_T = exp(−5.05).
    assert torch.prod(1 - vp_betas(steps).double()).item() == pytest.approx(torch.tensor(-5.05).exp().item(), rel=1e-4)


def test_a_perfect_noise_prediction_returns_the_action():
    """With ε_θ the exact noise of one known action a, every chain ends at a."""
    policy = make(steps=7)
    action = torch.tensor([0.3, -0.8])
    step = iter(reversed(range(policy.steps)))

    def exact(x, t, s):
        k = next(step)
        return (x - policy.sqrt_bar[k] * action) / policy.sqrt_one_minus_bar[k]

    policy.noise_prediction.forward = exact
    noise = Noise((0,), "training").normal(*policy.noise_shape(10))
    torch.testing.assert_close(policy.sample(noise, torch.zeros(1, 10, 3)), action.expand(1, 10, 2), atol=1e-4, rtol=0)


def test_posterior_coefficients_match_bayes():
    """q(x_{t−1} | x_t, x_0) from the product of two Gaussians."""
    policy = make(steps=5)
    betas = vp_betas(5).double()
    bar = torch.cumprod(1 - betas, 0)
    for t in range(1, 5):
        # Precision and mean of N(x; √ᾱ_{t−1} x0, 1 − ᾱ_{t−1}) · N(x_t; √α_t x, β_t).
        precision = 1 / (1 - bar[t - 1]) + (1 - betas[t]) / betas[t]
        assert policy.step_std[t].item() == pytest.approx(precision.rsqrt().item(), rel=1e-5)
        weight_x0 = bar[t - 1].sqrt() / (1 - bar[t - 1]) / precision
        weight_x = (1 - betas[t]).sqrt() / betas[t] / precision
        assert policy.mean_from_x0[t].item() == pytest.approx(weight_x0.item(), rel=1e-5)
        assert policy.mean_from_x[t].item() == pytest.approx(weight_x.item(), rel=1e-5)


def test_bc_loss_by_hand():
    policy = make(steps=5)
    policy.noise_prediction.forward = lambda x, t, s: 2 * x
    actions, noise = torch.tensor([[[0.5, -0.5]]]), torch.tensor([[[1.0, 0.0]]])
    keep, blur = policy.sqrt_bar[2], policy.sqrt_one_minus_bar[2]
    by_hand = ((2 * (0.5 * keep + blur) - 1) ** 2 + (2 * -0.5 * keep) ** 2) / 2
    loss = policy.bc_loss(torch.zeros(1, 1, 3), actions, torch.tensor([[2]]), noise)
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-5)


def test_actions_lie_in_the_box_and_depend_on_the_state():
    policy = make()
    noise = Noise((0,), "training").normal(*policy.noise_shape(50))
    here, there = (policy.sample(noise, torch.full((1, 50, 3), v)) for v in (0.0, 3.0))
    assert here.abs().max() <= 1
    assert (here - there).abs().max() > 1e-3


def test_a_seed_does_not_depend_on_its_neighbours():
    both, alone = make((4, 9)), make((9,))
    noise = Noise((4, 9), "training").normal(*both.noise_shape(6))
    s = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(both.sample(noise, s)[1:], alone.sample(noise[1:], s[1:]))


def test_gradient_through_the_chain_against_finite_differences():
    policy = make(steps=4).double()
    noise = Noise((0,), "training").normal(*policy.noise_shape(3)).double() * 0.3
    s = torch.zeros(1, 3, 3, dtype=torch.float64)
    parameter = policy.noise_prediction.mlp.layers[-1].bias

    def objective():
        return policy.sample(noise, s).square().sum()

    (gradient,) = torch.autograd.grad(objective(), [parameter])
    for k in range(2):
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[..., k] += sign * 1e-6
                values.append(objective())
                parameter[..., k] -= sign * 1e-6
        assert gradient[..., k].item() == pytest.approx((values[0] - values[1]).item() / 2e-6, rel=1e-4)
