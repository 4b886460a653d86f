"""Sentences of the chapter that follow the results: captions, the answer in short, commands and their cost."""

import shlex
from collections.abc import Iterable, Sequence

import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing, published
from ramac_lib.analysis.intervals import Sample
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.analysis.tables import MAIN, groups
from ramac_lib.campaign.grid import TABLE_1
from ramac_lib.envs.tasks import get_task
from ramac_lib.methods.shared.short_runs import REFERENCE_STEPS
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES
from support.evidence.judges import CLONE, NEUTRAL
from support.evidence.shown import made_by

WORDS = {-1: "below", 0: "tied with", 1: "above"}
STATISTICS = {"cvar": "CVaR₀.₁", "mean": "mean"}


def many(count: int, noun: str) -> str:
    """Return ``1 seed``, ``2 seeds``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def listed(labels: Iterable[str]) -> str:
    """Return labels in a row, ``none`` without any; a label may have a comma of its own."""
    kept = list(labels)
    return ("; " if any("," in label for label in kept) else ", ").join(kept) or "none"


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

    Rows are called above, below or tied only of runs that are long enough for a verdict; what is missing is named.

    Raises:
        Missing: there is nothing to say.
    """
    lines = []
    for task in [task for task, name in evidence.settings() if name == hazard]:
        try:
            lines.append(f"*{task}*{_answer(evidence, task, hazard)}")
        except Missing as reason:
            lines.append(f"*{task}*: {str(reason).rstrip('.')}.")
    if not lines:
        raise Missing(f"The stored campaign has nothing under the hazard {hazard}.")
    return "\n\n".join(lines)


def _answer(evidence: Evidence, task: str, hazard: str) -> str:
    main, _ = evidence.rows(task, hazard)
    own = evidence.standing(task, hazard, "radac")
    if own is None:
        raise Missing(f"needs {style('radac').label}")
    rivals = [row for row in main if row != own]
    twins = [row for row in (evidence.standing(task, hazard, name) for name in (NEUTRAL, CLONE)) if row]
    reason = too_short(evidence, task, hazard, [own, *rivals, *twins])
    told = [_beside_best(evidence, task, hazard, own, rivals, not reason)]
    if twins:
        told.append(_beside_twins(evidence, task, hazard, own, twins, not reason))
    if reason:
        told.append(f"Runs of {reason} are too short to say more.")
    told.append(lacking(evidence, task, hazard))
    return f", {many(evidence.updates(task, hazard), 'update')}: " + " ".join(filter(None, told))


def _beside_best(evidence: Evidence, task: str, hazard: str, own: str, rivals: Sequence[str], judged: bool) -> str:
    samples = {row: evidence.sample(task, hazard, row) for row in (own, *rivals)}
    parts = []
    for name, head in STATISTICS.items():
        part = f"{head} is {samples[own].estimate(name).text()}"
        if rivals:
            best = max(rivals, key=lambda row: samples[row].values[name])
            word = _word(samples[own], samples[best], name, judged)
            part += f", {word} the best of the others' ({style(best).label} {samples[best].estimate(name).text()})"
        parts.append(part)
    return f"{style(own).label}'s {'; its '.join(parts)}."


def _beside_twins(evidence: Evidence, task: str, hazard: str, own: str, twins: Sequence[str], judged: bool) -> str:
    parts, sample = [], evidence.sample(task, hazard, own)
    for row in twins:
        twin = evidence.sample(task, hazard, row)
        number = "" if judged else f" ({twin.estimate('cvar').text()})"
        parts.append(f"{_word(sample, twin, 'cvar', judged)} that of {style(row).label}{number}")
    return f"Its CVaR {'is' if judged else 'stands'} {' and '.join(parts)}."


def _word(own: Sample, other: Sample, statistic: str, judged: bool) -> str:
    return f"**{WORDS[own.minus(other, statistic).sign]}**" if judged else "beside"


def too_short(evidence: Evidence, task: str, hazard: str, rows: Sequence[str]) -> str:
    """Return the fewest updates and seeds of the rows' reports where they are too few for a verdict; empty else."""
    report = evidence.report(task, hazard)
    of_row = report[report["row"].isin(rows)].groupby("row")
    updates, seeds = int(of_row["step"].max().min()), int(of_row["seed"].nunique().min())
    if updates >= LEAST_UPDATES and seeds >= LEAST_SEEDS:
        return ""
    return f"{many(updates, 'update')} and {many(seeds, 'seed')}"


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

    def most(part: pd.DataFrame) -> list[str]:
        return kept([part.groupby(["run", "seed", "step", "horizon"]).size().max()])

    curve, report = table[table["purpose"] == "training"], table[table["purpose"] == "report"]
    own = report[report["horizon"] == report["task"].map(lambda task: get_task(task).horizon)]
    words: dict[str, list[str]] = {
        "tasks": kept([task for task, _ in settings]),
        "methods": kept(list(table["row"])),
        "hazards": kept([hazard for _, hazard in settings]),
        "seeds": kept([seed for c in configs for seed in c["seeds"]]),
        "steps": kept([max(c["steps"] for c in configs)]),
    }
    if len(curve):
        steps = max(c["steps"] for c in configs)
        every, named = _moments(sorted(curve["step"].unique()), steps)
        words["evaluations"] = kept([steps // every])
        if named:
            words["evaluate-at"] = kept(named)
        words["episodes"] = most(curve)
    if len(own):  # episodes of another length are `ramac evaluate`'s
        words["report-episodes"] = most(own)
    words["source"] = kept([c["source"] for c in configs])
    sizes = {c["size"] for c in configs} - {None}
    if sizes:
        words["size"] = kept([max(sizes)])
    # Laptop's size is the source's own; without a profile the command would take quick's.
    parts = ["ramac campaign --profile laptop", *(shlex.join([f"--{name}", *values]) for name, values in words.items())]
    return " \\\n  ".join([*parts, shlex.join(["--out", out])])


def unmade(evidence: Evidence) -> str:
    """Return which rows the printed command makes beside those that are stored; empty if it makes none.

    Raises:
        Missing: there is no campaign.
    """
    rows, parts = dict.fromkeys(evidence.table["row"]), []
    for task, hazard in evidence.settings():
        there = set(evidence.report(task, hazard)["row"])
        absent = [style(row).label for row in rows if row not in there]
        if absent:
            parts.append(f"{task} under {hazard} ({listed(absent)})")
    return f"It also makes what the stored results lack: {'; '.join(parts)}." if parts else ""


def _moments(found: Sequence[int], steps: int) -> tuple[int, list[int]]:
    """Return the usual number of updates between two evaluations, and the moments beside its multiples and the end."""
    there = set(found)
    every = next(k for k in found if there.issuperset(range(k, found[-1] + 1, k)))
    return every, [step for step in found if step % every and step != steps]


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


def engine(evidence: Evidence) -> tuple[str | None, str | None]:
    """Return the engine and precision that made every run; None and None where they differ or were not recorded."""
    made = {str(facts["made"].get("engine", "")) for facts in evidence.facts.values()}  # "cpu eager float32"
    parts = made.pop().split() if len(made) == 1 else []
    return (parts[1], parts[2]) if len(parts) == 3 else (None, None)


def lacking(evidence: Evidence, task: str, hazard: str) -> str:
    """Return which of the paper's methods and the controls a task's report lacks, as a sentence; empty if none."""
    there = {method_of(row) for row, group in groups(evidence, task, hazard).items() if group == MAIN}
    main = [style(m).label for m in TABLE_1 if m not in there]
    absent = main + [style(name).label for name in (NEUTRAL, CLONE) if evidence.standing(task, hazard, name) is None]
    if evidence.played(task, hazard).empty:
        absent.append("the behaviour policies")
    return f"Not in the results: {listed(absent)}." if absent else ""
