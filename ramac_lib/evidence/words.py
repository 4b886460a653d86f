"""Sentences of the chapter that follow the results: captions, the answer in short, commands and their cost."""

import shlex
from collections.abc import Sequence

import pandas as pd

from ramac_lib.campaign.grid import TABLE_1
from ramac_lib.evidence.judges import CLONE, NEUTRAL
from ramac_lib.evidence.keys import method_of
from ramac_lib.evidence.shown import made_by
from ramac_lib.evidence.store import Evidence, Missing, published
from ramac_lib.evidence.tables import MAIN, groups
from ramac_lib.evidence.verdicts import HOLDS, NOT, PARTLY, UNSAID, Case
from ramac_lib.plots import style
from ramac_lib.schedules import REFERENCE_STEPS

WORDS = {-1: "below", 0: "tied with", 1: "above"}
KINDS = {HOLDS: "hold", PARTLY: "hold in part", NOT: "do not", UNSAID: "cannot be said at this scale"}


def scale(evidence: Evidence, task: str, hazard: str) -> str:
    """Return updates, seeds, episodes, horizon, source, device and date of a report, for a caption."""
    report = evidence.report(task, hazard)
    steps = report.groupby("row")["step"].max()
    updates = f"{steps.min():,}" if steps.nunique() == 1 else f"{steps.min():,} to {steps.max():,}"
    facts = [dict(evidence.facts[run]) for run in dict.fromkeys(report["run"]) if run in evidence.facts]
    return (
        f"{updates} updates ({100 * int(steps.max()) / REFERENCE_STEPS:.2g} % of the paper's), "
        f"{evidence.seeds(task, hazard)} seeds, {report.groupby(['row', 'seed']).size().min()} episodes a seed of at "
        f"most {report['horizon'].max():,} steps, last checkpoint; {made_by(facts)}"
    )


def answer(evidence: Evidence, hazard: str = "paper") -> str:
    """Return, for each task under a hazard, where RADAC's tail and mean stand, and beside which rows it says something.

    Raises:
        Missing: there is nothing to say.
    """
    lines = []
    for task in [task for task, name in evidence.settings() if name == hazard]:
        case = Case(evidence, task, hazard)
        try:
            others = case.others("radac")
            parts = []
            for name, statistic in (("CVaR₀.₁", "cvar"), ("mean", "mean")):
                rival = case.top(others, statistic)
                word = WORDS[case.minus("radac", rival, statistic).sign]
                own = case.sample("radac").estimate(statistic).text()
                parts.append(f"{name} is {own}, **{word}** the best of the others' ({case.number(rival, statistic)})")
            told = []
            for twin in (NEUTRAL, CLONE):
                word = WORDS[case.minus("radac", twin, "cvar").sign]
                told.append(f"**{word}** that of {style(case.row(twin)).label}")
            lines.append(
                f"*{task}*, {evidence.updates(task, hazard):,} updates: RADAC's {'; its '.join(parts)}. "
                f"Its CVaR is {' and '.join(told)}."
            )
        except Missing as reason:
            lines.append(f"*{task}*: {reason}.")
    if not lines:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    return "\n\n".join(lines)


def counted(judged: pd.DataFrame) -> str:
    """Return how many sentences got which verdict."""
    counts = judged["verdict"].value_counts()
    return f"Of {len(judged)} sentences " + ", ".join(f"{counts.get(v, 0)} {word}" for v, word in KINDS.items())


def versions(task: str) -> str:
    """Return what to know of the published rows of a task: an earlier version of a row, where there is one."""
    now, before = published(task), published(task, "page-2026-06-15")
    told = [
        f"{name}'s published row was {old['mean']:.0f} / {old['cvar']:.0f} (mean / CVaR) in an earlier version and "
        f"became {new['mean']:.0f} / {new['cvar']:.0f}, while every other row stayed as it was"
        for (name, old), (_, new) in zip(before.iterrows(), now.loc[before.index].iterrows(), strict=True)
    ]
    if not told:
        return ""
    return (
        "; ".join(told) + "; between the two the released hazard of this task changed as well (safe pitch ±0.1, now "
        "−0.17 to 0.04), so that its rows may compare two hazards."
    )


def command(evidence: Evidence, out: str = "runs/evidence") -> str:
    """Return the command that makes the stored campaign, read from its own facts, an option a line.

    Raises:
        Missing: there is no campaign.
    """
    settings, table = evidence.settings(), evidence.table
    configs = [f["config"] for f in evidence.facts.values()]

    def kept(values: Sequence[object]) -> list[str]:
        return list(map(str, dict.fromkeys(values)))

    each = {
        purpose: part.groupby(["run", "seed", "step", "horizon"]).size() for purpose, part in table.groupby("purpose")
    }
    curve = table[table["purpose"] == "training"]
    words: dict[str, list[str]] = {
        "tasks": kept([task for task, _ in settings]),
        "methods": kept(list(table["row"])),
        "hazards": kept([hazard for _, hazard in settings]),
        "seeds": kept([seed for c in configs for seed in c["seeds"]]),
        "steps": kept([max(c["steps"] for c in configs)]),
    }
    if len(curve):
        words["evaluations"] = kept([curve.groupby("run")["step"].nunique().max()])
        words["episodes"] = kept([each["training"].max()])
    words["report-episodes"] = kept([each["report"].max()])
    words["source"] = kept([c["source"] for c in configs])
    sizes = {c["size"] for c in configs} - {None}
    if sizes:
        words["size"] = kept([max(sizes)])
    # Laptop's size is the source's own; without a profile the command would take quick's.
    parts = ["ramac campaign --profile laptop", *(shlex.join([f"--{name}", *values]) for name, values in words.items())]
    return " \\\n  ".join([*parts, shlex.join(["--out", out])])


def hours(evidence: Evidence, rates: pd.Series) -> dict[str, float]:
    """Return core-hours of each row's updates in the stored campaign, at measured rates, over all its runs.

    Args:
        rates: seed-updates a second by method (`cost.best_rates`); a row is priced as its method.

    Raises:
        Missing: there is no campaign, or no rate for any of its methods.
    """
    evidence.settings()
    rows = evidence.table.drop_duplicates("run").set_index("run")["row"]
    spent: dict[str, float] = {}
    for run, facts in evidence.facts.items():
        if run in rows.index and method_of(rows[run]) in rates.index:
            count = facts.get("updates", facts["config"]["steps"]) * len(facts["config"]["seeds"])
            spent[rows[run]] = spent.get(rows[run], 0.0) + count / float(rates[method_of(rows[run])]) / 3600
    if not spent:
        raise Missing("No speed was measured for any method of the stored campaign.")
    return spent


def lacking(evidence: Evidence, task: str, hazard: str) -> str:
    """Return which of the paper's methods and the controls a task's report lacks, as a sentence; empty if none."""
    there = {method_of(row) for row, group in groups(evidence, task, hazard).items() if group == MAIN}
    main = [style(m).label for m in TABLE_1 if m not in there]
    rows = evidence.rows(task, hazard)[1]
    absent = main + [style(row).label for row in (NEUTRAL, CLONE) if row not in rows]
    if evidence.played(task, hazard).empty:
        absent.append("the behaviour policies")
    return f"Not in the results: {', '.join(absent)}." if absent else ""
