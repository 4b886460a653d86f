"""Aggregates over tasks and hazards by the definitions of Agarwal et al. (2021): IQM, probability of improvement.

Their package `rliable` needs arch < 8, which cannot be imported beside pandas 3; so SciPy does the trimming and the
bootstrap here, which is stratified as theirs: runs are resampled within each task.

The rule for scores: a return under a hazard is divided by the mean return of the best behaviour policy under the same
hazard. So 0 is a return of zero and 1 what the best policy behind the data earns; the CVaR is divided by the same
number. A run is one seed; its score is its mean, or CVaR, over the episodes of its report.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import bootstrap, trim_mean

from ramac_lib.evidence.keys import find, split
from ramac_lib.evidence.samples import LEVEL, RESAMPLES, Estimate
from ramac_lib.evidence.store import Evidence, Missing
from ramac_lib.evidence.tables import by_seed
from ramac_lib.plots import style

MEASURES = ("mean", "cvar")

Array = np.ndarray


def interquartile_mean(*columns: Float[Array, "*batch runs"], axis: int = -1) -> Float[Array, "*batch"]:
    """Return the mean of the middle half of all scores, given as a column of runs for each setting."""
    return trim_mean(np.concatenate(columns, axis=axis), 0.25, axis=axis)


def probability_of_improvement(*columns: Float[Array, "*batch runs"], axis: int = -1) -> Float[Array, "*batch"]:
    """Return P(X > Y) + P(X = Y)/2 for two runs on a setting, averaged over the settings.

    Args:
        columns: X's runs on each setting, then Y's.
        axis: of the runs; the last one.
    """
    half = len(columns) // 2
    chances = []
    for x, y in zip(columns[:half], columns[half:], strict=True):
        gap = np.asarray(x)[..., :, None] - np.asarray(y)[..., None, :]
        chances.append((np.sign(gap) / 2 + 0.5).mean(axis=(-1, -2)))
    return np.mean(chances, axis=0)


def _estimate(columns: Sequence[Float[Array, " runs"]], statistic: Callable[..., Any], seed: int) -> Estimate:
    found = bootstrap(
        tuple(columns), statistic, vectorized=True, n_resamples=RESAMPLES, confidence_level=LEVEL,
        method="percentile", rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Estimate(float(statistic(*columns)), float(found.low), float(found.high))


def scores(evidence: Evidence, settings: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """Return each run's scores; columns ``setting row seed mean cvar``.

    Raises:
        Missing: a setting has no behaviour policies, or its best one's mean return is not positive.
    """
    parts = []
    for task, hazard in settings:
        played = evidence.played(task, hazard)
        if played.empty:
            raise Missing(
                f"Scores need the behaviour policies of {task} under the hazard {hazard}: for bundled data "
                f"`ramac behaviour --tasks {task} --hazards {hazard}` rolls them out."
            )
        best = played.groupby("row")["return"].mean().max()
        if best <= 0:
            raise Missing(f"On {task} under {hazard} no behaviour policy has a positive mean return to divide by.")
        found = by_seed(evidence.report(task, hazard)) / best
        parts.append(found.reset_index().assign(setting=f"{task} {hazard}"))
    return pd.concat(parts, ignore_index=True)


def matrices(scored: pd.DataFrame, rows: Sequence[str], measure: str) -> dict[str, Float[np.ndarray, "runs settings"]]:
    """Return each row's scores as a matrix over the settings in which every one of the rows has every seed.

    Raises:
        Missing: there is no such setting.
    """
    wide = scored[scored["row"].isin(rows)].pivot_table(index=["row", "seed"], columns="setting", values=measure)
    whole = wide.reindex(pd.MultiIndex.from_product([rows, sorted(scored["seed"].unique())])).dropna(axis=1)
    if whole.shape[1] == 0:
        raise Missing(f"There is no task on which {', '.join(style(row).label for row in rows)} have the same seeds.")
    if len(whole) < 2 * len(rows):
        raise Missing("Aggregates need at least two seeds.")
    return {row: whole.loc[row].to_numpy() for row in rows}


def iqm(evidence: Evidence, settings: Sequence[tuple[str, str]], seed: int = 0) -> pd.DataFrame:
    """Return each row's interquartile mean of scores over runs and settings with its 95 % interval.

    Columns ``row label`` and, for mean and CVaR, ``mean mean_low mean_high …``; a row is compared over the settings in
    which all rows are.

    Raises:
        Missing: as `scores`.
    """
    scored = scores(evidence, settings)
    main, others = split(scored["row"])
    out: dict[str, dict[str, Any]] = {row: {"row": row, "label": style(row).label} for row in (*main, *others)}
    for measure in MEASURES:
        for row, found in matrices(scored, list(out), measure).items():
            estimate = _estimate(list(found.T), interquartile_mean, seed)
            out[row] |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), estimate, strict=True))
    return pd.DataFrame(out.values())


def improvement(
    evidence: Evidence, settings: Sequence[tuple[str, str]], method: str = "radac", seed: int = 0
) -> pd.DataFrame:
    """Return the probability that a run of a method scores higher than one of each other row, with its interval.

    Columns ``row label settings mean mean_low mean_high cvar cvar_low cvar_high``.

    Raises:
        Missing: as `scores`, or the method has no row.
    """
    scored = scores(evidence, settings)
    main, others = split(scored["row"])
    own = find([*main, *others], method)
    if own is None:
        raise Missing(f"The stored campaign has no row of {style(method).label}.")
    out = []
    for rival in [row for row in (*main, *others) if row != own]:
        line: dict[str, Any] = {"row": rival, "label": style(rival).label}
        for measure in MEASURES:
            found = matrices(scored, [own, rival], measure)
            estimate = _estimate([*found[own].T, *found[rival].T], probability_of_improvement, seed)
            line["settings"] = found[own].shape[1]
            line |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), estimate, strict=True))
        out.append(line)
    return pd.DataFrame(out)
