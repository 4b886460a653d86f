"""The values that chapter 5's captions and summary are filled with; the sentences stand in the notebook."""

from typing import NamedTuple

import numpy as np

from ramac_lib.analysis.evidence import Evidence, Missing, published
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.rows import find
from ramac_lib.analysis.style import style
from ramac_lib.methods.shared.short_runs import REFERENCE_STEPS
from support.evidence import aggregates
from support.evidence.shown import made_by, plain
from support.evidence.tables import MAIN, table_1, table_3
from support.evidence.words import STATISTICS, labels

FIRST = "diffusion-ql:candidates=1"  # DiffusionQL without its choice among candidates


class Scale(NamedTuple):
    """How large a report is: updates of its shortest and longest row, what one seed played, and who made it."""

    updates: tuple[int, int]
    percent: float  # of the paper's updates
    seeds: int
    episodes: int
    horizon: int
    made: str


def scale(evidence: Evidence, task: str, hazard: str) -> Scale:
    """Return how large a task's report is; of seeds and episodes the fewest of any row."""
    report = evidence.report(task, hazard)
    steps = report.groupby("row")["step"].max()
    facts = [dict(evidence.facts[run]) for run in dict.fromkeys(report["run"]) if run in evidence.facts]
    return Scale(
        updates=(int(steps.min()), int(steps.max())),
        percent=100 * int(steps.max()) / REFERENCE_STEPS,
        seeds=evidence.seeds(task, hazard),
        episodes=int(report.groupby(["row", "seed"]).size().min()),
        horizon=int(report["horizon"].max()),
        made=made_by(facts),
    )


def republished(task: str) -> dict[str, tuple[str, str]]:
    """Return mean and CVaR of the published rows that an earlier version had otherwise, before and now, by method."""
    before, now = (
        {name: f"{plain(row['mean'])} / {plain(row['cvar'])}" for name, row in table.iterrows()}
        for table in (published(task, "page-2026-06-15"), published(task))
    )
    return {str(name): (text, now[name]) for name, text in before.items()}


class Means(NamedTuple):
    """What the interquartile means are over.

    Args:
        seeds: how many of each setting.
        runs: of a row, over the settings.
        plain: so few that none is trimmed.
    """

    seeds: dict[str, int]
    settings_out: list[str]
    rows_out: list[str]
    runs: int
    plain: bool


def means(evidence: Evidence) -> Means:
    """Return what the interquartile means are over, and what they leave out.

    Raises:
        Missing: there are none.
    """
    found = aggregates.shared(aggregates.scores(evidence, evidence.settings()))
    seeds = {setting: len(own) for setting, own in found.seeds.items()}
    return Means(seeds, found.settings_out, labels(found.rows_out), found.runs, not aggregates.trims(found.runs))


class Improvements(NamedTuple):
    """Beside which rows RADAC is more likely than not to be better in CVaR, or worse, and of what that is said.

    Args:
        over: labels of the rows by the settings that they share with RADAC.
        absent: rows that share none.
        few: rows with too few runs to be named, and `runs` their numbers of runs.
    """

    over: dict[tuple[str, ...], list[str]]
    absent: list[str]
    better: list[str]
    worse: list[str]
    undecided: list[str]
    few: list[str]
    runs: list[int]


def improvements(evidence: Evidence) -> Improvements:
    """Return what the probabilities of improvement are over and say.

    Raises:
        Missing: there are none.
    """
    settings = evidence.settings()
    table = aggregates.improvement(evidence, settings)
    rows = list(dict.fromkeys(aggregates.scores(evidence, settings)["row"]))
    enough = table["runs"] >= aggregates.LEAST_RUNS
    better, worse = enough & (table["cvar_low"] > 0.5), enough & (table["cvar_high"] < 0.5)
    over: dict[tuple[str, ...], list[str]] = {}
    for shared, label in zip(table["settings"], table["label"], strict=True):
        over.setdefault(shared, []).append(label)
    return Improvements(
        over=over,
        absent=labels(row for row in rows if row not in {find(rows, "radac"), *table["row"]}),
        better=list(table.loc[better, "label"]),
        worse=list(table.loc[worse, "label"]),
        undecided=list(table.loc[enough & ~better & ~worse, "label"]),
        few=list(table.loc[~enough, "label"]),
        runs=sorted(set(table.loc[~enough, "runs"])),
    )


def widening(evidence: Evidence, task: str, hazard: str) -> tuple[int, float | None]:
    """Return episodes a seed, and the error of the worst of the paper's ten over that of all (median; None without).

    Raises:
        Missing: there is no report.
    """
    table = table_3(evidence, task, hazard)
    ratio = (table["protocol_se"] / table["cvar_se"]).replace(np.inf, np.nan).dropna()
    return int(table["each"].min()), None if ratio.empty else float(ratio.median())


def choosing(evidence: Evidence, task: str, hazard: str) -> dict[str, tuple[Estimate, Estimate, Estimate]]:
    """Return DiffusionQL acting with its actor's first action, with its choice, and the difference, by statistic.

    Raises:
        Missing: one of the two rows is not there.
    """
    own, first = (evidence.standing(task, hazard, name) for name in ("diffusion-ql", FIRST))
    if own is None or first != FIRST:
        raise Missing(f"{style('diffusion-ql').label} and the row {FIRST} are not both in the results.")
    chosen, plain = evidence.sample(task, hazard, own), evidence.sample(task, hazard, first)
    return {
        head: (plain.estimate(name), chosen.estimate(name), chosen.minus(plain, name))
        for name, head in STATISTICS.items()
    }


def leaders(evidence: Evidence, task: str, hazard: str) -> dict[str, tuple[str, int]]:
    """Return which of the paper's methods leads in each statistic, and how many are tied with it; empty without any.

    Raises:
        Missing: there is no report.
    """
    table = table_1(evidence, task, hazard)
    methods = table[table["group"] == MAIN].set_index("label")
    if methods.empty:
        return {}
    return {name: (str(methods[name].idxmax()), int((methods[f"{name}_mark"] == "tied").sum())) for name in STATISTICS}
