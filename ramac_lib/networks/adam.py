"""Adam over a stack of networks, with gradient norms clipped a network (and a seed) at a time."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn


class StackedAdam:
    """Adam for one kind of network in a stack; elementwise, so each member is optimised as if alone.

    Args:
        network: its parameters all carry the same leading stack axes.
        stack_rank: how many leading axes are stack axes; each member's gradient norm is clipped by itself.
        max_norm: largest gradient norm of a member; None for no clipping.
    """

    def __init__(self, network: nn.Module, lr: float, *, stack_rank: int = 1, max_norm: float | None = None) -> None:
        self.parameters = list(network.parameters())
        self.stack_rank = stack_rank
        self.max_norm = max_norm
        on_gpu = self.parameters[0].is_cuda
        self.adam = torch.optim.Adam(self.parameters, lr=lr, fused=True, capturable=on_gpu)

    def step(self, loss: Float[Tensor, "*stack"]) -> Float[Tensor, "*stack"]:
        """Descend the sum of the members' losses; return each member's gradient norm before clipping."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        norms = self._clip(gradients)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return norms

    @torch.no_grad()
    def _clip(self, gradients: Sequence[Tensor]) -> Tensor:
        squares = [g.flatten(self.stack_rank).square().sum(-1) for g in gradients]
        norms = torch.stack(squares).sum(0).sqrt()
        if self.max_norm is not None:
            scale = (self.max_norm / (norms + 1e-6)).clamp(max=1)
            for g in gradients:
                g.mul_(scale.reshape(scale.shape + (1,) * (g.ndim - self.stack_rank)))
        return norms

    def seed_state(self, index: int) -> list[dict[str, Tensor]]:
        """Return one seed's part of Adam's state, a dict a parameter (empty before the first step)."""
        states = [self.adam.state[p] for p in self.parameters]
        return [{k: (v[index] if v.ndim else v).detach().cpu().clone() for k, v in s.items()} for s in states]

    def load_seed_states(self, states: Sequence[Sequence[dict[str, Tensor]]]) -> None:
        """Stack the seeds' parts again."""
        for i, parameter in enumerate(self.parameters):
            parts = [s[i] for s in states]
            self.adam.state[parameter] = {
                key: (torch.stack([p[key] for p in parts]) if parts[0][key].ndim else parts[0][key].clone()).to(
                    parameter.device if key != "step" or parameter.is_cuda else "cpu"
                )
                for key in parts[0]
            }
