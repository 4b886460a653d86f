"""Networks with a seed axis: every parameter carries leading stack axes (seeds, or seeds × critics)."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "mish": functional.mish,
    "relu": functional.relu,
    "gelu": functional.gelu,
}


class Linear(nn.Module):
    """One affine layer for every member of a stack.

    Args:
        stack: leading axes; the first is the seed axis.
        init: ``"fan_in"`` draws weights and biases from U(±1/√n_in), PyTorch's default; ``("normal", σ)`` and
            ``("uniform", b)`` draw the weights from N(0, σ²) or U(±b) and leave the biases at zero.
    """

    def __init__(self, stack: Sequence[int], n_in: int, n_out: int, init: str | tuple[str, float] = "fan_in") -> None:
        super().__init__()
        self.init = init
        self.weight = nn.Parameter(torch.zeros(*stack, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(*stack, 1, n_out))

    def forward(self, x: Float[Tensor, "*stack B n_in"]) -> Float[Tensor, "*stack B n_out"]:
        """Apply each member's layer to its rows; `x`'s stack axes broadcast."""
        return torch.matmul(x, self.weight) + self.bias

    @torch.no_grad()
    def reset(self, seed_index: int, generator: torch.Generator) -> None:
        """Draw one seed's initial parameters."""
        weight, bias = self.weight[seed_index], self.bias[seed_index]
        if isinstance(self.init, str):
            bound = 1 / math.sqrt(weight.shape[-2])
            for part in (weight, bias):
                part.copy_((2 * torch.rand(part.shape, generator=generator) - 1) * bound)
        else:
            kind, scale = self.init
            draw = torch.randn if kind == "normal" else lambda *a, **k: 2 * torch.rand(*a, **k) - 1
            weight.copy_(draw(weight.shape, generator=generator) * scale)
            bias.zero_()


def initialise(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Draw every layer's parameters, each seed from its own (CPU) generator, in the layers' order."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            for index, generator in enumerate(generators):
                layer.reset(index, generator)


class MLP(nn.Module):
    """Affine layers with an activation between them; none after the last."""

    def __init__(self, stack: Sequence[int], sizes: Sequence[int], activation: str = "silu") -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(stack, a, b) for a, b in itertools.pairwise(sizes))
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Float[Tensor, "*stack B n_in"]) -> Float[Tensor, "*stack B n_out"]:
        """Map each member's rows."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return last(x)


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of a time, then an MLP d → 2d → d (Vaswani et al. 2017; DiffusionQL's time_mlp)."""

    frequencies: Tensor

    def __init__(self, stack: Sequence[int], dim: int, activation: str = "silu") -> None:
        super().__init__()
        half = dim // 2
        self.register_buffer(
            "frequencies",
            torch.exp(-math.log(10_000) * torch.arange(half) / max(half - 1, 1)),
            persistent=False,
        )
        self.mlp = MLP(stack, (dim, 2 * dim, dim), activation)

    def forward(self, t: Float[Tensor, "*stack B"] | Int[Tensor, " B"]) -> Float[Tensor, "*stack B dim"]:
        """Embed times, in steps (0 … T)."""
        angle = t[..., None] * self.frequencies
        return self.mlp(torch.cat([angle.sin(), angle.cos()], dim=-1))


class TimedMLP(nn.Module):
    """f(x, t, s): the score network or the velocity field, an MLP on [x, embedding of t, s]."""

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        activation: str,
        time_dim: int,
    ) -> None:
        super().__init__()
        self.time = TimeEmbedding(stack, time_dim, activation)
        self.mlp = MLP(stack, (action_dim + time_dim + observation_dim, *hidden, action_dim), activation)

    def forward(
        self, x: Float[Tensor, "S B a"], t: Float[Tensor, "S B d"], s: Float[Tensor, "S B s"]
    ) -> Float[Tensor, "S B a"]:
        """Evaluate at `x`; `t` is already embedded (its row axis may be 1)."""
        return self.mlp(torch.cat([x, t.expand(*x.shape[:-1], t.shape[-1]), s], dim=-1))


class _ReluHead(torch.autograd.Function):
    """relu(x W + b) · h for a stack of M members, in few passes over the (R, hidden) activations.

    The generic product with a one-column matrix takes as long as the wide one on a CPU, forward and backward.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, head: Tensor) -> Tensor:
        active = torch.baddbmm(bias, x, weight).relu_()
        ctx.save_for_backward(x, weight, head, active)
        return _matvec(active, head)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, head, active = ctx.saved_tensors
        outer = gradient[..., None] * head[:, None, :]
        inner = torch.ops.aten.threshold_backward(outer, active, 0.0)  # a tenth of the time of `where`
        return (
            torch.bmm(inner, weight.mT) if ctx.needs_input_grad[0] else None,
            torch.bmm(x.mT, inner) if ctx.needs_input_grad[1] else None,
            inner.sum(1, keepdim=True) if ctx.needs_input_grad[2] else None,
            _matvec(active.mT, gradient) if ctx.needs_input_grad[3] else None,
        )


def _matvec(matrices: Float[Tensor, "M R H"], vectors: Float[Tensor, "M H"]) -> Float[Tensor, "M R"]:
    if matrices.is_cuda:
        return torch.bmm(matrices, vectors[..., None])[..., 0]
    return torch.stack([torch.mv(m, v) for m, v in zip(matrices, vectors, strict=True)])


class IQNCritic(nn.Module):
    """Two implicit quantile networks Z(s, a; τ) (Dabney et al. 2018; eq. 7), as the released RAMAC code builds them.

    ReLU(W_s s) ‖ ReLU(W_a a) → emb, times ReLU(W cos(π i τ)), i = 0 … n_cos − 1, → hidden → 1. State and action are
    encoded once, the fractions once (they are shared by the batch), and only their product has B·N rows.

    Args:
        stack: (S,) seeds; the two critics are a second stack axis.
        init: ``"fan_in"``, or ``"released"``: weights N(0, 0.1²), no biases, head U(±3e-4).
    """

    N_CRITICS = 2
    harmonics: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: int = 256,
        embedding: int = 128,
        n_cos: int = 32,
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        stack = (*stack, self.N_CRITICS)
        weights: str | tuple[str, float] = ("normal", 0.1) if init == "released" else "fan_in"
        head: str | tuple[str, float] = ("uniform", 3e-4) if init == "released" else "fan_in"
        self.state = Linear(stack, observation_dim, hidden, weights)
        self.action = Linear(stack, action_dim, hidden, weights)
        self.encoder = Linear(stack, 2 * hidden, embedding, weights)
        self.fraction = Linear(stack, n_cos, embedding, weights)
        self.hidden = Linear(stack, embedding, hidden, weights)
        self.head = Linear(stack, hidden, 1, head)
        self.register_buffer("harmonics", math.pi * torch.arange(n_cos), persistent=False)

    def forward(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        taus: Float[Tensor, " N"] | Float[Tensor, "S N"],
    ) -> Float[Tensor, "S C B N"]:
        """Return each critic's quantiles at the fractions `taus`, the same for all rows of a seed."""
        encoded = torch.cat(
            [
                self.state(observations.unsqueeze(-3)).relu(),
                self.action(actions.unsqueeze(-3)).relu(),
            ],
            dim=-1,
        )
        encoded = self.encoder(encoded)
        cosines = torch.cos(taus[..., None] * self.harmonics)
        fractions = self.fraction(cosines if taus.ndim == 1 else cosines.unsqueeze(-3)).relu()
        rows = encoded.unsqueeze(-2) * fractions.unsqueeze(-3)  # (S, C, B, N, embedding)
        stack = rows.shape[:-3]
        quantiles = _ReluHead.apply(
            rows.flatten(-3, -2).flatten(0, -3),
            self.hidden.weight.flatten(0, -3),
            self.hidden.bias.flatten(0, -3),
            self.head.weight.squeeze(-1).flatten(0, -2),
        )
        return quantiles.unflatten(-1, rows.shape[-3:-1]).unflatten(0, stack) + self.head.bias
