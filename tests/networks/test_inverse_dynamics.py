"""Inverse dynamics of a linear system, which are linear too."""

import torch

from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.inverse_dynamics import InverseDynamics
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise

A = torch.tensor([[0.9, 0.2, 0.0], [-0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
B = torch.tensor([[0.5, 0.1], [0.0, 0.4], [0.2, -0.3]])


def steps(g, rows):
    """States, moves s' − s and actions of s' = As + Ba."""
    states = torch.randn(1, rows, 3, generator=g)
    actions = 2 * torch.rand(1, rows, 2, generator=g) - 1
    return states, states @ A.T + actions @ B.T - states, actions


def test_the_actions_of_a_linear_system_are_recovered():
    network, g = InverseDynamics((1,), 3, 2, hidden=(64, 64)), torch.Generator().manual_seed(0)
    initialise(network, Noise((0,), "init").generators)
    optimizer = StackedAdam(network, 3e-3)
    for k in range(1500):
        optimizer.lr = 3e-3 * (1 - k / 1500)
        optimizer.step(network.loss(*steps(g, 256)))
    states, moves, actions = steps(g, 2000)
    expected = (moves + states - states @ A.T) @ torch.linalg.pinv(B).T
    torch.testing.assert_close(expected, actions, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        assert (network(states, moves) - expected).square().mean() < 1e-3**2 * 10


def test_a_network_without_hidden_layers_is_the_pseudo_inverse():
    """a = B⁺(s' − As) to 1e-3 in every entry, where nothing but the training stands between it and the answer."""
    network, g = InverseDynamics((1,), 3, 2, hidden=()), torch.Generator().manual_seed(0)
    initialise(network, Noise((0,), "init").generators)
    optimizer = StackedAdam(network, 0.03)
    for k in range(1500):
        optimizer.lr = 0.03 * (1 - k / 1500)
        optimizer.step(network.loss(*steps(g, 256)))
    states, moves, _ = steps(g, 2000)
    with torch.no_grad():
        error = network(states, moves) - (moves + states - states @ A.T) @ torch.linalg.pinv(B).T
    assert error.abs().max() < 1e-3


def test_where_actions_differ_it_is_their_mean():
    """The loss's minimiser is E[a | s, s']: of two opposite actions that lead to the same state, nothing."""
    network = InverseDynamics((2,), 1, 1, hidden=(8,))
    states, moves = torch.zeros(2, 4, 1), torch.zeros(2, 4, 1)
    actions = torch.tensor([1.0, -1.0, 1.0, -1.0])[None, :, None].expand(2, 4, 1)
    assert network.loss(states, moves, actions).tolist() == [1, 1]  # parameters are zero, and so is what it says
