"""The only training loop: any method, any number of seeds, resumable to the same bits."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from ramac_lib import datasets
from ramac_lib.datasets import bandit, relabel
from ramac_lib.datasets.batches import Replay
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods import Method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.interrupts import Interrupted, interruptible
from ramac_lib.system.ranges import COUNT, FROM_0, check_fields
from ramac_lib.system.version import provenance
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine, Update, advance, get_engine
from ramac_lib.training.evaluators import Asked, Background, Evaluator, Rollouts
from ramac_lib.training.tally import Tally


@dataclass(frozen=True)
class Schedule:
    """When a run logs, evaluates and saves, in updates; None chooses by the run's length.

    Args:
        evaluate_at: further steps to evaluate at, beside every `eval_every` and the last.
        chunk: updates between two looks at the clock and for a wish to stop; None for those between rows of the log.
            Sums of a row of the log are taken chunk by chunk, so that a run which was cut keeps its bits.
    """

    log_every: int | None = None
    eval_every: int | None = None
    episodes: int = field(default=10, metadata={"range": FROM_0})
    chunk: int | None = field(default=None, metadata={"range": COUNT})
    evaluate_at: tuple[int, ...] = field(default=(), metadata={"range": COUNT})

    def __post_init__(self) -> None:
        check_fields(self)

    def resolve(self, steps: int) -> tuple[int, int]:
        """Return (log_every, eval_every): a fiftieth and a tenth of the run, unless given."""
        log = self.log_every or max(1, steps // 50)
        evaluate = self.eval_every or max(1, steps // 10)
        if log < 1 or evaluate < 1:
            raise RamacError(f"intervals are {log} and {evaluate} updates; expected at least 1")
        return log, evaluate


def data_of(config: RunConfig, progress: bool = True) -> Dataset:
    """Return the run's data, rewards relabelled with the run's hazard, with costs if the method needs them."""
    data = datasets.load(
        config.task, config.source, size=config.size, seed=config.data_seed, env_id=config.env_id, progress=progress
    )
    if not config.task.is_bandit:
        data = relabel.relabel(data, config.hazard, seed=config.data_seed)
    if "costs" not in config.method.needs:
        return data
    return bandit.with_costs(data) if config.task.is_bandit else relabel.with_costs(data, config.hazard)


def build(config: RunConfig, data: Dataset, device: torch.device, seeds: Sequence[int]) -> Method:
    """Return the method for a stack of the run's seeds."""
    dims = data.observations.shape[1], data.actions.shape[1]
    method = config.method(config.settings, *dims, seeds, config.steps, device)
    method.fit_normalizer(torch.as_tensor(data.observations, device=device))
    method.fit_data(data)
    return method


def get_facts(data: Dataset, engine: Engine) -> dict[str, Any]:
    """Return what config.json says beside the config: the environment, the data's hash, what makes the run."""
    return {
        "env_id": data.env_id,
        "dims": [data.observations.shape[1], data.actions.shape[1]],
        "data": {"sha256": data.sha256(), "recipe": dict(data.recipe)},
        "made": provenance(engine.device) | {"engine": engine.name},
    }


@dataclass
class Clock:
    """Seconds that a run's parts took since it was built: updates, evaluations, the last of them, the report."""

    updates: int = 0
    training: float = 0.0
    evaluations: float = 0.0
    evaluation: float | None = None
    report: float | None = None


@dataclass
class Trainer:
    """One run in memory: stacks of seeds that advance together, their logs, their directory.

    Args:
        evaluator: what is asked at moments of evaluation (default: rollouts, by other processes where updates are made
            on CUDA, which then need not wait for them).
        code: version of the code, to be kept with the rows of evaluations; empty for no such column. A run that
            several versions trained names them all, ``first+second``.
    """

    config: RunConfig
    data: Dataset
    engine: Engine
    directory: RunDirectory | None = None
    schedule: Schedule = field(default_factory=Schedule)
    step: int = 0
    code: str = ""
    evaluator: Evaluator | None = None

    def __post_init__(self) -> None:
        self.engine.prepare()
        self.replay = Replay(self.data, self.device)
        self.stacks = [build(self.config, self.data, self.device, self.config.seeds)]
        self.updaters = [self.engine.updater(stack, self.replay) for stack in self.stacks]
        self.metrics = pd.DataFrame()
        self.evaluations = pd.DataFrame()
        self._saved_step: int | None = None
        self._evaluated = 0  # the step of the last evaluation
        beside = self.device.type == "cuda"
        self._evaluator: Evaluator = self.evaluator or (Background() if beside else Rollouts())
        self.clock = Clock()
        self._tallies = [Tally() for _ in self.stacks]
        self.codes = [self.code] if self.code else []

    @property
    def device(self) -> torch.device:
        """Where the run's networks and data lie."""
        return self.engine.device

    # -- state ------------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write tables and checkpoint; the tables first, as a resumed run drops their rows beyond its checkpoint."""
        if self.directory is None:
            return
        self._check()
        if self._evaluator.holds(self.step):
            self._collect()  # a resumed run repeats the evaluation of its checkpoint's step, but no earlier one
        self.directory.write_table("metrics.csv", self.metrics)
        with self.directory.tables():
            self._take_reports()
            self.directory.write_table("evaluations.csv", self.evaluations)
        states, policies = {}, {}
        for stack, tally in zip(self.stacks, self._tallies, strict=True):
            for i, seed in enumerate(stack.seeds):
                states[seed] = {**stack.seed_state(i), "tally": tally.seed_state(i)}
                policies[seed] = stack.deployed_state(i)
        self.directory.save_checkpoint(self.step, states, self.engine.name, policies=policies, codes=self.codes)
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
        with self.directory.taking(self.directory.checkpoint_file):
            states = [[checkpoint["seeds"][seed] for seed in stack.seeds] for stack in self.stacks]
            for stack, own in zip(self.stacks, states, strict=True):
                stack.load_seed_states(own, self.step)
            tallies = [[state.get("tally", []) for state in own] for own in states]
            self._tallies = [Tally.from_seed_states(own, self.device) for own in tallies]
        self.codes = list(dict.fromkeys([*checkpoint.get("codes", []), *self.codes]))
        self.metrics = self.directory.read_table("metrics.csv", self.step)
        self.evaluations = self.directory.read_table("evaluations.csv", self.step)
        if self.schedule.episodes == 0:
            self._evaluated = self.step
        elif len(self.evaluations):
            curve = self.evaluations[self.evaluations["purpose"] == "training"]
            self._evaluated = int(curve["step"].max()) if len(curve) else 0
        if self.directory.copies_lag():
            self.save()

    # -- the loop ---------------------------------------------------------------------------------------------------

    def run(
        self,
        progress: bool = True,
        until: int | None = None,
        deadline: float | None = None,
        tick: Callable[[int], bool] | None = None,
    ) -> None:
        """Train to the end of the run, or less far; then save.

        Args:
            until: the step to stop at (default: the run's last).
            deadline: by `time.monotonic`, when to stop where the run then is. An evaluation which that leaves no time
                for is made when the run goes on.
            tick: told the step after every chunk; returns whether to stop there.

        Raises:
            RamacError: a loss is no longer finite; the last checkpoint stays as it was.
            Interrupted: Ctrl-C, after the updates under way were finished and saved.
        """
        steps = self.config.steps
        until = steps if until is None else min(until, steps)
        log_every, eval_every = self.schedule.resolve(steps)
        log_every = min(log_every, eval_every)
        chunk = self.schedule.chunk or log_every
        bar = tqdm(total=steps, initial=self.step, unit="update", disable=not progress, desc=self.config.method.name)
        stopped = False
        with bar, interruptible() as interrupted:
            if self.owes_evaluation() and not _passed(deadline):
                self._evaluate()
                self.save()
            while self.step < until and not stopped and not _passed(deadline):
                # The next multiple of any interval, the next moment named, or the end.
                named = (moment for moment in self.schedule.evaluate_at if moment > self.step)
                stop = min(*((self.step // k + 1) * k for k in (chunk, log_every, eval_every)), *named, until, steps)
                began = time.monotonic()
                for tally, update in zip(self._tallies, self.updaters, strict=True):
                    tally.merge(self._advance(update, stop))
                if deadline is not None and self.device.type == "cuda":
                    torch.cuda.synchronize()  # or the clock is read while the updates still wait for the device
                self.clock.updates += stop - self.step
                self.clock.training += time.monotonic() - began
                bar.update(stop - self.step)
                self.step = stop
                if stop % log_every == 0 or stop == steps:
                    self._log(bar)
                if self.owes_evaluation() and not _passed(deadline):
                    self._evaluate()
                    self.save()
                stopped = tick is not None and tick(stop)
                if interrupted() and stop < steps:
                    self.save()
                    raise Interrupted(f"stopped after {stop} of {steps} updates")
            if self._collect():
                self.save()
            if self._saved_step != self.step:
                self.save()

    def owes_evaluation(self) -> bool:
        """Return whether the run stands at a moment of evaluation and has not been evaluated there."""
        every = self.schedule.resolve(self.config.steps)[1]
        at = self.step % every == 0 or self.step in (*self.schedule.evaluate_at, self.config.steps)
        return at and 0 < self.step != self._evaluated

    def _advance(self, update: Update, stop: int) -> Tally:
        """Update one stack up to `stop`; return its metrics, still on the device."""
        return advance(update, self.step + 1, stop)

    def _check(self) -> None:
        """Refuse what is not finite."""
        for stack, tally in zip(self.stacks, self._tallies, strict=True):
            if fault := tally.fault():
                kept = "none was saved yet" if self._saved_step is None else f"that of step {self._saved_step}"
                raise RamacError(
                    f"{fault.metric} of seed {stack.seeds[fault.member]} is not finite at update {fault.update}; "
                    f"training stopped, the last good checkpoint is kept ({kept})"
                )

    def _log(self, bar: Any) -> None:
        self._check()
        rows = [
            {"step": self.step, "seed": seed, **means}
            for stack, tally in zip(self.stacks, self._tallies, strict=True)
            for seed, means in zip(stack.seeds, tally.means(), strict=True)
        ]
        self._tallies = [Tally() for _ in self.stacks]
        self.metrics = pd.concat([self.metrics, pd.DataFrame(rows)], ignore_index=True)
        bar.set_postfix({k: f"{v:.3g}" for k, v in rows[-1].items() if k in ("bc_loss", "risk", "critic_loss")})

    def _evaluate(self) -> None:
        self._evaluated = self.step
        if self.schedule.episodes == 0:
            return
        began = time.monotonic()
        self._collect()
        self._evaluator.begin(self.stacks, self._asked("training", self.schedule.episodes))
        if not self._evaluator.overlaps:
            self._collect()
        self.clock.evaluation = time.monotonic() - began
        self.clock.evaluations += self.clock.evaluation

    def _asked(self, purpose: str, episodes: int) -> Asked:
        horizon = self.config.task.horizon
        return Asked(self.config, self.data.env_id, self.step, purpose, episodes, horizon, data=self.data)

    def _collect(self) -> bool:
        """Take in the evaluations that were begun; return whether there were any."""
        tables = self._evaluator.collect()
        for table in tables:
            self._add(table)
        return bool(tables)

    def report(self, episodes: int) -> None:
        """Roll out the policies for the report, `episodes` a seed; write evaluations.csv.

        It is the report of the run as it now stands: it replaces one that was made of fewer updates.
        """
        assert self.directory is not None
        if self.owes_evaluation():
            self._evaluate()
        began = time.monotonic()
        self._collect()
        self._evaluator.begin(self.stacks, self._asked("report", episodes))
        (table,) = self._evaluator.collect()
        with self.directory.tables():
            self._take_reports()
            self.evaluations = self.evaluations[~self._reports()]
            self._add(table)
            self.directory.write_table("evaluations.csv", self.evaluations)
        self.clock.report = time.monotonic() - began

    def _take_reports(self) -> None:
        """Let rows of reports be the file's: `ramac evaluate` may have added or replaced some beside this trainer."""
        assert self.directory is not None
        there = self.directory.read_table("evaluations.csv", self.step)
        reports = there[there["purpose"] != "training"] if len(there) else there
        if len(reports):
            curve = self.evaluations[self.evaluations["purpose"] == "training"] if len(self.evaluations) else there[:0]
            self.evaluations = pd.concat([curve, reports], ignore_index=True)

    def reported(self) -> int:
        """Return the step of the run's report, −1 where there is none."""
        reports = self.evaluations[self._reports()]
        return int(reports["step"].max()) if len(reports) else -1

    def _reports(self) -> "pd.Series[bool]":
        """Return which episodes are of a report as `report` makes it, and not of `ramac evaluate` elsewhere."""
        if not len(self.evaluations):
            return pd.Series(dtype=bool)
        rows = self.evaluations
        same = (rows["hazard"] == self.config.hazard.name) & (rows["horizon"] == self.config.task.horizon)
        return same & (rows["purpose"] == "report")

    def _add(self, table: pd.DataFrame) -> None:
        if self.codes:
            table = table.assign(code="+".join(self.codes))
        self.evaluations = pd.concat([self.evaluations, table], ignore_index=True)


def _passed(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def train(
    config: RunConfig,
    out: Path | None = None,
    *,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    schedule: Schedule | None = None,
    evaluator: Evaluator | None = None,
    resume: bool = False,
    progress: bool = True,
) -> Trainer:
    """Train a run, in a directory if `out` is given, and return it with its logs in memory.

    Args:
        out: the run's directory; None writes nothing.
        engine, precision: how updates are made (`ramac_lib.training.engine`).
        evaluator: what is asked at moments of evaluation (default: rollouts under the live hazard).
        resume: go on with the run in that directory.

    Raises:
        RamacError: bad input, or a loss that is no longer finite.
        Interrupted: Ctrl-C; the directory can be resumed.
    """
    schedule = schedule or Schedule()
    schedule.resolve(config.steps)
    how = device, engine, precision, config.method
    target = get_engine(*how)
    directory = None if out is None else RunDirectory(Path(out))
    with contextlib.ExitStack() as held:
        begun = directory is not None and directory.path.exists()
        if directory is not None and begun:  # before the data are built
            directory.check(config, resume)
            held.enter_context(directory.training())
            target = get_engine(*how, begun=directory.begun())
        data = data_of(config, progress)
        trainer = Trainer(config, data, target, directory, schedule, evaluator=evaluator)
        if directory is not None:
            if not begun:
                held.enter_context(directory.training())
            facts = get_facts(data, target)
            if directory.open(config, facts, resume):
                if warning := directory.check_data(config, facts):
                    logging.getLogger(__name__).warning(warning)
                trainer.restore()
        trainer.run(progress)
    return trainer
