"""Aggregates over tasks and hazards by the definitions of Agarwal et al. (2021): IQM, probability of improvement.

Their package `rliable` needs arch < 8, which cannot be imported beside pandas 3; so SciPy does the trimming and the
bootstrap here, which is stratified as theirs: runs are resampled within each task.

The rule for scores: a return under a hazard is divided by the mean return of the best behaviour policy under the same
hazard. So 0 is a return of zero and 1 what the best policy behind the data earns; the CVaR is divided by the same
number. A run is one seed; its score is its mean, or CVaR, over the episodes of its report.

The rule for settings (a task under a hazard): interquartile means are over those in which every row of the paper's
methods is that the results have anywhere (`shared`); a probability of improvement is over those in which both rows are.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from scipy.stats import bootstrap, trim_mean

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import LEVEL, RESAMPLES, Estimate
from ramac_lib.analysis.rows import find, split
from ramac_lib.analysis.style import style
from support.evidence.tables import by_seed

MEASURES = ("mean", "cvar")
CUT = 0.25  # of the scores on each side of the interquartile mean
# Of equal rows the interval of P(improvement) leaves out ½ in 20 % of cases with 3 runs, 10 % with 5, 5 % with 10.
LEAST_RUNS = 10
LEAST_SEEDS = 2  # of a setting: one alone cannot be resampled

Array = np.ndarray


def interquartile_mean(*columns: Float[Array, "*batch runs"], axis: int = -1) -> Float[Array, "*batch"]:
    """Return the mean of the middle half of all scores, given as a column of runs for each setting."""
    return trim_mean(np.concatenate(columns, axis=axis), CUT, axis=axis)


def trims(runs: int) -> bool:
    """Return whether the interquartile mean of so many scores leaves any out; else it is their plain mean."""
    return int(CUT * runs) > 0


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
                f"`ramac analyse behaviour --tasks {task} --hazards {hazard}` rolls them out."
            )
        best = played.groupby("row")["return"].mean().max()
        if best <= 0:
            raise Missing(f"On {task} under {hazard} no behaviour policy has a positive mean return to divide by.")
        found = by_seed(evidence.report(task, hazard)) / best
        parts.append(found.reset_index().assign(setting=f"{task} under {hazard}"))
    return pd.concat(parts, ignore_index=True)


class Shared(NamedTuple):
    """Rows in the tables' order with what all of them have.

    Args:
        rows: those of the paper's methods, then the others that have every one of `seeds`.
        seeds: of each setting used.
        settings_out, rows_out: what the results have beside these.
    """

    rows: list[str]
    seeds: dict[str, set[int]]
    settings_out: list[str]
    rows_out: list[str]

    @property
    def runs(self) -> int:
        """Runs of each row, over the settings."""
        return sum(map(len, self.seeds.values()))


def shared(scored: pd.DataFrame) -> Shared:
    """Return what the rows of the paper's methods share, or all rows where there is none of these.

    Args:
        scored: what `scores` returns.

    Raises:
        Missing: there is no setting in which they all are, or none in which they share `LEAST_SEEDS` seeds.
    """
    there = scored.groupby(["setting", "row"], sort=False)["seed"].agg(set).to_dict()
    settings = list(dict.fromkeys(scored["setting"]))
    main, others = split(scored["row"])
    needed = main or others
    whole = [setting for setting in settings if all((setting, row) in there for row in needed)]
    if not whole:
        raise Missing(f"There is no task on which {', '.join(style(row).label for row in needed)} are all there.")
    common = {setting: set.intersection(*(there[setting, row] for row in needed)) for setting in whole}
    seeds = {setting: own for setting, own in common.items() if len(own) >= LEAST_SEEDS}
    if not seeds:
        raise Missing("Aggregates need two seeds on a task, the same of every row.")
    rows = [
        row
        for row in (*main, *others)
        if row in needed or all(own <= there.get((setting, row), set()) for setting, own in seeds.items())
    ]
    settings_out = [setting for setting in settings if setting not in seeds]
    return Shared(rows, seeds, settings_out, [row for row in others if row not in rows])


def columns(scored: pd.DataFrame, row: str, settings: Sequence[str], measure: str) -> list[Float[Array, " runs"]]:
    """Return a row's scores as a column of runs for each setting."""
    own = scored[scored["row"] == row]
    return [own.loc[own["setting"] == setting, measure].to_numpy() for setting in settings]


def iqm(evidence: Evidence, settings: Sequence[tuple[str, str]], seed: int = 0) -> pd.DataFrame:
    """Return the interquartile mean of scores over the runs and settings that rows share, with its 95 % interval.

    Columns ``row label runs`` and, for mean and CVaR, ``mean mean_low mean_high …``; one row for each of `Shared.rows`.

    Raises:
        Missing: as `scores` and `shared`.
    """
    scored = scores(evidence, settings)
    found = shared(scored)
    pairs = zip(scored["setting"], scored["seed"], strict=True)
    kept = scored[[own in found.seeds.get(setting, ()) for setting, own in pairs]]
    out = []
    for row in found.rows:
        line: dict[str, Any] = {"row": row, "label": style(row).label, "runs": found.runs}
        for measure in MEASURES:
            estimate = _estimate(columns(kept, row, list(found.seeds), measure), interquartile_mean, seed)
            line |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), estimate, strict=True))
        out.append(line)
    return pd.DataFrame(out)


def improvement(
    evidence: Evidence, settings: Sequence[tuple[str, str]], method: str = "radac", seed: int = 0
) -> pd.DataFrame:
    """Return the probability that a run of a method scores higher than one of each other row, with its interval.

    Columns ``row label settings runs mean mean_low mean_high cvar cvar_low cvar_high``: ``settings`` names those in
    which both rows have `LEAST_SEEDS` seeds, each its own, and ``runs`` is the fewer of the two rows' runs on them.

    Raises:
        Missing: as `scores`, the method has no row, or no other row has a setting in common with it.
    """
    scored = scores(evidence, settings)
    main, others = split(scored["row"])
    own = find([*main, *others], method)
    if own is None:
        raise Missing(f"The stored campaign has no row of {style(method).label}.")
    runs = scored.groupby(["row", "setting"], sort=False).size()
    enough = {row: part.droplevel("row") for row, part in runs[runs >= LEAST_SEEDS].groupby(level="row", sort=False)}
    out = []
    for rival in [row for row in (*main, *others) if row != own and {row, own} <= set(enough)]:
        both = [setting for setting in enough[own].index if setting in enough[rival].index]
        if both:
            out.append(_improvement(scored, own, rival, both, seed))
    if not out:
        raise Missing(f"No other row has two seeds on a task on which {style(own).label} has them too.")
    return pd.DataFrame(out)


def _improvement(scored: pd.DataFrame, own: str, rival: str, settings: Sequence[str], seed: int) -> dict[str, Any]:
    line: dict[str, Any] = {"row": rival, "label": style(rival).label, "settings": tuple(settings)}
    for measure in MEASURES:
        x, y = (columns(scored, row, settings, measure) for row in (own, rival))
        line["runs"] = min(sum(map(len, x)), sum(map(len, y)))
        estimate = _estimate([*x, *y], probability_of_improvement, seed)
        line |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), estimate, strict=True))
    return line


def front(cost: Float[np.ndarray, " N"], gain: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Return which points no other dominates: none costs as little, gains as much, and is better in one of them."""
    cost, gain = np.asarray(cost, float), np.asarray(gain, float)
    better = (cost[:, None] <= cost) & (gain[:, None] >= gain)  # [j, i]: j is as good as i in both
    strictly = (cost[:, None] < cost) | (gain[:, None] > gain)
    return np.logical_not((better & strictly).any(axis=0))
