"""The native kernel as PyTorch's operators: float32 on a CPU, with gradients, seen through by torch.compile.

One thread, and sums in one order: the same input gives the same bits on the same machine.
"""

import ctypes
import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.networks.native.build import kernel

# Not `torch.library.custom_op`: its first call imports PyTorch's compiler, more than a second of every process.
OPERATORS = torch.library.Library("ramac", "DEF")
HEAD = "Tensor encoded, Tensor fractions, Tensor weight, Tensor bias, Tensor head"
OPERATORS.define(f"quantile_head({HEAD}, bool keep) -> (Tensor, Tensor)")
OPERATORS.define(
    f"quantile_head_backward(Tensor gradient, {HEAD}, Tensor active, bool[] needed)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor)"
)
OPERATORS.define(
    "quantile_huber(Tensor predicted, Tensor target, Tensor taus, float kappa, bool slip) -> (Tensor, Tensor)"
)
GROUP = 32  # rows and hidden units are padded to multiples of it in the bits that the backward pass is given


def serves(*tensors: Tensor) -> bool:
    """Return whether the kernel can compute with these tensors: float32 on a CPU, none of them empty."""
    return all(t.dtype == torch.float32 and t.device.type == "cpu" and t.numel() > 0 for t in tensors)


def _call(function: str, *arguments: Any) -> None:
    library = kernel()[1]
    assert library is not None, "the engine looks whether there is a kernel before it asks for it"
    given = [
        ctypes.c_void_p(a.data_ptr() if a.numel() else None) if isinstance(a, Tensor)
        else ctypes.c_float(a) if isinstance(a, float) else ctypes.c_int64(a)
        for a in arguments
    ]  # fmt: skip
    if getattr(library, function)(*given):
        raise MemoryError(f"{function}: no memory is left")


def _words(rows: int, hidden: int) -> int:
    """Return the words that hold a bit for each row and hidden unit of a fraction."""
    return math.ceil(hidden / GROUP) * math.ceil(rows / GROUP) * GROUP


# -- the head ---------------------------------------------------------------------------------------------------------


@torch.library.impl(OPERATORS, "quantile_head", "CPU")
def _head(
    encoded: Tensor, fractions: Tensor, weight: Tensor, bias: Tensor, head: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    sizes = (*encoded.shape[:2], fractions.shape[1], *weight.shape[1:])
    inputs = [t.contiguous() for t in (encoded, fractions, weight, bias, head)]
    quantiles, active = _head_results(encoded, fractions, weight, bias, head, keep)
    _call("ramac_head_forward", *inputs, quantiles, active, *sizes)
    return quantiles, active


@torch.library.register_fake("ramac::quantile_head", lib=OPERATORS)
def _head_results(
    encoded: Tensor, fractions: Tensor, weight: Tensor, bias: Tensor, head: Tensor, keep: bool
) -> tuple[Tensor, Tensor]:
    members, rows, count = *encoded.shape[:2], fractions.shape[1]
    size = (members, count, _words(rows, weight.shape[2])) if keep else (0,)
    return encoded.new_empty(members, rows, count), encoded.new_empty(size, dtype=torch.int32)


@torch.library.impl(OPERATORS, "quantile_head_backward", "CPU")
def _head_backward(
    gradient: Tensor,
    encoded: Tensor,
    fractions: Tensor,
    weight: Tensor,
    bias: Tensor,
    head: Tensor,
    active: Tensor,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    sizes = (*encoded.shape[:2], fractions.shape[1], *weight.shape[1:])
    inputs = [t.contiguous() for t in (gradient, encoded, fractions, weight, bias, head, active)]
    results = _head_gradients(gradient, encoded, fractions, weight, bias, head, active, needed)
    _call("ramac_head_backward", *inputs, *results, *sizes)
    return results


@torch.library.register_fake("ramac::quantile_head_backward", lib=OPERATORS)
def _head_gradients(
    gradient: Tensor,
    encoded: Tensor,
    fractions: Tensor,
    weight: Tensor,
    bias: Tensor,
    head: Tensor,
    active: Tensor,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    ones, twos, *rest = (
        t.new_empty(t.shape if asked else (0,))
        for t, asked in zip((encoded, fractions, weight, bias, head), needed, strict=True)
    )
    return ones, twos, rest[0], rest[1], rest[2]


def _keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs[:5], output[1])
    ctx.set_materialize_grads(False)  # no zeros for the bits, which have no gradient


def _head_autograd(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    asked = list(ctx.needs_input_grad[:5])
    needed = asked[:2] + [any(asked[2:])] * 3  # the parameters' gradients come together
    results = torch.ops.ramac.quantile_head_backward(gradient, *ctx.saved_tensors, needed)
    return *(result if want else None for result, want in zip(results, asked, strict=True)), None


torch.library.register_autograd("ramac::quantile_head", _head_autograd, setup_context=_keep_inputs, lib=OPERATORS)


def quantile_head(
    encoded: Float[Tensor, "*stack B K"],
    fractions: Float[Tensor, "*stack N K"],
    weight: Float[Tensor, "*stack K H"],
    bias: Float[Tensor, "*stack 1 H"],
    head: Float[Tensor, "*stack H 1"],
) -> Float[Tensor, "*stack B N"]:
    """Return relu((encoded ⊙ relu(fractions)) · weight + bias) · head for every row and fraction of each member.

    Args:
        encoded: features of the batch's states and actions.
        fractions: features of the fractions, before their ReLU.
        weight, bias: of the hidden layer.
        head: of the output, without its bias.
    """
    inputs = [encoded.flatten(0, -3), fractions.flatten(0, -3), weight.flatten(0, -3)]
    inputs += [bias.flatten(0, -3).squeeze(1), head.flatten(0, -3).squeeze(2)]
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in inputs)
    quantiles, _ = torch.ops.ramac.quantile_head(*inputs, keep)
    return quantiles.unflatten(0, encoded.shape[:-2])


# -- the loss ---------------------------------------------------------------------------------------------------------


@torch.library.impl(OPERATORS, "quantile_huber", "CPU")
def _huber(predicted: Tensor, target: Tensor, taus: Tensor, kappa: float, slip: bool) -> tuple[Tensor, Tensor]:
    inputs = [t.contiguous() for t in (predicted, target, taus)]
    loss, gradient = _huber_results(predicted, target, taus, kappa, slip)
    _call("ramac_huber", *inputs, loss, gradient, *predicted.shape, target.shape[2], float(kappa), slip)
    return loss, gradient


@torch.library.register_fake("ramac::quantile_huber", lib=OPERATORS)
def _huber_results(predicted: Tensor, target: Tensor, taus: Tensor, kappa: float, slip: bool) -> tuple[Tensor, Tensor]:
    return predicted.new_empty(predicted.shape[0]), predicted.new_empty(predicted.shape)


def _keep_gradient(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.set_materialize_grads(False)


def _huber_autograd(ctx: Any, gradient: Tensor, _: Tensor | None) -> tuple[Tensor | None, ...]:
    return gradient[:, None, None] * ctx.saved_tensors[0], None, None, None, None


torch.library.register_autograd("ramac::quantile_huber", _huber_autograd, setup_context=_keep_gradient, lib=OPERATORS)


def quantile_huber(
    predicted: Float[Tensor, "*stack B N"],
    target: Float[Tensor, "*stack B M"],
    taus: Float[Tensor, "*stack N"],
    kappa: float,
    slip: bool,
) -> Float[Tensor, " *stack"]:
    """Return `ramac_lib.networks.quantile_loss.quantile_huber` over all pairs; arguments broadcast to the stack.

    Args:
        slip: weigh by the targets' fractions, as ``axis="target"`` does; M is then N.
    """
    stack = predicted.shape[:-2]
    spread = target.expand(*stack, *target.shape[-2:]), taus.expand(*stack, taus.shape[-1])
    members = [predicted.reshape(-1, *predicted.shape[-2:]), spread[0].reshape(-1, *target.shape[-2:])]
    loss, _ = torch.ops.ramac.quantile_huber(*members, spread[1].reshape(-1, taus.shape[-1]), kappa, slip)
    return loss.reshape(stack)
