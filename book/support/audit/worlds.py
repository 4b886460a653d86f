"""The benchmark's own part: the two hazards of Hopper medium-expert, unseeded draws, horizons, untrained policies."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ramac_lib.analysis.behaviours import stage_name, under_hazard
from ramac_lib.analysis.evidence import Evidence, Missing, published
from ramac_lib.analysis.intervals import ALPHA, COLUMNS, Estimate, Sample
from ramac_lib.analysis.rows import with_keys
from ramac_lib.analysis.style import style
from ramac_lib.datasets import relabel
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.behaviour import stages_behind
from ramac_lib.envs.collect import Episode, roll_out_policies
from ramac_lib.envs.hazards import PAPER, Hazard
from ramac_lib.envs.tasks import get_task
from ramac_lib.risk import cvar
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from support.audit.earlier_hazard import EARLIER, NAME, TASK
from support.audit.gaps import columns
from support.evidence.tables import LONG

Array = np.ndarray

HAZARDS: Mapping[str, Hazard] = {"released, [−0.17, 0.04]": PAPER[TASK], "figure 4, ±0.1": EARLIER}
UNDER_BOTH = "two_hazards"  # the stored runs' name
DRAWS = 20


def behaviours(episodes: int, seed: int = 0) -> dict[str, list[Episode]]:
    """Return rollouts of the policies that made Hopper medium-expert's data, by stage."""
    steps = stages_behind(TASK)
    played = roll_out_policies("hopper", steps, episodes, seed, purpose="audit", workers=1)
    return {stage_name("hopper", step): played[step] for step in steps}


def _drawn(episodes: Sequence[Episode], hazard: Hazard, draws: int = DRAWS) -> pd.DataFrame:
    return under_hazard(list(episodes), hazard, 0, draws)


def _sample(table: pd.DataFrame, name: str) -> Sample:
    """Return a sample whose resampled units are rollouts: each stands for all its draws."""
    return Sample(table.rename(columns={"episode": "seed"})[["seed", *COLUMNS]], name)


def two_hazards(played: Mapping[str, Sequence[Episode]], data: Dataset) -> pd.DataFrame:
    """Return what the two hazards make of the same rollouts; one row a hazard and policy.

    Columns ``hazard policy rate mean mean_low mean_high cvar cvar_low cvar_high data``: share of steps in violation,
    returns with 95 % intervals (whole rollouts resampled), and the share of the data's steps in violation.
    """
    rows = []
    for name, hazard in HAZARDS.items():
        of_data = relabel.rates(data, hazard)
        for policy, episodes in played.items():
            found = _sample(_drawn(episodes, hazard), f"{policy} two hazards")
            line = {"hazard": name, "policy": policy, "rate": found.values["rate"], "data": of_data}
            for statistic in ("mean", "cvar"):
                line |= dict(
                    zip((statistic, f"{statistic}_low", f"{statistic}_high"), found.estimate(statistic), strict=True)
                )
            rows.append(line)
    return pd.DataFrame(rows)


def hazard_gap(episodes: Sequence[Episode], statistic: str = "cvar") -> Estimate:
    """Return a policy's number under the released hazard less that under the other one, the same rollouts and draws."""
    released, other = (_sample(_drawn(episodes, hazard), "the same resamples") for hazard in HAZARDS.values())
    return released.minus(other, statistic)


def trained_under_both(folder: Path | None = None) -> pd.DataFrame:
    """Return what stored runs under the two hazards reached, each evaluated under its own; one row a method.

    Columns ``label steps seeds``, and with ``_low _high`` ``mean_paper cvar_paper mean_earlier cvar_earlier mean_gap
    cvar_gap``: gaps are released less ±0.1.

    Args:
        folder: of ``two_hazards.csv`` (default: the repository's data/results).

    Raises:
        Missing: no such runs are stored.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not results.is_there(UNDER_BOTH, folder):
        raise Missing("Nothing has been trained under both hazards yet; the command follows.")
    table, facts = results.load(UNDER_BOTH, folder)
    trained = table["run"].map({run: f["config"]["hazard"] for run, f in facts.items()})
    part = with_keys(table[(table["purpose"] == "report") & (table["hazard"] == trained)])
    rows = []
    for row, own in part.groupby("row", sort=False):
        samples = {
            name: Sample(own[own["hazard"] == name], f"{row} {name}")
            for name in ("paper", NAME)
            if name in set(own["hazard"])
        }
        if len(samples) < 2:
            continue
        line = {"label": style(str(row)).label, "steps": int(own["step"].max()), "seeds": samples["paper"].seeds}
        line |= columns(("paper", samples["paper"]), (NAME, samples[NAME]))
        rows.append(line)
    if not rows:
        raise Missing("No method is stored under both hazards.")
    return pd.DataFrame(rows)


def unseeded(episodes: Sequence[Episode], hazard: Hazard, *, shown: int = 10, draws: int = 400) -> dict[str, float]:
    """Return how far the hazard's draws alone move a report of ten fixed rollouts: standard deviations, and ranges.

    The rollouts, that is policy, starts and noise, stay; only the hazard's coin is tossed again. Keys ``mean`` and
    ``cvar`` (of the ten: the worst) are standard deviations over draws, ``mean_range`` and ``cvar_range`` the width of
    the middle 95 %.
    """
    table = _drawn(list(episodes)[:shown], hazard, draws)
    returns = table.pivot(index="draw", columns="episode", values="return").to_numpy()
    found = {"mean": returns.mean(axis=1), "cvar": cvar(returns, ALPHA)}
    spread = {name: float(values.std()) for name, values in found.items()}
    return spread | {f"{n}_range": float(np.ptp(np.quantile(v, [0.025, 0.975]))) for n, v in found.items()}


def horizons(evidence: Evidence, task: str, hazard: str) -> pd.DataFrame:
    """Return each row's report at the task's horizon beside the one at 1,000 steps; ``row label mean … cvar_long …``.

    Raises:
        Missing: there are no episodes of 1,000 steps.
    """
    longer = evidence.report(task, hazard, LONG)
    rows = []
    for row, own in longer.groupby("row", sort=False):
        if row not in {*evidence.rows(task, hazard)[0], *evidence.rows(task, hazard)[1]}:
            continue
        short, long = evidence.sample(task, hazard, str(row)), Sample(own, f"{row!s} long")
        line = {"row": row, "label": style(str(row)).label, "mean": short.values["mean"], "cvar": short.values["cvar"]}
        line |= {"mean_long": long.values["mean"], "cvar_long": long.values["cvar"], "length": short.length}
        rows.append(line | {"length_long": long.length})
    return pd.DataFrame(rows)


def untrained(tasks: Sequence[str], episodes: int, seed: int = 0, draws: int = DRAWS) -> pd.DataFrame:
    """Return each published score beside an untrained policy's on the same robot, hazard and horizon.

    The untrained policy is the first stage of the shipped ones, with its noise: a network as it was initialised. No
    data are involved, so that this comparison does not depend on whose data a method was trained with. Columns ``task
    method mean cvar untrained low high best`` and ``sign``: −1 where the published mean lies below the untrained
    policy's interval, 0 within it, 1 above; `best` is the task's best published mean.
    """
    rows = []
    for task in tasks:
        chosen = get_task(task)
        first = min(stages_behind(f"{chosen.env}-medium-replay"))
        played = roll_out_policies(chosen.env, (first,), episodes, seed, purpose="audit", workers=1)[first]
        found = _sample(_drawn(played, PAPER[task], draws), f"{task} untrained").estimate("mean")
        theirs = published(task)
        for method, line in theirs.iterrows():
            sign = int(line["mean"] > found.high) - int(line["mean"] < found.low)
            own = {"task": task, "method": method, "mean": line["mean"], "cvar": line["cvar"], "sign": sign}
            rows.append(
                own | {"untrained": found.value, "low": found.low, "high": found.high, "best": theirs["mean"].max()}
            )
    return pd.DataFrame(rows)


def impossible(tasks: Sequence[str]) -> pd.DataFrame:
    """Return the published rows whose CVaR lies above their mean, as in no distribution: ``task method mean cvar``."""
    parts = [published(task).rename_axis("method").reset_index().assign(task=task) for task in tasks]
    table = pd.concat(parts, ignore_index=True)
    return table.loc[table["cvar"] > table["mean"], ["task", "method", "mean", "cvar"]].reset_index(drop=True)
