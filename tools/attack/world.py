"""What the attack needs to stand on: a command run in this process, its verdict, small runs and files to damage."""

import contextlib
import io
import os
import shutil
import signal
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

PATIENCE = 120  # seconds that a refused command may take, on a busy machine
TINY = (
    "--set", "hidden=8", "critic_hidden=8", "embedding=4", "n_cos=4", "n_fractions=4", "batch_size=16",
)  # fmt: skip


class Hung(BaseException):
    """A command did not end."""


@dataclass
class Verdict:
    """How a command ended: its exit code and what it wrote on standard error."""

    code: int
    error: str

    @property
    def fault(self) -> str | None:
        """What is wrong with how it ended; None where it worked or was refused in a sentence."""
        if self.code not in (0, 1, 2, 130):
            return f"exit code {self.code}: {self.error.strip()[-300:]}"
        if "Traceback" in self.error or "unexpected " in self.error.rpartition("ramac: ")[2][:11]:
            return f"a traceback: {self.error.strip()[-300:]}"
        if self.code == 1 and not (self.error.strip().splitlines() or [""])[-1].startswith("ramac: "):
            return f"no sentence: {self.error.strip()[-300:]}"
        return None


def command(*arguments: object) -> Verdict:
    """Run ``ramac`` with these arguments in this process."""
    from ramac_lib.cli import main

    def ring(*_: object) -> None:
        raise Hung

    said, code = io.StringIO(), 0
    # Not by SIGALRM, which the commands use themselves.
    before = signal.signal(signal.SIGUSR1, ring)
    timer = threading.Timer(PATIENCE, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1))
    timer.start()
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
            main([str(a) for a in arguments])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Hung:
        code, _ = 124, said.write("\nit did not end")
    except BaseException as error:
        code, _ = 70, said.write(f"\n{type(error).__name__}: {error}")
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)
    return Verdict(code, said.getvalue())


@dataclass
class Record:
    """What was tried and what went wrong."""

    tried: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def take(self, kind: str, what: object, fault: str | None) -> None:
        """Count an attempt."""
        self.tried[kind] += 1
        if fault:
            self.faults.append(f"{kind}: {what}: {fault}")


class World:
    """A folder with a run, a finished campaign, a packed one and a data file, all of them small; made once."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="attack-"))
        self.run = self.folder / "run"
        self.must(
            "train", "--method", "radac", "--task", "risky-bandit", "--size", 200, "--steps", 4, "--episodes", 2,
            "--device", "cpu", "--engine", "eager", "--out", self.run, *TINY,
        )  # fmt: skip
        self.campaign, self.pack, self.file = self.folder / "campaign", self.folder / "pack", self.folder / "data.hdf5"
        self.must("campaign", *CAMPAIGN, "--out", self.campaign)
        self.must("campaign", "--out", self.campaign, "--pack", self.pack)
        self.table = self.folder / "table"
        self.must("gather", self.run, "--out", self.table)
        write_data(self.file)
        self.count = 0

    def must(self, *arguments: object) -> None:
        """Run a command that is to work."""
        verdict = command(*arguments)
        if verdict.code:
            raise RuntimeError(f"{arguments[0]} failed: {verdict.error}")

    def fresh(self, source: Path | None = None) -> Path:
        """Return a path that is not there, or a copy of a file or folder."""
        self.count += 1
        path = self.folder / "tried" / str(self.count) / (source.name if source else "new")
        path.parent.mkdir(parents=True)
        if source is not None:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, path)
        return path

    def clear(self) -> None:
        """Remove what `fresh` made."""
        shutil.rmtree(self.folder / "tried", ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


CAMPAIGN: Sequence[object] = (
    "--tasks", "risky-bandit", "--methods", "bc-flow:hidden=8,batch_size=16", "--seeds", 0, 1, "--steps", 12,
    "--evaluations", 3, "--episodes", 2, "--report-episodes", 2, "--size", 200, "--workers", 0, "--device", "cpu",
    "--engine", "eager",
)  # fmt: skip


def write_data(path: Path) -> None:
    """Write a small file in D4RL's layout."""
    import h5py

    n, rng = 40, np.random.default_rng(0)
    states = rng.normal(size=(n + 1, 11)).astype(np.float32)
    flags = np.zeros(n, bool)
    with h5py.File(path, "w") as file:
        file["observations"], file["next_observations"] = states[:-1], states[1:]
        file["actions"] = rng.uniform(-1, 1, (n, 3)).astype(np.float32)
        file["rewards"] = rng.normal(size=n).astype(np.float32)
        file["terminals"], file["timeouts"] = flags, flags
        file.attrs["env_id"] = "Hopper-v4"


def in_child(*arguments: object, before: object = None) -> int:
    """Run a command in a copy of this process; return how that ended, minus the signal that killed it."""
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)  # a copy has none of the others
            if callable(before):
                before()
            code = command(*arguments).code
        except BaseException:
            code = 71
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
