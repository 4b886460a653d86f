"""Guided sampling where all is known: x ~ N(0, 1), Z | x ~ N(x, (½x²)²), so that J(x) = x − ½κx² is a CVaR."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.planner import Planner

WEIGHT, KAPPA = 0.4, 1.75498  # of CVaR_0.1: φ(Φ⁻¹(.1)) / .1
LAWS = {  # κ, and mean and standard deviation of the law in proportion to N(0, 1) exp(w J)
    "averse": (KAPPA, 0.23502, 0.76652),
    "neutral": (0.0, 0.4, 1.0),
    "seeking": (-KAPPA, 1.34225, 1.83184),
}


class Exact(torch.nn.Module):
    """The noise in x_t where x₀ ~ N(0, 1) in each entry: √(1−ᾱ_t) x_t."""

    def __init__(self, planner):
        super().__init__()
        self.planner = [planner]

    def time(self, times):
        return times[None, :, None]

    def forward(self, x, t, s):
        return self.planner[0].sqrt_one_minus_bar[t.long()] * x


def planner(steps, width=1):
    made = Planner((1,), 1, width, steps=steps, bound=None)
    made.noise_prediction = Exact(made)
    return made


def goal(kappa):
    return lambda x: (x - 0.5 * kappa * x.square()).sum(-1)


def sampled(made, predict, count, seed=0):
    draws = Noise((seed,), "evaluation").normal(*made.noise_shape(count))
    with torch.no_grad():
        return made.sample(draws, torch.zeros(1, count, 1), predict).flatten()


@pytest.mark.parametrize("attitude", LAWS)
def test_the_numbers_are_those_of_the_tilted_law(attitude):
    kappa, mean, std = LAWS[attitude]
    assert mean == pytest.approx(WEIGHT / (1 + WEIGHT * kappa), abs=1e-5)
    assert std == pytest.approx((1 + WEIGHT * kappa) ** -0.5, abs=1e-5)


@pytest.mark.parametrize("attitude", LAWS)
def test_exact_guidance_samples_the_tilted_law(attitude):
    """Where the gradient is that of log E[exp(w J(x₀)) | x_t], the chain ends in the tilted law."""
    kappa, mean, std = LAWS[attitude]
    made = planner(1000)

    def predict(x, t):
        bar = made.sqrt_bar[t]
        gradient = bar * WEIGHT * (1 - kappa * bar * x) / (1 + WEIGHT * kappa * (1 - bar**2))
        return made.sqrt_one_minus_bar[t] * (x - gradient)

    x = sampled(made, predict, 20_000)
    assert x.mean().item() == pytest.approx(mean, abs=0.05)  # of seeking .03 is the chain's start from N(0, 1)
    assert x.std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("kappa", [KAPPA, 0.0, -KAPPA])
def test_the_gradient_is_that_of_the_goal_at_the_reconstruction(kappa):
    """√ᾱ w(1 − κ√ᾱx); w(1 − κx), which knows nothing of the noise, is its limit as the noise vanishes."""
    made = planner(20)
    x = torch.linspace(-3, 3, 11)[None, :, None]
    states = torch.zeros(1, 11, 1)
    predict = made.guided(states, goal(kappa), WEIGHT)
    for t in range(20):
        bar = made.sqrt_bar[t]
        expected = bar * WEIGHT * (1 - kappa * bar * x)
        with torch.no_grad():
            gradient = x - predict(x, t) / made.sqrt_one_minus_bar[t]
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    near = planner(20_000)
    gradient = x - near.guided(states, goal(kappa), WEIGHT)(x, 0) / near.sqrt_one_minus_bar[0]
    torch.testing.assert_close(gradient, WEIGHT * (1 - kappa * x), rtol=1e-2, atol=1e-2)


def ends_at(made, kappa):
    """Mean and standard deviation of the guided chain's end, step by step: each step is affine in a Gaussian."""
    coefficients = ("x0_from_x", "x0_from_noise", "mean_from_x0", "mean_from_x", "step_std", "sqrt_bar")
    named = SimpleNamespace(**{name: getattr(made, name).double().numpy() for name in coefficients})
    mean, variance = 0.0, 1.0
    for t in reversed(range(made.steps)):
        bar, rest = named.sqrt_bar[t], 1 - named.sqrt_bar[t] ** 2
        slope, offset = rest**0.5 * (1 + WEIGHT * kappa * bar**2), -(rest**0.5) * WEIGHT * bar  # of ε̃ in x
        a = named.mean_from_x0[t] * (named.x0_from_x[t] - named.x0_from_noise[t] * slope) + named.mean_from_x[t]
        mean = a * mean - named.mean_from_x0[t] * named.x0_from_noise[t] * offset
        variance = a**2 * variance + (named.step_std[t] ** 2 if t else 0)
    return mean, variance**0.5


@pytest.mark.parametrize("steps", [20, 200])
def test_guidance_at_the_reconstruction_ends_where_the_recursion_says(steps):
    made, found = planner(steps), {}
    for attitude, (kappa, *_) in LAWS.items():
        x = sampled(made, made.guided(torch.zeros(1, 20_000, 1), goal(kappa), WEIGHT), 20_000)
        mean, std = found[attitude] = ends_at(made, kappa)
        assert x.mean().item() == pytest.approx(mean, abs=0.03)
        assert x.std().item() == pytest.approx(std, rel=0.03)
    # The missing 1 + wκ(1−ᾱ) leaves averse plans too high and seeking ones too low, but each on its side.
    (averse, narrow), (neutral, _), (seeking, wide) = (found[attitude] for attitude in LAWS)
    assert averse < neutral < seeking
    assert narrow < 1 < wide
    assert neutral == pytest.approx(0.4, abs=0.02)
    if steps == 200:
        assert (averse, neutral, seeking) == pytest.approx((0.287, 0.397, 0.573), abs=1e-3)


@pytest.mark.parametrize("attitude", LAWS)
def test_iterated_guidance_samples_the_tilted_law(attitude):
    """The planner's own guidance reaches the numbers, as its fixed point is the exact gradient."""
    kappa, mean, std = LAWS[attitude]
    made, x = planner(1000), torch.linspace(-3, 3, 7)[None, :, None]
    for t in (0, 300, 999):
        bar = made.sqrt_bar[t]
        exact = bar * WEIGHT * (1 - kappa * bar * x) / (1 + WEIGHT * kappa * (1 - bar**2))
        gradient = x - made.guided(torch.zeros(1, 7, 1), goal(kappa), WEIGHT, 40)(x, t) / made.sqrt_one_minus_bar[t]
        torch.testing.assert_close(gradient, exact, rtol=1e-3, atol=1e-4)
    made, count = planner(400), 10_000
    x = sampled(made, made.guided(torch.zeros(1, count, 1), goal(kappa), WEIGHT, 15), count)
    assert x.mean().item() == pytest.approx(mean, abs=0.06)
    assert x.std().item() == pytest.approx(std, rel=0.04)


def test_a_weight_of_zero_is_no_guidance_and_twice_the_weight_twice_the_gradient():
    made = Planner((2,), 3, 4, steps=5, hidden=(8,))
    initialise(made, Noise((0, 1), "init").generators)
    states, x = torch.randn(2, 6, 3), torch.randn(2, 6, 4)
    plain = made.prediction(states)(x, 3)
    zero, one, two = (made.guided(states, goal(1.0), w)(x, 3) for w in (0.0, 1.0, 2.0))
    assert torch.equal(zero, plain)
    torch.testing.assert_close(two - plain, 2 * (one - plain))
    assert (one - plain).abs().max() > 1e-3


def test_guidance_goes_through_the_network_and_leaves_no_gradient_in_it():
    made = Planner((1,), 1, 2, steps=5, hidden=(8,), bound=None)
    initialise(made, Noise((0,), "init").generators)
    states, x = torch.zeros(1, 3, 1), torch.randn(1, 3, 2)
    with torch.no_grad():
        predicted = made.guided(states, goal(0.5), 1.0)(x, 2)
    assert not predicted.requires_grad
    assert all(p.grad is None for p in made.parameters())
    # By finite differences of J(x̂₀(x)).
    plain, step = made.prediction(states), 1e-3
    with torch.no_grad():
        for k in range(2):
            move = step * torch.eye(2)[k]
            values = [goal(0.5)(made.reconstruct(y, plain(y, 2), 2)) for y in (x + move, x - move)]
            slope = (values[0] - values[1]) / (2 * step)
            gradient = (plain(x, 2) - predicted)[..., k] / made.sqrt_one_minus_bar[2]
            torch.testing.assert_close(gradient, slope, rtol=2e-2, atol=5e-3)


def test_the_bound_is_the_planners_own():
    made = Planner((1,), 1, 1, steps=5, hidden=(8,), bound=3.0)
    made.noise_prediction = Exact(made)
    far = made.guided(torch.zeros(1, 500, 1), goal(0.0), 50.0)
    x = sampled(made, far, 500)
    assert x.max() == 3
    assert np.abs(x.numpy()).max() == 3
