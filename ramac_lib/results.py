"""One tidy table: a row for each evaluation episode, with all that tells it from the others."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.errors import RamacError
from ramac_lib.files import atomic
from ramac_lib.methods import get_method
from ramac_lib.risk import bootstrap_interval, cvar
from ramac_lib.runs import HASHES, RunConfig, RunDirectory

COLUMNS = (
    "run", "method", "task", "source", "env_id", "hazard", "risk", "alpha", "options", "seed", "step", "purpose",
    "horizon", "episode", "return", "discounted_return", "length", "violations",
)  # fmt: skip


def options(config: RunConfig) -> str:
    """Return the settings in which a run departs from its method's settings for the task, as ``name=value;…``."""
    default = dataclasses.asdict(get_method(config.method).Config.for_task(config.task))
    here = dataclasses.asdict(config.settings)
    return ";".join(f"{k}={v}" for k, v in here.items() if v != default[k] and k not in ("risk", "alpha"))


def label(
    episodes: pd.DataFrame, config: RunConfig, env_id: str, step: int, purpose: str, horizon: int, hazard: str = ""
) -> pd.DataFrame:
    """Add to `evaluation.frame`'s rows what tells them from other runs' rows.

    Args:
        purpose: ``training`` for an evaluation while training, ``report`` for one of the finished run.
        hazard: the live hazard, if it is not the one that the run was trained with.
    """
    return episodes.assign(
        run=config.hash,
        method=config.method,
        task=config.task,
        source=config.source,
        env_id=env_id,
        hazard=hazard or config.hazard,
        risk=getattr(config.settings, "risk", ""),
        alpha=config.alpha,
        options=options(config),
        step=step,
        purpose=purpose,
        horizon=horizon,
    )[list(COLUMNS)]


GROUP = ("method", "task", "hazard", "risk", "options", "step", "horizon")


def summary(table: pd.DataFrame, alpha: float = 0.1, intervals: bool = False) -> pd.DataFrame:
    """Return what is reported of each group of evaluation episodes: one row a group.

    Args:
        table: rows of `COLUMNS`.
        intervals: add 95 % bootstrap intervals of mean and CVaR (seeds resampled first, then episodes), as
            ``mean_low mean_high CVaR_low CVaR_high``.
    """
    name = f"CVaR_{alpha:g}"
    rows = []
    columns = [*GROUP, "code"] if "code" in table else list(GROUP)  # a campaign keeps versions of the code apart
    for keys, group in table.fillna({"risk": "", "options": ""}).groupby(columns, sort=False):
        returns = group["return"].to_numpy()
        row: dict[str, Any] = dict(zip(columns, keys, strict=True))
        row |= {"seeds": group["seed"].nunique(), "episodes": len(group)}
        row |= {"mean": returns.mean(), name: cvar(returns, alpha)}
        row |= {"violations": group["violations"].mean(), "length": group["length"].mean()}
        if intervals:
            by_seed = [g["return"].to_numpy() for _, g in group.groupby("seed")]
            row["mean_low"], row["mean_high"] = bootstrap_interval(by_seed, lambda x: float(x.mean()))
            row[f"{name}_low"], row[f"{name}_high"] = bootstrap_interval(by_seed, lambda x: float(cvar(x, alpha)))
        rows.append(row)
    return pd.DataFrame(rows)


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
    with atomic(out.with_suffix(".csv")) as temporary:
        merged.to_csv(temporary, index=False)
    with atomic(out.with_suffix(".json")) as temporary:
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
