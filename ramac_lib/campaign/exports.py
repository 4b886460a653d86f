"""A campaign's results for a repository: one compressed table a task and hazard, written when it is whole."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock

from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.campaign.grid import Cell
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, read, writing
from ramac_lib.training.results import PART, read_part

LOCK = ".export.lock"


def export(folder: Path, out: Path) -> list[Path]:
    """Write each task and hazard whose runs are all at their end as ``OUT/TASK.HAZARD.csv.gz`` and ``….json``.

    The former has the rows of the campaign's one table, every number as it stands there; the latter each run's facts,
    by hash. The same results give the same bytes, so that a file that is stored stays as it is while others come;
    `ramac_lib.training.results.load` reads the folder. Runs that a file holds and this campaign has not stay in it,
    before the others, so that further rows can be made elsewhere. The campaign may be running. What `ramac evaluate`
    has added to its runs is in the one table once the campaign has been resumed.

    Args:
        folder: the campaign's directory.

    Raises:
        RamacError: no campaign there, no task of it is whole, or a file in OUT is damaged.
    """
    store, out = CampaignDirectory(Path(folder)), Path(out)
    there = store.read() if store.grid_file.exists() else None
    if there is None:
        raise RamacError(f"{folder}: holds no campaign (no campaign.json)")
    facts: dict[str, Any] = {}
    table = pd.DataFrame(columns=["run", "purpose", "step"])
    if store.table_file.exists():
        try:
            facts = json.loads(read(store.facts_file))  # first: a table that is newer has at most more rows
            table = pd.read_csv(store.table_file, dtype=str, keep_default_na=False)  # as text: numbers stay as written
        except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError, RecursionError, pd.errors.ParserError):
            raise RamacError(
                f"{folder}: {store.table_file.name} or {store.facts_file.name} is damaged; `ramac campaign --resume` "
                "makes both anew from the runs"
            ) from None
    cells: dict[str, list[Cell]] = {}
    for cell in there[0].cells():
        cells.setdefault(f"{cell.config.task}.{cell.config.hazard.name}", []).append(cell)
    reported = table[table["purpose"] == "report"].groupby("run")["step"].agg(set).to_dict()
    whole = {
        name: [c for c in own if c.config.hash in facts and str(c.config.steps) in reported.get(c.config.hash, ())]
        for name, own in cells.items()
    }
    if not any(len(whole[name]) == len(own) for name, own in cells.items()):
        behind = ", ".join(f"{name} has {len(whole[name])} of {len(own)} runs" for name, own in cells.items())
        raise RamacError(f"{folder}: no task is whole yet; {behind}")
    files = []
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    with writing(out), FileLock(out / LOCK):  # others may add their runs to the same files
        for name, own in cells.items():
            if len(whole[name]) < len(own):
                continue
            runs = [cell.config.hash for cell in own]
            for left in (*out.glob(f".{name}.json.*"), *out.glob(f".{name}{PART}.*")):
                left.unlink()  # of one that was killed
            before, others = _others(out / f"{name}{PART}", runs)
            known = others | {run: facts[run] for run in runs}
            with atomic(out / f"{name}.json") as temporary:  # first: a kill leaves facts of more runs than there are
                temporary.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
            with atomic(out / f"{name}{PART}") as temporary, temporary.open("wb") as file:
                text = pd.concat([before, table[table["run"].isin(runs)]]).to_csv(index=False, na_rep="")
                with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9, mtime=0, filename="") as packed:
                    packed.write(text.encode())
            files += [out / f"{name}{PART}", out / f"{name}.json"]
    return files


def _others(part: Path, runs: Sequence[str]) -> tuple[pd.DataFrame | None, dict[str, Any]]:
    """Return what a stored file has of other runs: their rows, None without any, and their facts."""
    if not part.exists():
        return None, {}
    table, facts = read_part(part)
    table = table[~table["run"].isin(runs)]
    return (table if len(table) else None), {run: facts[run] for run in table["run"].unique()}
