"""One tidy table: a row for each evaluation episode, with all that tells it from the others."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import HASHES, RunDirectory

COLUMNS = (
    "run", "method", "task", "source", "env_id", "hazard", "risk", "alpha", "options", "seed", "step", "purpose",
    "horizon", "episode", "return", "discounted_return", "length", "violations",
)  # fmt: skip


def options(config: RunConfig) -> str:
    """Return the settings in which a run departs from its method's settings for the task, as ``name=value;…``."""
    default = dataclasses.asdict(config.method.Config.for_task(config.task.name))
    here = dataclasses.asdict(config.settings)
    return ";".join(f"{k}={v}" for k, v in here.items() if v != default[k] and k not in ("risk", "alpha"))


def label(
    episodes: pd.DataFrame, config: RunConfig, env_id: str, step: int, purpose: str, horizon: int, hazard: str = ""
) -> pd.DataFrame:
    """Add to `play.frame`'s rows what tells them from other runs' rows.

    Args:
        purpose: ``training`` for an evaluation while training, ``report`` for one of the finished run.
        hazard: the live hazard, if it is not the one that the run was trained with.
    """
    return episodes.assign(
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
    )[list(COLUMNS)]


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


def load(name: str, folder: Path) -> tuple[pd.DataFrame, dict[str, dict]]:
    """Return a gathered table and the facts of its runs, by hash.

    Raises:
        RamacError: there is no such table, or a column is missing.
    """
    file = Path(folder) / f"{name}.csv"
    try:
        table = pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=HASHES)
        facts = json.loads(file.with_suffix(".json").read_text())
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; gather runs into it with `ramac gather`") from None
    missing = [c for c in COLUMNS if c not in table.columns]
    if missing:
        raise RamacError(f"{file}: column {missing[0]} is missing; expected {', '.join(COLUMNS)}")
    return table, facts
