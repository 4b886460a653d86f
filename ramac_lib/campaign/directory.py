"""A campaign's directory: one campaign at a time, its grid, its cells, and one tidy table made of them."""

import contextlib
import dataclasses
import fcntl
import io
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.campaign.grid import Cell, Grid
from ramac_lib.campaign.plan import Cost, State
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, is_left, read, writing
from ramac_lib.training import routes
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.results import COLUMNS, LATER, complete

FORMAT = 2  # of campaign.json; 2 since a grid has env_id and more_seeds
SCHEMA = (*COLUMNS, "code")
"""Columns of a campaign's one table, which has a row for each evaluation episode; navigation's come after them."""
NUMBERS = (
    "alpha", "seed", "step", "horizon", "episode", "return", "discounted_return", "length", "violations",
    *(column for column in (*LATER, *routes.COLUMNS) if column not in ("ood_curves", "inside")),
)  # fmt: skip
PATIENCE = 10.0  # seconds for the workers of a campaign that was killed to end


@dataclass
class CampaignDirectory:
    """The directory ``path``.

    It holds ``campaign.json`` (the grid, the code's version at the beginning), ``results.csv`` (a row an episode, all
    cells), ``results.json`` (each run's facts, by hash) and ``cells/NAME/`` (a run's directory each). The tables of the
    cells are the truth, the one table is made of them: however often a campaign is killed, no row is lost or doubled.
    """

    path: Path
    _lock: int | None = field(default=None, repr=False)

    # -- one at a time ----------------------------------------------------------------------------------------------

    def lock(self) -> int:
        """Claim the directory; return the lock's file descriptor, which workers hold as well.

        The kernel gives the claim back when the last process that holds it has ended, however it ended.

        Raises:
            RamacError: another campaign is running there.
        """
        if self._lock is not None:
            return self._lock
        with writing(self.path):
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(handle)
                    raise RamacError(f"{self.path}: another campaign is running in this directory") from None
                time.sleep(0.1)
        self._lock = handle
        return handle

    def unlock(self) -> None:
        """Give the directory back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # -- what is there ----------------------------------------------------------------------------------------------

    @property
    def grid_file(self) -> Path:
        """The campaign's grid and the code's version when it began."""
        return self.path / "campaign.json"

    @property
    def table_file(self) -> Path:
        """The one table."""
        return self.path / "results.csv"

    @property
    def facts_file(self) -> Path:
        """Each run's facts, by hash."""
        return self.path / "results.json"

    def read(self) -> tuple[Grid, str] | None:
        """Return the grid of the campaign there and the version of the code that began it; None for no campaign.

        Raises:
            RamacError: a table of another schema, a damaged or newer campaign.json, other files and no campaign.
        """
        if self.table_file.exists():
            if not self.table_file.is_file():  # of a pipe the end would be waited for
                raise RamacError(f"{self.table_file}: is not a regular file; expected a results table")
            with self.table_file.open(encoding="utf-8", errors="replace") as file:
                header = [c for c in file.readline().rstrip("\r\n").split(",") if c not in routes.COLUMNS]
            if header not in (list(SCHEMA), [column for column in SCHEMA if column not in LATER]):
                differ = sorted(set(header) ^ set(SCHEMA))
                raise RamacError(
                    f"{self.table_file}: a results table of another schema "
                    f"({'columns ' + ', '.join(differ[:4]) if differ else 'order of columns'}); it is not overwritten"
                )
        try:
            data = json.loads(read(self.grid_file))
            if data["format"] > FORMAT:
                raise RamacError(
                    f"{self.grid_file}: written by a newer version (format {data['format']}; this reads {FORMAT})"
                )
            return Grid.from_json(data["grid"]), data["code"]
        except FileNotFoundError:
            if any(p.name != ".lock" and not is_left(p) for p in self.path.iterdir()):
                raise RamacError(f"{self.path}: the folder is not empty and holds no campaign") from None
            return None
        except RamacError as error:
            raise RamacError(f"{self.grid_file}: {str(error).removeprefix(f'{self.grid_file}: ')}") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise RamacError(f"{self.grid_file}: is damaged; expected the JSON of a campaign's grid") from None

    def write(self, grid: Grid, code: str) -> None:
        """Write the grid."""
        with atomic(self.grid_file) as temporary:
            temporary.write_text(json.dumps({"format": FORMAT, "code": code, "grid": grid.to_json()}, indent=2) + "\n")

    def tidy(self) -> None:
        """Remove what killed processes left half written."""
        for path in filter(is_left, list(self.path.iterdir())):
            path.unlink(missing_ok=True)
        for run in map(RunDirectory, self.path.glob("cells/*")):
            with contextlib.suppress(RamacError), run.training():  # who trains it beside us has tidied it
                pass

    def run_directory(self, cell: Cell) -> RunDirectory:
        """Return the cell's run."""
        return RunDirectory(self.path / "cells" / cell.name)

    def state(self, cell: Cell, grid: Grid, engine: Callable[[str], str]) -> State:
        """Return where a cell stands, by its files.

        Args:
            engine: returns the name of the one that would go on with what another began, given that one's name.

        Raises:
            RamacError: it is not finished and its full state was left behind, is damaged, or is another engine's.
        """
        run, steps = self.run_directory(cell), cell.config.steps
        named = tuple(moment for moment in dict.fromkeys(grid.evaluate_at) if moment % grid.eval_every)
        fresh = State(cell.name, 0, steps, grid.eval_every, Cost(), evaluate_at=named)
        begun = ""
        if run.checkpoint_file.exists():
            step, begun = run.read_head()
        elif run.policy_file.exists():
            step = run.load_policies()["step"]
        else:
            return fresh
        state = dataclasses.replace(fresh, step=step, reported=self._reported(run, cell.config, step))
        if not run.checkpoint_file.exists() and not state.done:
            raise RamacError(f"{run.path}: its full state was left behind at step {step}; it cannot be gone on with")
        if step < steps and (here := engine(begun)) != begun:
            raise RamacError(
                f"{run.path}: begun as {begun}, at step {step} of {steps}; it cannot be gone on with as {here}: "
                f"resume the campaign with --device {begun.split()[0]}"
            )
        return state

    def _reported(self, run: RunDirectory, config: RunConfig, step: int) -> int:
        table = run.read_table("evaluations.csv", step)
        if not len(table):
            return -1
        # `ramac evaluate` may have added others: another horizon's or hazard's are not the report.
        own = (table["horizon"] == config.task.horizon) & (table["hazard"] == config.hazard.name)
        reports = table.loc[own & (table["purpose"] == "report"), "step"]
        return int(reports.max()) if len(reports) else -1

    # -- the one table ----------------------------------------------------------------------------------------------

    def gather(self, cells: Sequence[Cell], states: Mapping[str, State]) -> pd.DataFrame:
        """Make results.csv and results.json of the cells' own files, each written whole; return the table."""
        tables, facts = [], {}
        for cell in cells:
            run, step = self.run_directory(cell), states[cell.name].step
            if step == 0:
                continue
            facts[cell.config.hash] = {**run.read_facts(), "cell": cell.name, "updates": step}
            path = run.path / "evaluations.csv"
            try:  # as text, so that every number stays as it was written
                table = pd.read_csv(io.BytesIO(read(path)), dtype=str, keep_default_na=False)
                table = complete(table[table["step"].astype(int) <= step])
                for column in (column for column in NUMBERS if column in table):
                    pd.to_numeric(table[column])
                tables.append(table[[*SCHEMA, *(column for column in routes.COLUMNS if column in table)]])
            except (FileNotFoundError, pd.errors.EmptyDataError):
                continue
            except (ValueError, KeyError) as error:
                raise RamacError(f"{path}: is damaged; expected the table that a run writes") from error
        whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(SCHEMA))
        whole = whole[[*SCHEMA, *(column for column in routes.COLUMNS if column in whole)]]
        with atomic(self.table_file) as temporary:
            whole.to_csv(temporary, index=False)
        text: Any = json.dumps(facts, indent=1, sort_keys=True) + "\n"
        with atomic(self.facts_file) as temporary:
            temporary.write_text(text)
        numbers = [column for column in NUMBERS if column in whole]
        return whole.assign(**{column: pd.to_numeric(whole[column]) for column in numbers})
