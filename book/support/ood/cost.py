"""What a rate costs on data of D4RL's size: seconds and memory of 50,000 actions against 2 million rows."""

import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ramac_lib.bench.parts import Part
from ramac_lib.datasets import bundled, ood
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import spawn

Array = np.ndarray

TASK = "halfcheetah-medium-expert"  # of the widest rows: 17 and 6 numbers
ROWS, ASKED = 2_000_000, 50_000
GOAL_SECONDS = 60.0
MAKERS: Mapping[str, type[ood.Detector]] = {
    "action alone": ood.ActionOnly,
    "state and action": ood.StateAction,
    "neighbours": ood.Neighbours,
}


def save(data: Dataset, path: Path, asked: int = ASKED, seed: int = 0) -> Path:
    """Write a data set's rows, and some with their actions moved by .1 to ask about, for `timed`.

    Raises:
        RamacError: fewer rows than asked, or none asked.
    """
    if not 1 <= asked <= len(data):
        raise RamacError(f"asked is {asked}; expected 1 to {len(data)}, the data's rows")
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(data), asked, replace=False))
    step = rng.normal(size=(asked, data.actions.shape[1]))
    step *= 0.1 / np.linalg.norm(step, axis=1, keepdims=True)
    moved = np.clip(data.actions[rows] + step, -1, 1).astype(np.float32)
    np.savez(path, observations=data.observations, actions=data.actions, asked=data.observations[rows], moved=moved)
    return path


def timed(name: str, path: Path) -> tuple[float, float, float]:
    """Return seconds to fit a detector, seconds to ask it, and the process's peak memory in GB, data included.

    Run in a process of its own: its peak is the process's, not the call's.
    """
    with np.load(path) as file:
        states, actions, asked, moved = (file[key] for key in ("observations", "actions", "asked", "moved"))
    begun = time.perf_counter()
    made = MAKERS[name]
    detector = made(actions) if made is ood.ActionOnly else made(states, actions)  # type: ignore[call-arg]
    fitted = time.perf_counter()
    detector.ratios(asked, moved)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return fitted - begun, time.perf_counter() - fitted, peak


def measure(folder: Path, rows: int = ROWS, asked: int = ASKED) -> pd.DataFrame:
    """Return a row a detector: `bench.parts`' columns of fitting and asking together, and ``fit ask gigabytes``."""
    path = save(bundled.build(get_task(TASK), rows, progress=False), folder / "rows.npz", asked)
    return pd.DataFrame(list(_rows(path, asked)))


def _rows(path: Path, asked: int) -> Iterator[dict]:
    for name in MAKERS:
        with spawn(1) as pool:
            fit, ask, peak = pool.submit(timed, name, path).result()
        part = Part(name, lambda: None, asked, "actions", goal_seconds=GOAL_SECONDS)
        yield part.row(fit + ask) | {"fit": fit, "ask": ask, "gigabytes": peak}
