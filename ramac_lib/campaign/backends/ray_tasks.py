"""Slices as tasks of Ray, on one machine or many: Ray places, counts and retries them; here is what they are.

A slice fetches its cell's newest state (`StateStore`), goes on from it where no other file is touched, and publishes
every state that it saves; when its machine is lost, Ray does it again elsewhere, from the last of them. What came in is
copied to the campaign's own directory by the process that runs the campaign, which alone writes there.
"""

import contextlib
import dataclasses
import logging
import math
import os
import pickle
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ramac_lib.campaign.backends.base import OnStep, Pool, Prepare
from ramac_lib.campaign.backends.processes import ALONE
from ramac_lib.campaign.backends.settling import TRIES, place, settle
from ramac_lib.campaign.backends.states import Published, StateStore, Superseded
from ramac_lib.campaign.directory import PATIENCE
from ramac_lib.campaign.grid import Cell
from ramac_lib.campaign.slices import TOLD_EVERY, Job, SliceResult, attempt
from ramac_lib.system import plugins
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import DEVICES
from ramac_lib.system.version import code_version
from ramac_lib.training.engine import Engine, get_engine

RETRIES = 3  # of a slice whose process or machine was lost
LOOK = 0.5  # seconds between two looks at how far slices are
NAMESPACE = "ramac"
LOST = "this machine's part of Ray has ended; the cells are saved as of their last evaluation, go on with --resume"
PASSED_ON = (  # variables of the environment that the cluster's processes get too: where files come from
    "RAMAC_CACHE", "RAMAC_DATA", "RAMAC_D4RL_URL", "RAMAC_DSRL_URL", "D4RL_DATASET_DIR", "DSRL_DATASET_DIR",
    "MINARI_DATASETS_PATH",
)  # fmt: skip
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # a task without a GPU sees those that there are, as a process would
    "RAY_worker_niceness": "0",
    "RAY_enable_open_telemetry": "0",  # without a dashboard nobody collects its metrics
    "RAY_raylet_start_wait_time_s": "180",  # a busy machine takes its time
}

log = logging.getLogger(__name__)


class Desk:
    """Where slices tell their step and hear whether to stop; its name among Ray's actors is the claim on the states."""

    def __init__(self) -> None:
        self.steps: dict[str, int] = {}
        self.begun: set[str] = set()
        self.stopped = False

    def tell(self, name: str, step: int | None = None) -> bool:
        """Hear that a slice has begun or is at a step; return whether it is to stop."""
        self.begun.add(name)
        if step is not None:
            self.steps[name] = step
        return self.stopped

    def look(self) -> tuple[dict[str, int], set[str]]:
        """Return the steps told since the last look, and which slices of the round have begun."""
        steps, self.steps = self.steps, {}
        return steps, set(self.begun)

    def clear(self) -> None:
        """Begin a round."""
        self.begun.clear()

    def stop(self) -> None:
        """Let slices stop at their next chunk."""
        self.stopped = True


class _Line:
    """A slice's line to the desk, on which it never waits."""

    def __init__(self, desk: Any, name: str) -> None:
        self.desk, self.name = desk, name
        self._told, self._answer, self._stop = -math.inf, None, False

    def __call__(self, step: int | None) -> bool:
        import ray

        if self._answer is not None and ray.wait([self._answer], timeout=0)[0]:
            with contextlib.suppress(ray.exceptions.RayError):
                self._stop = ray.get(self._answer)
            self._answer = None
        if self._answer is None and time.monotonic() - self._told > TOLD_EVERY:
            self._told = time.monotonic()
            self._answer = self.desk.tell.remote(self.name, step)
        return self._stop


def by_this_clock(job: Job, sent: tuple[float, float], here: tuple[float, float]) -> Job:
    """Return a job with its moments by this machine's monotonic clock.

    Args:
        sent, here: `time.time` and `time.monotonic` at one moment, where they were set and here; the former agree.
    """
    shift = (here[1] - here[0]) - (sent[1] - sent[0])
    moved = {k: v + shift for k in ("deadline", "report_by") if (v := getattr(job, k)) is not None}
    return dataclasses.replace(job, **moved)


def do_slice(
    name: str,
    packed: bytes,
    when: tuple[float, float],
    states: str,
    desk: Any,
    threads: int | None,
    files: Sequence[Path],
) -> SliceResult:
    """Do a slice on whatever machine this is; the body of a task.

    Args:
        name: the cell's.
        packed: the pickled job, which may need the plugins.
        when: the sender's `time.time` and `time.monotonic` at one moment; clocks of machines are taken to agree.
        states: the store's URL.
        threads: of PyTorch; None for its own choice.
        files: the plugins.
    """
    import torch

    try:
        plugins.load(files)
        job: Job = pickle.loads(packed)
    except RamacError as error:
        return SliceResult(name, failure=f"{error}; {ALONE}")
    if (here := code_version()) != job.code:
        machine = os.uname().nodename
        return SliceResult(name, failure=f"{machine} has another version of the code ({here}, the campaign {job.code})")
    if threads is not None:
        torch.set_num_threads(threads)
    job = by_this_clock(job, when, (time.time(), time.monotonic()))
    line = _Line(desk, name)
    line(None)
    if job.folder is None:
        return attempt(job, line)
    stood: list[int] = []  # versions that tries went on from
    while len(stood) < TRIES:
        with tempfile.TemporaryDirectory(prefix="ramac-") as scratch, contextlib.suppress(Superseded):
            entered = time.monotonic()
            try:
                directory = Published.of(StateStore(states), place(job.cell), Path(scratch))
                if stood and directory.at[0].last > stood[-1]:
                    stood.clear()  # another goes on, and so do we from there
                stood.append(directory.at[0].last)
                began = time.monotonic()
                result = attempt(job, line, directory)
                ended = time.monotonic()
                if result.failure is None:
                    directory.publish()  # a report comes after the last state
            except RamacError as error:
                return SliceResult(name, failure=str(error))
            carried = time.monotonic() - ended + began - entered  # the budget's plan has to know of it
            return dataclasses.replace(result, setup=None if result.setup is None else result.setup + carried)
    return SliceResult(name, failure=f"--states {states}: no state could be saved after version {stood[-1]}")


class RayTasks(Pool):
    """A cluster of Ray, or one that is started on this machine for as long as this is used.

    Args:
        states: where cells' states lie, for every machine to read and write.
        address: of the cluster: ``auto``, ``HOST:PORT``; None for one of this machine's cores alone.
        device: auto (cuda if the cluster has GPUs), cpu or cuda.
        cpus, gpus: of a cell; fractions share a GPU, or a core, among several. None: one core; on CUDA one GPU too.

    Raises:
        RamacError: no Ray, no cluster there, resources that this machine has not, another campaign with these states.
    """

    def __init__(
        self,
        states: str,
        address: str | None = None,
        device: str = "auto",
        cpus: float | None = None,
        gpus: float | None = None,
    ) -> None:
        if device not in DEVICES:
            raise unknown("device", device, DEVICES)
        self.store = StateStore(states)
        self.store.check()
        self.ray = ray = connected(address)
        self._stopped, self._asked = False, 0.0
        if device == "auto":
            device = "cuda" if ray.cluster_resources().get("GPU") else "cpu"
        self.device = device
        cuda = device == "cuda"
        self.resources = {"num_cpus": 1.0 if cpus is None else cpus, "num_gpus": float(cuda) if gpus is None else gpus}
        self.threads = None if cuda else 1
        if not self._slots():
            asked = f"{self.resources['num_cpus']:g} CPUs and {self.resources['num_gpus']:g} GPUs"
            if address is None and not os.environ.get("RAY_ADDRESS"):
                self._leave()
                raise RamacError(f"a cell asks for {asked}, which this machine has not; use fewer or --address")
            log.warning(f"no machine of the cluster has {asked} yet: cells wait until one comes")
        self._task = ray.remote(do_slice).options(**self.resources, max_retries=RETRIES, retry_exceptions=False)
        self.desk = self._claim()

    def _claim(self) -> Any:
        """Return the desk, on this machine; its name says that the states are taken as long as this process lives."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # Not `soft`: Ray then puts it on any machine, and what is lost with one would not be the driver's own.
        here = NodeAffinitySchedulingStrategy(self.ray.get_runtime_context().get_node_id(), soft=False)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                made = self.ray.remote(Desk).options(
                    name=f"ramac {self.store.name}",
                    namespace=NAMESPACE,
                    num_cpus=0,
                    scheduling_strategy=here,
                    max_restarts=-1,
                    max_task_retries=-1,
                )
                return made.remote()
            except ValueError:  # of an actor whose driver was killed, Ray takes a moment to know it
                if time.monotonic() > until:
                    self._leave()
                    raise RamacError(
                        f"{self.store.url}: another campaign of this cluster keeps its states there"
                    ) from None
                time.sleep(0.2)

    def _leave(self) -> None:
        self.ray.shutdown()

    def _slots(self) -> int:
        """Return how many slices the cluster's machines can do at a time."""
        count = 0
        for node in self.ray.nodes():
            if node["Alive"]:
                per = [
                    int(node["Resources"].get(key, 0.0) / asked + 1e-6)
                    for key, asked in (("CPU", self.resources["num_cpus"]), ("GPU", self.resources["num_gpus"]))
                    if asked
                ]
                count += min(per, default=1)
        return count

    # -- a pool -----------------------------------------------------------------------------------------------------

    def capacity(self) -> int:
        """Return how many slices the cluster's machines can do at a time, as they now are."""
        return max(1, self._slots())

    def choose(self, device: str, mode: str, precision: str, method: Any, begun: str | None) -> Engine:
        """Return `get_engine`'s choice on a machine that has what a cell asks for."""
        if self.device == "cpu":
            return get_engine("cpu", mode, precision, method, begun)
        asked = self.ray.remote(_choose).options(num_cpus=0, num_gpus=self.resources["num_gpus"])
        answer = self.ray.get(asked.remote("cuda", mode, precision, pickle.dumps(method), begun, tuple(plugins.loaded)))
        if isinstance(answer, RamacError):
            raise answer
        chosen: Engine = answer
        return chosen

    def gpus(self, device: str) -> float:
        """Return what a cell was given of the cluster's; one where it has no share of its own."""
        return (self.resources["num_gpus"] or 1.0) if self.device == "cuda" else 0.0

    def recover(self, cells: Sequence[tuple[Cell, Path]]) -> None:
        """Take in states that a killed process left in the store; put there what began without it."""
        for cell, folder in cells:
            settle(self.store, cell, folder)

    def run(self, jobs: Sequence[Job], prepare: Prepare, on_step: OnStep) -> Iterator[SliceResult]:
        """Do the jobs; Ray chooses when and where, and does those again whose process or machine was lost."""
        ray = self.ray
        try:
            ray.get(self.desk.clear.remote())
        except ray.exceptions.RayError as error:
            raise RamacError(f"{LOST} ({type(error).__name__})") from error
        under_way: dict[Any, Job] = {}
        latest: float | None = None
        for i, job in enumerate(jobs):
            ready = prepare(job, jobs[i + 1 :])
            latest = ready.report_by and max(latest or 0.0, ready.report_by)
            when = time.time(), time.monotonic()
            files = tuple(plugins.loaded)
            packed = pickle.dumps(ready)
            ref = self._task.remote(job.cell.name, packed, when, self.store.url, self.desk, self.threads, files)
            under_way[ref] = job
        while under_way:
            done, _ = ray.wait(list(under_way), timeout=LOOK)
            steps, begun = self._look()
            for name, step in steps.items():
                on_step(name, step)
            for ref in done:
                outcome = self._outcome(ref, under_way.pop(ref))
                if outcome is not None:
                    yield outcome
            if self._stopped or (latest is not None and time.monotonic() > latest):
                for ref, job in under_way.items():
                    if job.cell.name not in begun:
                        ray.cancel(ref)  # it waits for a machine that is not there

    def _look(self) -> tuple[dict[str, int], set[str]]:
        try:
            if self._stopped:
                self.desk.stop.remote()
            found: tuple[dict[str, int], set[str]] = self.ray.get(self.desk.look.remote(), timeout=10 * LOOK)
            return found
        except self.ray.exceptions.RayError:  # nothing depends on what it would have told
            return {}, set()

    def _outcome(self, ref: Any, job: Job) -> SliceResult | None:
        """Return what came of a task, its cell's files having been taken in; None if it never began.

        Raises:
            RamacError: this machine's part of Ray has ended.
        """
        errors = self.ray.exceptions
        try:
            outcome: SliceResult = self.ray.get(ref)
        except errors.TaskCancelledError:
            return None
        except errors.LocalRayletDiedError as error:
            raise RamacError(f"{LOST} ({type(error).__name__})") from error
        except errors.RayTaskError as error:
            reason = (str(error.cause or error).splitlines() or [""])[0]
            kind = "" if isinstance(error.cause, RamacError) else f"{type(error.cause).__name__}: "
            outcome = SliceResult(job.cell.name, failure=f"{kind}{reason}")
        except errors.RayError as error:
            lost = "its machine was lost" if isinstance(error, errors.NodeDiedError) else "its process died"
            outcome = SliceResult(job.cell.name, failure=f"{lost} {RETRIES + 1} times ({type(error).__name__})")
        if job.folder is not None:
            settle(self.store, job.cell, job.folder)
        return outcome

    def stop(self) -> None:
        """Stop at the next chunk of every slice, and begin no other."""
        self._stopped = True

    def close(self) -> None:
        """Leave the cluster, or end the one that was started; with this process's claim its tasks end."""
        with contextlib.suppress(Exception):
            self.ray.kill(self.desk)
        self._leave()


def connected(address: str | None) -> Any:
    """Return the module `ray`, connected.

    Raises:
        RamacError: it is not installed, or there is no cluster at the address.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise RamacError("--backend ray: Ray is not installed; `pip install 'ramac-lib[ray]'` brings it") from None
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    how: dict[str, Any] = {"namespace": NAMESPACE, "log_to_driver": False, "logging_level": logging.ERROR}
    if passed:
        how["runtime_env"] = {"env_vars": passed}
    where = address or os.environ.get("RAY_ADDRESS")
    if ray.is_initialized():
        return ray
    try:
        ray.init(address=where, **how) if where else ray.init(address="local", include_dashboard=False, **how)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RamacError(f"--address {where or 'of this machine'}: no cluster of Ray ({reason})") from error
    return ray


def _choose(
    device: str, mode: str, precision: str, method: bytes, begun: str | None, files: Sequence[Path]
) -> Engine | RamacError:
    try:
        plugins.load(files)
        return get_engine(device, mode, precision, pickle.loads(method), begun)
    except RamacError as error:
        return error
