"""Evaluators: episodes of the deployed policies, in this process or beside the updates; the bandit's actions."""

from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.envs import hazards, play
from ramac_lib.envs.hazards import Hazard
from ramac_lib.envs.play import Rollout, rollouts
from ramac_lib.methods import Method, get_method
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import cores, end_with_parent
from ramac_lib.training.config import RunConfig
from ramac_lib.training.results import label


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


def play_copy(copy: Copy) -> pd.DataFrame:
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
        self.waiting.append((step, [_pool().submit(play_copy, copy) for copy in every]))

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


def evaluate(
    method: Method,
    env_id: str,
    hazard: Hazard | None,
    horizon: int,
    episodes: int,
    keys: Sequence[int] = (),
    record: bool = False,
    poses: int = 0,
) -> list[Rollout]:
    """Roll out a method's deployed policy, each of its seeds with noise and environments of its own."""
    noise = Noise(method.seeds, "evaluation", method.device, keys)

    def act(observations: Tensor) -> Tensor:
        return method.act(observations.to(method.device), noise)

    return rollouts(act, env_id, hazard, horizon, method.seeds, episodes, keys, record, poses)


REPORT = 1  # tells the episodes of a report from those of the training curve


def roll_out(
    stacks: Sequence[Method],
    config: RunConfig,
    env_id: str,
    step: int,
    purpose: str,
    episodes: int,
    horizon: int,
    hazard: str | None = None,
) -> pd.DataFrame:
    """Return labelled episodes of a run's policies, `episodes` a seed; the same bits whenever they are asked for.

    Args:
        purpose: ``training`` or ``report``: each has draws of its own.
        hazard: the live one (default: the one that the run was trained with).
    """
    keys = (step,) if purpose == "training" else (step, REPORT)
    live = hazards.get_hazard(hazard or config.hazard, config.task)
    runs = [run for stack in stacks for run in evaluate(stack, env_id, live, horizon, episodes, keys=keys)]
    return label(play.frame(runs), config, env_id, step, purpose, horizon, hazard or "")


Array = np.ndarray
WHOLE, PORTION = 2**16, 2**13  # more actions than the former are drawn in portions that fit the cache


def draw_actions(stack: Method, count: int) -> Float[Array, "seeds count 2"]:
    """Return `count` actions of each seed's deployed policy in the bandit's only state; many of them in portions."""
    noise = Noise(stack.seeds, "evaluation", stack.device)
    portion = count if count <= WHOLE else PORTION
    sizes = [min(portion, count - start) for start in range(0, count, portion)]
    states = torch.zeros(*stack.stack, portion, 1, device=stack.device)
    return np.concatenate([stack.act(states[:, :size], noise).cpu().numpy() for size in sizes], axis=1)
