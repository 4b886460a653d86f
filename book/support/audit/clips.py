"""Do the released bounds on the critic's targets bind? Monte-Carlo values of the data beside them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods import get_method
from ramac_lib.risk.checks import checked_count

Array = np.ndarray

DISCOUNT = 0.99
AHEAD = 300  # steps after which 5 % of a value is left: fewer before a time-out say too little
CLIPPED, FREE = "radac", "radac:td_clip=None"


def values(data: Dataset, discount: float = DISCOUNT) -> Float[Array, " N"]:
    """Return each transition's discounted return up to the end of its episode."""
    found = np.zeros(len(data))
    for start, stop in data.episode_bounds():
        ahead = 0.0
        for k in range(stop - 1, start - 1, -1):
            ahead = found[k] = data.rewards[k] + discount * ahead
    return found


def known(data: Dataset, ahead: int = AHEAD) -> Bool[Array, " N"]:
    """Return which transitions' values are not cut short: `ahead` more steps follow, or the episode ends in a fall."""
    found = np.zeros(len(data), bool)
    for start, stop in data.episode_bounds():
        found[start:stop] = bool(data.terminals[stop - 1]) | (np.arange(stop - start, 0, -1) > ahead)
    return found


def share(data: Dataset, bound: float, *, ahead: int = AHEAD, resamples: int = 500) -> Estimate:
    """Return the share of transitions whose value lies beyond ±bound, with a 95 % interval (episodes resampled).

    Raises:
        Missing: no transition's value is known.
    """
    beyond, kept = np.abs(values(data)) > bound, known(data, ahead)
    parts = [(kept[a:b].sum(), (beyond & kept)[a:b].sum()) for a, b in data.episode_bounds()]
    counts = np.array([part for part in parts if part[0]])
    if not len(counts):
        raise Missing(f"No episode goes on for {ahead} steps or ends in a fall.")
    rng = np.random.default_rng(0)
    drawn = counts[rng.integers(len(counts), size=(checked_count(resamples, "resamples"), len(counts)))].sum(axis=1)
    low, high = np.quantile(drawn[:, 1] / drawn[:, 0], [0.025, 0.975])
    return Estimate(float(counts[:, 1].sum() / counts[:, 0].sum()), float(low), float(high))


def bounds(data: Mapping[str, Dataset]) -> pd.DataFrame:
    """Return the released bound of each task and the share of its data's values beyond it.

    Columns ``task bound share low high median``: `median` of the known values.
    """
    rows: list[dict[str, Any]] = []
    for task, own in data.items():
        bound = getattr(get_method("radac").Config.for_task(task), "td_clip", None)
        if bound is None:
            continue
        found = share(own, bound)
        line = {"task": task, "bound": bound, "share": found.value, "low": found.low, "high": found.high}
        rows.append(line | {"median": float(np.median(values(own)[known(own)]))})
    return pd.DataFrame(rows)


def outcome(evidence: Evidence, task: str, hazard: str) -> dict[str, Estimate]:
    """Return what the bound does to a stored RADAC: mean and CVaR with it less those without it.

    Raises:
        Missing: one of the two is not there.
    """
    rows = [evidence.standing(task, hazard, name) for name in (CLIPPED, FREE)]
    if rows[0] is None or rows[1] is None or rows[0] == rows[1]:
        raise Missing(f"RADAC with and without its bound on targets are not both stored on {task} under {hazard}.")
    clipped, free = (evidence.sample(task, hazard, row) for row in rows if row)
    return {name: clipped.minus(free, name) for name in ("mean", "cvar")}
