"""The flow policy: Euler against closed forms, its loss by hand, gradients, independence of seeds."""

import math

import pytest
import torch

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.flow import FlowPolicy


def make(seeds=(0,), **options):
    policy = FlowPolicy((len(seeds),), 3, 2, **{"hidden": (32,), **options})
    initialise(policy, Noise(seeds, "init").generators)
    return policy


@pytest.mark.parametrize("steps", [1, 10, 100])
def test_euler_solves_a_linear_ode(steps):
    """da/dt = λ a: Euler's solution is (1 + λ/n)^n a(0) exactly, and tends to e^λ a(0)."""
    policy = make(steps=steps)
    rate = -0.7
    policy.velocity.forward = lambda x, t, s: rate * x
    start = torch.tensor([[[0.9, -0.4], [0.1, 0.2]]])
    end = policy.sample(start, torch.zeros(1, 2, 3))
    torch.testing.assert_close(end, start * (1 + rate / steps) ** steps)
    assert (end - start * math.exp(rate)).abs().max() < 0.25 / steps


def test_euler_follows_a_clock():
    """da/dt = 2t in units of the whole flow: Euler gives Σ 2(k/n)/n = (n − 1)/n."""
    policy = make(steps=10)
    policy.velocity.time.forward = lambda t: t[None, :, None] / 10  # hand the time through instead of embedding it
    policy.velocity.forward = lambda x, t, s: 2 * t.expand_as(x)
    end = policy.sample(torch.zeros(1, 4, 2), torch.zeros(1, 4, 3))
    torch.testing.assert_close(end, torch.full((1, 4, 2), 0.9))


def test_the_exact_field_of_a_point_transports_all_noise_to_it():
    """v(x, t) = (a − x)/(1 − t), the field of flow matching for one action a; Euler is exact along straight lines."""
    policy = make(steps=8)
    action = torch.tensor([0.5, -0.6])
    policy.velocity.time.forward = lambda t: t[None, :, None] / 8
    policy.velocity.forward = lambda x, t, s: (action - x) / (1 - t)
    noise = Noise((0,), "training").normal(20, 2)
    torch.testing.assert_close(policy.sample(noise, torch.zeros(1, 20, 3)), action.expand(1, 20, 2))


def test_bc_loss_by_hand():
    policy = make()
    policy.velocity.forward = lambda x, t, s: 3 * x
    actions, noise = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[0.0, 2.0]]])
    # x = ¼ a + ¾ z = (.25, 1.5); v = (.75, 4.5); a − z = (1, −2).
    loss = policy.bc_loss(torch.zeros(1, 1, 3), actions, torch.tensor([[0.25]]), noise)
    assert loss.item() == pytest.approx((0.25**2 + 6.5**2) / 2)


def test_a_seed_does_not_depend_on_its_neighbours():
    both, alone = make((4, 9)), make((9,))
    noise = Noise((4, 9), "training").normal(6, 2)
    s = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(both.sample(noise, s)[1:], alone.sample(noise[1:], s[1:]))


def test_times_of_the_loss_and_of_the_solver_are_embedded_alike():
    policy = make(steps=10)
    solver = policy.velocity.time(policy.times)
    loss = policy.velocity.time(torch.arange(10)[None] / 10 * policy.steps)
    torch.testing.assert_close(solver, loss)


def test_plain_times_stand_between_action_and_state_as_numbers_from_zero_to_below_one():
    policy, seen = make(steps=4, plain_time=True), []
    policy.velocity.mlp.forward = lambda x: seen.append(x) or torch.zeros(1, 5, 2)
    noise, s = torch.full((1, 5, 2), 0.5), torch.full((1, 5, 3), 7.0)
    policy.sample(noise, s)
    times = torch.tensor([[0.0, 0.1, 0.25, 0.5, 0.999]])
    policy.bc_loss(s, noise, times, noise)
    for x, t in zip(seen, [*(torch.full((1, 5), k / 4) for k in range(4)), times], strict=True):
        torch.testing.assert_close(x, torch.cat([noise, t[..., None], s], dim=-1))
    assert policy.velocity.mlp.layers[0].weight.shape == (1, 2 + 1 + 3, 32)
