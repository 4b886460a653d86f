"""Where RADAC stands beside the other methods and its twins, and which rows are not there."""

from collections.abc import Sequence
from typing import NamedTuple

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.campaign.grid import TABLE_1
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES
from support.evidence.judges import CLONE, NEUTRAL
from support.evidence.tables import MAIN, groups
from support.evidence.words import STATISTICS, labels


class Beside(NamedTuple):
    """Another row's label and number, and the sign of RADAC's difference to it; None of runs too short for one."""

    label: str
    number: Estimate
    sign: int | None


class Standing(NamedTuple):
    """Where RADAC stands on a task; numbers by `words.STATISTICS`.

    Args:
        updates: the fewest behind any of the paper's methods.
        best: the best of the paper's other methods, by statistic; empty without others.
        twins: RADAC's neutral twin and BC-diffusion beside its CVaR, as far as they are there.
        short: the fewest updates and seeds of these rows, where they are too few for a verdict.
    """

    label: str
    updates: int
    numbers: dict[str, Estimate]
    best: dict[str, Beside]
    twins: list[Beside]
    short: tuple[int, int] | None


def standing(evidence: Evidence, task: str, hazard: str) -> Standing:
    """Return where RADAC's tail and mean stand on a task.

    Raises:
        Missing: there is no report, or no row of RADAC in it.
    """
    own = evidence.standing(task, hazard, "radac")
    if own is None:
        raise Missing(f"{style('radac').label} is not in the results.")
    rivals = [row for row in evidence.rows(task, hazard)[0] if row != own]
    twins = [row for row in (evidence.standing(task, hazard, name) for name in (NEUTRAL, CLONE)) if row]
    samples = {row: evidence.sample(task, hazard, row) for row in (own, *rivals, *twins)}
    short = too_short(evidence, task, hazard, list(samples))

    def beside(row: str, name: str) -> Beside:
        sign = None if short else samples[own].minus(samples[row], name).sign
        return Beside(style(row).label, samples[row].estimate(name), sign)

    best = {name: max(rivals, key=lambda row: samples[row].values[name]) for name in STATISTICS if rivals}
    return Standing(
        label=style(own).label,
        updates=evidence.updates(task, hazard),
        numbers={name: samples[own].estimate(name) for name in STATISTICS},
        best={name: beside(row, name) for name, row in best.items()},
        twins=[beside(row, "cvar") for row in twins],
        short=short,
    )


def too_short(evidence: Evidence, task: str, hazard: str, rows: Sequence[str]) -> tuple[int, int] | None:
    """Return the fewest updates and seeds of the rows' reports where they are too few for a verdict."""
    report = evidence.report(task, hazard)
    of_row = report[report["row"].isin(rows)].groupby("row")
    updates, seeds = int(of_row["step"].max().min()), int(of_row["seed"].nunique().min())
    return None if updates >= LEAST_UPDATES and seeds >= LEAST_SEEDS else (updates, seeds)


def lacking(evidence: Evidence, task: str, hazard: str) -> list[str]:
    """Return which of the paper's methods, the controls and the behaviour policies a task's report lacks."""
    there = {method_of(row) for row, group in groups(evidence, task, hazard).items() if group == MAIN}
    absent = [m for m in TABLE_1 if m not in there]
    absent += [name for name in (NEUTRAL, CLONE) if evidence.standing(task, hazard, name) is None]
    return labels(absent) + ["the behaviour policies"] * evidence.played(task, hazard).empty
