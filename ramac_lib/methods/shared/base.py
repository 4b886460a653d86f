"""What every method is: networks with a seed axis, an update, an action, and a state that can be saved."""

import contextlib
import copy
import dataclasses
from abc import ABC
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch, Sampling, Transitions
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared import short_runs
from ramac_lib.methods.shared.ranges import RANGES
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.base import CloningPolicy, Policy
from ramac_lib.networks.policies.cvae import CVAEPolicy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.system.errors import RamacError
from ramac_lib.system.machine import prepare
from ramac_lib.system.ranges import check_fields

Network = TypeVar("Network", bound=nn.Module)
Metrics = dict[str, Float[Tensor, " S"]]


class Style(NamedTuple):
    """How a method is drawn. Families share a hue; within one, lightness, line and mark tell the members apart."""

    label: str
    colour: str = "#999933"
    line: str = "-."
    marker: str = "x"


@dataclass(frozen=True)
class Config:
    """What every method's config has; lengths within a run are fractions of it. Ranges: `shared/ranges.py`.

    Raises:
        RamacError: a value of another type than its field's, or outside its range.
    """

    RELEASED: ClassVar[dict[str, Any]] = {}  # what the released code does otherwise; empty where it has no such method
    RELEASED_PER_TASK: ClassVar[dict[str, dict[str, Any]]] = {}  # and for one task only

    batch_size: int = 256
    lr_actor: float = 3e-4
    normalize: bool = False  # observations to mean 0 and standard deviation 1 over the data

    def __post_init__(self) -> None:
        check_fields(self, RANGES)

    @classmethod
    def for_task(cls, task: str) -> "Config":
        """Return the settings for a task by name; the same for all unless the method's source says otherwise."""
        return cls()

    @classmethod
    def released(cls, task: str) -> "Config":
        """Return the released code's settings for a task by name."""
        return dataclasses.replace(cls.for_task(task), **cls.RELEASED, **cls.RELEASED_PER_TASK.get(task, {}))


@dataclass(frozen=True)
class CriticConfig(Config):
    """What the config of every method with a critic has."""

    discount: float = 0.99
    lr_critic: float = 3e-4
    target_rate: float = 0.005
    target_rate_cap: float = field(default=short_runs.TARGET_RATE_CAP, metadata={"before": 0.05})  # for a short run
    lr_critic_cap: float = 3e-4  # up to which a short run raises lr_critic
    short_run_rate: bool = True  # rates meant for 2M updates are raised in shorter runs (`short_runs`)
    bootstrap: bool = True  # off where every episode has one step, to save the target's evaluation


class Controller:
    """What acts in a set of episodes that go on in step with each other: by default the stateless policy.

    It lives as long as these episodes and is saved nowhere. A method whose actions depend on more than the present
    observation (the rest of a chunk, a plan, what is left of an episode's budget) keeps that in a subclass, for each
    episode by itself: what one does may not depend on which others stand beside it. It may be copied between steps.
    """

    def __init__(self, method: "Method", noise: Noise) -> None:
        self.method, self.noise = method, noise

    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return the next action of each of E episodes a seed; rows of ended episodes do not matter."""
        return self.method.act(observations.to(self.method.device), self.noise)

    def observe(self, rewards: Float[np.ndarray, "S E"], costs: Float[np.ndarray, "S E"]) -> None:
        """Take in what the last actions earned and cost (1: violation); zeros once ended. It may precede any call."""

    def keep(self, episodes: Int[np.ndarray, " K"]) -> None:
        """Go on with these episodes alone, of every seed, in this order; one named twice goes on twice.

        Not told where several seeds are played side by side, which end apart: there the rows of ended episodes stay.
        """


class Method(nn.Module, ABC):
    """One method, for a stack of seeds.

    Args:
        config: the method's own config.
        observation_dim, action_dim: widths of an observation and an action.
        seeds: the run's seeds; each draws its initial parameters and its training noise from streams of its own.
        steps: the run's length in updates, which the schedules are fractions of.
    """

    name: ClassVar[str] = ""  # these four are given by `register`
    style: ClassVar[Style] = Style("")
    needs: ClassVar[tuple[str, ...]] = ()
    group: ClassVar[str] = ""
    Config: ClassVar[type[Config]] = Config
    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy",)  # the networks that `choose` uses
    HAS_DIAL: ClassVar[bool] = False  # whether `controller` takes a `risk_level` too, chosen when acting
    ASIDE: ClassVar[tuple[str, ...]] = ()  # methods of an update that torch.compile is to leave alone
    CRITIC: ClassVar[type[nn.Module] | None] = None  # of the return, where an engine is to know what it can do
    policy: Policy  # what is deployed
    learn: Callable[..., Metrics]  # a method's own update: (batch as its networks see it, **phase())
    step: Tensor
    shift: Tensor
    scale: Tensor

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
        prepare(self.device)
        self.batches = Noise(seeds, "batches", device)  # its own stream: every method sees the same batches
        self.noise = Noise(seeds, "training", device)
        self.optimizers: dict[str, StackedAdam] = {}
        self._init = Noise(seeds, "init", kind="generators")  # the same networks on every device
        self.register_buffer("step", torch.zeros((), device=self.device))
        self.updates = 0  # the same number as `step`, known without asking the device
        self.register_buffer("shift", torch.zeros(*self.stack, 1, observation_dim, device=self.device))
        self.register_buffer("scale", torch.ones(*self.stack, 1, observation_dim, device=self.device))

    def fit_normalizer(self, observations: Float[Tensor, "N s"]) -> None:
        """Take mean and standard deviation of the data's observations, if the config asks for it."""
        if self.config.normalize:
            self.shift.copy_(observations.mean(0))
            self.scale.copy_(observations.std(0) + 1e-3)

    def fit_data(self, data: Dataset) -> None:
        """Take what the method learns from that no batch has, once, before training: nothing, unless it says so.

        It is no part of a checkpoint: a resumed run has the same data, and a run that is loaded to act has none.

        Raises:
            RamacError: the data lack it.
        """

    def normalized(self, batch: Batch) -> Batch:
        """Return the batch with observations as the networks see them."""
        states = self.scaled(batch.observations), self.scaled(batch.next_observations)
        return batch._replace(observations=states[0], next_observations=states[1])

    def scaled(self, observations: Float[Tensor, "S B *H s"]) -> Float[Tensor, "S B *H s"]:
        """Return observations as the networks see them."""
        if not self.config.normalize:
            return observations
        shift, scale = self.shift, self.scale
        for _ in range(observations.ndim - shift.ndim):  # windows have one axis more
            shift, scale = shift.unsqueeze(1), scale.unsqueeze(1)
        return (observations - shift) / scale

    def constant(self, name: str, values: Any) -> None:
        """Keep an array on the device, beside the parameters but in no checkpoint."""
        tensor = torch.as_tensor(values, dtype=torch.float32, device=self.device)
        self.register_buffer(name, tensor, persistent=False)

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
        metrics = self.learn(self.normalized(batch), **self.phase())
        self.step += 1
        self.updates += 1
        return metrics

    def phase(self) -> dict[str, bool]:
        """Return what the number of the coming update decides: which of its parts are made. Given to `learn`.

        Nothing else about an update may depend on a number that Python sees: compiled code and a CUDA graph are kept
        for each phase (`ramac_lib.training.engine`).
        """
        return {}

    # -- what the loop, the bench and the checks ask of every method ------------------------------------------------

    def sampling(self) -> Sampling:
        """Return what an entry of a batch is: transitions, unless the method says ``Chunks(h)`` or ``Windows(H)``."""
        return Transitions()

    def critics(self) -> dict[str, nn.Module]:
        """Return every critic by name, targets and critics of cost among them."""
        return {}

    def levels(self) -> tuple[float, ...]:
        """Return the levels α at which `value` can be asked: none, the mean alone (1), or CVaRs too."""
        return ()

    def value(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], alpha: float = 1.0
    ) -> Float[Tensor, "S B"]:
        """Return what the critics of the return say of actions, in units of return: CVaR_α(Z(s, a)), or Q(s, a).

        Args:
            observations: as the environment gives them.
            alpha: one of `levels`.

        Raises:
            RamacError: the method has no critics, or none that know the return's distribution.
        """
        have = "plain critics" if self.levels() else "no critics"
        raise RamacError(f"{type(self).__name__} has {have}; there is no CVaR at {alpha:g} to follow")

    def quantiles(
        self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]
    ) -> tuple[Float[Tensor, "S C B N"], Float[Tensor, " N"]]:
        """Return each critic's quantiles of the return, and their fractions (½ of plain critics).

        Raises:
            RamacError: the method has no critics.
        """
        raise RamacError(f"{type(self).__name__} has no critics to ask")

    @property
    def period(self) -> int:
        """After how many updates the work of an update repeats."""
        return 1

    @property
    def prelude(self) -> float:
        """The share of the run in which other networks learn before the policy does."""
        return 0.0

    def controller(self, noise: Noise) -> Controller:
        """Return a fresh controller for a set of episodes in step with each other."""
        return Controller(self, noise)

    @torch.no_grad()
    def act(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return actions in [−1, 1] of the deployed policy."""
        return self.choose(self.scaled(observations), noise)

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the deployed policy's actions: one sample a row, unless the method deploys otherwise."""
        return self.policy.sample(self.policy_noise(observations, noise), observations)

    def policy_noise(self, observations: Float[Tensor, "S B s"], noise: Noise | None = None) -> Tensor:
        """Draw the noise z of one action for each row (eq. 8), by default from the training's own stream."""
        return (noise or self.noise).normal(*self.policy.noise_shape(observations.shape[1]))

    def bc_loss(self, batch: Batch) -> Float[Tensor, " S"]:
        """Return the policy's own cloning loss."""
        policy = cast(CloningPolicy, self.policy)
        draws = policy.bc_draws(self.noise, batch.actions.shape[1])
        return policy.bc_loss(batch.observations, batch.actions, *draws)

    @property
    def critic_rate(self) -> float:
        """The critic's learning rate, by the rule for short runs where the config says so."""
        rate = self.config.lr_critic
        cap = self.config.lr_critic_cap
        return short_runs.short_run_rate(rate, self.steps, cap) if self.config.short_run_rate else rate

    @property
    def target_rate(self) -> float:
        """How far targets follow at an update, by the rule for short runs where the config says so."""
        rate, cap = self.config.target_rate, self.config.target_rate_cap
        return short_runs.target_rate(rate, self.steps, cap) if self.config.short_run_rate else rate

    def returns(self, batch: Batch, values: Float[Tensor, "S B *N"]) -> Float[Tensor, "S B *N"]:
        """Return r + γ(1−d) · values, the one-step return that a critic is fitted to."""
        last = (...,) + (None,) * (values.ndim - 2)
        return batch.rewards[last] + self.config.discount * (1 - batch.terminals)[last] * values

    def seed_state(self, index: int) -> dict[str, Any]:
        """Return all that one seed needs to go on: parameters, optimisers, random state. On the CPU."""
        return {
            "networks": {k: v[index].cpu().clone() for k, v in self.state_dict().items() if v.ndim},
            "optimizers": {k: o.seed_state(index) for k, o in self.optimizers.items()},
            "batches": self.batches.state()[index],
            "noise": self.noise.state()[index],
        }

    def acting_state(self, index: int) -> dict[str, Tensor]:
        """Return what one seed needs to act: the networks that `choose` uses, the observations' scale. On the CPU."""
        return {
            k: v[index].cpu().clone()
            for k, v in self.state_dict().items()
            if v.ndim and (k in ("shift", "scale") or k.split(".")[0] in self.DEPLOYED)
        }

    def deployed_state(self, index: int) -> dict[str, Tensor]:
        """Return `acting_state` with networks in float16."""
        kept = self.acting_state(index)
        return {k: v.half() if v.dtype == torch.float32 and "." in k else v for k, v in kept.items()}

    def load_acting(self, states: Sequence[dict[str, Tensor]]) -> None:
        """Load what `acting_state` or `deployed_state` returned for each seed; networks that do not act stay."""
        whole = [self.seed_state(i)["networks"] for i in range(len(self.seeds))]
        self.load_networks([{"networks": {**mine, **state}} for mine, state in zip(whole, states, strict=True)])

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
        self.updates = step
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


def picked(candidates: Float[Tensor, "S B K a"], index: Int[Tensor, "S B"]) -> Float[Tensor, "S B a"]:
    """Return one of each row's candidates, by its index."""
    return candidates.gather(2, index[..., None, None].expand(*index.shape, 1, candidates.shape[-1])).squeeze(2)


def _sizes(method: Any, **others: Any) -> dict[str, Any]:
    return {"hidden": method.config.hidden, "activation": method.config.activation, **others}


def diffusion_policy(method: Any) -> DiffusionPolicy:
    """Return RADAC's diffusion policy (eq. 5, 8), not yet initialised."""
    return DiffusionPolicy(method.stack, *method.dims, **_sizes(method, steps=method.config.policy_steps))


def flow_policy(method: Any, **times: Any) -> FlowPolicy:
    """Return RAFMAC's flow policy (eq. 6, 8), not yet initialised; `times`: how they are embedded."""
    return FlowPolicy(method.stack, *method.dims, **_sizes(method, steps=method.config.policy_steps, **times))


def cvae_policy(method: Any) -> CVAEPolicy:
    """Return the conditional VAE's policy, not yet initialised."""
    latents = {"latent_clamp": method.config.latent_clamp, "kl_weight": method.config.kl_weight}
    return CVAEPolicy(method.stack, *method.dims, **_sizes(method, **latents))
