"""Critics with a seed axis and a critic axis: implicit quantile networks, CODAC's quantile networks, plain Q."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.layers import MLP, LayerNorm, Linear, one_column
from ramac_lib.networks.native import operators


class _ReluHead(torch.autograd.Function):
    """relu(x W + b) · h for a stack of M members, in few passes over the (R, hidden) activations.

    The generic product with a one-column matrix takes as long as the wide one on a CPU, forward and backward. The wide
    products are made in x's and W's precision, all else in float32.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, head: Tensor) -> Tensor:
        if x.dtype == bias.dtype and not x.is_cuda:  # there baddbmm first copies the bias to every row
            active = torch.baddbmm(bias, x, weight).relu_()
        else:
            active = (torch.bmm(x, weight) + bias).relu_()
        ctx.save_for_backward(x, weight, head, active)
        return _matvec(active, head)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x, weight, head, active = ctx.saved_tensors
        outer = gradient[..., None] * head[:, None, :]
        inner = torch.ops.aten.threshold_backward(outer, active, 0.0)  # a tenth of the time of `where`
        factor = inner.to(x.dtype)
        return (
            torch.bmm(factor, weight.mT) if ctx.needs_input_grad[0] else None,
            torch.bmm(x.mT, factor) if ctx.needs_input_grad[1] else None,
            inner.sum(1, keepdim=True) if ctx.needs_input_grad[2] else None,
            _matvec(active.mT, gradient) if ctx.needs_input_grad[3] else None,
        )


def _matvec(matrices: Float[Tensor, "M R H"], vectors: Float[Tensor, "M H"]) -> Float[Tensor, "M R"]:
    if matrices.is_cuda:
        return one_column(matrices, vectors[..., None])[..., 0]
    return torch.stack([torch.mv(m, v) for m, v in zip(matrices, vectors, strict=True)])


class IQNCritic(nn.Module):
    """Implicit quantile networks Z(s, a; τ), two unless told otherwise (Dabney et al. 2018; eq. 7).

    ReLU(W_s s) ‖ ReLU(W_a a) → emb, times ReLU(W cos(π i τ)), i = 0 … n_cos − 1, → ReLU(hidden) → 1. State and action
    are encoded once, the fractions once (they are shared by the batch), and only their product has B·N rows. The
    released codes of RAMAC and of ORAAC have a further ReLU after emb: `joint_relu`.

    Args:
        stack: (S,) seeds; the critics are a second stack axis.
        hidden, encoder: widths of the last layer and of the first two (the same unless given).
        init: ``"fan_in"``, or ``"released"``: weights N(0, 0.1²) with the default's biases, head U(±3e-4) without one.
        joint_relu: a ReLU on the joint embedding of state and action, before the product.
    """

    HAS_NATIVE: ClassVar[bool] = True  # there is a native kernel for it: `ramac_lib.networks.native`
    native = False  # whether to use it; see `set_native`
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
        encoder: int | None = None,
        n_critics: int = 2,
        init: str = "fan_in",
        joint_relu: bool = False,
    ) -> None:
        super().__init__()
        stack = (*stack, n_critics)
        encoder = encoder or hidden
        self.joint_relu = joint_relu
        weights: str | tuple[str, float] = ("normal", 0.1) if init == "released" else "fan_in"
        head: str | tuple[str, float] = ("uniform", 3e-4) if init == "released" else "fan_in"
        self.state = Linear(stack, observation_dim, encoder, weights)
        self.action = Linear(stack, action_dim, encoder, weights)
        self.encoder = Linear(stack, 2 * encoder, embedding, weights)
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
        if self.joint_relu:
            encoded = encoded.relu()
        cosines = torch.cos(taus[..., None] * self.harmonics)
        fractions = self.fraction(cosines if taus.ndim == 1 else cosines.unsqueeze(-3))
        if self.native and operators.serves(encoded, fractions) and self.hidden.products is None:
            layers = self.hidden.weight, self.hidden.bias, self.head.weight
            return operators.quantile_head(encoded, fractions, *layers) + self.head.bias
        rows = encoded.unsqueeze(-2) * fractions.relu().unsqueeze(-3)  # (S, C, B, N, embedding)
        stack = rows.shape[:-3]
        products = self.hidden.products or rows.dtype
        quantiles = _ReluHead.apply(
            rows.flatten(-3, -2).flatten(0, -3).to(products),
            self.hidden.weight.flatten(0, -3).to(products),
            self.hidden.bias.flatten(0, -3),
            self.head.weight.squeeze(-1).flatten(0, -2),
        )
        return quantiles.unflatten(-1, rows.shape[-3:-1]).unflatten(0, stack) + self.head.bias


def set_native(network: nn.Module) -> None:
    """Let a network's quantile critics use the native kernel, where it serves them; it must be there."""
    for module in network.modules():
        if isinstance(module, IQNCritic):
            module.native = True


class QuantileMLP(nn.Module):
    """CODAC's quantile networks (Ma et al. 2021): LayerNorm before each activation, fractions enter through a gate.

    ReLU(LN(W [s, a])) ⊙ σ(LN(W cos(π i τ))), i = 1 … n_cos, → ReLU(LN(·)) → 1, all of one width.
    """

    harmonics: Tensor

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: int = 256,
        n_cos: int = 64,
        n_critics: int = 2,
    ) -> None:
        super().__init__()
        stack = (*stack, n_critics)
        self.encoder, self.encoder_norm = Linear(stack, observation_dim + action_dim, hidden), LayerNorm(stack, hidden)
        self.fraction, self.fraction_norm = Linear(stack, n_cos, hidden), LayerNorm(stack, hidden)
        self.hidden, self.hidden_norm = Linear(stack, hidden, hidden), LayerNorm(stack, hidden)
        self.head = Linear(stack, hidden, 1)
        self.register_buffer("harmonics", math.pi * torch.arange(1, n_cos + 1), persistent=False)

    def forward(
        self,
        observations: Float[Tensor, "S B s"],
        actions: Float[Tensor, "S B a"],
        taus: Float[Tensor, " N"] | Float[Tensor, "S N"],
    ) -> Float[Tensor, "S C B N"]:
        """Return each critic's quantiles at the fractions `taus`, the same for all rows of a seed."""
        rows = torch.cat([observations, actions], dim=-1).unsqueeze(-3)
        encoded = self.encoder_norm(self.encoder(rows)).relu()
        cosines = torch.cos(taus[..., None] * self.harmonics)
        gates = self.fraction_norm(self.fraction(cosines if taus.ndim == 1 else cosines.unsqueeze(-3))).sigmoid()
        merged = (encoded.unsqueeze(-2) * gates.unsqueeze(-3)).flatten(-3, -2)
        merged = self.hidden_norm(self.hidden(merged)).relu()
        return self.head(merged).squeeze(-1).unflatten(-1, (encoded.shape[-2], gates.shape[-2]))


class QCritic(nn.Module):
    """Expected returns Q(s, a): MLPs on [s, a], two unless told otherwise."""

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        hidden: Sequence[int] = (256, 256, 256),
        activation: str = "mish",
        layer_norm: bool = False,
        n_critics: int = 2,
        init: str = "fan_in",
    ) -> None:
        super().__init__()
        sizes = (observation_dim + action_dim, *hidden, 1)
        self.mlp = MLP((*stack, n_critics), sizes, activation, layer_norm, init)

    def forward(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Float[Tensor, "S C B"]:
        """Return each critic's value of each row."""
        return self.mlp(torch.cat([observations, actions], dim=-1).unsqueeze(-3)).squeeze(-1)
