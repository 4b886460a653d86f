"""A small causal transformer with a seed axis (Vaswani et al. 2017, in GPT-2's order of layers)."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ramac_lib.networks.layers import MLP, LayerNorm, Linear


class Block(nn.Module):
    """x + attention(norm(x)), then x + MLP(norm(x)), the MLP four times as wide.

    Args:
        stack: (S,) seeds.
        width: of a token; a multiple of `heads`.
        heads: of the attention.
    """

    def __init__(self, stack: Sequence[int], width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(LayerNorm(stack, width) for _ in range(2))
        self.attend, self.merge = Linear(stack, width, 3 * width), Linear(stack, width, width)
        self.mlp = MLP(stack, (width, 4 * width, width), "gelu")

    def forward(self, x: Float[Tensor, "S B*L d"], length: int) -> Float[Tensor, "S B*L d"]:
        """Return the tokens after the block; rows are those of sequences of `length` tokens, one after another."""
        split = self.attend(self.norms[0](x)).unflatten(1, (-1, length)).unflatten(3, (3, self.heads, -1))
        queries, keys, values = split.permute(3, 0, 1, 4, 2, 5)  # each (S, B, heads, L, d / heads)
        seen = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
        x = x + self.merge(seen.transpose(2, 3).flatten(3).flatten(1, 2))
        return x + self.mlp(self.norms[1](x))


class CausalTransformer(nn.Module):
    """Tokens → tokens, each of which depends on those before it and itself alone.

    Args:
        stack: (S,) seeds.
        length: of the longest sequence; positions are embedded.
        width, heads, layers: of the blocks.
    """

    eye: Tensor

    def __init__(self, stack: Sequence[int], length: int, *, width: int = 64, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.position = Linear(stack, length, width)
        self.register_buffer("eye", torch.eye(length), persistent=False)
        self.blocks = nn.ModuleList(Block(stack, width, heads) for _ in range(layers))
        self.norm = LayerNorm(stack, width)

    def forward(self, tokens: Float[Tensor, "S B L d"]) -> Float[Tensor, "S B L d"]:
        """Return the last block's tokens, normalised; a shorter sequence has the first positions."""
        length = tokens.shape[2]
        x = (tokens + self.position(self.eye[:length]).unsqueeze(1)).flatten(1, 2)
        for block in self.blocks:
            x = block(x, length)
        return self.norm(x).unflatten(1, (-1, length))
