"""The Risky Bandit's data, drawn from the exact distribution of its behaviour policy."""

from dataclasses import asdict

import numpy as np

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.bandit import ENV_ID, Bandit
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.system.errors import RamacError


def dataset(size: int = 10_000, seed: int = 0, bandit: Bandit | None = None) -> Dataset:
    """Return `size` one-step episodes of the behaviour distribution, with the dummy state 0.

    Raises:
        RamacError: size < 1 or seed < 0.
    """
    if size < 1:
        raise RamacError(f"size is {size}; expected at least 1 transition")
    if seed < 0:
        raise RamacError(f"seed is {seed}; expected a whole number of at least 0")
    bandit = bandit or Bandit()
    for_actions, for_rewards = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    actions = bandit.sample_behaviour(size, for_actions)
    zeros = np.zeros((size, 1), np.float32)
    return Dataset(
        observations=zeros,
        actions=actions,
        rewards=bandit.sample_rewards(actions, for_rewards).astype(np.float32),
        next_observations=zeros.copy(),
        terminals=np.ones(size, bool),
        timeouts=np.zeros(size, bool),
        env_id=ENV_ID,
        name=f"bundled {BANDIT}",
        recipe={"source": "bundled", "task": BANDIT, "size": size, "seed": seed, **asdict(bandit)},
    )


def with_costs(data: Dataset, bandit: Bandit | None = None) -> Dataset:
    """Return the data with costs: those that they have, else 1 where the trap can strike (a violation, live)."""
    costs = (bandit or Bandit()).trapped(data.actions).astype(np.float32)  # its own trap, of which no hazard knows
    return data if data.costs is not None else data.with_(costs=costs)
