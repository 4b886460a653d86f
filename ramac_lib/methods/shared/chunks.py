"""Policies of chunks of actions: how they are learned from gains, and what plays the first steps of each."""

from abc import ABC
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from ramac_lib.datasets.batches import Chunks, Sampling
from ramac_lib.methods.shared import base
from ramac_lib.methods.shared.in_sample import weights_of
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.networks.policies.gaussian import GaussianPolicy
from ramac_lib.networks.policies.guided_flow import GuidedFlowPolicy
from ramac_lib.system.errors import RamacError
from ramac_lib.system.ranges import Range

EXTRACTIONS = {"cfg": GuidedFlowPolicy, "awr-flow": FlowPolicy, "awr": GaussianPolicy}


@dataclass(frozen=True)
class ChunkConfig(base.Config):
    """Settings of a policy of chunks."""

    length: int = 5  # h
    replan: int = 1  # steps of a chunk that are played
    candidates: int = 8
    # A guided flow; awr-flow and awr: a flow and a Gaussian by advantage-weighted regression.
    extraction: Literal["cfg", "awr-flow", "awr"] = "cfg"
    policy_steps: int = 8  # of a flow
    guidance: float = 2.0  # ω
    label_dropout: float = field(default=0.1, metadata={"range": Range(0, 1, below=True)})  # rows without a label
    temperature: float = 6.0  # of the regressions' weights
    grad_clip: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replan > self.length:
            raise RamacError(f"replan is {self.replan}; expected 1 to {self.length} steps, a chunk's length")


class ChunkController(base.Controller):
    """Plays `config.replan` steps of each episode's chunk, then has all chunks made anew.

    Args:
        method: makes chunks of ``(S, B, h, a)`` by ``chunks(states, noise)``.
    """

    def __init__(self, method: Any, noise: Noise) -> None:
        super().__init__(method, noise)
        self.chunking, self.played = method, 0
        self.chunks: Tensor | None = None  # (S, E, h, a)

    @torch.no_grad()
    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action."""
        if self.chunks is None or self.played == self.chunking.config.replan:
            states = self.chunking.scaled(observations.to(self.chunking.device))
            self.chunks, self.played = self.chunking.chunks(states, self.noise), 0
        self.played += 1
        return self.chunks[:, :, self.played - 1]

    def keep(self, episodes: Int[ndarray, " K"]) -> None:
        """Go on with these episodes' chunks."""
        if self.chunks is not None:
            self.chunks = self.chunks[:, torch.as_tensor(episodes, device=self.chunks.device)]


class ChunkPolicy(ABC):
    """A policy of chunks and its acting by the least cost; mixed into a `Method` with a pair of the cost."""

    config: Any

    def add_chunk_policy(self: Any) -> None:
        """Build the policy and its optimiser."""
        config, (s, a) = self.config, self.dims
        kinds: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation}
        if config.extraction != "awr":
            kinds["steps"] = config.policy_steps
        if config.extraction == "cfg":
            kinds["guidance"] = config.guidance
        self.policy = self.new(EXTRACTIONS[config.extraction](self.stack, s, config.length * a, **kinds))
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)

    def sampling(self: Any) -> Sampling:
        """Return chunks of h steps."""
        return Chunks(self.config.length)

    def update_policy(
        self: Any, states: Float[Tensor, "S B s"], chunks: Float[Tensor, "S B a"], gain: Float[Tensor, "S B"]
    ) -> base.Metrics:
        """Make one update: flow matching with o = 1 where a chunk's gain is no loss, or regression by its weights."""
        config, rows = self.config, states.shape[1]
        draws = self.policy.bc_draws(self.noise, rows)
        if config.extraction == "cfg":
            told = self.noise.uniform(rows) >= config.label_dropout
            loss = self.policy.bc_loss(self.policy.labelled(states, gain >= 0, told), chunks, *draws)
        elif config.extraction == "awr-flow":
            errors = self.policy.errors(states, chunks, *draws).mean(2)
            loss = (weights_of(gain, config.temperature) * errors).mean(1)
        else:
            loss = -(weights_of(gain, config.temperature) * self.policy.log_prob(states, chunks)).mean(1)
        norm = self.optimizers["policy"].step(loss)
        return {"bc_loss": loss.detach(), "good": (gain >= 0).float().mean(1), "policy_grad_norm": norm}

    def chunks(self: Any, states: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B h a"]:
        """Return of each row's candidates the one of least Q_c; without noise all are the same."""
        count = 1 if noise.silent else self.config.candidates
        repeated = states.repeat_interleave(count, dim=1)
        chunks = self.policy.sample(self.policy_noise(repeated, noise), repeated)
        best = self.cost.action_value(repeated, chunks).unflatten(1, (-1, count)).argmin(dim=2)
        return base.picked(chunks.unflatten(1, (-1, count)), best).unflatten(2, (self.config.length, -1))

    def choose(self: Any, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return a chunk's first action."""
        return self.chunks(observations, noise)[:, :, 0]

    def controller(self: Any, noise: Noise) -> ChunkController:
        """Return a fresh controller."""
        return ChunkController(self, noise)
