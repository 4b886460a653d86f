"""Limits of cost: κ, what an episode may cost undiscounted, and the thresholds that methods make of it."""

import logging
from abc import ABC
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared import base
from ramac_lib.system.errors import RamacError, unknown

KINDS = ("episode", "discounted", "step")


def cost_limit(kappa: float, horizon: int, discount: float, kind: str) -> float:
    """Return the threshold of a kind that belongs to the limit κ of an episode.

    Args:
        kappa: κ, the undiscounted cost that an episode may have.
        horizon: T, steps of an episode.
        discount: γ.
        kind: ``episode``: κ itself, against Σ c; ``discounted``: ℓ = κ(1−γ^T)/((1−γ)T), against Σ γ^t c, what κ is
            worth if its costs are spread evenly over the episode; ``step``: (1−γ)ℓ, against (1−γ) Σ γ^t c, the mean
            cost of a step under the discounted distribution of states.

    Raises:
        RamacError: κ < 0, no step, γ outside [0, 1] (of ``step``: [0, 1)), an unknown kind.
    """
    if kind not in KINDS:
        raise unknown("kind of cost limit", kind, KINDS)
    if not 0 <= kappa < float("inf"):
        raise RamacError(f"the cost limit is {kappa}; expected a number of at least 0, an episode's undiscounted cost")
    if not horizon >= 1:
        raise RamacError(f"the cost limit's horizon is {horizon}; expected at least 1 step")
    if not 0 <= discount <= 1 or (kind == "step" and discount == 1):
        upper = "below 1" if kind == "step" else "of at most 1"
        raise RamacError(f"the cost limit's discount is {discount}; expected a number from 0, {upper}")
    if kind == "episode":
        return kappa
    limit = kappa * discounted_share(horizon, discount)
    return limit if kind == "discounted" else (1 - discount) * limit


def discounted_share(horizon: Any, discount: float) -> Any:
    """Return (1−γ^T)/((1−γ)T), the mean discount of T steps, of a number or a tensor of them; 1 where γ is 1."""
    return (1 - discount**horizon) / ((1 - discount) * horizon) if discount < 1 else 1.0


def episode_costs(data: Dataset) -> Float64[np.ndarray, " E"]:
    """Return each episode's undiscounted cost.

    Raises:
        RamacError: the data have no costs.
    """
    if data.costs is None:
        raise RamacError(f"{data.name}: there are no costs; expected an array costs with one number ≥ 0 a transition")
    costs = data.costs
    return np.array([costs[first:stop].sum(dtype=np.float64) for first, stop in data.episode_bounds()])


def safe_episodes(data: Dataset, kappa: float) -> Bool[np.ndarray, " E"]:
    """Return which episodes cost at most κ. Where none does, say so and return the least costly ones.

    Raises:
        RamacError: the data have no costs.
    """
    costs = episode_costs(data)
    if costs.min() > kappa:
        logging.getLogger(__name__).warning(
            f"{data.name}: no episode costs at most {kappa:g}; the least costly one has {costs.min():g}"
        )
    return costs <= max(kappa, costs.min())


@dataclass(frozen=True)
class LimitConfig(base.Config):
    """Settings of a limit of cost."""

    cost_limit: float | None = None  # κ, an episode's undiscounted cost; None: `cost_share` of the behaviour's mean
    cost_share: float = 0.1
    cost_horizon: int | None = None  # T, steps of an episode; None: the data's longest episode


class Limited(ABC):
    """κ and T, from the settings or the data; mixed into a `Method`. A stored run has them, as some act by them."""

    config: Any
    limits: Tensor

    def add_limits(self: Any) -> None:
        """Make room for κ and T, of each seed: no cost, one step."""
        self.register_buffer("limits", torch.tensor([0.0, 1.0], device=self.device).repeat(*self.stack, 1))

    def fit_limits(self: Any, data: Dataset) -> Bool[np.ndarray, " E"]:
        """Take κ and T; return which episodes are within κ. Where none is, say so and return the least costly ones.

        Raises:
            RamacError: the data have no costs.
        """
        config, costs = self.config, episode_costs(data)
        kappa = config.cost_share * float(costs.mean()) if config.cost_limit is None else config.cost_limit
        longest = max(stop - first for first, stop in data.episode_bounds())
        self.limits.copy_(torch.tensor([kappa, float(config.cost_horizon or longest)]))
        return safe_episodes(data, kappa)

    def limit(self: Any, kind: str = "discounted") -> Float[Tensor, "S 1"]:
        """Return the threshold of a kind, as `cost_limit`, for each seed."""
        kappa, horizon = self.limits.unsqueeze(1).unbind(-1)
        if kind == "episode":
            return kappa
        found = kappa * discounted_share(horizon, self.config.discount)
        return found if kind == "discounted" else (1 - self.config.discount) * found
