"""What the page on status shows: which machine made what is stored, and how much of the paper's campaign that is."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.analysis.evidence import Evidence
from ramac_lib.envs.tasks import ROBOTS
from ramac_lib.system.paths import data_folder
from support.evidence.scale import REFERENCE

KEYS = ("device", "torch", "date")


def machines(folder: Path | None = None) -> pd.DataFrame:
    """Return a row for each kind of machine that made stored results: what it made, and when.

    Args:
        folder: of results (default: the book's own).

    Returns:
        Columns machine, torch, from, to, results; the machine of a file that names none is ``not stored``.
    """
    folder = folder or data_folder() / "results"
    rows = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found = list(_made(json.loads(path.read_text(encoding="utf-8")))) or [dict.fromkeys(KEYS, "not stored")]
        rows += [{**made, "results": name} for made in found]
    told = {Path(row["results"]).name for row in rows}
    bare = {path.name.partition(".")[0] for path in folder.glob("*.csv")}
    rows += [
        {**dict.fromkeys(KEYS, "not stored"), "results": name}
        for name in sorted(bare - told)
        if not name.startswith(tuple(f"{other}_" for other in told))  # parts of what is told
    ]
    table = pd.DataFrame(rows, columns=[*KEYS, "results"]).drop_duplicates()
    table["device"] = table["device"].str.replace(r"\b1 threads", "one thread", regex=True)
    grouped = table.groupby(["device", "torch"], sort=False)
    return (
        grouped.agg(
            first=("date", "min"),
            last=("date", "max"),
            results=("results", lambda names: ", ".join(dict.fromkeys(names))),
        )
        .reset_index(names=["machine", "torch"])
        .rename(columns={"first": "from", "last": "to"})
    )


def _made(facts: Any) -> Iterator[dict[str, str]]:
    """Yield device, torch and date wherever stored facts have all three."""
    if isinstance(facts, Mapping):
        if all(key in facts for key in KEYS):
            yield {key: str(facts[key]) for key in KEYS}
            return
        facts = list(facts.values())
    if isinstance(facts, list):
        for part in facts:
            yield from _made(part)


def coverage(found: Evidence) -> pd.DataFrame:
    """Return what of the paper's campaign on robots is stored: a row a task, a column a hazard.

    A cell says how many rows of the table there are, of at least how many seeds and updates; `–` where there is none.
    """
    settings = found.settings()
    hazards = list(dict.fromkeys(hazard for _, hazard in settings))

    def cell(task: str, hazard: str) -> str:
        if (task, hazard) not in settings:
            return "–"
        updates = found.updates(task, hazard)
        count = sum(map(len, found.rows(task, hazard)))
        share = 100 * updates / REFERENCE
        return f"{count} rows, {found.seeds(task, hazard)} seeds, {updates:,} updates ({share:.2g} %)"

    return pd.DataFrame({hazard: {task: cell(task, hazard) for task in ROBOTS} for hazard in hazards})
