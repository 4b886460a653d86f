"""What methods share that plan: windows in units of 1, a planner, inverse dynamics, and the controller that follows."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from ramac_lib import risk
from ramac_lib.datasets.batches import Batch, Sampling, Windows
from ramac_lib.methods.shared import base
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.inverse_dynamics import InverseDynamics
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.planner import Planner
from ramac_lib.system.errors import RamacError

SLOWEST = 1e-3  # least rate at which running mean squares move


@dataclass(frozen=True)
class PlanConfig(base.Config):
    """Settings of a planner.

    Raises:
        RamacError: as `Config`'s; more steps to follow than a plan has.
    """

    normalize: bool = True
    discount: float = 0.99
    plan: Literal["states", "actions"] = "states"  # what a plan is made of
    length: int = 16  # H
    replan: int = 1  # steps for which a plan is followed
    hidden: tuple[int, ...] = (512, 512, 512)
    activation: str = "silu"
    policy_steps: int = 20
    bound: float | None = 5.0  # of a plan's entries, in units of their root mean squares
    inverse_hidden: tuple[int, ...] = (256, 256)
    lr_critic: float = 3e-4
    grad_clip: float | None = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.replan > self.length:
            raise RamacError(f"replan is {self.replan}; expected 1 to {self.length} steps, a plan's length")


@dataclass(frozen=True)
class DialConfig(PlanConfig):
    """Settings of a planner with a dial."""

    risk_level: float = 0.1  # where the dial stands unless whoever acts says otherwise


class PlanController(base.Controller):
    """Follows plans for `config.replan` steps, then has all episodes' made anew from where they are.

    Args:
        aim: what plans are made for, as the method's `choose_plans` takes it.
    """

    def __init__(self, method: "Planning", noise: Noise, aim: Any) -> None:
        super().__init__(method, noise)
        self.planning, self.aim = method, aim
        self.plans: Tensor | None = None  # (S, E, H, …)
        self.played = 0

    @torch.no_grad()
    def __call__(self, observations: Float[Tensor, "S E s"]) -> Float[Tensor, "S E a"]:
        """Return each episode's next action."""
        states = self.planning.scaled(observations.to(self.planning.device))
        if self.plans is None or self.played == self.planning.config.replan:
            self.plans, self.played = self.planning.plans(states, self.noise, self.aim), 0
        self.played += 1
        return self.planning.follow_plan(states, self.plans[:, :, self.played - 1])

    def keep(self, episodes: Int[ndarray, " K"]) -> None:
        """Go on with these episodes' plans."""
        if self.plans is not None:
            self.plans = self.plans[:, torch.as_tensor(episodes, device=self.plans.device)]


class Planning(base.Method):
    """A planner of windows of the data, and inverse dynamics where they are of states.

    As the networks see it a plan x is a vector of H moves s_{t+k} − s_t, or of H actions, each entry over its root mean
    square in the data, which is estimated while training.
    """

    DEPLOYED: ClassVar[tuple[str, ...]] = ("policy", "inverse", "plan_square")
    config: Any
    policy: Planner
    plan_square: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        config, (s, a) = self.config, self.dims
        self.width = config.length * (s if config.plan == "states" else a)
        sizes: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation}
        chain: dict[str, Any] = {"steps": config.policy_steps, "bound": config.bound}
        self.policy = self.new(Planner(self.stack, s, self.width, **sizes, **chain))
        self.optimizers["policy"] = StackedAdam(self.policy, config.lr_actor, max_norm=config.grad_clip)
        if config.plan == "states":
            self.inverse = self.new(InverseDynamics(self.stack, s, a, hidden=config.inverse_hidden))
            self.optimizers["inverse"] = StackedAdam(self.inverse, config.lr_actor)
        self.register_buffer("plan_square", torch.ones(*self.stack, 1, self.width, device=self.device))

    # -- learning ---------------------------------------------------------------------------------------------------

    def sampling(self) -> Sampling:
        """Return windows of a plan's length with the return from their first step on."""
        return Windows(self.config.length, padded=True, discount=self.config.discount)

    @torch.no_grad()
    def track(self, running: Float[Tensor, "S 1 *d"], batch_mean: Float[Tensor, "S 1 *d"]) -> None:
        """Move a running mean towards a batch's: the mean of all batches at first, at `SLOWEST` in the end."""
        running.lerp_(batch_mean, (1 / (self.step + 1)).clamp(min=SLOWEST))

    def examples(self, batch: Batch) -> tuple[Float[Tensor, "S B s"], Float[Tensor, "S B x"]]:
        """Return a batch of windows as states and plans, in the networks' units."""
        states = batch.observations[:, :, 0]
        if self.config.plan == "states":
            entries = (batch.next_observations - states.unsqueeze(2)).flatten(2)
        else:
            entries = batch.actions.flatten(2)
        self.track(self.plan_square, entries.square().mean(dim=1, keepdim=True))
        return states, entries / self.unit()

    def unit(self) -> Float[Tensor, "S 1 x"]:
        """Return the root mean square of each entry of a plan."""
        return self.plan_square.sqrt() + 1e-4

    def update_planner(self, batch: Batch, states: Float[Tensor, "S B s"], plans: Float[Tensor, "S B x"]) -> Any:
        """Make one update of the planner and of the inverse dynamics, on the windows' first steps."""
        bc_loss = self.policy.bc_loss(states, plans, *self.policy.bc_draws(self.noise, states.shape[1]))
        norm = self.optimizers["policy"].step(bc_loss)
        metrics = {"bc_loss": bc_loss.detach(), "policy_grad_norm": norm}
        if self.config.plan == "states":
            loss = self.inverse.loss(states, plans[..., : self.dims[0]], batch.actions[:, :, 0])
            self.optimizers["inverse"].step(loss)
            metrics["inverse_loss"] = loss.detach()
        return metrics

    def quantiles(self, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"]) -> Any:
        """Refuse: what critics there are judge plans.

        Raises:
            RamacError: always.
        """
        raise RamacError(f"{type(self).__name__} has critics of plans, which cannot be asked about an action alone")

    # -- acting -----------------------------------------------------------------------------------------------------

    @abstractmethod
    def choose_plans(self, states: Float[Tensor, "S B s"], noise: Noise, aim: Any) -> Float[Tensor, "S B x"]:
        """Return a plan for each row, in the networks' units; `aim` is what the controller is told to plan for."""

    def plans(
        self, states: Float[Tensor, "S B s"], noise: Noise, aim: Any
    ) -> Float[Tensor, "S B H s"] | Float[Tensor, "S B H a"]:
        """Return a plan for each row: the states to come, as the networks see them, or the actions."""
        entries = self.choose_plans(states, noise, aim) * self.unit()
        steps = entries.unflatten(2, (self.config.length, -1))
        return states.unsqueeze(2) + steps if self.config.plan == "states" else steps

    def follow_plan(
        self, states: Float[Tensor, "S B s"], planned: Float[Tensor, "S B s"] | Float[Tensor, "S B a"]
    ) -> Float[Tensor, "S B a"]:
        """Return the action that leads to the planned next state, or the planned action."""
        if self.config.plan == "actions":
            return planned.clamp(-1, 1)
        return self.inverse(states, (planned - states) / self.unit()[..., : self.dims[0]]).clamp(-1, 1)

    @abstractmethod
    def first_aim(self, states: Float[Tensor, "S B s"]) -> Any:
        """Return what plans are made for where an episode begins."""

    def choose(self, observations: Float[Tensor, "S B s"], noise: Noise) -> Float[Tensor, "S B a"]:
        """Return the first action of an episode's first plan."""
        plans = self.plans(observations, noise, self.first_aim(observations))
        return self.follow_plan(observations, plans[:, :, 0])


class DialPlanning(Planning):
    """A planner that aims at a risk level, chosen when acting."""

    HAS_DIAL: ClassVar[bool] = True  # `controller` takes a risk level

    def first_aim(self, states: Float[Tensor, "S B s"]) -> float:
        """Return the config's risk level."""
        return self.config.risk_level

    def controller(self, noise: Noise, risk_level: float | str | None = None) -> PlanController:
        """Return a fresh controller at a risk level, the config's unless given.

        Raises:
            RamacError: a level outside the dial's range.
        """
        level = self.config.risk_level if risk_level is None else risk_level
        return PlanController(self, noise, risk.check_level(level))
