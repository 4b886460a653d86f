"""A policy of sequences with goals, as decision transformers are (Chen et al. 2021; with costs, Liu et al. 2023)."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks.layers import Linear
from ramac_lib.networks.transformer import CausalTransformer

LOG_STD = (-5.0, 2.0)
TOKENS = 4  # a step: return to go, cost to go, state, action


class SequencePolicy(nn.Module):
    """a_t ~ N(tanh μ, σ²) given (R̂, Ĉ, s, a) of the steps before and (R̂_t, Ĉ_t, s_t), and whether step t costs.

    Args:
        stack: (S,) seeds.
        observation_dim, action_dim: widths of an observation and an action.
        length: K, of the longest context in steps.
        width, heads, layers: of the transformer.
    """

    def __init__(
        self,
        stack: Sequence[int],
        observation_dim: int,
        action_dim: int,
        *,
        length: int,
        width: int = 64,
        heads: int = 4,
        layers: int = 2,
    ) -> None:
        super().__init__()
        self.length, self.action_dim = length, action_dim
        widths = (1, 1, observation_dim, action_dim)
        self.embeddings = nn.ModuleList(Linear(stack, n, width) for n in widths)
        self.body = CausalTransformer(stack, TOKENS * length, width=width, heads=heads, layers=layers)
        self.action, self.cost = Linear(stack, width, 2 * action_dim), Linear(stack, width, 1)

    def forward(
        self, goals: Float[Tensor, "S B L 2"], states: Float[Tensor, "S B L s"], actions: Float[Tensor, "S B L a"]
    ) -> tuple[Float[Tensor, "S B L a"], Float[Tensor, "S B L a"], Float[Tensor, "S B L"]]:
        """Return each step's mean action, log σ, and the logit of a cost, which alone depends on the step's action.

        Args:
            goals: returns and costs to go, in units of about 1.
        """
        steps, columns = states.shape[2], (goals[..., :1], goals[..., 1:], states, actions)
        tokens = [e(x.flatten(1, 2)).unflatten(1, (-1, steps)) for e, x in zip(self.embeddings, columns, strict=True)]
        found = self.body(torch.stack(tokens, dim=3).flatten(2, 3)).unflatten(2, (steps, TOKENS))
        before, after = (found[:, :, :, k].flatten(1, 2) for k in (2, 3))
        mean, log_std = self.action(before).unflatten(1, (-1, steps)).chunk(2, dim=-1)
        return mean.tanh(), log_std.clamp(*LOG_STD), self.cost(after).unflatten(1, (-1, steps)).squeeze(-1)

    def likelihood(
        self, goals: Float[Tensor, "S B L 2"], states: Float[Tensor, "S B L s"], actions: Float[Tensor, "S B L a"]
    ) -> tuple[Float[Tensor, "S B L"], Float[Tensor, "S B L"], Float[Tensor, "S B L"]]:
        """Return each step's log N(a; tanh μ, σ²), the entropy of that Gaussian, and the logit of a cost."""
        mean, log_std, logit = self(goals, states, actions)
        standard, constant = (actions - mean) / log_std.exp(), 0.5 * math.log(2 * math.pi)
        log_prob = -(0.5 * standard.square() + log_std + constant).sum(-1)
        return log_prob, (log_std + constant + 0.5).sum(-1), logit
