"""A planner over windows: it remembers windows of the data and follows the actions of the nearest one."""

from dataclasses import dataclass

import torch

from ramac_lib.datasets.batches import Windows
from ramac_lib.methods import Config, Controller, Method, register


@dataclass(frozen=True)
class PlannerConfig(Config):
    """Length of a plan, and how many are remembered."""

    length: int = 4
    memory: int = 512


class Follow(Controller):
    """Follows each episode's plan to its end, then takes a new one; an episode that cost something gives its own up."""

    plans = None  # (S, E, H, a), there from the first call on
    done = None  # (S, E): how many steps of each plan are played

    def __call__(self, observations):
        observations = observations.to(self.method.device)
        if self.plans is None:
            self.plans = self.method.nearest(observations)
            self.done = torch.zeros(self.plans.shape[:2], dtype=torch.long, device=self.plans.device)
        over = self.done == self.plans.shape[2]
        if over.any():
            self.plans = torch.where(over[..., None, None], self.method.nearest(observations), self.plans)
        step = torch.where(over, 0, self.done)
        self.done = step + 1
        return self.plans.take_along_dim(step[..., None, None], dim=2)[:, :, 0]

    def observe(self, rewards, costs):
        if self.plans is not None:
            cost = torch.as_tensor(costs > 0, device=self.done.device)
            self.done = self.done.masked_fill(cost, self.plans.shape[2])

    def keep(self, episodes):
        if self.plans is not None:
            rows = torch.as_tensor(episodes, device=self.done.device)
            self.plans, self.done = self.plans[:, rows], self.done[:, rows]


@register("nearest-plan", label="nearest plan", colour="#117777", marker="^")
class NearestPlan(Method):
    """The actions of the remembered window whose first state is nearest; there is no network."""

    Config = PlannerConfig
    DEPLOYED = ("states", "plans")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        (s, a), config = self.dims, self.config
        self.register_buffer("states", torch.full((*self.stack, config.memory, s), 1e6, device=self.device))
        self.register_buffer("plans", torch.zeros(*self.stack, config.memory, config.length, a, device=self.device))

    def sampling(self):
        return Windows(self.config.length)

    def learn(self, batch):
        slots = (self.step.long() * self.config.batch_size + torch.arange(batch.actions.shape[1])) % self.config.memory
        self.states[:, slots] = batch.observations[:, :, 0]
        self.plans[:, slots] = batch.actions
        return {"return_of_windows": batch.rewards.sum(dim=2).mean(dim=1)}

    @torch.no_grad()
    def nearest(self, observations):
        """Return plans (S, E, H, a)."""
        found = torch.cdist(self.scaled(observations), self.states).argmin(dim=2)
        return torch.stack([plans[index] for plans, index in zip(self.plans, found, strict=True)])

    def choose(self, observations, noise):
        return self.nearest(observations)[:, :, 0]

    def controller(self, noise):
        return Follow(self, noise)
