"""Processes that do slices. Each has a pipe of its own: one that dies, dies alone, and holds no lock of the others.

(concurrent.futures gives up the whole pool when one process dies, and knows nothing of slices that must report.)
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from ramac_lib.campaign.backends.base import OnStep, Pool, Prepare
from ramac_lib.campaign.grid import Cell
from ramac_lib.campaign.slices import Job, SliceResult, serve
from ramac_lib.system.errors import RamacError
from ramac_lib.system.plugins import loaded

TRIES, PAUSE = 5, 1.0  # to start a process; seconds between two tries
GRACE = 10.0  # seconds for idle processes to end


# Why a process may not know a name that this one knows.
ALONE = "what a notebook registers is known to its own process alone: use workers=0"


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Any
    job: Job | None = None


class Processes(Pool):
    """Processes, of one thread each on a CPU, started when first needed.

    Args:
        workers: how many slices are done at a time.
        claim: the directory's lock, which each process holds too.
        cuda: whether they use a GPU.
    """

    def __init__(self, workers: int, claim: int, cuda: bool = False) -> None:
        # One clean server imports PyTorch, and what it imports when first used; workers are forked from it, so that a
        # new one costs no time. CUDA cannot be used in a process forked from one that has looked for it.
        forks: Any = get_context("spawn" if cuda else "forkserver")
        if not cuda:
            forks.set_forkserver_preload(
                ["ramac_lib.system.mortal", "ramac_lib.campaign.slices", "ramac_lib.envs.bandit"]
            )
        self.context: Any = forks
        self.count, self.claim, self.threads = workers, claim, None if cuda else 1
        self.workers: list[_Worker] = []
        self._died: set[str] = set()  # the cells whose process died once
        self._stopped = False

    def _start(self) -> _Worker:
        for _ in range(TRIES):
            ours, theirs = self.context.Pipe()
            # No daemon: on CUDA a worker has processes of its own, which evaluate.
            process = self.context.Process(target=serve, args=(theirs, _Claim(self.claim), self.threads, tuple(loaded)))
            try:
                process.start()
                break
            except (EOFError, ConnectionError):  # the server was killed meanwhile; the next try starts another
                ours.close()
                time.sleep(PAUSE)  # it may still be ending, and then be taken for alive
            finally:
                theirs.close()
        else:
            raise RamacError(f"no process can be started: what starts them was killed {TRIES} times (no memory left?)")
        worker = _Worker(process, ours)
        self.workers.append(worker)
        return worker

    def capacity(self) -> int:
        """Return the number of processes."""
        return self.count

    def recover(self, cells: Sequence[tuple[Cell, Path]]) -> None:
        """Nothing is saved elsewhere."""

    def run(self, jobs: Sequence[Job], prepare: Prepare, on_step: OnStep) -> Iterator[SliceResult]:
        """Do the jobs; one whose process dies is tried once more, and is a failure if that dies too."""
        waiting = list(jobs)
        while True:
            while waiting and not self._stopped and (free := self._free()):
                free.job = waiting.pop(0)
                message = prepare(free.job, waiting)
                with suppress(ConnectionError):  # it died while it was idle: seen below
                    free.pipe.send(message)
            busy = [w for w in self.workers if w.job is not None]
            if not busy:
                return
            for ready in connection.wait([w.pipe for w in busy], timeout=1.0):
                worker = next(w for w in busy if w.pipe is ready)
                try:
                    message = worker.pipe.recv()
                except (EOFError, ConnectionError):
                    job, exit_code = worker.job, self._bury(worker) or 0
                    assert job is not None
                    if job.cell.name not in self._died:
                        self._died.add(job.cell.name)
                        waiting.insert(0, job)
                    else:
                        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
                        yield SliceResult(job.cell.name, failure=f"its process died twice ({how})")
                    continue
                if isinstance(message, RamacError) and worker.job is not None:
                    name, worker.job = worker.job.cell.name, None
                    yield SliceResult(name, failure=f"{message}; {ALONE}")
                elif isinstance(message, SliceResult):
                    worker.job = None
                    yield message
                else:
                    on_step(*message)

    def _free(self) -> _Worker | None:
        idle = next((w for w in self.workers if w.job is None), None)
        return idle or (self._start() if len(self.workers) < self.count else None)

    def _bury(self, worker: _Worker) -> int | None:
        worker.pipe.close()
        worker.process.join(GRACE)
        self.workers.remove(worker)
        return worker.process.exitcode

    def stop(self) -> None:
        """Stop at the next chunk."""
        self._stopped = True
        for worker in self.workers:
            if worker.job is not None:
                with suppress(ConnectionError):
                    worker.pipe.send("stop")

    def close(self) -> None:
        """End all processes, kindly if they are idle."""
        for worker in self.workers:
            with suppress(ConnectionError):
                worker.pipe.send(None)
            if worker.job is not None:
                worker.process.kill()
        for worker in self.workers:
            worker.process.join(GRACE)
            if worker.process.is_alive():
                worker.process.kill()
            worker.pipe.close()
        self.workers.clear()


class _Claim:
    """A file descriptor that is duplicated for the process which it is sent to."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __reduce__(self) -> Any:
        return _received, (DupFd(self.handle),)

    def detach(self) -> int:
        return self.handle


def _received(duplicate: Any) -> _Claim:
    return _Claim(duplicate.detach())
