"""Adam over a stack of networks, with gradient norms clipped a network (and a seed) at a time."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.adam import adam

MOMENTS = ("exp_avg", "exp_avg_sq")
BETAS, EPSILON = (0.9, 0.999), 1e-8  # as torch.optim.Adam has them


class StackedAdam:
    """Adam for one kind of network in a stack; elementwise, so each member is optimised as if alone.

    PyTorch's function, not its class: the first object of `torch.optim.Adam` imports PyTorch's compiler, which takes
    more than a second of every process that trains.

    Args:
        network: its parameters all carry the same leading stack axes.
        lr: the learning rate; the attribute may be set anew before any step. A tensor on the parameters' device may be
            moved in place, which a CUDA graph sees.
        stack_rank: how many leading axes are stack axes; each member's gradient norm is clipped by itself.
        max_norm: largest gradient norm of a member; None for no clipping.
    """

    def __init__(
        self, network: nn.Module, lr: float | Tensor, *, stack_rank: int = 1, max_norm: float | None = None
    ) -> None:
        self.parameters = list(network.parameters())
        self.stack_rank = stack_rank
        self.max_norm = max_norm
        self.lr = lr
        self.state: list[dict[str, Tensor]] = [{} for _ in self.parameters]

    def step(self, loss: Float[Tensor, "*stack"]) -> Float[Tensor, "*stack"]:
        """Descend the sum of the members' losses; return each member's gradient norm before clipping."""
        gradients = torch.autograd.grad(loss.sum(), self.parameters)
        norms = self._clip(gradients)
        self._descend(gradients)
        return norms

    @torch.no_grad()
    def _descend(self, gradients: Sequence[Tensor]) -> None:
        for state, p in zip(self.state, self.parameters, strict=True):
            if not state:
                state["step"] = torch.zeros((), device=p.device)
                state |= {key: torch.zeros_like(p, memory_format=torch.preserve_format) for key in MOMENTS}
        first, second = ([state[key] for state in self.state] for key in MOMENTS)
        kinds = {"fused": True, "capturable": self.parameters[0].is_cuda, "amsgrad": False, "maximize": False}
        rates = {"lr": self.lr, "beta1": BETAS[0], "beta2": BETAS[1], "eps": EPSILON, "weight_decay": 0.0}
        steps = [state["step"] for state in self.state]
        arguments: dict[str, Any] = {**kinds, **rates}
        adam(list(self.parameters), list(gradients), first, second, [], steps, **arguments)

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
        return [{k: (v[index] if v.ndim else v).detach().cpu().clone() for k, v in s.items()} for s in self.state]

    def load_seed_states(self, states: Sequence[Sequence[dict[str, Tensor]]]) -> None:
        """Stack the seeds' parts again."""
        for i, parameter in enumerate(self.parameters):
            parts = [s[i] for s in states]
            self.state[i] = {
                key: (torch.stack([p[key] for p in parts]) if parts[0][key].ndim else parts[0][key].clone()).to(
                    parameter.device if key != "step" or parameter.is_cuda else "cpu"
                )
                for key in parts[0]
            }
