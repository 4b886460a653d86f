"""Kills at every step of writing files, and full disks: what was written is whole, and going on ends the same."""

import os
import resource
import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from world import CAMPAIGN, TINY, Record, World, in_child

from ramac_lib.campaign import bandit

WATCHED = ("replace", "fsync", "rename", "unlink", "rmdir")  # of `os`: the moments around which a kill comes
COMPARED = (".csv", ".gz", ".000", ".npz")  # tables, packs and data, byte by byte; in `.json` there are durations
KINDS = ("campaign", "train", "unpack", "pack", "export", "gather", "bandit")
ONCE = ("pack", "unpack")  # refuse to write where something is


def _leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _leaves(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_leaves(v) for v in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def results(folder: Path) -> dict[str, Any]:
    """Return all that was computed into a folder, or under that name: tables to the byte, states to the bit."""
    found: dict[str, Any] = {}
    for path in sorted({*folder.rglob("*"), *folder.parent.glob(f"{folder.name}.*")}):
        name = path.relative_to(folder.parent).as_posix().removeprefix(folder.name)
        if path.suffix in COMPARED:
            found[name] = path.read_bytes()
        elif path.suffix == ".pt":
            found[name] = _leaves(torch.load(path, weights_only=True))
    return found


def kill_at(moment: int, after: bool) -> Callable[[], None]:
    """Return what makes a process kill itself before or after its n-th change of the file system."""

    def prepare() -> None:
        seen = [0]

        def watched(call: Any) -> Any:
            def made(*args: Any, **kwargs: Any) -> Any:
                seen[0] += 1
                if seen[0] == moment and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                value = call(*args, **kwargs)
                if seen[0] == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
                return value

            return made

        for name in WATCHED:
            setattr(os, name, watched(getattr(os, name)))

    return prepare


def kill_after(seconds: float) -> Callable[[], None]:
    """Return what makes a process kill itself so long after its start, wherever it is then."""

    def prepare() -> None:
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()

    return prepare


def full_disk(size: int) -> Callable[[], None]:
    """Return what lets a process write no file larger than so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def command_of(world: World, kind: str, out: Path) -> tuple[object, ...]:
    """Return a command that writes `out`; given again, it goes on with what is there."""
    return {
        "train": (
            "train", "--method", "radac", "--task", "risky-bandit", "--size", 200, "--steps", 12, "--episodes", 2,
            "--eval-every", 3, "--device", "cpu", "--engine", "eager", "--resume", "--out", out, *TINY,
        ),
        "campaign": ("campaign", *CAMPAIGN, "--resume", "--out", out),
        "pack": ("campaign", "--out", world.campaign, "--pack", out),
        "unpack": ("campaign", "--unpack", world.pack, "--out", out),
        "export": ("campaign", "--out", world.campaign, "--export", out),
        "gather": ("gather", world.run, "--out", out),
        "bandit": (
            "bandit", "--methods", "bc-cvae", "--seeds", 0, "--steps", 20, "--suites", "axis",
            "--cells", out.with_name(f"cells-{out.name}"), "--out", out, "--workers", 1,
        ),
    }[kind]  # fmt: skip


def attack(world: World, record: Record, total: int, start: int, over: Callable[[], bool]) -> None:
    """Kill commands about so often; after every death go on, and compare the end with an undisturbed one.

    First comes a sweep of each command's moments, one kill at each, or evenly spread where fewer than 240 kills are to
    be; then chains of kills, at random changes and at random times, and full disks, a third of all at least.
    """
    rng, expected, spawn = np.random.default_rng(start), {}, bandit.spawn
    bandit.spawn = lambda _: ThreadPoolExecutor(1)  # so that a killed command has no one who goes on
    try:
        for kind in KINDS:
            whole = world.folder / "whole" / kind
            shutil.rmtree(whole, ignore_errors=True)
            if in_child(*command_of(world, kind, whole)):
                raise RuntimeError(f"{kind} does not work undisturbed")
            expected[kind] = results(whole)
        every = max(1, 240 // max(1, total))
        for i, kind in enumerate(KINDS):
            code = 1
            for moment in range(1, 10_000, every):
                out = world.fresh()
                code = in_child(*command_of(world, kind, out), before=kill_at(moment, after=False))
                enough = every > 1 and record.tried["sweep"] >= total * (i + 1) / len(KINDS)
                if code == 0 or enough or over():
                    break
                record.take("sweep", (kind, moment), None if code == -signal.SIGKILL else f"ended with {code}")
                _end(world, record, kind, out, [f"killed before change {moment}"], expected[kind])
            if every == 1 and not over():
                record.take("sweeps", kind, None if code == 0 else "was not swept to its end")
        chained = max(total // 3, total - record.tried["sweep"])
        while record.tried["kills"] + record.tried["full disks"] < chained and not over():
            _chain(world, record, str(rng.choice(KINDS)), rng, expected, over)
    finally:
        bandit.spawn = spawn


def _chain(world: World, record: Record, kind: str, rng: Any, expected: dict[str, Any], over: Any) -> None:
    """Kill a command, and what goes on with it, until one of them comes through; compare."""
    out, history, code = world.fresh(), [], 1
    while code and len(history) < 8 and not over():
        way, after = rng.choice(["change", "time", "full"], p=[0.5, 0.4, 0.1]), bool(rng.random() < 0.5)
        if way == "full":
            how, before = f"full disk at {(size := int(rng.integers(0, 60_000)))} bytes", full_disk(size)
        elif way == "time":
            how, before = f"killed after {(seconds := rng.uniform(0, 0.4)):.3f} s", kill_after(seconds)
        else:
            moment = int(rng.integers(1, 40))
            how, before = f"killed {'after' if after else 'before'} change {moment}", kill_at(moment, after)
        code = in_child(*command_of(world, kind, out), before=before)
        history.append(how)
        if code:
            fault = None if code == (1 if way == "full" else -signal.SIGKILL) else f"ended with {code}"
            record.take("full disks" if way == "full" else "kills", (kind, history), fault)
    _end(world, record, kind, out, history, expected[kind])


def _end(world: World, record: Record, kind: str, out: Path, history: list[str], expected: dict[str, Any]) -> None:
    """Go on to the end and compare it with the undisturbed one."""
    code = in_child(*command_of(world, kind, out))
    refused = code == 1 and kind in ONCE  # a kill after the last change; what is there must be whole
    fault = f"going on ended with {code}" if code and not refused else None
    if fault is None and results(out) != expected:
        fault = "other results than undisturbed"
    own = kind not in ("gather", "bandit")  # they write beside others' files, and leave a hidden one
    if fault is None and own and (left := [p.name for p in out.parent.rglob(".*.part")]):
        fault = f"left behind: {left}"
    record.take("ends", (kind, history), fault)
    world.clear()
