"""How far a campaign is, for whoever looks on: a file that the campaign writes, a table in the terminal."""

import contextlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.system import files
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic

EVERY = 2.0  # seconds between two writings, and two readings
SILENT = 30.0  # seconds without a word, after which a campaign is said to be so


@dataclass
class Progress:
    """Writes a campaign's ``.progress.json``, every two seconds at most."""

    out: Path
    _written: float = field(default=0.0, init=False)

    def __call__(self, steps: Mapping[str, int], failures: Mapping[str, str], workers: int, done: bool = False) -> None:
        """Write how far every cell is."""
        if not done and time.monotonic() - self._written < EVERY:
            return
        self._written = time.monotonic()
        said = {"time": time.time(), "steps": dict(steps), "failures": dict(failures), "workers": workers, "done": done}
        with atomic(self.out / ".progress.json") as temporary:
            temporary.write_text(json.dumps(said))


def read(out: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a row a cell, and what the campaign last said: time, workers, done.

    Columns: cell, step, steps, return (the mean of the last evaluation's episodes), state.

    Raises:
        RamacError: no campaign there.
    """
    store = CampaignDirectory(out)
    there = store.read() if store.grid_file.exists() else None
    if there is None:
        raise RamacError(f"{out}: holds no campaign (no campaign.json)")
    said: dict[str, Any] = {"time": 0.0, "steps": {}, "failures": {}, "workers": 0, "done": False}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):  # damaged, or a pipe
        found = json.loads(files.read(out / ".progress.json"))
        if all(isinstance(found[key], type(value)) for key, value in said.items()):
            said = found | {"steps": {cell: step for cell, step in found["steps"].items() if isinstance(step, int)}}
    last: dict[str, float] = {}
    if store.table_file.exists():
        table = pd.read_csv(store.table_file, usecols=["run", "step", "return"])
        for run, own in table.groupby("run"):
            last[str(run)] = float(own.loc[own["step"] == own["step"].max(), "return"].mean())
    rows: list[tuple[str, int, int, float, str]] = []
    for cell in there[0].cells():
        step, steps = int(said["steps"].get(cell.name, 0)), cell.config.steps
        state = "failed" if cell.name in said["failures"] else "waits" if not step else "done" if step >= steps else ""
        rows.append((cell.name, step, steps, last.get(cell.config.hash, float("nan")), state))
    return pd.DataFrame(rows, columns=["cell", "step", "steps", "return", "state"]), said


def drawn(out: Path, cells: pd.DataFrame, said: Mapping[str, Any]) -> Table:
    """Return the table that a terminal shows; those under way first, then those that wait."""
    made, whole = int(cells["step"].sum()), int(cells["steps"].sum())
    age = time.time() - said["time"]
    heard = "finished" if said["done"] else f"last heard of {age:,.0f} s ago" if age > SILENT else "running"
    table = Table(title=f"{out}: {100 * made / whole:.1f} % of all updates, {said['workers']} at a time, {heard}")
    for name in cells.columns:
        table.add_column(name, justify="left" if name in ("cell", "state") else "right")
    order = cells["state"].map({"failed": 0, "": 1, "waits": 2, "done": 3})
    for row in cells.loc[order.sort_values(kind="stable").index].itertuples(index=False):
        mean = "" if pd.isna(row[3]) else f"{row[3]:,.4g}"
        table.add_row(str(row.cell), f"{row.step:,}", f"{row.steps:,}", mean, str(row.state))
    return table


def watch(out: Path, console: Console | None = None) -> None:
    """Show how far the campaign in a directory is, until it is done; once, where this is no terminal.

    Raises:
        RamacError: no campaign there.
    """
    console = console or Console()
    cells, said = read(out)
    if not console.is_terminal:
        return console.print(drawn(out, cells, said))
    with Live(drawn(out, cells, said), console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        while not said["done"]:
            time.sleep(EVERY)
            cells, said = read(out)
            live.update(drawn(out, cells, said), refresh=True)
