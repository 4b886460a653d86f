"""The only training loop: any method, any number of seeds, resumable to the same bits."""

import contextlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from ramac_lib import datasets, evaluation, hazards
from ramac_lib.datasets.contract import Dataset
from ramac_lib.engine import Engine, Update, get_engine
from ramac_lib.errors import RamacError
from ramac_lib.machine import get_device, provenance
from ramac_lib.methods import Method, get_method
from ramac_lib.replay import Replay
from ramac_lib.results import label
from ramac_lib.runs import RunConfig, RunDirectory
from ramac_lib.tally import Tally
from ramac_lib.tasks import BANDIT, get_task

REPORT = 1  # tells the episodes of a report from those of the training curve


class Interrupted(Exception):
    """Ctrl-C: the run stopped at a checkpoint and can be resumed."""


@dataclass(frozen=True)
class Schedule:
    """When a run logs, evaluates and saves, in updates; None chooses by the run's length."""

    log_every: int | None = None
    eval_every: int | None = None
    episodes: int = 10

    def resolve(self, steps: int) -> tuple[int, int]:
        """Return (log_every, eval_every): a fiftieth and a tenth of the run, unless given."""
        log = self.log_every or max(1, steps // 50)
        evaluate = self.eval_every or max(1, steps // 10)
        if log < 1 or evaluate < 1:
            raise RamacError(f"intervals are {log} and {evaluate} updates; expected at least 1")
        return log, evaluate


def load_data(config: RunConfig, progress: bool = True) -> Dataset:
    """Return the run's data, rewards relabelled with the run's hazard."""
    data = datasets.load(
        config.task,
        config.source,
        size=config.size,
        seed=config.data_seed,
        env_id=config.env_id,
        progress=progress,
    )
    if config.task == BANDIT:
        return data
    return hazards.relabel(data, hazards.get_hazard(config.hazard, config.task), seed=config.data_seed)


def build(config: RunConfig, data: Dataset, device: torch.device, seeds: Sequence[int]) -> Method:
    """Return the method for a stack of the run's seeds."""
    method = get_method(config.method)(
        config.settings, data.observations.shape[1], data.actions.shape[1], seeds, config.steps, device
    )
    method.fit_normalizer(torch.as_tensor(data.observations, device=device))
    return method


@dataclass
class Trainer:
    """One run in memory: stacks of seeds that advance together, their logs, their directory."""

    config: RunConfig
    data: Dataset
    engine: Engine
    directory: RunDirectory | None = None
    schedule: Schedule = field(default_factory=Schedule)
    step: int = 0

    def __post_init__(self) -> None:
        self.engine.prepare()
        self.replay = Replay(self.data, self.device)
        self.stacks = [build(self.config, self.data, self.device, self.config.seeds)]
        self.updaters = [self.engine.updater(stack, self.replay) for stack in self.stacks]
        self.task = get_task(self.config.task)
        self.hazard = hazards.get_hazard(self.config.hazard, self.config.task)
        self.metrics = pd.DataFrame()
        self.evaluations = pd.DataFrame()
        self._saved_step: int | None = None

    @property
    def device(self) -> torch.device:
        """Where the run's networks and data lie."""
        return self.engine.device

    # -- state ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write tables and checkpoint; the tables first, as a resumed run drops their rows beyond its checkpoint."""
        if self.directory is None:
            return
        self.directory.write_table("metrics.csv", self.metrics)
        self.directory.write_table("evaluations.csv", self.evaluations)
        states = {seed: stack.seed_state(i) for stack in self.stacks for i, seed in enumerate(stack.seeds)}
        self.directory.save_checkpoint(self.step, states, self.engine.name)
        self._saved_step = self.step

    def restore(self) -> None:
        """Go on from the directory's checkpoint."""
        assert self.directory is not None
        checkpoint = self.directory.load_checkpoint()
        if checkpoint["engine"] != self.engine.name:
            device, mode, precision = checkpoint["engine"].split()
            raise RamacError(
                f"{self.directory.path}: this run was begun as {device}, {mode}, {precision}; "
                f"resume it with --device {device} --engine {mode} --precision {precision}"
            )
        self.step = self._saved_step = checkpoint["step"]
        for stack in self.stacks:
            stack.load_seed_states([checkpoint["seeds"][seed] for seed in stack.seeds], self.step)
        self.metrics = self.directory.read_table("metrics.csv", self.step)
        self.evaluations = self.directory.read_table("evaluations.csv", self.step)

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(self, progress: bool = True) -> None:
        """Train to the end of the run.

        Raises:
            RamacError: a loss is no longer finite; the last checkpoint stays as it was.
            Interrupted: Ctrl-C, after the updates under way were finished and saved.
        """
        steps = self.config.steps
        log_every, eval_every = self.schedule.resolve(steps)
        log_every = min(log_every, eval_every)
        bar = tqdm(total=steps, initial=self.step, unit="update", disable=not progress, desc=self.config.method)
        with bar, _interruptible() as interrupted:
            while self.step < steps:
                # The next multiple of either interval, or the end.
                stop = min(*((self.step // k + 1) * k for k in (log_every, eval_every)), steps)
                self._log([self._advance(update, stop) for update in self.updaters], stop, bar)
                bar.update(stop - self.step)
                self.step = stop
                if stop % eval_every == 0 or stop == steps:
                    self._evaluate()
                    self.save()
                if interrupted() and stop < steps:
                    self.save()
                    raise Interrupted(f"stopped after {stop} of {steps} updates")

    def _advance(self, update: Update, stop: int) -> Tally:
        """Update one stack up to `stop`; return its metrics, still on the device."""
        tally = Tally()
        for number in range(self.step + 1, stop + 1):
            tally.add(update(), number)
        return tally

    def _log(self, tallies: Sequence[Tally], stop: int, bar: Any) -> None:
        rows = []
        for stack, tally in zip(self.stacks, tallies, strict=True):
            if fault := tally.fault():
                kept = "none was saved yet" if self._saved_step is None else f"that of step {self._saved_step}"
                raise RamacError(
                    f"{fault.metric} of seed {stack.seeds[fault.member]} is not finite at update {fault.update}; "
                    f"training stopped, the last good checkpoint is kept ({kept})"
                )
            rows += [{"step": stop, "seed": s, **m} for s, m in zip(stack.seeds, tally.means(), strict=True)]
        self.metrics = pd.concat([self.metrics, pd.DataFrame(rows)], ignore_index=True)
        bar.set_postfix({k: f"{v:.3g}" for k, v in rows[-1].items() if k in ("bc_loss", "risk", "critic_loss")})

    def _evaluate(self) -> None:
        if self.schedule.episodes == 0:
            return
        runs = [
            run
            for stack in self.stacks
            for run in evaluation.evaluate(
                stack, self.data.env_id, self.hazard, self.task.horizon, self.schedule.episodes, keys=(self.step,)
            )
        ]
        table = label(evaluation.frame(runs), self.config, self.data.env_id, self.step, "training", self.task.horizon)
        self.evaluations = pd.concat([self.evaluations, table], ignore_index=True)


@contextlib.contextmanager
def _interruptible() -> Iterator[Any]:
    """Turn the first Ctrl-C into a flag; a second one interrupts at once."""
    pressed: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = signal.signal(signal.SIGINT, handler)
    except ValueError:  # not in the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)


def train(
    config: RunConfig,
    out: Path | None = None,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    schedule: Schedule | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train a run, in a directory if `out` is given, and return it with its logs in memory.

    Raises:
        RamacError: bad input, or a loss that is no longer finite.
        Interrupted: Ctrl-C; the directory can be resumed.
    """
    schedule = schedule or Schedule()
    schedule.resolve(config.steps)
    target = get_engine(device, engine, precision)
    directory = None if out is None else RunDirectory(Path(out))
    if directory is not None and directory.path.exists():
        directory.check(config, resume)  # before the data are built
    data = load_data(config, progress)
    trainer = Trainer(config, data, target, directory, schedule)
    if directory is not None:
        dims = [data.observations.shape[1], data.actions.shape[1]]
        facts = {"env_id": data.env_id, "dims": dims, "data": {"sha256": data.sha256(), "recipe": dict(data.recipe)}}
        facts["made"] = provenance(target.device) | {"engine": target.name}
        if directory.open(config, facts, resume):
            trainer.restore()
    trainer.run(progress)
    return trainer


def load_run(path: Path, device: str = "auto") -> tuple[RunConfig, list[Method], dict[str, Any], int]:
    """Return a run's config, its stacks of trained seeds, its facts (config.json) and the checkpoint's step.

    Raises:
        RamacError: no run there, or a damaged or newer checkpoint.
    """
    directory = RunDirectory(Path(path))
    config, facts, checkpoint = directory.read_config(), directory.read_facts(), directory.load_checkpoint()
    target = get_device(device)
    observation_dim, action_dim = facts["dims"]
    stacks = []
    for seed in config.seeds:
        stack = get_method(config.method)(config.settings, observation_dim, action_dim, (seed,), config.steps, target)
        stack.load_networks([checkpoint["seeds"][seed]])
        stacks.append(stack)
    return config, stacks, facts, checkpoint["step"]


def evaluate_run(
    path: Path, episodes: int = 50, horizon: int | None = None, hazard: str | None = None, device: str = "auto"
) -> pd.DataFrame:
    """Roll out a run's last checkpoint, `episodes` in all; add them to its evaluations.csv and return them.

    Raises:
        RamacError: no run there, a damaged checkpoint, an unknown hazard, fewer episodes than seeds.
    """
    config, stacks, facts, step = load_run(path, device)
    each = episodes // len(config.seeds)
    horizon = get_task(config.task).horizon if horizon is None else horizon
    if each < 1 or horizon < 1:
        raise RamacError(
            f"{episodes} episodes of {horizon} steps for {len(config.seeds)} seeds; "
            "expected at least one episode a seed, of at least one step"
        )
    name = hazard or config.hazard
    live = hazards.get_hazard(name, config.task)
    runs = [
        r
        for stack in stacks
        for r in evaluation.evaluate(stack, facts["env_id"], live, horizon, each, keys=(step, REPORT))
    ]
    table = label(evaluation.frame(runs), config, facts["env_id"], step, "report", horizon, name)
    directory = RunDirectory(Path(path))
    before = directory.read_table("evaluations.csv")
    if len(before):
        same = (before["purpose"] == "report") & (before["step"] == step)
        same &= (before["hazard"] == name) & (before["horizon"] == horizon)
        before = before[~same]
    directory.write_table("evaluations.csv", pd.concat([before, table], ignore_index=True))
    return table
