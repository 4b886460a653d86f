"""Stacked layers against torch.nn, the critic's factorised form against the plain one."""

import math

import pytest
import torch
from torch import nn

from ramac_lib.critics import IQNCritic
from ramac_lib.networks import MLP, Linear, TimeEmbedding, initialise
from ramac_lib.noise import Noise


def test_linear_is_torchs_linear_for_each_member():
    layer = Linear((2, 3), 4, 5)
    initialise(layer, Noise((0, 1), "init").generators)
    x = torch.randn(2, 3, 7, 4)
    for i in range(2):
        for j in range(3):
            plain = nn.functional.linear(x[i, j], layer.weight[i, j].T, layer.bias[i, j, 0])
            torch.testing.assert_close(layer(x)[i, j], plain)


@pytest.mark.parametrize(("init", "std"), [("fan_in", 1 / math.sqrt(3 * 400)), (("normal", 0.1), 0.1)])
def test_initial_scale(init, std):
    layer = Linear((1,), 400, 300, init)
    initialise(layer, Noise((0,), "init").generators)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)


def test_initial_parameters_depend_on_the_seed_alone():
    def parameters(seeds):
        critic = IQNCritic((len(seeds),), 3, 2, hidden=8, embedding=4, n_cos=4)
        initialise(critic, Noise(seeds, "init").generators)
        return list(critic.parameters())

    for both, alone in zip(parameters((5, 7)), parameters((7,)), strict=True):
        torch.testing.assert_close(both[1:], alone, rtol=0, atol=0)
    weight = parameters((5,))[0]
    assert not torch.equal(weight[0, 0], weight[0, 1])  # the two critics differ


def test_mlp_has_no_activation_at_its_end():
    mlp = MLP((1,), (3, 8, 2), "relu")
    initialise(mlp, Noise((0,), "init").generators)
    assert (mlp(torch.randn(1, 100, 3)) < 0).any()


def test_time_embedding_starts_from_sines_and_cosines():
    embedding = TimeEmbedding((1,), 4)
    embedding.mlp.forward = lambda x: x
    values = embedding(torch.tensor([0.0, 3.0]))
    expected = [[0, 0, 1, 1], [math.sin(3), math.sin(3e-4), math.cos(3), math.cos(3e-4)]]
    torch.testing.assert_close(values, torch.tensor(expected))


def plain_critic(critic, s, a, tau, member):
    """Z(s, a; τ) of one critic, one row and one fraction, term by term as in the docstring."""
    i, c = member

    def affine(layer, x):
        return x @ layer.weight[i, c] + layer.bias[i, c, 0]

    encoded = affine(critic.encoder, torch.cat([affine(critic.state, s).relu(), affine(critic.action, a).relu()]))
    cosines = torch.cos(math.pi * torch.arange(critic.harmonics.numel()) * tau)
    fraction = affine(critic.fraction, cosines).relu()
    return affine(critic.head, affine(critic.hidden, encoded * fraction).relu())[0]


@pytest.mark.parametrize("per_seed", [False, True])
def test_critic_by_hand(per_seed):
    critic = IQNCritic((2,), 3, 2, hidden=16, embedding=8, n_cos=6, init="fan_in")
    initialise(critic, Noise((0, 1), "init").generators)
    s, a = torch.randn(2, 4, 3), torch.randn(2, 4, 2)
    taus = torch.rand(2, 5) if per_seed else torch.rand(5)
    quantiles = critic(s, a, taus)
    assert quantiles.shape == (2, 2, 4, 5)
    for i, c, row, k in [(0, 0, 0, 0), (1, 0, 3, 4), (0, 1, 2, 1), (1, 1, 1, 3)]:
        tau = taus[i, k] if per_seed else taus[k]
        by_hand = plain_critic(critic, s[i, row], a[i, row], tau, (i, c))
        torch.testing.assert_close(quantiles[i, c, row, k], by_hand)


def test_the_critics_own_backward_pass():
    """The hand-written gradient of relu(x W + b) · h against finite differences."""
    from ramac_lib.critics import _ReluHead

    shapes = ((2, 5, 3), (2, 3, 4), (2, 1, 4), (2, 4))
    g = torch.Generator().manual_seed(0)
    inputs = [torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(_ReluHead.apply, inputs)
