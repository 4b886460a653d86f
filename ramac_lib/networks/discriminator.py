"""The critic of a Wasserstein GAN, and the penalty that keeps its slope at 1 (Gulrajani et al. 2017)."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.layers import MLP


class Discriminator(nn.Module):
    """D(x): layers of twice and four times the input's width, each normalised (CPED's; Zhang et al. 2023)."""

    def __init__(self, stack: Sequence[int], width: int) -> None:
        super().__init__()
        self.mlp = MLP(stack, (width, 2 * width, 4 * width, 1), "leaky_relu", layer_norm=True)

    def forward(self, x: Float[Tensor, "S B d"]) -> Float[Tensor, "S B"]:
        """Return D of each row."""
        return self.mlp(x).squeeze(-1)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "S B d"],
    fake: Float[Tensor, "S B d"],
    share: Float[Tensor, "S B"],
) -> Float[Tensor, " S"]:
    """Return E (‖∇D(x̂)‖ − 1)² at x̂ = u · real + (1 − u) · fake, differentiable in D's parameters.

    Args:
        share: u of each row, uniform on [0, 1).
    """
    mixed = torch.lerp(fake.detach(), real.detach(), share[..., None]).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return (gradient.square().sum(-1).add(1e-12).sqrt() - 1).square().mean(-1)
