"""Stacked layers against torch.nn, their initial parameters, the time embedding."""

import math

import pytest
import torch
from torch import nn

from ramac_lib.networks import layers
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import MLP, Linear, PlainTime, TimedMLP, TimeEmbedding, initialise
from ramac_lib.networks.noise import Noise


def test_linear_is_torchs_linear_for_each_member():
    layer = Linear((2, 3), 4, 5)
    initialise(layer, Noise((0, 1), "init").generators)
    x = torch.randn(2, 3, 7, 4)
    for i in range(2):
        for j in range(3):
            plain = nn.functional.linear(x[i, j], layer.weight[i, j].T, layer.bias[i, j, 0])
            torch.testing.assert_close(layer(x)[i, j], plain)


@pytest.mark.parametrize(
    ("init", "std"),
    [("fan_in", 1 / math.sqrt(3 * 400)), ("glorot", math.sqrt(2 / (400 + 300))), (("normal", 0.1), 0.1)],
)
def test_initial_scale(init, std):
    layer = Linear((1,), 400, 300, init)
    initialise(layer, Noise((0,), "init").generators)
    assert layer.weight.std().item() == pytest.approx(std, rel=0.02)


def test_glorots_weights_are_uniform_up_to_their_bound_and_its_biases_are_zero():
    """Uniform with the variance 2 / (n_in + n_out) of each layer's own widths: fourth moment 9/5 of its square."""
    mlp = MLP((2, 3), (200, 300, 100), init="glorot")
    initialise(mlp, Noise((0, 1), "init").generators)
    for layer, widths in zip(mlp.layers, (500, 400), strict=True):
        scaled = layer.weight.detach() * math.sqrt(widths / 2)
        assert 0.999 * math.sqrt(3) < scaled.abs().max() <= 1.0001 * math.sqrt(3)
        torch.testing.assert_close(scaled.mean((2, 3)), torch.zeros(2, 3), rtol=0, atol=0.03)
        torch.testing.assert_close(scaled.pow(4).mean((2, 3)), torch.full((2, 3), 9 / 5), rtol=0.05, atol=0)
        assert not layer.bias.any()


def test_a_timed_networks_layers_all_start_alike():
    network = TimedMLP((1,), 3, 2, (8,), "silu", 4, init="glorot")
    assert [layer.init for layer in network.modules() if isinstance(layer, Linear)] == 4 * ["glorot"]


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


def test_plain_time_is_the_share_of_the_steps_for_shared_times_and_for_a_members_own():
    time = PlainTime((2,), 8)
    shared = time(torch.arange(8.0))
    torch.testing.assert_close(shared, torch.arange(8).div(8)[None, :, None].expand(2, 8, 1))
    own = time(torch.tensor([[0.0, 2.0, 7.9], [1.0, 4.0, 0.5]]))
    torch.testing.assert_close(own, torch.tensor([[[0.0], [0.25], [0.9875]], [[0.125], [0.5], [0.0625]]]))
    assert not list(time.parameters())


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
