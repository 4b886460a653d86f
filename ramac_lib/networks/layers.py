"""Networks with a seed axis: every parameter carries leading stack axes (seeds, or seeds × critics)."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class _Mish(torch.autograd.Function):
    """x · tanh(softplus(x)) with one exponential: tanh(log(1 + e)) = n / (n + 2), n = e(e + 2), e = exp(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        e = x.clamp(max=20).exp_()  # beyond 20 the tanh is 1 in float32
        n = e.square().add_(e, alpha=2)
        w = n / (n + 2)
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, w = ctx.saved_tensors
        return torch.sigmoid(x).mul_(x).mul_(1 - w * w).add_(w).mul_(gradient)


def mish(x: Tensor) -> Tensor:
    """Return x · tanh(softplus(x)) (Misra 2019); on a CPU in a third of the time that PyTorch's own takes."""
    return functional.mish(x) if x.is_cuda else _Mish.apply(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "mish": mish,
    "relu": functional.relu,
    "gelu": functional.gelu,
    "leaky_relu": functional.leaky_relu,
}

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


class Linear(nn.Module):
    """One affine layer for every member of a stack.

    Args:
        stack: leading axes; the first is the seed axis.
        init: ``"fan_in"`` draws weights and biases from U(±1/√n_in), PyTorch's default; ``("normal", σ)`` draws the
            weights from N(0, σ²) and leaves the biases as they are by default. ``("uniform", b)`` draws the weights
            from U(±b) and ``"glorot"`` from U(±√(6 / (n_in + n_out))) (Glorot and Bengio 2010), with biases of zero.
    """

    def __init__(self, stack: Sequence[int], n_in: int, n_out: int, init: str | tuple[str, float] = "fan_in") -> None:
        super().__init__()
        self.init = init
        self.products: torch.dtype | None = None  # of the matrix product, where not the parameters'; see `set_products`
        self.weight = nn.Parameter(torch.zeros(*stack, n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(*stack, 1, n_out))

    def forward(self, x: Float[Tensor, "*stack B n_in"]) -> Float[Tensor, "*stack B n_out"]:
        """Apply each member's layer to its rows; `x`'s stack axes broadcast."""
        if self.products is None:
            one = x.is_cuda and self.weight.shape[-1] == 1
            return (one_column if one else torch.matmul)(x, self.weight) + self.bias
        return torch.matmul(x.to(self.products), self.weight.to(self.products)) + self.bias

    @torch.no_grad()
    def reset(self, seed_index: int, generator: torch.Generator) -> None:
        """Draw one seed's initial parameters."""
        weight, bias = self.weight[seed_index], self.bias[seed_index]

        def uniform(part: Tensor, bound: float) -> None:
            part.copy_((2 * torch.rand(part.shape, generator=generator) - 1) * bound)

        default, glorot = 1 / math.sqrt(weight.shape[-2]), math.sqrt(6 / sum(weight.shape[-2:]))
        named = {"fan_in": ("uniform", default), "glorot": ("uniform", glorot)}
        kind, scale = named[self.init] if isinstance(self.init, str) else self.init
        if kind == "normal":
            weight.copy_(torch.randn(weight.shape, generator=generator) * scale)
        else:
            uniform(weight, scale)
        if self.init == "fan_in" or kind == "normal":
            uniform(bias, default)
        else:
            bias.zero_()


def one_column(x: Float[Tensor, "*stack B n"], weight: Float[Tensor, "*stack n 1"]) -> Float[Tensor, "*stack B 1"]:
    """Return x W for a matrix of one column without a matrix product, which on CUDA may be rounded to TF32."""
    return (x * weight.mT).sum(-1, keepdim=True)


def set_products(network: nn.Module, precision: str) -> None:
    """Choose the precision of a network's matrix products: ``float32`` or ``bfloat16``.

    Parameters, biases, activations, sums over rows and the optimiser stay in float32; so do layers with one output,
    whose numbers are values: bfloat16 and TF32 have three digits.
    """
    for layer in network.modules():
        if isinstance(layer, Linear) and layer.weight.shape[-1] > 1:
            layer.products = PRECISIONS[precision]


def initialise(module: nn.Module, generators: Sequence[torch.Generator]) -> None:
    """Draw every layer's parameters, each seed from its own (CPU) generator, in the layers' order."""
    for layer in module.modules():
        if isinstance(layer, Linear):
            for index, generator in enumerate(generators):
                layer.reset(index, generator)


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al. 2016) over the last axis, with gain and bias for every member of a stack."""

    def __init__(self, stack: Sequence[int], n: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(*stack, 1, n))
        self.bias = nn.Parameter(torch.zeros(*stack, 1, n))

    def forward(self, x: Float[Tensor, "*stack B n"]) -> Float[Tensor, "*stack B n"]:
        """Normalise each row."""
        return torch.addcmul(self.bias, functional.layer_norm(x, x.shape[-1:]), self.weight)


class MLP(nn.Module):
    """Affine layers with an activation between them, none after the last; each activation normalised on demand."""

    def __init__(
        self,
        stack: Sequence[int],
        sizes: Sequence[int],
        activation: str = "silu",
        layer_norm: bool = False,
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Linear(stack, a, b, init) for a, b in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(LayerNorm(stack, n) if layer_norm else nn.Identity() for n in sizes[1:-1])
        self.activation = ACTIVATIONS[activation]

    def forward(self, x: Float[Tensor, "*stack B n_in"]) -> Float[Tensor, "*stack B n_out"]:
        """Map each member's rows."""
        *hidden, last = self.layers
        for layer, norm in zip(hidden, self.norms, strict=True):
            x = norm(self.activation(layer(x)))
        return last(x)


class TimeEmbedding(nn.Module):
    """Sinusoidal embedding of a time, then an MLP d → 2d → d (Vaswani et al. 2017; DiffusionQL's time_mlp)."""

    frequencies: Tensor

    def __init__(self, stack: Sequence[int], dim: int, activation: str = "silu", init: str = "fan_in") -> None:
        super().__init__()
        half = dim // 2
        self.register_buffer(
            "frequencies",
            torch.exp(-math.log(10_000) * torch.arange(half) / max(half - 1, 1)),
            persistent=False,
        )
        self.mlp = MLP(stack, (dim, 2 * dim, dim), activation, init=init)

    def forward(self, t: Float[Tensor, "*stack B"] | Int[Tensor, " B"]) -> Float[Tensor, "*stack B dim"]:
        """Embed times, in steps (0 … T)."""
        angle = t[..., None] * self.frequencies
        return self.mlp(torch.cat([angle.sin(), angle.cos()], dim=-1))


class PlainTime(nn.Module):
    """A time as one number in [0, 1), in place of `TimeEmbedding`: t / T."""

    def __init__(self, stack: Sequence[int], steps: float) -> None:
        super().__init__()
        self.stack, self.steps = tuple(stack), steps

    def forward(self, t: Float[Tensor, "*stack B"] | Float[Tensor, " B"]) -> Float[Tensor, "*stack B 1"]:
        """Scale times, in steps (0 … T)."""
        return t.expand(*self.stack, t.shape[-1])[..., None] / self.steps


class TimedMLP(nn.Module):
    """f(x, t, s): the score network or the velocity field, an MLP on [x, embedding of t, s].

    Args:
        time_dim: width of the sinusoidal embedding.
        plain_steps: T, to take t / T as it is, without an embedding.
        init: of every layer, as `Linear` names it.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        activation: str,
        time_dim: int,
        *,
        plain_steps: float | None = None,
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        if plain_steps is None:
            self.time: nn.Module = TimeEmbedding(stack, time_dim, activation, init)
        else:
            self.time, time_dim = PlainTime(stack, plain_steps), 1
        self.mlp = MLP(stack, (action_dim + time_dim + observation_dim, *hidden, action_dim), activation, init=init)

    def forward(
        self, x: Float[Tensor, "S B a"], t: Float[Tensor, "S B d"], s: Float[Tensor, "S B s"]
    ) -> Float[Tensor, "S B a"]:
        """Evaluate at `x`; `t` is already embedded (its row axis may be 1)."""
        return self.mlp(torch.cat([x, t.expand(*x.shape[:-1], t.shape[-1]), s], dim=-1))


class Multiplier(nn.Module):
    """A positive number for every member of a stack, learned through its logarithm; it starts at one."""

    def __init__(self, stack: Sequence[int]) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.zeros(*stack, 1))

    def forward(self) -> Float[Tensor, " *stack"]:
        """Return the numbers, 10⁶ at most."""
        return self.log.squeeze(-1).exp().clamp(max=1e6)
