"""Critics: the quantile network against its plain form; Q, LayerNorm and Multiplier against torch.nn."""

import math

import pytest
import torch
from torch import nn

from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import IQNCritic, QCritic, _ReluHead
from ramac_lib.networks.layers import LayerNorm, Multiplier, initialise
from ramac_lib.networks.noise import Noise

# -- implicit quantile networks ---------------------------------------------------------------------------------------


def plain_critic(critic, s, a, tau, member):
    """Z(s, a; τ) of one critic, one row and one fraction, term by term as in the docstring."""
    i, c = member

    def affine(layer, x):
        return x @ layer.weight[i, c] + layer.bias[i, c, 0]

    encoded = affine(critic.encoder, torch.cat([affine(critic.state, s).relu(), affine(critic.action, a).relu()]))
    encoded = encoded.relu() if critic.joint_relu else encoded
    cosines = torch.cos(math.pi * torch.arange(critic.harmonics.numel()) * tau)
    fraction = affine(critic.fraction, cosines).relu()
    return affine(critic.head, affine(critic.hidden, encoded * fraction).relu())[0]


@pytest.mark.parametrize("joint_relu", [False, True])
@pytest.mark.parametrize("per_seed", [False, True])
def test_quantiles_by_hand(per_seed, joint_relu):
    critic = IQNCritic((2,), 3, 2, hidden=16, embedding=8, n_cos=6, joint_relu=joint_relu)
    initialise(critic, Noise((0, 1), "init").generators)
    g = torch.Generator().manual_seed(0)
    s, a = torch.randn(2, 4, 3, generator=g), torch.randn(2, 4, 2, generator=g)
    taus = torch.rand(2, 5, generator=g) if per_seed else torch.rand(5, generator=g)
    quantiles = critic(s, a, taus)
    assert quantiles.shape == (2, 2, 4, 5)
    for i, c, row, k in [(0, 0, 0, 0), (1, 0, 3, 4), (0, 1, 2, 1), (1, 1, 1, 3)]:
        tau = taus[i, k] if per_seed else taus[k]
        by_hand = plain_critic(critic, s[i, row], a[i, row], tau, (i, c))
        torch.testing.assert_close(quantiles[i, c, row, k], by_hand)


def test_the_released_critics_value_by_hand():
    """One unit a layer: Z = 4 relu(3 relu(e) relu(cos(0)) + 1) with e = 2 relu(s) + 5 relu(a) − 1."""
    critic = IQNCritic((1,), 1, 1, hidden=1, embedding=1, n_cos=1, n_critics=1, joint_relu=True)
    values = {"state": ([[1]], 0), "action": ([[1]], 0), "encoder": ([[2], [5]], -1), "fraction": ([[1]], 0),
              "hidden": ([[3]], 1), "head": ([[4]], 0)}  # fmt: skip
    for name, (weight, bias) in values.items():
        layer = getattr(critic, name)
        layer.weight.data, layer.bias.data[:] = torch.tensor(weight).float()[None, None], bias
    states, actions = torch.tensor([[[0.25], [0.0]]]), torch.tensor([[[0.1], [-1.0]]])
    quantiles = critic(states, actions, torch.tensor([0.3]))[0, 0, :, 0]
    assert quantiles.tolist() == pytest.approx([4.0, 4.0])  # e is 0 and −1: without the ReLU 4 and 0
    critic.joint_relu = False
    assert critic(states, actions, torch.tensor([0.3]))[0, 0, :, 0].tolist() == pytest.approx([4.0, 0.0])
    critic.joint_relu = True
    assert critic(states + 1, actions, torch.tensor([0.3]))[0, 0, 0, 0].item() == pytest.approx(4 * (3 * 2 + 1))


def test_the_critics_own_backward_pass():
    """The hand-written gradient of relu(x W + b) · h against finite differences."""
    shapes = ((2, 5, 3), (2, 3, 4), (2, 1, 4), (2, 4))
    g = torch.Generator().manual_seed(0)
    inputs = [torch.randn(s, generator=g, dtype=torch.float64, requires_grad=True) for s in shapes]
    assert torch.autograd.gradcheck(_ReluHead.apply, inputs)


# -- expected returns -------------------------------------------------------------------------------------------------


def scrambled(module):
    """Give every parameter a value of its own, gains and biases of the norms too."""
    g = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=g)
    return module


def as_torch(critic, member, activation, layer_norm):
    """Build one member of the stack from torch's own layers."""
    layers = []
    for k, stacked in enumerate(critic.mlp.layers):
        linear = nn.Linear(*stacked.weight.shape[-2:])
        linear.weight.data, linear.bias.data = stacked.weight[member].T, stacked.bias[member][0]
        layers.append(linear)
        if k < len(critic.mlp.layers) - 1:
            layers.append(activation())
            if layer_norm:
                norm = nn.LayerNorm(linear.out_features)
                norm.weight.data, norm.bias.data = (p[member][0] for p in critic.mlp.norms[k].parameters())
                layers.append(norm)
    return nn.Sequential(*layers)


@pytest.mark.parametrize(("name", "activation"), [("mish", nn.Mish), ("relu", nn.ReLU), ("gelu", nn.GELU)])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_each_q_is_torchs_network(name, activation, layer_norm):
    """[s, a] → hidden layers, each normalised after its activation if at all → one number."""
    critic = QCritic((2,), 3, 2, hidden=(16, 8), activation=name, layer_norm=layer_norm, n_critics=3)
    initialise(critic, Noise((0, 1), "init").generators)
    scrambled(critic)
    g = torch.Generator().manual_seed(0)
    s, a = torch.randn(2, 7, 3, generator=g), torch.randn(2, 7, 2, generator=g)
    values = critic(s, a)
    assert values.shape == (2, 3, 7)
    for i in range(2):
        for c in range(3):
            plain = as_torch(critic, (i, c), activation, layer_norm)(torch.cat([s[i], a[i]], dim=-1))
            torch.testing.assert_close(values[i, c], plain.squeeze(-1))


def test_two_critics_differ_from_the_start():
    critic = QCritic((1,), 3, 2, hidden=(8,))
    initialise(critic, Noise((0,), "init").generators)
    values = critic(torch.ones(1, 4, 3), torch.ones(1, 4, 2))
    assert values.shape == (1, 2, 4)
    assert (values[:, 0] - values[:, 1]).abs().min() > 1e-4


# -- their parts ------------------------------------------------------------------------------------------------------


def test_layer_norm_is_torchs_for_each_member():
    layer = scrambled(LayerNorm((2, 3), 5))
    x = 4 + 3 * torch.randn(2, 3, 7, 5, generator=torch.Generator().manual_seed(0))
    for i in range(2):
        for c in range(3):
            plain = nn.LayerNorm(5)
            plain.weight.data, plain.bias.data = layer.weight[i, c, 0], layer.bias[i, c, 0]
            torch.testing.assert_close(layer(x)[i, c], plain(x[i, c]))


def test_a_new_layer_norm_gives_rows_of_mean_0_and_variance_1():
    rows = LayerNorm((2,), 64)(10 + 7 * torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(rows.mean(-1), torch.zeros(2, 5), rtol=0, atol=1e-5)
    torch.testing.assert_close(rows.square().mean(-1), torch.ones(2, 5), rtol=1e-4, atol=0)


def test_multiplier_is_one_at_first_and_moves_in_its_logarithm():
    multiplier = Multiplier((2, 3))
    torch.testing.assert_close(multiplier(), torch.ones(2, 3), rtol=0, atol=0)
    excess = torch.tensor([[1.0, -1.0, 0.0], [5.0, -5.0, 0.0]])
    # Ascent on β · excess: Adam's first step is one rate, whatever the size of the slope.
    StackedAdam(multiplier, 0.1).step(-(multiplier() * excess).mean(1))
    expected = torch.exp(0.1 * torch.tensor([[1.0, -1.0, 0.0]] * 2))
    torch.testing.assert_close(multiplier(), expected, rtol=1e-5, atol=1e-6)


def test_multiplier_stays_positive_and_bounded():
    multiplier = Multiplier((3,))
    with torch.no_grad():
        multiplier.log.copy_(torch.tensor([[-30.0], [3.0], [90.0]]))
    assert multiplier().tolist() == pytest.approx([math.exp(-30), math.exp(3), 1e6])
