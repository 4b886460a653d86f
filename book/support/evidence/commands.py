"""The command that makes the stored campaign, what it makes beyond what is stored, and what its updates cost."""

import shlex
from collections.abc import Sequence

import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.envs.tasks import get_task

LINE = 90  # characters


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
        every, further = _moments(sorted(curve["step"].unique()), steps)
        words["evaluations"] = kept([steps // every])
        if further:
            words["evaluate-at"] = kept(further)
        words["episodes"] = most(curve)
    if len(own):  # episodes of another length are `ramac evaluate`'s
        words["report-episodes"] = most(own)
    words["source"] = kept([c["source"] for c in configs])
    if named := kept([c["env_id"] for c in configs if c.get("env_id")]):
        words["env-id"] = named
    sizes = {c["size"] for c in configs} - {None}
    if sizes:
        words["size"] = kept([max(sizes)])
    # Laptop's size is the source's own; without a profile the command would take quick's.
    parts = ["ramac campaign --profile laptop", *(_option(name, values) for name, values in words.items())]
    return " \\\n  ".join([*parts, shlex.join(["--out", out])])


def _option(name: str, values: Sequence[str]) -> str:
    """Return an option with its values, in lines that a page can show."""
    lines = [f"--{name}"]
    for value in map(shlex.quote, values):
        if len(lines[-1]) + 1 + len(value) > LINE:
            lines.append(value)
        else:
            lines[-1] += f" {value}"
    return " \\\n    ".join(lines)


def unmade(evidence: Evidence) -> dict[tuple[str, str], list[str]]:
    """Return the labels of the rows that the command makes beside those that are stored, by (task, hazard).

    Raises:
        Missing: there is no campaign.
    """
    rows = dict.fromkeys(evidence.table["row"])
    there = {setting: set(evidence.report(*setting)["row"]) for setting in evidence.settings()}
    absent = {setting: [style(row).label for row in rows if row not in own] for setting, own in there.items()}
    return {setting: labels for setting, labels in absent.items() if labels}


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
