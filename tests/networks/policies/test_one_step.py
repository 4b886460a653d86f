"""FlowQL's one-step policy against torch.nn, its clamp, and the independence of its seeds."""

import torch
from torch.nn import functional

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.one_step import OneStepPolicy


def make(seeds=(0, 1), **options):
    policy = OneStepPolicy((len(seeds),), 3, 2, **{"hidden": (16, 8), **options})
    initialise(policy, Noise(seeds, "init").generators)
    return policy


def inputs(rows=9):
    g = torch.Generator().manual_seed(0)
    return torch.randn(2, rows, 2, generator=g), torch.randn(2, rows, 3, generator=g)


def test_a_gelu_network_of_noise_and_state():
    policy = make()
    noise, s = inputs()
    for i in range(2):
        x = torch.cat([noise[i], s[i]], dim=-1)
        for k, layer in enumerate(policy.mlp.layers):
            x = functional.linear(x, layer.weight[i].T, layer.bias[i, 0])
            x = functional.gelu(x) if k < 2 else x
        torch.testing.assert_close(policy.unclamped(noise, s)[i], x)


def test_actions_are_clamped_and_the_distilled_output_is_not():
    policy = make()
    noise, s = inputs()
    with torch.no_grad():
        policy.mlp.layers[-1].weight *= 20
    raw, actions = policy.unclamped(noise, s), policy.sample(noise, s)
    assert raw.abs().max() > 1
    assert raw.abs().min() < 1
    inside = raw.abs() <= 1
    torch.testing.assert_close(actions[inside], raw[inside])
    torch.testing.assert_close(actions[~inside], raw[~inside].sign())


def test_different_noise_gives_different_actions():
    policy = make()
    noise, s = inputs()
    assert policy.noise_shape(9) == (9, 2)
    assert (policy.sample(noise, s) - policy.sample(-noise, s)).abs().min(dim=-1).values.max() > 1e-3


def test_a_seed_does_not_depend_on_its_neighbours():
    both, alone = make((4, 9)), make((9,))
    noise, s = inputs()
    torch.testing.assert_close(both.sample(noise, s)[1:], alone.sample(noise[1:], s[1:]))
