"""Kills at every step of writing files, and full disks: what was written is whole, and going on ends the same."""

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from world import CAMPAIGN, TINY, Record, World, in_child

WATCHED = ("replace", "fsync", "rename", "unlink")  # of `os`: the moments around which a kill comes


def _leaves(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _leaves(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_leaves(v) for v in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def results(folder: Path) -> dict[str, Any]:
    """Return all that runs in a folder computed: tables to the byte, states to the bit."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".csv":
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


def full_disk(size: int) -> Callable[[], None]:
    """Return what lets a process write no file larger than so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def command_of(kind: str, out: Path) -> tuple[object, ...]:
    """Return a run's or a campaign's command; both go on with what is there."""
    if kind == "campaign":
        return ("campaign", *CAMPAIGN, "--resume", "--out", out)
    return (
        "train", "--method", "radac", "--task", "risky-bandit", "--size", 200, "--steps", 12, "--episodes", 2,
        "--eval-every", 3, "--device", "cpu", "--engine", "eager", "--resume", "--out", out, *TINY,
    )  # fmt: skip


def attack(world: World, record: Record, total: int, start: int, over: Callable[[], bool]) -> None:
    """Kill runs and campaigns about so often; after every death go on, and compare the end with an undisturbed one.

    First comes a sweep of a run's and of a campaign's moments, one kill at each, or evenly spread where there are more
    than a third of all; then chains of kills and full disks at random moments.
    """
    rng, expected = np.random.default_rng(start), {}
    for kind in ("train", "campaign"):
        whole = world.folder / f"whole-{kind}"
        shutil.rmtree(whole, ignore_errors=True)
        if in_child(*command_of(kind, whole)):
            raise RuntimeError(f"{kind} does not work undisturbed")
        expected[kind] = results(whole)
    for i, kind in enumerate(expected):
        every = max(1, 160 // max(1, total))
        for moment in range(1, 10_000, every):
            out = world.fresh()
            code = in_child(*command_of(kind, out), before=kill_at(moment, after=False))
            if code == 0 or over() or record.tried["sweep"] >= (i + 1) * total / 3:
                break
            record.take("sweep", (kind, moment), None if code == -signal.SIGKILL else f"ended with {code}")
            _end(world, record, kind, out, [f"killed before change {moment}"], expected[kind])
    while record.tried["kills"] + record.tried["full disks"] + record.tried["sweep"] < total and not over():
        kind = str(rng.choice(["train", "campaign"]))
        out, history, code = world.fresh(), [], 1
        while code and len(history) < 8 and not over():
            if full := rng.random() < 0.1:
                how = f"full disk at {(size := int(rng.integers(0, 60_000)))} bytes"
                code = in_child(*command_of(kind, out), before=full_disk(size))
            else:
                moment, after = int(rng.integers(1, 40)), bool(rng.random() < 0.5)
                how = f"killed {'after' if after else 'before'} change {moment}"
                code = in_child(*command_of(kind, out), before=kill_at(moment, after))
            history.append(how)
            if code:
                fault = None if code == (1 if full else -signal.SIGKILL) else f"ended with {code}"
                record.take("full disks" if full else "kills", (kind, history), fault)
        _end(world, record, kind, out, history, expected[kind])


def _end(world: World, record: Record, kind: str, out: Path, history: list[str], expected: dict[str, Any]) -> None:
    """Go on to the end and compare it with the undisturbed one."""
    code = in_child(*command_of(kind, out))
    fault = f"going on ended with {code}" if code else None
    if fault is None and results(out) != expected:
        fault = "other results than undisturbed"
    if fault is None and (left := [p.name for p in out.rglob(".*.part")]):
        fault = f"left behind: {left}"
    record.take("ends", (kind, history), fault)
    world.clear()
