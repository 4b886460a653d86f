"""Evaluation episodes in one line a group: mean, CVaR, violations, length, with intervals on demand."""

from typing import Any

import pandas as pd

from ramac_lib.analysis.intervals import bootstrap_interval
from ramac_lib.risk import cvar
from ramac_lib.system.errors import RamacError
from ramac_lib.training.results import OOD, at_noise
from ramac_lib.training.routes import ROUTES

SHARES = ("completed", *OOD[:3])
CROSSED = (*ROUTES, "off_support", "off_corridor")  # of risky navigation alone
GROUP = ("method", "task", "hazard", "risk", "options", "step", "horizon")


def summary(table: pd.DataFrame, alpha: float = 0.1, intervals: bool = False) -> pd.DataFrame:
    """Return what is reported of each group of evaluation episodes: one row a group.

    Args:
        table: rows of `COLUMNS`.
            What was played without sampler noise is summed up beside what is deployed, as ``mean_silent
            CVaR_silent``; further columns that are there are ``completed`` (the share of episodes that reached the
            horizon), the rates of actions out of the data (`ramac_lib.training.unseen`), and navigation's shares
            (`ramac_lib.training.routes`).
        intervals: add 95 % bootstrap intervals of mean and CVaR (seeds resampled first, then episodes), as
            ``mean_low mean_high CVaR_low CVaR_high``.

    Raises:
        RamacError: a column is missing that groups are told apart by.
    """
    if missing := [column for column in GROUP if column not in table]:
        lacking = ", ".join(missing)
        raise RamacError(f"the episodes have no {lacking}; expected the columns that `ramac evaluate` writes")
    name = f"CVaR_{alpha:g}"
    rows = []
    silent, table = at_noise(table, 0), at_noise(table)
    columns = [*GROUP, "code"] if "code" in table else list(GROUP)  # a campaign keeps versions of the code apart
    beside = dict(list(_filled(silent).groupby(columns, sort=False)))
    for keys, group in _filled(table).groupby(columns, sort=False):
        returns = group["return"].to_numpy()
        row: dict[str, Any] = dict(zip(columns, keys, strict=True))
        row |= {"seeds": group["seed"].nunique(), "episodes": len(group)}
        row |= {"mean": returns.mean(), name: cvar(returns, alpha)}
        row |= {"violations": group["violations"].mean(), "length": group["length"].mean()}
        there = [column for column in (*SHARES, *CROSSED) if column in group and group[column].notna().any()]
        row |= {column: group[column].mean() for column in there}
        if keys in beside:
            without = beside[keys]["return"].to_numpy()
            row |= {"mean_silent": without.mean(), "CVaR_silent": cvar(without, alpha)}
        if intervals:
            by_seed = [g["return"].to_numpy() for _, g in group.groupby("seed")]
            row["mean_low"], row["mean_high"] = bootstrap_interval(by_seed, lambda x: float(x.mean()))
            row[f"{name}_low"], row[f"{name}_high"] = bootstrap_interval(by_seed, lambda x: float(cvar(x, alpha)))
        rows.append(row)
    return pd.DataFrame(rows)


def _filled(table: pd.DataFrame) -> pd.DataFrame:
    return table.astype({"risk": object, "options": object}).fillna({"risk": "", "options": ""})


def show(table: pd.DataFrame, purpose: str = "report") -> None:
    """Print the summary of the episodes of one purpose, if there are any."""
    if len(table):
        print(summary(table[table["purpose"] == purpose]).to_string(index=False, float_format="%.1f"))
