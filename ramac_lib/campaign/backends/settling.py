"""The campaign's own directory and the store of states, brought to the same state after a slice done elsewhere.

The state that is further is copied to the other side. Reports that `ramac evaluate` has added here meanwhile stay, as
they do beside a trainer of this machine (`Trainer.report`).
"""

import io
import tempfile
from pathlib import Path

import pandas as pd

from ramac_lib.campaign.backends.states import FILES, StateStore, Superseded
from ramac_lib.campaign.grid import Cell
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, read
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory

TRIES = 5  # to save after a state that another one follows each time
ROWS = "evaluations.csv"
ONE = ["purpose", "step", "hazard", "horizon", "alpha"]  # rows that have these in common were written together


def place(cell: Cell) -> str:
    """Return the name of a cell's states in a store, which campaigns of other settings may share."""
    return f"{cell.name}.{cell.config.hash}"


def settle(store: StateStore, cell: Cell, folder: Path) -> None:
    """Let a cell's run directory and the store hold the same state, the one that is further.

    Raises:
        RamacError: either holds a run of another config; the store does not answer; others save there all the time.
    """
    run = RunDirectory(folder)
    if run.config_file.exists():
        run.check(cell.config, resume=True)
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory(prefix="ramac-") as scratch:
            there = RunDirectory(Path(scratch))
            version = store.newest(place(cell), there.path)
            if version.number and _begun(there):
                if there.read_config().hash != cell.config.hash:
                    raise RamacError(f"--states {store.url}: {place(cell)} holds a run of another config")
                if _reached(there, cell.config) > _reached(run, cell.config):
                    _copy(there, run, cell.config)
        if not _begun(run):
            return
        try:
            store.publish(place(cell), run.path, version)
            return
        except Superseded:
            continue  # by an attempt on a machine that was taken for lost
    raise RamacError(f"--states {store.url}: {place(cell)} was saved by another {TRIES} times")


def _begun(run: RunDirectory) -> bool:
    return run.config_file.exists() and run.checkpoint_file.exists()


def _reached(run: RunDirectory, config: RunConfig) -> tuple[int, int, int]:
    """Return a run's step, the rows of its learning curve and the step of its own report, −1 where there is none."""
    if not _begun(run):
        return -1, 0, -1
    step = run.read_head()[0]
    rows = _table(run, step)
    if not len(rows):
        return step, 0, -1
    return step, int((rows["purpose"] == "training").sum()), _reported(rows, config)


def _table(run: RunDirectory, up_to: int) -> pd.DataFrame:
    """Return a run's evaluations as they are written, without those of later steps."""
    if not len(run.read_table(ROWS)):
        return pd.DataFrame()
    rows = pd.read_csv(io.BytesIO(read(run.path / ROWS)), dtype=str, keep_default_na=False)
    return rows[rows["step"].astype(int) <= up_to].reset_index(drop=True)


def _own(rows: pd.DataFrame, config: RunConfig) -> "pd.Series[bool]":
    """Return which rows are of a report as a campaign makes it."""
    same = (rows["hazard"] == config.hazard.name) & (rows["horizon"].astype(int) == config.task.horizon)
    return same & (rows["purpose"] == "report")


def _reported(rows: pd.DataFrame, config: RunConfig) -> int:
    return max(rows.loc[_own(rows, config), "step"].astype(int), default=-1)


def _kept(here: pd.DataFrame, fetched: pd.DataFrame, config: RunConfig) -> pd.DataFrame | None:
    """Return the fetched rows with the reports that only this side has; None if there are none of them.

    A report of the campaign's own that a later one has replaced is none. Where both sides have rows of the same kind
    and step, those from here have replaced the others.
    """
    if not len(here) or not len(fetched):
        return here[here["purpose"] != "training"] if len(here) and (here["purpose"] != "training").any() else None
    replaced = _own(here, config) & (here["step"].astype(int) < _reported(fetched, config))
    here = here[(here["purpose"] != "training") & ~replaced]
    there = {key: rows for key, rows in fetched.groupby(ONE, sort=False)}
    new = []
    for key, rows in here.groupby(ONE, sort=False):
        if key not in there or not rows.reset_index(drop=True).equals(there[key].reset_index(drop=True)):
            new.append(rows)
            fetched = fetched.drop(index=there[key].index if key in there else [])
    return pd.concat([fetched, *new], ignore_index=True) if new else None


def _copy(source: RunDirectory, to: RunDirectory, config: RunConfig) -> None:
    """Copy a run's files, each whole, so that a reader finds a state of one moment or the one before it."""
    with to.training(), to.tables():
        contents = {name: (source.path / name).read_bytes() for name in FILES if (source.path / name).exists()}
        here = _table(to, to.read_head()[0]) if _begun(to) else pd.DataFrame()
        rows = _kept(here, _table(source, source.read_head()[0]), config)
        if rows is not None:
            contents[ROWS] = rows.to_csv(index=False).encode()
        for name in FILES:
            if name in contents:
                with atomic(to.path / name) as temporary:
                    temporary.write_bytes(contents[name])
