"""BC-Safe: behaviour cloning of the trajectories whose cost is within the limit, DSRL's baseline of that name (2023).

Objective, E[L_BC] over the steps of the episodes with Σ c ≤ κ, undiscounted (Liu et al. 2023, "Datasets and Benchmarks
for Offline Safe Reinforcement Learning"; arXiv 2306.09303), κ as in `ramac_lib.methods.shared.limits`. It has no
critic: what it can do is bounded by the best that safe episodes do.

Differences from its public code (OSRL):

1. the clone is the squashed Gaussian of BC-Gaussian, by maximum likelihood; there a deterministic network by squared
   error, the mean of its actions. ``clone=diffusion`` is BC-diffusion's policy instead, for data with several modes;
2. where no episode is within κ, those of the least cost are cloned, with a warning.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.clones import BehaviourCloning
from ramac_lib.methods.shared import base, worlds
from ramac_lib.methods.shared.limits import LimitConfig, Limited
from ramac_lib.methods.shared.registry import SAFETY, register
from ramac_lib.networks.policies.base import Policy
from ramac_lib.networks.policies.gaussian import GaussianPolicy


@dataclass(frozen=True)
class BCSafeConfig(LimitConfig):
    """BC-Safe's settings.

    Raises:
        RamacError: an unknown clone, a limit below 0.
    """

    clone: Literal["gaussian", "diffusion"] = "gaussian"
    hidden: tuple[int, ...] = (256, 256)
    activation: str = "relu"
    policy_steps: int = 5  # of the diffusion clone
    grad_clip: float | None = None

    @classmethod
    def for_task(cls, task: str) -> "BCSafeConfig":
        """Return the network sizes and rates of the bandit and of navigation there, and the defaults elsewhere."""
        return cls(**worlds.settings(task, "policy", "chain"))


@register("bc-safe", label="BC-Safe", colour="#5AAE61", line="--", marker="$B$", needs=("costs",), group=SAFETY)
class BCSafe(Limited, BehaviourCloning):
    """Cloning of the safe trajectories alone."""

    Config: ClassVar[type[base.Config]] = BCSafeConfig
    states: Tensor
    actions: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_limits()

    def build_policy(self) -> Policy:
        """Return the policy of BC-Gaussian or of BC-diffusion."""
        config: Any = self.config
        if config.clone == "diffusion":
            return base.diffusion_policy(self)
        return GaussianPolicy(self.stack, *self.dims, hidden=config.hidden, activation=config.activation)

    def fit_data(self, data: Dataset) -> None:
        """Keep the steps of the episodes within κ, or of the least costly ones where there is none.

        Raises:
            RamacError: the data have no costs.
        """
        within = zip(data.episode_bounds(), self.fit_limits(data), strict=True)
        rows = np.concatenate([np.arange(*bounds) for bounds, safe in within if safe])
        self.constant("states", data.observations[rows])
        self.constant("actions", data.actions[rows])

    def learn(self, batch: Batch) -> base.Metrics:
        """Make one update, on as many of the safe steps as the batch has, drawn uniformly with replacement."""
        rows = self.noise.integers(len(self.states), batch.rewards.shape[1])
        safe = batch._replace(observations=self.scaled(self.states[rows]), actions=self.actions[rows])
        return super().learn(safe)
