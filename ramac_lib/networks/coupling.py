"""A normalising flow of coupling layers: a density p(x | c) that can be evaluated, and sampled by its inverse."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ramac_lib.networks.layers import MLP
from ramac_lib.system.errors import RamacError, unknown

KINDS = ("affine", "additive")
PRIORS = ("normal", "logistic")
LOG_SCALE = 3.0  # bound of an affine coupling's log scale


def log_prior(prior: str, z: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows"]:
    """Return log p_H(z), a product of standard normal or standard logistic densities (½ ln 2π, 2 ln 2 at 0)."""
    if prior == "normal":
        return -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
    return -(functional.softplus(z) + functional.softplus(-z)).sum(-1)


class Coupling(nn.Module):
    """y = x · exp(log s) + t on every second entry, s and t functions of the others and of the condition.

    Affine couplings are RealNVP's (Dinh et al. 2017), with |log s| < 3; additive ones NICE's (Dinh et al. 2015), s = 1.
    """

    mask: Tensor  # 1 where an entry stays

    def __init__(
        self,
        stack: Sequence[int],
        width: int,
        condition: int,
        hidden: Sequence[int],
        activation: str,
        kind: str,
        odd: int,
    ) -> None:
        super().__init__()
        self.affine = kind == "affine"
        outputs = 2 * width if self.affine else width
        self.mlp = MLP(stack, (width + condition, *hidden, outputs), activation)
        self.register_buffer("mask", (torch.arange(width) % 2 == odd).float(), persistent=False)

    def terms(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return log s and t, zero on the entries that stay."""
        kept = x * self.mask
        found = self.mlp(kept if condition is None else torch.cat([kept, condition], dim=-1))
        if not self.affine:
            return torch.zeros_like(x), found * (1 - self.mask)
        raw, shift = found.chunk(2, dim=-1)
        return LOG_SCALE * torch.tanh(raw / LOG_SCALE) * (1 - self.mask), shift * (1 - self.mask)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return y and log |∂y/∂x|."""
        log_scale, shift = self.terms(x, condition)
        return x * log_scale.exp() + shift, log_scale.sum(-1)

    def inverse(self, y: Tensor, condition: Tensor | None) -> Tensor:
        """Return x."""
        log_scale, shift = self.terms(y, condition)  # of the entries that stay, which are y's
        return (y - shift) * (-log_scale).exp()


class CouplingFlow(nn.Module):
    """log p(x | c) = log p_H(f(x; c)) + log |det ∂f/∂x|, f couplings one after another, then a scale an entry.

    Args:
        stack: (S,) seeds.
        width: of x.
        condition: width of c; 0 for p(x).
        couplings: how many; each leaves every second entry as it is, in turn the even and the odd ones. A single entry
            is moved by every second one, by the condition alone: its distribution is the prior's, moved and stretched.
        hidden, activation: of their networks.
        kind: ``affine``, or ``additive``, whose only change of volume is the last scale.
        prior: ``normal`` or ``logistic``.

    Raises:
        RamacError: an unknown kind or prior, fewer than no couplings.
    """

    def __init__(
        self,
        stack: Sequence[int],
        width: int,
        condition: int = 0,
        *,
        couplings: int = 4,
        hidden: Sequence[int] = (128, 128),
        activation: str = "leaky_relu",
        kind: str = "affine",
        prior: str = "normal",
    ) -> None:
        super().__init__()
        for what, name, known in (("kind of coupling", kind, KINDS), ("prior of a flow", prior, PRIORS)):
            if name not in known:
                raise unknown(what, name, known)
        if couplings < 0:
            raise RamacError(f"a flow has {couplings} couplings; expected at least 0")
        self.width, self.prior = width, prior
        sizes = (stack, width, condition, hidden, activation, kind)
        self.couplings = nn.ModuleList(Coupling(*sizes, odd=k % 2) for k in range(couplings))
        self.log_scale = nn.Parameter(torch.zeros(*stack, 1, width))

    def forward(
        self, x: Float[Tensor, "S B d"], condition: Float[Tensor, "S B c"] | None = None
    ) -> tuple[Float[Tensor, "S B d"], Float[Tensor, "S B"]]:
        """Return z = f(x; c) and log |det ∂f/∂x|."""
        volume = self.log_scale.sum(-1).expand(x.shape[:-1])
        for coupling in self.couplings:
            x, log_det = coupling(x, condition)
            volume = volume + log_det
        return x * self.log_scale.exp(), volume

    def inverse(
        self, z: Float[Tensor, "S B d"], condition: Float[Tensor, "S B c"] | None = None
    ) -> Float[Tensor, "S B d"]:
        """Return x = f⁻¹(z; c): what f did last is undone first."""
        x = z * (-self.log_scale).exp()
        for coupling in reversed(self.couplings):
            x = coupling.inverse(x, condition)  # type: ignore[operator]
        return x

    def log_prob(
        self, x: Float[Tensor, "S B d"], condition: Float[Tensor, "S B c"] | None = None
    ) -> Float[Tensor, "S B"]:
        """Return log p(x | c) of each row."""
        z, volume = self(x, condition)
        return log_prior(self.prior, z) + volume

    def sample(
        self, noise: Float[Tensor, "S B d"], condition: Float[Tensor, "S B c"] | None = None
    ) -> Float[Tensor, "S B d"]:
        """Return a draw a row, f⁻¹ of the prior's that stands for standard normal noise; differentiable."""
        if self.prior == "logistic":
            noise = torch.special.log_ndtr(noise) - torch.special.log_ndtr(-noise)
        return self.inverse(noise, condition)
