"""Stacked layers against torch.nn, their initial parameters, the time embedding."""

import math

import pytest
import torch
from torch import nn

from ramac_lib.networks import layers
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import MLP, Linear, TimeEmbedding, initialise
from ramac_lib.networks.noise import Noise


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


def test_mish_is_torchs_mish_with_its_derivative():
    x = torch.cat([torch.linspace(-60, 60, 2001, dtype=torch.float64), torch.tensor([-1e4, 0.0, 1e4])])
    x.requires_grad_()
    for value in (x, x.float()):
        ours, theirs = layers.mish(value), torch.nn.functional.mish(value)
        tolerance = {"rtol": 1e-12, "atol": 1e-15} if value.dtype == torch.float64 else {"rtol": 2e-6, "atol": 1e-30}
        torch.testing.assert_close(ours, theirs, **tolerance)
        slopes = [torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in (ours, theirs)]
        torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-7)
    assert torch.autograd.gradcheck(layers.mish, torch.randn(20, dtype=torch.float64, requires_grad=True))
