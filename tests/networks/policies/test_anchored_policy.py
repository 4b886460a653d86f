"""The anchored policy: eq. 12 in closed form, its bound, where its gradients go."""

import math

import pytest
import torch

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.anchored import AnchoredPolicy
from ramac_lib.networks.policies.cvae import CVAEPolicy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy

S, B, OBS, ACT = 2, 50, 3, 2
PRIORS = {"cvae": CVAEPolicy, "diffusion": DiffusionPolicy, "flow": FlowPolicy}


def make(prior="flow", radius=0.25):
    policy = AnchoredPolicy(PRIORS[prior]((S,), OBS, ACT, hidden=(16,)), (S,), OBS, ACT, radius=radius, hidden=(16, 12))
    initialise(policy, Noise(range(S), "init").generators)
    return policy


def draws(policy, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(S, *policy.noise_shape(B), generator=g), torch.randn(S, B, OBS, generator=g)


@pytest.mark.parametrize("prior", PRIORS)
def test_the_noise_is_the_priors(prior):
    policy = make(prior)
    assert policy.noise_shape(B) == policy.prior.noise_shape(B)
    noise, states = draws(policy)
    assert torch.equal(policy.anchors(noise, states), policy.prior.sample(noise, states))
    assert policy.sample(noise, states).shape == (S, B, ACT)


def test_a_constant_residual_in_closed_form():
    """With ξ = (0.5, −3) everywhere: b + Φ tanh ξ, cut at the box."""
    policy = make(radius=0.4)
    policy.residual.forward = lambda x: torch.tensor([0.5, -3.0]).expand(*x.shape[:-1], 2)
    anchors = torch.tensor([[0.0, 0.0], [0.9, -0.9], [-1.0, 1.0]]).expand(S, 3, 2)
    up, down = 0.4 * math.tanh(0.5), 0.4 * math.tanh(3.0)
    expected = torch.tensor([[up, -down], [1.0, -1.0], [-1 + up, 1 - down]]).expand(S, 3, 2)
    torch.testing.assert_close(policy.perturb(anchors, torch.zeros(S, 3, OBS)), expected)


def test_the_residual_reads_the_state_and_its_anchor_in_this_order():
    policy = make()
    policy.residual.forward = lambda x: x[..., [0, OBS + 1]]  # the first of the state, the last of the anchor
    anchors, states = torch.full((S, 1, ACT), 0.2), torch.full((S, 1, OBS), -0.7)
    expected = 0.2 + 0.25 * torch.tensor([math.tanh(-0.7), math.tanh(0.2)]).expand(S, 1, 2)
    torch.testing.assert_close(policy.perturb(anchors, states), expected)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("radius", [0.0, 0.1, 0.5])
def test_no_action_is_further_from_its_anchor_than_the_radius(prior, radius):
    policy = make(prior, radius)
    with torch.no_grad():
        for parameter in policy.residual.parameters():
            parameter *= 20  # saturates tanh
    noise, states = draws(policy)
    actions = policy.sample(noise, states)
    distance = (actions - policy.anchors(noise, states)).abs().max()
    assert distance <= radius + 1e-6
    assert distance >= 0.9 * radius
    assert actions.abs().max() <= 1


def test_another_network_takes_the_residuals_place():
    policy = make()
    other = make().residual
    with torch.no_grad():
        other.layers[-1].bias += 1.0
    noise, states = draws(policy)
    anchors = policy.anchors(noise, states)
    mine, theirs = policy.perturb(anchors, states), policy.perturb(anchors, states, other)
    assert not torch.allclose(mine, theirs)
    policy.residual = other
    assert torch.equal(policy.perturb(anchors, states), theirs)


@pytest.mark.parametrize("prior", PRIORS)
def test_gradients_of_actions_and_of_cloning_do_not_mix(prior):
    policy = make(prior)
    residual, cloned = list(policy.residual.parameters()), list(policy.prior.parameters())
    noise, states = draws(policy)
    loss = policy.sample(noise, states).square().sum()
    assert all(g.abs().sum() > 0 for g in torch.autograd.grad(loss, residual, retain_graph=True))
    assert torch.autograd.grad(loss, cloned, allow_unused=True) == (None,) * len(cloned)
    actions = policy.sample(noise, states).detach()
    drawn = policy.bc_draws(Noise(range(S), "training"), B)
    loss = policy.bc_loss(states, actions, *drawn)
    torch.testing.assert_close(loss, policy.prior.bc_loss(states, actions, *drawn))
    assert torch.autograd.grad(loss.sum(), residual, allow_unused=True) == (None,) * len(residual)
