"""What a plan of `support.navigation.optimum` comes to, and a plan as what acts in the environment."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ramac_lib.envs.navigation import crossings
from support.navigation.optimum import Plan

Array = np.ndarray


def told(plan: Plan, alpha: float = 0.1) -> dict[str, Any]:
    """Return mean, CVaR_α, and of an episode that nothing strikes: steps, steps in danger, route."""
    grid, path = plan.grid, plan.path()
    routes = [str(route) for route in crossings(grid.world, path[:-1], path[1:]) if route]
    cells = np.rint(path[1:] / grid.spacing).astype(int)
    inside = int((grid.p[cells[:, 0], cells[:, 1]] > 0).sum())
    numbers = {"mean": plan.mean, "cvar": plan.cvar(alpha), "steps": len(path) - 1, "inside": inside}
    return {**numbers, "route": routes[0] if routes else ""}


class Executor:
    """A plan as what acts in episodes of the environment: it goes to the plan's points, and remembers what it was paid.

    Args:
        plan: what to do.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan, self.memories = plan, np.empty(0, int)
        self._from = self._to = np.empty(0, int)

    def __call__(self, observations: Float[Tensor, "S E 4"]) -> Float[Tensor, "S E 2"]:
        """Return the actions that lead to the plan's next points."""
        grid, here = self.plan.grid, observations[..., :2].reshape(-1, 2).cpu().numpy().astype(np.float64)
        cells = np.rint(here / grid.spacing).astype(int).clip(0, grid.points - 1)
        self._from = cells[:, 0] * grid.points + cells[:, 1]
        if len(self.memories) != len(here):
            self.memories = np.full(len(here), self.plan.memory)
        gone = [self.plan.go(int(s), int(m)) for s, m in zip(self._from, self.memories, strict=True)]
        self._to, self.memories = (np.array(column) for column in zip(*gone, strict=True))
        target = np.stack([self._to // grid.points, self._to % grid.points], axis=1) * grid.spacing
        actions = np.clip((target - here) / grid.world.step, -1, 1).reshape(*observations.shape[:2], 2)
        return torch.as_tensor(actions, dtype=torch.float32)

    def keep(self, episodes: Int[Array, " K"]) -> None:
        """Go on with these episodes alone."""
        self.memories, self._from, self._to = (a[episodes] for a in (self.memories, self._from, self._to))

    def observe(self, rewards: Float[Array, "S E"], costs: Float[Array, "S E"]) -> None:
        """Take in the rewards: one below a step's cost is a penalty."""
        grid = self.plan.grid
        for i, reward in enumerate(np.asarray(rewards).reshape(-1)):
            if reward < -grid.costs.flat[self._from[i]] - 1e-3:
                self.memories[i] = self.plan.struck(int(self._to[i]), int(self.memories[i]))
