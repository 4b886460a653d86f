"""CODAC's quantile network against torch.nn's own layers, a member at a time."""

import math

import pytest
import torch
from torch import nn

from ramac_lib.networks.critics import QuantileMLP
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise

S, C, B, OBS, ACT, HIDDEN, COSINES, N = 3, 2, 4, 3, 2, 16, 6, 5


@pytest.fixture
def critic():
    network = QuantileMLP((S,), OBS, ACT, hidden=HIDDEN, n_cos=COSINES)
    initialise(network, Noise(range(S), "init").generators)
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():  # gains and offsets of their own, so that the norms' parameters count
        for norm in (network.encoder_norm, network.fraction_norm, network.hidden_norm):
            norm.weight += 0.5 * torch.randn(norm.weight.shape, generator=g)
            norm.bias += 0.5 * torch.randn(norm.bias.shape, generator=g)
    return network


def linear(layer, member):
    plain = nn.Linear(*layer.weight[member].shape)
    plain.load_state_dict({"weight": layer.weight[member].T, "bias": layer.bias[member][0]})
    return plain


def norm(layer, member):
    plain = nn.LayerNorm(layer.weight.shape[-1])
    plain.load_state_dict({"weight": layer.weight[member][0], "bias": layer.bias[member][0]})
    return plain


@pytest.mark.parametrize("per_seed", [False, True])
def test_against_torchs_layers(critic, per_seed):
    g = torch.Generator().manual_seed(0)
    states, actions = torch.randn(S, B, OBS, generator=g), torch.randn(S, B, ACT, generator=g)
    taus = torch.rand((S, N) if per_seed else (N,), generator=g)
    quantiles = critic(states, actions, taus)
    assert quantiles.shape == (S, C, B, N)
    for member in ((i, c) for i in range(S) for c in range(C)):
        base = nn.Sequential(linear(critic.encoder, member), norm(critic.encoder_norm, member), nn.ReLU())
        gate = nn.Sequential(linear(critic.fraction, member), norm(critic.fraction_norm, member), nn.Sigmoid())
        merge = nn.Sequential(linear(critic.hidden, member), norm(critic.hidden_norm, member), nn.ReLU())
        head = linear(critic.head, member)
        for row in range(B):
            for k in range(N):
                tau = taus[member[0], k] if per_seed else taus[k]
                cosines = torch.tensor([math.cos(math.pi * i * float(tau)) for i in range(1, COSINES + 1)])
                encoded = base(torch.cat([states[member[0], row], actions[member[0], row]]))
                value = head(merge(encoded * gate(cosines)))[0]
                torch.testing.assert_close(quantiles[(*member, row, k)], value, rtol=1e-4, atol=1e-5)


def test_a_members_gradient_is_its_own(critic):
    g = torch.Generator().manual_seed(0)
    states, actions = torch.randn(S, B, OBS, generator=g), torch.randn(S, B, ACT, generator=g)
    loss = critic(states, actions, torch.rand(N, generator=g))[1, 0].square().sum()
    for gradient in torch.autograd.grad(loss, list(critic.parameters())):
        sizes = gradient.flatten(2).abs().sum(2)
        assert sizes[1, 0] > 0
        sizes[1, 0] = 0
        assert (sizes == 0).all()
