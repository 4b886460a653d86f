"""What the loop asks at moments of training: rollouts, here or beside the updates, or the bandit's exact numbers."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import play
from ramac_lib.envs.bandit import Bandit
from ramac_lib.envs.hazards import Hazard, get_hazard
from ramac_lib.methods import Controller, Method
from ramac_lib.networks.noise import Noise, SamplerNoise
from ramac_lib.system.errors import RamacError, killed
from ramac_lib.system.processes import cores, spawn
from ramac_lib.training import routes, unseen
from ramac_lib.training.config import RunConfig
from ramac_lib.training.results import label

DIAL = "dial"  # the purpose of rows at a risk level chosen when acting, whose ``alpha`` it is: part of no table
REPORT = 1  # tells the episodes of a report from those of the training curve
WHOLE, PORTION = 2**16, 2**13  # more actions than the former are drawn in portions that fit the cache

Array = np.ndarray


@dataclass(frozen=True)
class Asked:
    """What is asked of an evaluator at one moment.

    Args:
        purpose: ``training`` or ``report``: each has draws of its own.
        episodes: for each seed.
        horizon: steps at which they are cut.
        hazard: the live one by name (default: the one that the run was trained with).
        risk_level: of the dial of a method that has one (default: the run's own).
        data: the run's, for what a report says of actions beside them (`ramac_lib.training.unseen`); None: nothing.
    """

    config: RunConfig
    env_id: str
    step: int
    purpose: str
    episodes: int
    horizon: int
    hazard: str = ""
    risk_level: float | None = None
    data: Dataset | None = None


class Evaluator(ABC):
    """Makes a table of what a run's policies do. What is begun is collected later, in the same order.

    A table has a row an episode, or what stands for one, with at least ``step seed purpose hazard horizon`` as columns.
    """

    overlaps: ClassVar[bool] = False  # whether updates go on while it works

    def __init__(self) -> None:
        self._made: list[tuple[int, pd.DataFrame]] = []

    @abstractmethod
    def evaluate(self, stacks: Sequence[Method], asked: Asked) -> pd.DataFrame:
        """Return the table; the same bits whenever it is asked for."""

    def begin(self, stacks: Sequence[Method], asked: Asked) -> None:
        """Begin an evaluation of the policies as they now are; the loop goes on when this returns."""
        self._made.append((asked.step, self.evaluate(stacks, asked)))

    def collect(self) -> list[pd.DataFrame]:
        """Return the tables of all that was begun, waiting for them."""
        made, self._made = self._made, []
        return [table for _, table in made]

    def holds(self, step: int) -> bool:
        """Return whether a table of another step than this one is still to be collected."""
        return any(there != step for there, _ in self._made)


class Rollouts(Evaluator):
    """Episodes under the live hazard, one after another in this process."""

    def evaluate(self, stacks: Sequence[Method], asked: Asked) -> pd.DataFrame:
        """Return labelled episodes."""
        return roll_out(stacks, asked)


class Background(Rollouts):
    """Episodes rolled out by processes of their own, so that a GPU trains on while the simulator runs on the CPU."""

    overlaps = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[tuple[Asked, list[tuple[Copy, Future[list[play.Rollout]]]]]] = []

    def begin(self, stacks: Sequence[Method], asked: Asked) -> None:
        """Copy each seed's policy and let the copies be played."""
        sent = [(copy, _pool().submit(play_pickled, pickle.dumps(copy))) for copy in copies(stacks, asked)]
        self.waiting.append((asked, sent))

    def collect(self) -> list[pd.DataFrame]:
        """Wait for all that was begun and return it, a table for each moment.

        Raises:
            RamacError: a process died.
        """
        try:
            played = [(asked, [run for one in sent for run in _played(*one)]) for asked, sent in self.waiting]
        except BrokenProcessPool as error:
            _pool.cache_clear()
            raise killed("evaluated", "the run can be resumed") from error
        self.waiting = []
        return [tabulate(runs, asked) for asked, runs in played]

    def holds(self, step: int) -> bool:
        """Return whether episodes of another step than this one are still to be collected."""
        return any(asked.step != step for asked, _ in self.waiting)


class ExactBandit(Evaluator):
    """The Risky Bandit's exact numbers (`Bandit.evaluate`) of actions drawn from each seed's policy, no rollouts.

    Args:
        bandit: whose distributions.
        count: actions drawn of each seed.

    Attributes:
        actions: update → actions (seeds, count, 2).
    """

    def __init__(self, bandit: Bandit | None = None, count: int = 4000) -> None:
        super().__init__()
        self.bandit, self.count = bandit or Bandit(), count
        self.actions: dict[int, Float[Array, "seeds count 2"]] = {}

    def evaluate(self, stacks: Sequence[Method], asked: Asked) -> pd.DataFrame:
        """Draw actions; return a row a seed."""
        drawn = np.concatenate([draw_actions(stack, self.count) for stack in stacks])
        self.actions[asked.step] = drawn
        seeds = [seed for stack in stacks for seed in stack.seeds]
        table = pd.DataFrame([self.bandit.evaluate(own) for own in drawn])
        hazard = asked.hazard or asked.config.hazard.name
        return table.assign(step=asked.step, seed=seeds, purpose=asked.purpose, hazard=hazard, horizon=asked.horizon)


# -- rollouts -------------------------------------------------------------------------------------------------------


def evaluate(
    method: Method,
    env_id: str,
    hazard: Hazard | None,
    horizon: int,
    episodes: int,
    keys: Sequence[int] = (),
    record: bool = False,
    poses: int = 0,
    steps: bool = False,
    drop: bool = False,
    noise: Noise | None = None,
    risk_level: float | None = None,
) -> list[play.Rollout]:
    """Roll out a method's deployed policy, each of its seeds with noise and environments of its own.

    Args and errors as `play.rollouts`; `noise` in the place of the deployed one, `risk_level` as in `controller_at`.
    """
    controller = controller_at(method, noise or Noise(method.seeds, "evaluation", method.device, keys), risk_level)
    return play.rollouts(controller, env_id, hazard, horizon, method.seeds, episodes, keys, record, poses, steps, drop)


def controller_at(method: Any, noise: Noise, risk_level: float | None = None) -> Controller:
    """Return a fresh controller, at a level of the method's dial where one is given.

    Raises:
        RamacError: the method has no dial, or the level is outside its range.
    """
    if risk_level is None:
        return method.controller(noise)
    if not method.HAS_DIAL:
        raise RamacError(f"{method.name} has no risk level that is chosen when acting; expected none, not {risk_level}")
    return method.controller(noise, risk_level)


def roll_out(stacks: Sequence[Method], asked: Asked) -> pd.DataFrame:
    """Return labelled episodes of a run's policies; the same bits whenever they are asked for.

    A report has as many episodes again with the policies' sampler noise switched off, in the same environments. It has
    many rows: each seed's are played by themselves, so that those of ended episodes can be left out.
    """
    if asked.purpose == "training":
        return tabulate([run for stack in stacks for run in played(stack, asked)], asked)
    alone = [(copy, stack.device) for stack in stacks for copy in copies([stack], asked)]
    return tabulate([run for copy, device in alone for run in play_copy(copy, device)], asked)


def played(stack: Method, asked: Asked) -> list[play.Rollout]:
    """Return the episodes that `roll_out` makes a table of; a report's, of one seed, with their states and actions."""
    report = asked.purpose != "training"
    live, keys = live_hazard(asked), (asked.step, REPORT) if report else (asked.step,)

    def play_with(noise: SamplerNoise) -> list[play.Rollout]:
        counts, kept = (asked.horizon, asked.episodes, keys), report or asked.config.task.is_navigation
        how: dict[str, Any] = {"noise": noise, "risk_level": asked.risk_level}
        return evaluate(stack, asked.env_id, live, *counts, steps=kept, drop=report, **how)

    loud, silent = (SamplerNoise(stack.seeds, "evaluation", stack.device, keys, silent=off) for off in (False, True))
    runs = play_with(loud)
    if report:  # a policy that asked for no noise would play the same episodes again
        quiet = play_with(silent) if loud.used else runs
        runs = [*runs, *(replace(run, silent=True) for run in quiet)]
    return runs


def tabulate(runs: Sequence[play.Rollout], asked: Asked) -> pd.DataFrame:
    """Return episodes as labelled rows, those without sampler noise last."""
    runs = sorted(runs, key=lambda run: run.silent)
    table = play.frame(runs).assign(sampler_noise=[int(not run.silent) for run in runs])
    if asked.data is not None and asked.purpose != "training":
        table = table.join(unseen.rates(runs, asked.data))
    if asked.config.task.is_navigation:
        table = table.join(routes.columns(runs, asked.config.task, live_hazard(asked), asked.config.source))
    table = label(table, asked.config, asked.env_id, asked.step, asked.purpose, asked.horizon, asked.hazard)
    return table if asked.risk_level is None else table.assign(purpose=DIAL, alpha=asked.risk_level)


def live_hazard(asked: Asked) -> Hazard:
    """Return the hazard that episodes are played under."""
    return get_hazard(asked.hazard, asked.config.task) if asked.hazard else asked.config.hazard


def draw_actions(stack: Method, count: int) -> Float[Array, "seeds count 2"]:
    """Return `count` actions of each seed's deployed policy in the bandit's only state; many of them in portions."""
    portion = count if count <= WHOLE else PORTION
    sizes = [min(portion, count - start) for start in range(0, count, portion)]
    states = torch.zeros(*stack.stack, portion, 1, device=stack.device)
    noise = Noise(stack.seeds, "evaluation", stack.device)
    drawn = [play.ask(stack.controller(noise), states[:, :size], stack.dims[1:]) for size in sizes]
    return np.concatenate([actions.cpu().numpy() for actions in drawn], axis=1)


# -- other processes ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    """One seed's policy as it was at some step, in float32 on the CPU, and what is asked of it."""

    asked: Asked
    dims: tuple[int, int]
    seed: int
    networks: dict[str, Tensor]


def copies(stacks: Sequence[Method], asked: Asked) -> list[Copy]:
    """Return a copy of each seed's policy; waits for the device."""
    asked = replace(asked, data=None)  # not sent: whoever collects has them
    return [Copy(asked, s.dims, seed, s.acting_state(i)) for s in stacks for i, seed in enumerate(s.seeds)]


def play_copy(copy: Copy, device: torch.device | str = "cpu") -> list[play.Rollout]:
    """Roll a copy out; return its episodes, on the CPU the same bits in whatever process."""
    config = copy.asked.config
    method = config.method(config.settings, *copy.dims, (copy.seed,), config.steps, device)
    method.load_acting([copy.networks])
    return played(method, copy.asked)


def play_pickled(copy: bytes) -> list[play.Rollout]:
    """Unpickle a copy and play it: names that this process does not know are an error of the job, not of the pool."""
    torch.set_num_threads(1)
    return play_copy(pickle.loads(copy))


def _played(copy: Copy, future: "Future[list[play.Rollout]]") -> list[play.Rollout]:
    try:
        return future.result()
    except RamacError:  # a notebook's own method, task or hazard is known in its process alone; all else fails here too
        return play_copy(copy)


@cache
def _pool() -> ProcessPoolExecutor:
    # One for all runs of this process: a new one imports PyTorch. All cores but one, which feeds the GPU.
    return spawn(max(1, cores() - 1))
