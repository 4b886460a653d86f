"""What every method is: networks with a seed axis, an update, an action, and a state that can be saved."""

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ramac_lib.networks import initialise
from ramac_lib.noise import Noise
from ramac_lib.optim import StackedAdam
from ramac_lib.policies.base import Policy
from ramac_lib.replay import Batch

Network = TypeVar("Network", bound=nn.Module)
Metrics = dict[str, Float[Tensor, " S"]]


@dataclass(frozen=True)
class Config:
    """What every method's config has. Lengths within a run are fractions of it."""

    RELEASED: ClassVar[dict[str, Any]] = {}  # what the released code does otherwise; empty where it has no such method

    batch_size: int = 256
    lr_actor: float = 3e-4

    @classmethod
    def for_task(cls, task: str) -> "Config":
        """Return the settings for a task; the same for all unless the method's source says otherwise."""
        return cls()


class Method(nn.Module):
    """One method, for a stack of seeds.

    Args:
        config: the method's own config.
        observation_dim, action_dim: widths of an observation and an action.
        seeds: the run's seeds; each draws its initial parameters and its training noise from streams of its own.
        steps: the run's length in updates, which the schedules are fractions of.
    """

    Config: ClassVar[type[Config]] = Config
    policy: Policy  # what is deployed
    step: Tensor

    def __init__(
        self,
        config: Any,
        observation_dim: int,
        action_dim: int,
        seeds: Sequence[int],
        steps: int,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.config = config
        self.dims = (observation_dim, action_dim)
        self.seeds = tuple(seeds)
        self.stack = (len(self.seeds),)
        self.steps = steps
        self.device = torch.device(device)
        self.batches = Noise(seeds, "batches", device)  # its own stream: every method sees the same batches
        self.noise = Noise(seeds, "training", device)
        self.optimizers: dict[str, StackedAdam] = {}
        self._init = Noise(seeds, "init")
        self.register_buffer("step", torch.zeros((), device=self.device))

    def new(self, network: Network) -> Network:
        """Move a network to the device and draw its initial parameters, each seed from its own stream."""
        network.to(self.device)
        initialise(network, self._init.generators)
        return network

    def target_of(self, network: Network) -> Network:
        """Return a frozen copy, to be moved by `follow`."""
        return copy.deepcopy(network).requires_grad_(False)

    def update(self, batch: Batch) -> Metrics:
        """Make one update of every network; return what is worth logging, one number a seed, still on the device."""
        raise NotImplementedError

    @torch.no_grad()
    def act(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return actions in [−1, 1] of the deployed policy."""
        return self.policy.sample(noise.normal(*self.policy.noise_shape(observations.shape[1])), observations)

    def seed_state(self, index: int) -> dict[str, Any]:
        """Return all that one seed needs to go on: parameters, optimisers, random state. On the CPU."""
        return {
            "networks": {k: v[index].cpu().clone() for k, v in self.state_dict().items() if v.ndim},
            "optimizers": {k: o.seed_state(index) for k, o in self.optimizers.items()},
            "batches": self.batches.generators[index].get_state(),
            "noise": self.noise.generators[index].get_state(),
        }

    def load_networks(self, states: Sequence[dict[str, Any]]) -> None:
        """Load the seeds' parameters alone, to act."""
        networks = {
            k: torch.stack([s["networks"][k] for s in states]) if v.ndim else v for k, v in self.state_dict().items()
        }
        self.load_state_dict(networks)

    def load_seed_states(self, states: Sequence[dict[str, Any]], step: int) -> None:
        """Continue from the seeds' states after `step` updates."""
        self.load_networks(states)
        self.step.fill_(step)
        for name, optimizer in self.optimizers.items():
            optimizer.load_seed_states([s["optimizers"][name] for s in states])
        self.batches.load_state([s["batches"] for s in states])
        self.noise.load_state([s["noise"] for s in states])


@contextlib.contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Let gradients flow through a network but not into it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)


@torch.no_grad()
def follow(target: nn.Module, network: nn.Module, rate: float | Tensor) -> None:
    """Move a target network towards its network: θ̄ ← θ̄ + rate · (θ − θ̄)."""
    targets: list[Tensor] = list(target.parameters())
    sources: list[Tensor] = list(network.parameters())
    if isinstance(rate, Tensor):
        for t, s in zip(targets, sources, strict=True):
            t.lerp_(s, rate)
    else:
        torch._foreach_lerp_(targets, sources, rate)
