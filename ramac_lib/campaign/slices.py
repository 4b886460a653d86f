"""One slice of one cell: load, go on, evaluate, report, save, and say what it took."""

import contextlib
import dataclasses
import gc
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from ramac_lib.campaign.grid import Cell
from ramac_lib.campaign.plan import Cost
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.hazards import Hazard
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import begin_worker
from ramac_lib.training import evaluators
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine
from ramac_lib.training.loop import Interrupted, Schedule, Trainer, data_of, get_facts

TOLD_EVERY = 0.5  # seconds between two words on how far a slice is
PASSES = 2  # of a report: with and without sampler noise
GROWTH = 1.25  # episodes of the report may last longer than the last ones seen


@dataclass(frozen=True)
class Job:
    """A slice of a cell.

    Args:
        folder: the cell's run directory; None for a probe, which leaves nothing.
        until: the step to stop at.
        report: episodes a seed of the report.
        last: report even if the cell is not at its end.
        deadline: by `time.monotonic`; the report, where it is due, comes after it.
        report_by: by `time.monotonic`; a slice that begins later makes no report of a cell that is not at its end.
        timed: say how long an evaluation takes even where there was none.
        code: the code's version.
    """

    cell: Cell
    folder: Path | None
    schedule: Schedule
    until: int
    report: int
    engine: Engine
    code: str
    last: bool = False
    deadline: float | None = None
    report_by: float | None = None
    timed: bool = False
    reserve: float = 0.0  # seconds that its report and its loading ask for, whatever it is cut to


@dataclass(frozen=True)
class SliceResult:
    """What came of a slice, and the seconds that its parts took (`Cost`); None where nothing was measured.

    Args:
        failure: in words, where it failed; the rest is then of no meaning.
    """

    name: str
    step: int = 0
    reported: int = -1
    setup: float | None = None
    update: float | None = None
    evaluation: float | None = None
    report: float | None = None
    warning: str | None = None
    failure: str | None = None

    def cost(self, before: Cost) -> Cost:
        """Return what the cell asks for: as measured, and as `before` where nothing was."""
        measured = {f.name: getattr(self, f.name) for f in dataclasses.fields(Cost)}
        return dataclasses.replace(before, **{k: v for k, v in measured.items() if v is not None})


Tick = Callable[[int], bool]


KEPT = 2  # datasets: slices of a task come one after another

_kept: dict[Any, tuple[Dataset, dict[str, Any], Hazard]] = {}  # a hazard that is held keeps its id to itself


def load(config: RunConfig, engine: Engine) -> tuple[Dataset, dict[str, Any]]:
    """Return a run's data and facts; the last few are kept, while their file and their hazard stay as they are."""
    costs, file = "costs" in config.method.needs, Path(config.source)
    stamp = (file.stat().st_mtime_ns, file.stat().st_size) if file.is_file() else None
    key = (config.task, config.source, stamp, config.size, config.data_seed, id(config.hazard), config.env_id, costs)
    if key not in _kept:
        while len(_kept) >= KEPT:
            _kept.pop(next(iter(_kept)))
        data = data_of(config, progress=False)
        _kept[key] = data, get_facts(data, engine), config.hazard
    data, facts, _ = _kept[key]
    return data, facts | {"made": facts["made"] | {"engine": engine.name}}  # engines differ between cells


def run_slice(job: Job, tick: Tick, directory: RunDirectory | None = None) -> SliceResult:
    """Do a slice.

    Args:
        directory: where the cell's files are (default: the job's folder).

    Raises:
        RamacError: what `Trainer` refuses.
        Interrupted: Ctrl-C in the process that does it.
    """
    began, config = time.monotonic(), job.cell.config
    data, facts = load(config, job.engine)
    if directory is None and job.folder is not None:
        directory = RunDirectory(job.folder)
    last = job.last and (job.report_by is None or began <= job.report_by)
    trainer = Trainer(config, data, job.engine, directory, job.schedule, code=job.code)
    warning, clock = None, trainer.clock
    with contextlib.nullcontext() if directory is None else directory.training():
        if directory is not None and directory.open(config, facts, resume=True):
            warning = directory.check_data(config, facts)
            trainer.restore()
        trainer.run(False, job.until, job.deadline, tick)
        if directory is not None and (last or trainer.step >= config.steps) and trainer.reported() < trainer.step:
            trainer.report(job.report)
    episodes = job.schedule.episodes
    each = None if clock.evaluation is None else clock.evaluation / episodes  # seconds of one episode of each seed
    elsewhere = clock.training + clock.evaluations + (clock.report or 0.0)
    if each is None and clock.report is None and job.timed:
        each = time_episode(trainer)
    report = clock.report if clock.report is not None or each is None else GROWTH * PASSES * each * job.report
    return SliceResult(
        job.cell.name,
        trainer.step,
        trainer.reported(),
        setup=time.monotonic() - began - elsewhere,
        update=clock.training / clock.updates if clock.updates else None,
        evaluation=None if each is None else each * episodes,
        report=report,
        warning=warning,
    )


def time_episode(trainer: Trainer, episodes: int = 3) -> float:
    """Return how many seconds an episode of each seed takes now."""
    began = time.monotonic()
    evaluators.evaluate(
        trainer.stacks[0], trainer.data.env_id, trainer.config.hazard, trainer.config.task.horizon, episodes
    )
    return len(trainer.stacks) * (time.monotonic() - began) / episodes


def attempt(job: Job, tick: Tick, directory: RunDirectory | None = None) -> SliceResult:
    """Do a slice; put a failure into words instead of raising it."""
    try:
        return run_slice(job, tick, directory)
    except Interrupted:
        raise
    except torch.cuda.OutOfMemoryError:
        failure = "out of GPU memory; fewer workers leave more for each"
    except RamacError as error:
        failure = str(error)
    except Exception as error:  # whatever it is, the other cells can go on
        failure = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
    gc.collect()
    if job.engine.device.type == "cuda":
        torch.cuda.empty_cache()
    return SliceResult(job.cell.name, failure=failure)


def _received(connection: Connection) -> Any:
    """Return the next message; one that names what this process does not know is answered with why."""
    while True:
        try:
            return connection.recv()
        except RamacError as error:
            connection.send(error)


def serve(connection: Connection, claim: Any, threads: int | None, plugins: Sequence[Path] = ()) -> None:
    """Do the slices that come through `connection`, until it ends or None comes.

    Args:
        claim: the directory's lock, held as long as this process lives.
        threads: of PyTorch; None for its own choice.
        plugins: of the process that sends the slices.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the campaign tells us to stop
    begin_worker(plugins)
    held = claim.detach()
    if threads is not None:
        torch.set_num_threads(threads)
    told = [0.0]
    while (job := _received(connection)) is not None:
        if not isinstance(job, Job):
            continue  # a word to stop that came too late

        def tick(step: int, name: str = job.cell.name) -> bool:
            if time.monotonic() - told[0] > TOLD_EVERY:
                told[0] = time.monotonic()
                connection.send((name, step))
            return connection.poll()  # the only word that comes while we work is to stop

        connection.send(attempt(job, tick))
    del held
