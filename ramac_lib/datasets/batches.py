"""A dataset on the device, and batches drawn from it without leaving the device."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.contract import Dataset
from ramac_lib.networks.noise import Noise


class Batch(NamedTuple):
    """B transitions for each of S seeds."""

    observations: Float[Tensor, "S B s"]
    actions: Float[Tensor, "S B a"]
    rewards: Float[Tensor, "S B"]
    next_observations: Float[Tensor, "S B s"]
    terminals: Float[Tensor, "S B"]  # 1 where nothing is bootstrapped; time-outs are 0


class Replay:
    """The transitions as tensors on `device`."""

    def __init__(self, data: Dataset, device: torch.device | str = "cpu") -> None:
        self.columns = tuple(
            torch.as_tensor(array, dtype=torch.float32, device=device)
            for array in (data.observations, data.actions, data.rewards, data.next_observations, data.terminals)
        )

    def __len__(self) -> int:
        return len(self.columns[0])

    def sample(self, noise: Noise, batch_size: int) -> Batch:
        """Return a batch for each seed, drawn uniformly with replacement from that seed's own stream."""
        index = noise.integers(len(self), batch_size)
        return Batch(*(column[index] for column in self.columns))
