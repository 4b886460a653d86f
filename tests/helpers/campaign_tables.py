"""A made-up campaign whose numbers are known."""

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Evidence, make
from ramac_lib.campaign.grid import parse_row
from ramac_lib.training.results import COLUMNS

TASK = "hopper-medium-expert"
MADE = {"device": "CPU, 1 threads", "torch": "2", "date": "2026-01-01"}


def episodes(
    row: str,
    returns,
    *,
    violations=0.0,
    step=10_000,
    purpose="report",
    hazard="paper",
    trained=None,
    task=TASK,
    horizon=500,
    length=100,
):
    """Rows of one run; `returns` has the shape (seeds, episodes)."""
    method = row.partition(":")[0]
    options = parse_row(row)[1]
    returns = np.asarray(returns, float)
    counts = np.broadcast_to(np.asarray(violations, float), returns.shape)
    rows = []
    for (seed, episode), value in np.ndenumerate(returns):
        line = dict.fromkeys(COLUMNS, "")
        line |= {"run": f"{row}|{task}|{trained or hazard}", "method": method, "task": task, "source": "bundled"}
        line |= {"hazard": hazard, "alpha": 0.1 if method == "radac" else float("nan"), "seed": seed, "step": step}
        line |= {"risk": options.get("risk", "cvar" if method == "radac" else "")}
        line |= {"options": ";".join(f"{k}={v}" for k, v in options.items() if k != "risk")}
        line |= {"purpose": purpose, "horizon": horizon, "episode": episode, "return": value, "length": length}
        rows.append(line | {"discounted_return": 0.0, "violations": counts[seed, episode]})
    return pd.DataFrame(rows)


def gathered(*tables, behaviour=None) -> Evidence:
    """The evidence in such tables."""
    columns = pd.DataFrame(columns=list(COLUMNS))
    table = pd.concat(tables, ignore_index=True) if tables else columns
    facts = {}
    for run, part in table.groupby("run", sort=False):
        _, task, hazard = str(run).split("|")
        config = {"hazard": hazard, "task": task, "source": "bundled", "steps": int(part["step"].max()), "size": 1000}
        facts[run] = {"config": config | {"seeds": sorted(set(part["seed"]))}, "made": MADE}
    return make(table, facts, columns if behaviour is None else pd.concat(behaviour, ignore_index=True))


def around(mean: float, spread: float = 10.0, seeds: int = 3, count: int = 20, seed: int = 0):
    """Returns of known mean and s.d., by seed."""
    values = np.random.default_rng(seed).normal(size=(seeds, count))
    values = (values - values.mean(axis=1, keepdims=True)) / values.std()
    return mean + spread * values


def policies(*means, hazard="paper", task=TASK):
    """Behaviour policies of these means, expert and medium."""
    names = ("expert", "medium")
    return [
        episodes(f"behaviour:stage={n}", around(m, seeds=4), hazard=hazard, task=task, step=1)
        for n, m in zip(names, means, strict=False)
    ]
