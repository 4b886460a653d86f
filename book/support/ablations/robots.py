"""The robots' part of chapter 6: rows of its campaigns, and the tables of what is stored of them.

Each campaign has its own results, ``data/results/NAME`` (a folder of `ramac campaign --export`, or one table): six
knobs and the rules for short runs on Hopper, risk measures on two tasks, runs of three lengths.
"""

import shlex
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing, make
from ramac_lib.analysis.intervals import Sample
from ramac_lib.analysis.style import style
from ramac_lib.methods.shared import short_runs
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from ramac_lib.training.config import make_config
from support.ablations.measures import MEASURES, OnRobot
from support.evidence.case import Case

HOPPER, HAZARD, SEEDS, STEPS = "hopper-medium-expert", "paper", (0, 1, 2), 10_000
REPLAYS = ("halfcheetah-medium-replay", "walker2d-medium-replay")
METHODS = ("radac", "rafmac")
LENGTHS, LENGTH_METHODS = (5_000, 20_000, 80_000), ("radac", "bc-diffusion", "diffusion-ql")
WIDTH = 86  # of a printed command
ABLATIONS, DISTORTIONS, LENGTH_RUNS = "ablations", "distortions", "lengths_{steps}"
# What each campaign would decide.
QUESTIONS = {
    (ABLATIONS,): "whether the six settings and the rules for short runs matter on Hopper",
    (DISTORTIONS,): "whether the paper's sentences on risk measures hold on its two tasks",
    tuple(LENGTH_RUNS.format(steps=steps) for steps in LENGTHS): "how much of a result on Hopper a short run has",
}


def rules_off(steps: int = STEPS) -> dict[str, str]:
    """Return rows of RADAC on Hopper with each of the rules for short runs switched off alone, and all of them.

    A rule is off where the run has the value of the 2M updates: the other three are as the rules make them, given as
    numbers where switching one off would move another (η's rule follows the critic's rate).

    Raises:
        RamacError: a run that is no shorter than the rules' reference.
    """
    if steps >= short_runs.REFERENCE_STEPS:
        raise RamacError(f"{steps:,} updates: the rules hold in runs shorter than {short_runs.REFERENCE_STEPS:,}")
    own: Any = make_config("radac", HOPPER, (0,), steps).settings
    rate = short_runs.short_run_rate(own.lr_critic, steps, own.lr_critic_cap)
    follow = short_runs.target_rate(own.target_rate, steps, own.target_rate_cap)
    eta = short_runs.risk_weight(own.eta, own.lr_critic, rate)
    fixed = f"short_run_rate=false,lr_critic={rate:g},target_rate={follow:g},eta={eta:g}"
    return {
        "critic's rate": f"radac:lr_critic_cap={own.lr_critic:g},eta={eta:g}",
        "targets' rate": f"radac:target_rate_cap={own.target_rate:g}",
        "weight of the risk term": f"radac:eta={own.eta**2 / eta:g}",
        "warm-up": f"radac:{fixed}",
        "all four": "radac:short_run_rate=false",
    }


def measure_rows() -> list[str]:
    """Return both methods with each measure, CVaR first."""
    return [method if measure == "cvar" else f"{method}:risk={measure}" for method in METHODS for measure in MEASURES]


def command(name: str, tasks: Sequence[str], rows: Sequence[str], steps: int = STEPS) -> str:
    """Return the two commands that run a campaign and store its results under a name."""
    words = {"tasks": tasks, "methods": rows, "hazards": [HAZARD], "seeds": map(str, SEEDS), "steps": [str(steps)]}
    parts = [shlex.join([f"--{k}", *v]) for k, v in words.items()]
    lines = [
        line for part in parts for line in textwrap.wrap(part, WIDTH, break_long_words=False, break_on_hyphens=False)
    ]
    run = " \\\n  ".join(["ramac campaign --profile laptop", *lines, f"--out runs/{name}"])
    return f"{run}\nramac campaign --out runs/{name} --export data/results/{name}"


def is_stored(name: str, folder: Path | None = None) -> bool:
    """Return whether a campaign is stored."""
    return results.is_there(name, data_folder() / "results" if folder is None else Path(folder))


def undecided(folder: Path | None = None) -> list[str]:
    """Return what the campaigns would decide that are not stored; of runs of several lengths one is enough."""
    return [asked for names, asked in QUESTIONS.items() if not any(is_stored(name, folder) for name in names)]


def load(name: str, folder: Path | None = None) -> Evidence:
    """Return a stored campaign.

    Raises:
        Missing: it is not stored.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not is_stored(name, folder):
        raise Missing(f"There is no data/results/{name} yet; the command above makes it.")
    table, facts = results.load(name, folder, level=None)
    return make(table, facts, pd.DataFrame(columns=list(results.COLUMNS)))


def beside_own(found: Evidence, rows: dict[str, str], own: str = "radac") -> pd.DataFrame:
    """Return mean and CVaR_0.1 of rows on Hopper with intervals, and the differences to the method's own settings.

    Args:
        rows: name on the page → row.

    Raises:
        Missing: the own settings, or every one of the rows, are not there.
    """
    there = set().union(*found.rows(HOPPER, HAZARD))
    if own not in there:
        raise Missing(f"The stored results have no {style(own).label} with its own settings to compare with.")
    if not (kept := {name: row for name, row in rows.items() if row in there}):
        raise Missing(f"The stored results have none of {', '.join(rows)}.")
    reference = found.sample(HOPPER, HAZARD, own)
    lines = [_line("its own settings", reference, None)]
    lines += [_line(name, found.sample(HOPPER, HAZARD, row), reference) for name, row in kept.items()]
    return pd.DataFrame(lines)


def _line(name: str, sample: Sample, reference: Sample | None) -> dict[str, str]:
    line = {"": name}
    for statistic, title in (("mean", "mean"), ("cvar", "CVaR₀.₁")):
        line[f"{title} [95 %]"] = sample.estimate(statistic).text()
        line[f"{title}: difference"] = "" if reference is None else sample.minus(reference, statistic).text(signed=True)
    return line


def measure_cases(found: Evidence) -> dict[str, OnRobot]:
    """Return the case of each method on each task that is stored, by its name on the page."""
    there = {task for task, hazard in found.settings() if hazard == HAZARD}
    return {
        f"{style(method).label}, {task}": OnRobot(Case(found, task, HAZARD), method)
        for task in REPLAYS
        if task in there
        for method in METHODS
    }


def lengths(load_one: Callable[[str], Evidence] = load) -> pd.DataFrame:
    """Return what runs of each stored length have on Hopper: mean and CVaR_0.1 with intervals.

    Raises:
        Missing: no length is stored.
    """
    lines, reason = [], None
    for steps in LENGTHS:
        try:
            found = load_one(LENGTH_RUNS.format(steps=steps))
            rows = set().union(*found.rows(HOPPER, HAZARD))
        except Missing as missing:
            reason = reason or missing
            continue
        for method in (m for m in LENGTH_METHODS if m in rows):
            sample = found.sample(HOPPER, HAZARD, method)
            line = {"": style(method).label, "updates": f"{steps:,}", "seeds": str(sample.seeds)}
            line |= {"mean [95 %]": sample.estimate("mean").text(), "CVaR₀.₁ [95 %]": sample.estimate("cvar").text()}
            lines.append(line | {"order": LENGTH_METHODS.index(method)})
    if not lines and reason is not None:
        raise reason
    return pd.DataFrame(lines).sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)
