"""A campaign from its options to its end: the directory is claimed, the grid chosen, processes started and ended."""

import contextlib
import dataclasses
import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.campaign import estimate
from ramac_lib.campaign.backends.base import Pool
from ramac_lib.campaign.backends.in_process import InProcess
from ramac_lib.campaign.backends.processes import Processes
from ramac_lib.campaign.backends.ray_tasks import RayTasks
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.campaign.grid import choose
from ramac_lib.campaign.scheduler import Campaign
from ramac_lib.campaign.trackers import Tracking
from ramac_lib.campaign.watching import Progress
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import get_device
from ramac_lib.system.processes import cores
from ramac_lib.system.ranges import POSITIVE, Range, check_value

log = logging.getLogger(__name__)
BACKENDS = ("processes", "ray")
LEAST = 1e-4  # of a core or GPU, what Ray counts in
STATES = "states"  # in a campaign's directory, where no other place was given


@dataclass(frozen=True)
class Backend:
    """Where slices are done.

    Args:
        name: processes (of this machine) or ray.
        address: of a running Ray cluster: auto or HOST:PORT; None for one of this machine, for as long as it takes.
        states: of Ray, where the cells' states lie for all machines: a folder they share, or s3://BUCKET/FOLDER.
        cpus, gpus: of Ray, what a cell asks for; fractions let cells share.

    Raises:
        RamacError: an unknown name, an option that is Ray's alone, less than Ray counts (0.0001 of a core or GPU; no
            GPU is 0), more than one GPU and a part of another.
    """

    name: str = "processes"
    address: str | None = None
    states: str | None = None
    cpus: float | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        if self.name not in BACKENDS:
            raise unknown("backend", self.name, BACKENDS)
        own = {"address": self.address, "states": self.states, "cpus-per-cell": self.cpus, "gpus-per-cell": self.gpus}
        given = [f"--{name}" for name, value in own.items() if value is not None]
        if self.name != "ray" and given:
            raise RamacError(f"{' and '.join(given)}: of --backend ray alone")
        check_value("cpus-per-cell", self.cpus, float | None, Range(LEAST, 1024))
        check_value("gpus-per-cell", self.gpus, float | None, Range(LEAST if self.gpus else 0, 64))
        if self.gpus is not None and self.gpus > 1 and self.gpus % 1:
            raise RamacError(f"gpus-per-cell is {self.gpus!r}; expected a share of one GPU or a whole number of them")


def run(
    out: Path,
    profile: str | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    budget: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    resume: bool = False,
    progress: bool = True,
    began: float | None = None,
    backend: Backend | None = None,
    track: Sequence[str] = (),
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Run a campaign in a directory; return its one table and what failed, by cell.

    Args:
        out: the campaign's directory.
        profile: name of a grid in `PROFILES` (default: quick, or the grid of the campaign there).
        changes: fields of `Grid` that are to differ from it.
        budget: seconds from `began` on, by `time.monotonic` (default: now); None for no end.
        workers: slices at a time (default: the cores; 1 on CUDA); 0 for none but this process.
        device: auto, cpu or cuda.
        resume: go on with the campaign in that directory.
        progress: show a bar.
        backend: where slices are done (default: processes of this machine).
        track: who is told of every cell's losses and returns: some of tensorboard, wandb, mlflow.

    Returns:
        One row an evaluation episode, with the columns `SCHEMA`; the reason of each cell that failed.

    Raises:
        RamacError: bad input, another campaign in the directory, a budget too small for one cell.
        Interrupted: Ctrl-C; the directory can be gone on with.
    """
    began = time.monotonic() if began is None else began
    backend = backend or Backend()
    _check(backend, device, workers)
    check_value("the budget in seconds", budget, float | None, POSITIVE)
    store = CampaignDirectory(Path(out))
    made = _make(store.path)
    pool: Pool | None = None
    try:
        claim = store.lock()
        there = store.read()
        if there is not None and not resume:
            raise RamacError(f"{out}: this campaign was begun before; pass --resume to go on with it")
        grid = choose(profile, changes or {}, None if there is None else there[0])
        pool = _pool(backend, store.path, device, workers, claim)
        told, seen = Tracking(store.path, track), Progress(store.path)
        campaign = Campaign(grid, store, device, began, budget, progress, choose=pool.choose)
        campaign.on_result = lambda cell, state: told(cell, store.run_directory(cell), state.step)
        campaign.on_step = seen
        if there is not None and there[1] != campaign.code:
            log.warning(
                f"the code has changed since this campaign began ({there[1]} then, {campaign.code} now): "
                "rows that it makes now are told from the others by the column `code`"
            )
        campaign.build_data()
        cost = None if budget is None else campaign.probe(pool)
        store.tidy()
        store.write(grid, campaign.code if there is None else there[1])
        table = campaign.run(pool, cost)
        seen({s.name: s.step for s in campaign.states.values()}, campaign.failures, campaign.workers, done=True)
        if backend.name == "ray" and backend.states is None and all(s.done for s in campaign.states.values()):
            shutil.rmtree(store.path / STATES, ignore_errors=True)  # the campaign's own files say it all
    finally:
        if pool is not None:
            pool.close()
        store.unlock()
        if not store.grid_file.exists():  # nothing was run: leave nothing
            _unmake(store.path, made)
    return table, campaign.failures


def dry_run(
    profile: str | None = None,
    changes: Mapping[str, Any] | None = None,
    *,
    workers: int | None = None,
    device: str = "auto",
    backend: Backend | None = None,
) -> str:
    """Return what a grid would cost, measured where it would run; nothing is left but the first task's data.

    The arguments are those of `run`.

    Raises:
        RamacError: bad input, or a row that fails.
    """
    backend = backend or Backend()
    _check(backend, device, workers)
    with tempfile.TemporaryDirectory(prefix="ramac-") as folder:
        store, grid = CampaignDirectory(Path(folder)), choose(profile, changes or {}, None)
        pool: Pool | None = None
        try:
            pool = _pool(backend, store.path, device, workers, store.lock())
            one_task = dataclasses.replace(grid, tasks=grid.tasks[:1], hazards=grid.hazards[:1])
            campaign = Campaign(one_task, store, device, time.monotonic(), None, False, choose=pool.choose)
            campaign.build_data()
            costs, slots = campaign.measure(pool), pool.capacity()
            share = pool.gpus(device)
        finally:
            if pool is not None:
                pool.close()
            store.unlock()
    return estimate.told(grid, estimate.estimate(grid, costs, slots), slots, "cuda" if share else "cpu", share)


def _check(backend: Backend, device: str, workers: int | None) -> None:
    """Refuse what a backend cannot do."""
    check_value("workers", workers, int | None, Range(0, 1024))
    if backend.name == "ray" and workers is not None:
        raise RamacError("--workers: Ray does as many cells at a time as it has room for; use --cpus-per-cell")
    if backend.name != "ray":
        get_device(device)  # of Ray's machines the cluster knows


def _pool(backend: Backend, path: Path, device: str, workers: int | None, claim: int) -> Pool:
    """Return what does the slices of the campaign in a directory."""
    if backend.name == "ray":
        states = backend.states or str((path / STATES).resolve())
        states = states if "://" in states else str(Path(states).expanduser().absolute())  # workers start elsewhere
        return RayTasks(states, backend.address, device, backend.cpus, backend.gpus)
    cuda = get_device(device).type == "cuda"
    if workers is None:
        workers = 1 if cuda else cores()
    return Processes(workers, claim, cuda) if workers else InProcess()


def _make(path: Path) -> list[Path]:
    """Make a folder; return those that were not there, the innermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RamacError(f"{path}: cannot be made ({error.strerror})") from error
    return missing


def _unmake(path: Path, made: Sequence[Path]) -> None:
    """Remove the folders that `_make` made, if nothing has come into them."""
    if made:
        (path / ".lock").unlink(missing_ok=True)
    for folder in made:
        with contextlib.suppress(OSError):
            folder.rmdir()
