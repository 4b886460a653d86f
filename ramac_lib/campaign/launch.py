"""A campaign from its options to its end: the directory is claimed, the grid chosen, processes started and ended."""

import contextlib
import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.campaign.backends.base import Pool
from ramac_lib.campaign.backends.in_process import InProcess
from ramac_lib.campaign.backends.processes import Processes
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.campaign.grid import choose
from ramac_lib.campaign.scheduler import Campaign
from ramac_lib.system.errors import RamacError
from ramac_lib.system.machine import get_device
from ramac_lib.system.processes import cores
from ramac_lib.system.ranges import POSITIVE, Range, check_value

log = logging.getLogger(__name__)


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

    Returns:
        One row an evaluation episode, with the columns `SCHEMA`; the reason of each cell that failed.

    Raises:
        RamacError: bad input, another campaign in the directory, a budget too small for one cell.
        Interrupted: Ctrl-C; the directory can be gone on with.
    """
    began = time.monotonic() if began is None else began
    target = get_device(device)
    if workers is None:
        workers = 1 if target.type == "cuda" else cores()
    check_value("workers", workers, int, Range(0, 1024))
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
        campaign = Campaign(grid, store, device, workers, began, budget, progress)
        if there is not None and there[1] != campaign.code:
            log.warning(
                f"the code has changed since this campaign began ({there[1]} then, {campaign.code} now): "
                "rows that it makes now are told from the others by the column `code`"
            )
        campaign.build_data()
        pool = Processes(workers, claim, target.type == "cuda") if workers else InProcess()
        cost = None if budget is None else campaign.probe(pool)
        store.tidy()
        store.write(grid, campaign.code if there is None else there[1])
        table = campaign.run(pool, cost)
    finally:
        if pool is not None:
            pool.close()
        store.unlock()
        if not store.grid_file.exists():  # nothing was run: leave nothing
            _unmake(store.path, made)
    return table, campaign.failures


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
