"""Episodes rolled out by processes of their own, so that a GPU trains on while the simulator runs on the CPU."""

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import pandas as pd
import torch
from torch import Tensor

from ramac_lib.errors import RamacError
from ramac_lib.machine import end_with_parent
from ramac_lib.methods import Method, get_method
from ramac_lib.reports import roll_out
from ramac_lib.rollouts import cores
from ramac_lib.runs import RunConfig


@dataclass(frozen=True)
class Copy:
    """One seed's policy as it was at some step, on the CPU, and the episodes that are asked of it."""

    config: RunConfig
    dims: tuple[int, int]
    seed: int
    networks: dict[str, Tensor]
    env_id: str
    step: int
    purpose: str
    episodes: int
    horizon: int


def copies(
    stack: Method, config: RunConfig, env_id: str, step: int, purpose: str, episodes: int, horizon: int
) -> list[Copy]:
    """Return a copy of each seed's policy, in float32; waits for the device."""
    asked = (env_id, step, purpose, episodes, horizon)
    return [Copy(config, stack.dims, s, stack.acting_state(i), *asked) for i, s in enumerate(stack.seeds)]


def play(copy: Copy) -> pd.DataFrame:
    """Roll a copy out on the CPU; return its labelled episodes, the same bits in whatever process."""
    torch.set_num_threads(1)
    method = get_method(copy.config.method)(copy.config.settings, *copy.dims, (copy.seed,), copy.config.steps, "cpu")
    method.load_acting([copy.networks])
    return roll_out([method], copy.config, copy.env_id, copy.step, copy.purpose, copy.episodes, copy.horizon)


@cache
def _pool() -> ProcessPoolExecutor:
    # One for all runs of this process: a new one imports PyTorch. All cores but one, which feeds the GPU.
    return ProcessPoolExecutor(max(1, cores() - 1), get_context("spawn"), end_with_parent)


class Background:
    """Plays one run's copies in other processes; what is collected comes in the order in which it was submitted."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, list[Future[pd.DataFrame]]]] = []

    def submit(self, step: int, every: Sequence[Copy]) -> None:
        """Begin to play the copies of one moment."""
        self.waiting.append((step, [_pool().submit(play, copy) for copy in every]))

    def holds(self, step: int) -> bool:
        """Return whether episodes of another step than this one are still to be collected."""
        return any(there != step for there, _ in self.waiting)

    def collect(self) -> list[pd.DataFrame]:
        """Wait for all that was submitted and return it, a table for each moment.

        Raises:
            RamacError: a process died.
        """
        try:
            tables = [pd.concat([f.result() for f in futures], ignore_index=True) for _, futures in self.waiting]
        except BrokenProcessPool as error:
            _pool.cache_clear()
            raise RamacError("a process that evaluates died (no memory left?); the run can be resumed") from error
        self.waiting = []
        return tables
