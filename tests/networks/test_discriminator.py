"""The gradient penalty of a critic whose gradient is known."""

import torch

from ramac_lib.networks.discriminator import Discriminator, gradient_penalty
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise


def test_the_penalty_of_a_linear_critic_is_its_slopes_distance_from_one():
    weights = torch.tensor([[3.0, 4.0], [0.6, 0.8]], requires_grad=True)
    real, fake, share = torch.randn(2, 5, 2), torch.randn(2, 5, 2), torch.rand(2, 5)
    penalty = gradient_penalty(lambda x: (x * weights[:, None]).sum(-1), real, fake, share)
    torch.testing.assert_close(penalty, torch.tensor([16.0, 0.0]))
    (slope,) = torch.autograd.grad(penalty.sum(), weights)  # 2(‖w‖ − 1) w / ‖w‖
    torch.testing.assert_close(slope, torch.tensor([[4.8, 6.4], [0.0, 0.0]]), rtol=1e-4, atol=1e-5)


def test_points_lie_between_real_and_fake():
    """‖∇ ½‖x‖²‖ is ‖x‖: the penalty tells where it was asked."""
    real, fake = torch.tensor([[[3.0], [3.0], [3.0]]]), torch.tensor([[[1.0], [1.0], [1.0]]])
    for share, expected in ((1.0, 4.0), (0.0, 0.0), (0.5, 1.0)):
        penalty = gradient_penalty(lambda x: 0.5 * x.square().sum(-1), real, fake, torch.full((1, 3), share))
        assert abs(penalty.item() - expected) < 1e-5


def test_the_penalty_moves_the_networks_parameters():
    network = Discriminator((2,), 3)
    initialise(network, Noise((0, 1), "init").generators)
    assert [tuple(layer.weight.shape[-2:]) for layer in network.mlp.layers] == [(3, 6), (6, 12), (12, 1)]
    penalty = gradient_penalty(network, torch.randn(2, 6, 3), torch.randn(2, 6, 3), torch.rand(2, 6))
    gradients = torch.autograd.grad(penalty.sum(), network.parameters(), allow_unused=True)
    moved = [g is not None and bool(g.any()) for g in gradients]
    assert sum(moved) == len(moved) - 2  # neither of what is added last, in the last norm and the head, is in a slope
