"""Captions of the chapter whose sentences follow the results."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.rows import find
from ramac_lib.analysis.style import style
from ramac_lib.analysis.tables import MAIN, PROTOCOL, table_1, table_3
from support.evidence import aggregates
from support.evidence.words import STATISTICS, listed, many

FIRST = "diffusion-ql:candidates=1"  # DiffusionQL without its choice among candidates


def _means(found: aggregates.Shared) -> str:
    """Say which settings and rows the interquartile means are over, and whether they are any but plain means."""
    named = listed(f"{setting} ({many(len(seeds), 'seed')})" for setting, seeds in found.seeds.items())
    told = [f"Above: interquartile means (line: the best behaviour policy's mean) over {named}."]
    if found.settings_out:
        told.append(
            f"Left out: {listed(found.settings_out)}, where not every method of the paper that the results have is "
            "there with two seeds that all of them share."
        )
    if found.rows_out:
        told.append(f"Left out: {listed(style(r).label for r in found.rows_out)} (not there with all these seeds).")
    if not aggregates.trims(found.runs):
        told.append(f"The middle half of {many(found.runs, 'run')} is all of them, so these are plain means.")
    return " ".join(told)


def _improvements(table: pd.DataFrame, rows: Iterable[str]) -> str:
    """Say which settings the improvements over these rows are over, and which of the rows are named."""
    parts: dict[tuple[str, ...], list[str]] = {}
    for settings, label in zip(table["settings"], table["label"], strict=True):
        parts.setdefault(settings, []).append(label)
    over = "; ".join(listed(settings) + f" ({listed(own)})" * (len(parts) > 1) for settings, own in parts.items())
    told = [f"Below: probability of improvement (line: even) over {over}."]
    absent = [style(row).label for row in rows if row not in set(table["row"])]
    if absent:
        told.append(f"Left out: {listed(absent)} (without two seeds on a task where RADAC has two).")
    return " ".join([*told, *_named(table)])


def _named(table: pd.DataFrame) -> list[str]:
    """Say beside which rows RADAC is more likely than not to be better, or worse; of too few runs only how few."""
    enough = table["runs"] >= aggregates.LEAST_RUNS
    better, worse = enough & (table["cvar_low"] > 0.5), enough & (table["cvar_high"] < 0.5)
    told = []
    if enough.any():
        told.append(
            f"In CVaR₀.₁ RADAC is more likely than not to be better than {listed(table.loc[better, 'label'])}, to be "
            f"worse than {listed(table.loc[worse, 'label'])} (the interval leaves out ½), undecided with the other "
            f"{int((enough & ~better & ~worse).sum())}."
        )
    if not enough.all():
        few = table[~enough]
        which = f"of {listed(few['label'])} " if enough.any() else ""
        told.append(
            f"With {' or '.join(map(str, sorted(set(few['runs']))))} runs a row none {which}is named better or worse: "
            f"with fewer than {aggregates.LEAST_RUNS} the interval of two equal methods leaves out ½ too often."
        )
    return told


def over_settings(evidence: Evidence) -> str:
    """Return the caption of the aggregates: the settings, seeds and rows that they are over, and what they say.

    Raises:
        Missing: there is neither an interquartile mean nor a probability of improvement.
    """
    settings = evidence.settings()
    scored = aggregates.scores(evidence, settings)
    rows = list(dict.fromkeys(scored["row"]))
    rivals = [row for row in rows if row != find(rows, "radac")]
    told = []
    for make in (
        lambda: _means(aggregates.shared(scored)),
        lambda: _improvements(aggregates.improvement(evidence, settings), rivals),
    ):
        try:
            told.append(make())
        except Missing:  # its figure's place says why
            continue
    if not told:
        raise Missing("There are no aggregates.")
    return " ".join(told)


def widening(evidence: Evidence, task: str, hazard: str) -> str:
    """Return how much wider the error of the paper's ten episodes is than that of all, as far as there are errors.

    Raises:
        Missing: there is no report.
    """
    table = table_3(evidence, task, hazard)
    told = f"{task}, {hazard}: {many(int(table['each'].min()), 'episode')} a seed"
    ratio = (table["protocol_se"] / table["cvar_se"]).replace(np.inf, np.nan).median()
    if pd.isna(ratio):
        return f"{told}."
    return (
        f"{told}; the standard error of the worst of {PROTOCOL} is {ratio:.1f} times that of the seed's own CVaR "
        "(median over the rows)."
    )


def choosing(evidence: Evidence, task: str, hazard: str) -> str:
    """Return what DiffusionQL's choice among candidates changes, beside the row that acts with its actor's first.

    Raises:
        Missing: one of the two rows is not there.
    """
    own, first = (evidence.standing(task, hazard, name) for name in ("diffusion-ql", FIRST))
    if own is None or first != FIRST:
        raise Missing(f"needs {style('diffusion-ql').label} and the row {FIRST}")
    chosen, plain = evidence.sample(task, hazard, own), evidence.sample(task, hazard, first)
    parts = [
        f"{head} {plain.estimate(name).text()} with the actor's first action, {chosen.estimate(name).text()} with the "
        f"choice among candidates ({chosen.minus(plain, name).text(signed=True)})"
        for name, head in STATISTICS.items()
    ]
    return f"{task}, {hazard}: {'; '.join(parts)}."


def leaders(evidence: Evidence, task: str, hazard: str) -> str:
    """Return which of the paper's methods lead a task's table, and how many are tied with them.

    Raises:
        Missing: there is no report.
    """
    table = table_1(evidence, task, hazard)
    methods = table[table["group"] == MAIN]
    if methods.empty:
        return f"{task}, {hazard}: none of the paper's methods is in the results."
    top = {name: methods.set_index("label")[name].idxmax() for name in STATISTICS}
    tied = {name: int((methods[f"{name}_mark"] == "tied").sum()) for name in STATISTICS}
    return (
        f"{task}, {hazard}: {top['mean']} has the highest mean ({tied['mean']} tied with it), {top['cvar']} the "
        f"highest {STATISTICS['cvar']} ({tied['cvar']} tied)."
    )
