"""Processes beside this one: how many, and how they end."""

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

from ramac_lib.system.errors import killed
from ramac_lib.system.plugins import load, loaded

_PRCTL = ctypes.CDLL(None).prctl if sys.platform == "linux" else None  # looked up before any fork


def end_with_parent() -> None:
    """Let this process end when the one that started it is killed, which cannot tell it so."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def set_death_signal() -> None:
    """Let the kernel kill this process when the thread that started it ends (Linux; elsewhere nothing is done).

    For what cannot watch its parent: a program that is not ours, a server that is still importing.
    """
    if _PRCTL is not None:
        _PRCTL(1, signal.SIGKILL)  # PR_SET_PDEATHSIG of <sys/prctl.h>


def survives(look: Callable[[], object], seconds: int) -> bool:
    """Return whether a copy of this process comes to the end of `look`: whether that crashes it or never ends.

    For libraries that do either on damaged files. What `look` raises is no matter; the copy's own result is lost.
    True where processes cannot be copied.

    Args:
        seconds: of processor time that it may take.
    """
    if not hasattr(os, "fork"):
        return True
    import resource  # not on Windows

    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python's, of threads, none of which the copy needs
        copy = os.fork()
    if copy == 0:
        set_death_signal()
        faulthandler.disable()
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # of a copy it begins at zero
        with suppress(BaseException):
            look()
        os.write(writing, b"1")
        os._exit(0)
    os.close(writing)
    try:
        return os.read(reading, 1) == b"1"  # nothing once the copy is gone
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(copy, signal.SIGKILL)
        with suppress(ChildProcessError):  # where such are not waited for
            os.waitpid(copy, 0)


def begin_worker(plugins: Sequence[Path]) -> None:
    """Do what every process that another one starts to work for it does first.

    Args:
        plugins: of the one that started it.
    """
    end_with_parent()
    load(plugins)


def spawn(workers: int) -> ProcessPoolExecutor:
    """Return a pool of processes that know this one's plugins and end with it."""
    return ProcessPoolExecutor(workers, get_context("spawn"), begin_worker, (tuple(loaded),))


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin_mapping() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's business
    end_with_parent()


@contextmanager
def worker_map(workers: int | None = None) -> Iterator[Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]]:
    """Yield an ordered lazy ``map`` over `workers` processes (all cores if None; 1: in this process).

    The processes are spawned, not forked, so that threads of PyTorch or a notebook do no harm; in a script,
    call from below ``if __name__ == "__main__"``.

    Raises:
        RamacError: a worker died.
    """
    count = cores() if workers is None else workers
    if count <= 1:
        yield map
        return
    pool = ProcessPoolExecutor(count, get_context("spawn"), initializer=_begin_mapping)
    try:
        yield pool.map
    except BrokenProcessPool as error:
        remedy = "use workers=1, or in a script call this below `if __name__ == '__main__'`"
        raise killed("worked for this one", remedy) from error
    finally:
        pool.shutdown(cancel_futures=True)
