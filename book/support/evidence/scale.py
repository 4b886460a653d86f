"""How long a campaign's runs are for a claim: updates after the risk term's start, and what short runs changed.

A run shorter than the paper's 2 million updates starts the risk term later and weighs it less
(`ramac_lib.methods.shared.short_runs`); verdicts stand beside these numbers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.methods.shared import short_runs

REFERENCE = short_runs.REFERENCE_STEPS
LEAST_AFTER = 10_000  # updates with the risk term, below which a sentence about a robot is not decided


def risk_start(config: Mapping[str, Any]) -> int:
    """Return the update from which a run's policy follows its risk term; 0 without a warm-up.

    Args:
        config: of a stored run, with ``steps`` and ``settings``.
    """
    settings, steps = config.get("settings", {}), int(config["steps"])
    if "eta_warmup" in settings:
        share = float(settings["eta_warmup"])
        if settings.get("short_run_rate", True):
            share = short_runs.warmup(share, steps)
        return round(share * steps)
    return round(float(settings.get("bc_warmup") or 0) * steps)


def starts(evidence: Evidence, task: str, hazard: str) -> dict[str, int]:
    """Return each row's latest start of the risk term over its reported runs.

    Raises:
        Missing: there is no report.
    """
    found: dict[str, int] = {}
    for row, run in evidence.report(task, hazard)[["row", "run"]].drop_duplicates().itertuples(index=False):
        found[str(row)] = max(found.get(str(row), 0), risk_start(evidence.facts[str(run)]["config"]))
    return found


def after_start(evidence: Evidence, task: str, hazard: str) -> int:
    """Return the fewest updates with their risk term behind the report of any of the paper's methods.

    Raises:
        Missing: there is no report.
    """
    steps, begun = evidence.steps(task, hazard), starts(evidence, task, hazard)
    main, others = evidence.rows(task, hazard)
    return min(steps[row] - begun[row] for row in main or others)


class Change(NamedTuple):
    """A setting as published for 2 million updates, and as a short run has it."""

    name: str
    published: float
    used: float


def changes(evidence: Evidence, task: str, hazard: str) -> list[Change]:
    """Return what the rules for short runs changed in a task's RADAC; empty where they changed nothing.

    Raises:
        Missing: there is no RADAC, or its run was stored without its settings.
    """
    row = evidence.standing(task, hazard, "radac")
    if row is None:
        raise Missing("needs RADAC")
    report = evidence.report(task, hazard)
    config = evidence.facts[str(report.loc[report["row"] == row, "run"].iloc[0])]["config"]
    settings, steps = config.get("settings"), int(config["steps"])
    if not settings:
        raise Missing("needs the settings of RADAC's run")
    if not settings.get("short_run_rate", True):
        return []
    rate, eta = float(settings["lr_critic"]), float(settings["eta"])
    raised = short_runs.short_run_rate(rate, steps, float(settings["lr_critic_cap"]))
    targets = float(settings["target_rate"])
    cap = float(settings.get("target_rate_cap") or short_runs.TARGET_RATE_CAP)
    found = [
        Change("η", eta, short_runs.risk_weight(eta, rate, raised)),
        Change("critic's rate", rate, raised),
        Change("targets' rate", targets, short_runs.target_rate(targets, steps, cap)),
        Change("cloning alone, share of the run", float(settings["eta_warmup"]), risk_start(config) / steps),
    ]
    return [change for change in found if abs(change.used - change.published) > 1e-12]
