"""One tidy table: a row for each evaluation episode, with all that tells it from the others."""

import dataclasses
import io
import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.envs.hazards import PRESETS
from ramac_lib.envs.tasks import TASKS
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import HASHES, RunDirectory

PART = ".csv.gz"  # a table of a task and hazard, of several in a folder
OOD = ("ood_action", "ood_state_action", "ood_neighbours", "ood_curves")  # of reports: `ramac_lib.training.unseen`
COLUMNS = (
    "run", "method", "task", "source", "env_id", "hazard", "risk", "alpha", "options", "seed", "step", "purpose",
    "horizon", "episode", "return", "discounted_return", "length", "violations", "completed", "sampler_noise",
    *OOD,
)  # fmt: skip
"""``violations`` is an episode's cost too: a step costs 1 where it is a violation, in the data as in rollouts."""
LATER = ("completed", "sampler_noise", *OOD)  # what older tables lack


def options(config: RunConfig) -> str:
    """Return the settings in which a run departs from its method's settings for the task, as ``name=value;…``."""
    default = dataclasses.asdict(config.method.Config.for_task(config.task.name))
    here = dataclasses.asdict(config.settings)
    return ";".join(f"{k}={v}" for k, v in here.items() if v != default[k] and k not in ("risk", "alpha"))


def label(
    episodes: pd.DataFrame, config: RunConfig, env_id: str, step: int, purpose: str, horizon: int, hazard: str = ""
) -> pd.DataFrame:
    """Add to `play.frame`'s rows what tells them from other runs' rows; further columns that they have come last.

    Args:
        purpose: ``training`` for an evaluation while training, ``report`` for one of the finished run.
        hazard: the live hazard, if it is not the one that the run was trained with.
    """
    return complete(episodes).assign(
        run=config.hash,
        method=config.method.name,
        task=config.task.name,
        source=config.source,
        env_id=env_id,
        hazard=hazard or config.hazard.name,
        risk=getattr(config.settings, "risk", ""),
        alpha=config.alpha,
        options=options(config),
        step=step,
        purpose=purpose,
        horizon=horizon,
    )[[*COLUMNS, *(name for name in episodes if name not in COLUMNS)]]


_UNREAD = (pd.errors.ParserError, pd.errors.EmptyDataError)


def read_part(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a compressed table as text, and its runs' facts by hash.

    Raises:
        RamacError: it is damaged, or the file of facts beside it is not there or does not know a run.
    """
    beside_it = path.with_name(f"{path.name.removesuffix(PART)}.json")
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, compression="gzip")
        table["run"]  # KeyError where it is missing
    except (KeyError, EOFError, OSError, zlib.error, UnicodeDecodeError, *_UNREAD):
        raise RamacError(f"{path}: is damaged; expected a compressed table of results") from None
    try:
        facts = dict(json.loads(beside_it.read_text()))
    except FileNotFoundError:
        raise RamacError(f"{beside_it}: not there; it belongs to {path.name}") from None
    except (ValueError, TypeError, RecursionError):
        raise RamacError(f"{beside_it}: is damaged; expected the facts of the runs in {path.name}") from None
    if unknown := sorted(set(table["run"]) - set(facts)):
        raise RamacError(f"{beside_it}: run {unknown[0]} is missing, whose rows are in {path.name}")
    return table, facts


def _ordered(tables: Sequence[pd.DataFrame]) -> list[pd.DataFrame]:
    """Return tables of one task and hazard each in the order of the tasks, then of the hazards."""
    tasks, hazards = list(TASKS), list(PRESETS)

    def place(table: pd.DataFrame) -> list[int]:
        task, hazard = table.iloc[0][["task", "hazard"]] if len(table) else ("", "")
        return [known.index(x) if x in known else len(known) for known, x in ((tasks, task), (hazards, hazard))]

    return sorted(tables, key=place)


def complete(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with the columns that it lacks of `LATER`: empty, and as deployed (`sampler_noise` 1)."""
    lacking = {name: 1 if name == "sampler_noise" else np.nan for name in LATER if name not in table}
    return table.assign(**lacking) if lacking else table


def at_noise(table: pd.DataFrame, level: int = 1) -> pd.DataFrame:
    """Return the rows of policies as deployed (1), or with their sampler noise switched off (0).

    The only filter that tells the two apart. Rows that say nothing of it are of policies as deployed.
    """
    if "sampler_noise" not in table:
        return table if level == 1 else table.iloc[:0]
    return table[pd.to_numeric(table["sampler_noise"]).fillna(1) == level]


def gather(runs: Sequence[Path], out: Path) -> pd.DataFrame:
    """Write runs' evaluations as one table, with what made each run beside it: ``OUT.csv`` and ``OUT.json``.

    Raises:
        RamacError: a folder holds no run, one without evaluations, or the same run twice.
    """
    tables, facts = [], {}
    for path in runs:
        directory = RunDirectory(Path(path))
        made = directory.read_facts()
        if made["hash"] in facts:
            raise RamacError(f"{path}: run {made['hash']} was given twice")
        table = directory.read_table("evaluations.csv")
        if table.empty:
            raise RamacError(f"{path}: the run has no evaluations yet")
        facts[made["hash"]] = made
        tables.append(table)
    out = Path(out)
    merged = pd.concat(tables, ignore_index=True)
    with atomic(beside(out, ".csv")) as temporary:
        merged.to_csv(temporary, index=False)
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    return merged


def is_there(name: str, folder: Path) -> bool:
    """Return whether the folder has a table of that name, in whichever of the two forms that `load` reads."""
    return (Path(folder) / f"{name}.csv").exists() or (Path(folder) / name).is_dir()


def load(name: str, folder: Path, level: int | None = 1) -> tuple[pd.DataFrame, dict[str, dict]]:
    """Return a gathered table and the facts of its runs, by hash; columns that an older table lacks are empty.

    Args:
        level: of sampler noise (`at_noise`): policies as deployed, unless told; None for all rows.

    It is one file, ``NAME.csv`` with ``NAME.json``, or a folder ``NAME`` of compressed ones with theirs, as
    `ramac campaign --export` writes them: then tasks and hazards come in the library's order.

    Raises:
        RamacError: there is no such table or two, one is damaged, or a column is missing.
    """
    file, parts = Path(folder) / f"{name}.csv", Path(folder) / name
    if file.exists() and parts.is_dir():
        raise RamacError(f"{folder}: holds both {name}.csv and {name}/; expected one of them")
    try:
        source: Any = file
        facts: dict[str, dict] = {}
        if parts.is_dir():
            file = parts
            read = [read_part(part) for part in sorted(parts.glob(f"*{PART}"))]
            if not read:
                raise RamacError(f"{parts}: holds no results; expected files {PART}")
            for _, own in read:
                facts |= own
            source = io.StringIO(pd.concat(_ordered([part for part, _ in read]), ignore_index=True).to_csv(index=False))
        else:
            facts = json.loads(beside(file, ".json").read_text()) if file.exists() else facts
        table = pd.read_csv(source, keep_default_na=False, na_values=[""], dtype=HASHES, low_memory=False)
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; gather runs into it with `ramac gather`") from None
    table = complete(table)
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise RamacError(f"{file}: column {missing[0]} is missing; expected {', '.join(COLUMNS)}")
    return table if level is None else at_noise(table, level).reset_index(drop=True), facts
