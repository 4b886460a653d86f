"""The stored campaign and the stored behaviour policies, as tables, figures and verdicts ask for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ramac_lib.analysis.intervals import ALPHA, Sample
from ramac_lib.analysis.rows import find, split, with_keys
from ramac_lib.analysis.summary import SHARES
from ramac_lib.envs.tasks import get_task
from ramac_lib.risk import cvar
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results

T = TypeVar("T")

CAMPAIGN, BEHAVIOUR_FILE = "campaign", "behaviour"
NEAR = 0.1  # of a number of gradient steps: an evaluation farther off says nothing about it
POLICIES_SHOWN = 2  # of the behaviour policies behind a task's data: those of the highest means


class Missing(RamacError):
    """What was asked for is not in the results; the message is a sentence for the page."""


@dataclass(frozen=True)
class Evidence:
    """Episodes of a campaign, each under the hazard that its run was trained with, and of the behaviour policies.

    Args:
        table: rows of `results.COLUMNS` with their row's key as ``row``; empty where there is no campaign.
        facts: each run's facts, by hash.
        behaviour: the same columns for the behaviour policies.
        silent: rows as `table`'s, of reports with the policies' sampler noise switched off.
    """

    table: pd.DataFrame
    facts: Mapping[str, Mapping[str, Any]]
    behaviour: pd.DataFrame
    silent: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=[*results.COLUMNS, "row"]))
    _made: dict[tuple, Any] = field(default_factory=dict, repr=False)  # what was asked for before: judges ask often

    def _once(self, key: tuple, make: Callable[[], T]) -> T:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def beside(self, campaign: Path) -> "Evidence":
        """Return the evidence together with that in a campaign's directory.

        Raises:
            RamacError: there is no campaign.
        """
        table, facts = results.load("results", campaign, level=None)
        stored, silent, behaviour = (part.drop(columns="row") for part in (self.table, self.silent, self.behaviour))
        parts = [part for part in (stored, silent, table) if len(part)]
        return make(pd.concat(parts or [table], ignore_index=True), {**self.facts, **facts}, behaviour)

    def settings(self) -> list[tuple[str, str]]:
        """Return every (task, hazard) of which there is a report, in the file's order.

        Raises:
            Missing: there is none.
        """
        if self.table.empty:
            raise Missing(
                f"There is no data/results/{CAMPAIGN}.csv yet: this needs the results of a campaign "
                "(the commands are at this page's end)."
            )
        found = self._once(("settings",), self._settings)
        if not found:
            raise Missing("The stored campaign has no report yet.")
        return list(found)

    def _settings(self) -> list[tuple[str, str]]:
        pairs = self.table.loc[self.table["purpose"] == "report", ["task", "hazard"]].drop_duplicates()
        return [(str(task), str(hazard)) for task, hazard in pairs.itertuples(index=False)]

    def report(self, task: str, hazard: str, horizon: int | None = None) -> pd.DataFrame:
        """Return the episodes of every row's last checkpoint.

        Args:
            horizon: steps at which they were cut (default: the task's).

        Raises:
            Missing: there are none.
        """
        limit = get_task(task).horizon if horizon is None else horizon
        return self._once(("report", task, hazard, limit), lambda: self._report(task, hazard, limit))

    def _report(self, task: str, hazard: str, horizon: int) -> pd.DataFrame:
        self.settings()
        part = self._part("report", task, hazard)
        part = part[part["horizon"] == horizon]
        if part.empty:
            raise Missing(
                f"The stored results have no episodes of {horizon} steps on {task} under the hazard {hazard}: "
                f"`ramac evaluate RUN --horizon {horizon}` adds them to a run."
            )
        return part[part["step"] == part.groupby("row")["step"].transform("max")]

    def beside_returns(self, task: str, hazard: str) -> pd.DataFrame:
        """Return what each row's report says beside its returns, one line a row, the mean over its episodes.

        Columns ``row completed ood_action ood_state_action ood_neighbours mean_silent cvar_silent``: the share of
        episodes that reached the horizon, rates of actions out of the data (`ramac_lib.training.unseen`), and the
        returns' mean and CVaR with the policy's sampler noise switched off. NaN where it was not stored.

        Raises:
            Missing: there is no report.
        """
        report = self.report(task, hazard)
        quiet = self.silent
        quiet = quiet[(quiet["task"] == task) & (quiet["hazard"] == hazard) & (quiet["purpose"] == "report")]
        quiet = quiet[quiet["horizon"] == get_task(task).horizon]
        lines = []
        for row, own in report.groupby("row", sort=False):
            line: dict[str, Any] = {"row": row}
            line |= {name: pd.to_numeric(own[name]).mean() for name in SHARES}
            part = quiet.loc[(quiet["row"] == row) & (quiet["step"] == own["step"].iloc[0]), "return"].to_numpy(float)
            without = (part.mean(), float(cvar(part, ALPHA))) if len(part) else (np.nan, np.nan)
            lines.append(line | dict(zip(("mean_silent", "cvar_silent"), without, strict=True)))
        return pd.DataFrame(lines)

    def curve(self, task: str, hazard: str) -> pd.DataFrame:
        """Return the episodes of the evaluations while training, those at a run's end included.

        Raises:
            Missing: there are none.
        """
        self.settings()
        part = self._once(("curve", task, hazard), lambda: self._part("training", task, hazard))
        if part.empty:
            raise Missing(f"The stored campaign has no evaluations while training on {task} under {hazard}.")
        return part

    def _part(self, purpose: str, task: str, hazard: str) -> pd.DataFrame:
        table = self.table
        return table[(table["purpose"] == purpose) & (table["task"] == task) & (table["hazard"] == hazard)]

    def rows(self, task: str, hazard: str) -> tuple[list[str], list[str]]:
        """Return the rows of the paper's methods, and the others, of which there is a report."""
        return self._once(("rows", task, hazard), lambda: split(self.report(task, hazard)["row"]))

    def standing(self, task: str, hazard: str, name: str) -> str | None:
        """Return the row of that key, or else the row that stands for that method; None without any."""
        main, others = self.rows(task, hazard)
        return name if name in (*main, *others) else find([*main, *others], name)

    def played(self, task: str, hazard: str) -> pd.DataFrame:
        """Return the episodes of the behaviour policies shown, the better one first; empty where none were stored."""
        return self._once(("played", task, hazard), lambda: self._played(task, hazard))

    def _played(self, task: str, hazard: str) -> pd.DataFrame:
        table = self.behaviour
        part = table[(table["task"] == task) & (table["hazard"] == hazard)]
        order = part.groupby("row")["return"].mean().sort_values(ascending=False).index[:POLICIES_SHOWN]
        return pd.concat([part[part["row"] == row] for row in order]) if len(order) else part

    def all_played(self, task: str, hazard: str) -> list[Sample]:
        """Return the samples of all behaviour policies behind a task's data, the best mean first."""

        def samples() -> list[Sample]:
            part = self.behaviour[(self.behaviour["task"] == task) & (self.behaviour["hazard"] == hazard)]
            found = [Sample(own, f"{task} {hazard} {row}", one_policy=True) for row, own in part.groupby("row")]
            return sorted(found, key=lambda sample: -sample.values["mean"])

        return self._once(("all played", task, hazard), samples)

    def steps(self, task: str, hazard: str) -> dict[str, int]:
        """Return the updates behind each row's report."""
        report = self.report(task, hazard)
        found = self._once(("steps", task, hazard), lambda: report.groupby("row")["step"].max())
        return {str(row): int(step) for row, step in found.items()}

    def sample(self, task: str, hazard: str, row: str) -> Sample:
        """Return a row's report with its resamples; of a behaviour policy too. Made once."""

        def sample() -> Sample:
            played = self.played(task, hazard)
            stored = row in set(played["row"])
            episodes = played if stored else self.report(task, hazard)
            # A behaviour policy is one policy, whatever the seeds of its rollouts.
            return Sample(episodes[episodes["row"] == row], f"{task} {hazard} {row}", one_policy=stored)

        return self._once(("sample", task, hazard, row), sample)

    def early(self, task: str, hazard: str, step: int) -> pd.DataFrame:
        """Return each row's evaluation nearest to a number of gradient steps (the later of two as near).

        Rows that have none within a tenth of them are left out.

        Raises:
            Missing: no row has one.
        """
        found = self._near(task, hazard, step)
        if found.empty:
            raise Missing(
                f"No evaluation on {task} under {hazard} is near {step:,} gradient steps: that takes a campaign with "
                "`--evaluations` such that one falls on them."
            )
        return found

    def early_sample(self, task: str, hazard: str, row: str, step: int) -> Sample:
        """Return the sample of a row's evaluation nearest to a number of gradient steps.

        Raises:
            Missing: it has none within a tenth of them.
        """
        part = self._near(task, hazard, step)
        part = part[part["row"] == row]
        if part.empty:
            raise Missing(f"needs an evaluation at {step:,} updates")
        name = f"{task} {hazard} {row} steps"
        return self._once(("early sample", task, hazard, row, step), lambda: Sample(part, name))

    def _near(self, task: str, hazard: str, step: int) -> pd.DataFrame:
        def found() -> pd.DataFrame:
            curve = self.curve(task, hazard)
            steps = curve.groupby("row")["step"].unique()
            nearest = {row: min(there, key=lambda s: (abs(s - step), -s)) for row, there in steps.items()}
            return curve[(curve["step"] == curve["row"].map(nearest)) & ((curve["step"] - step).abs() <= NEAR * step)]

        return self._once(("early", task, hazard, step), found)

    def updates(self, task: str, hazard: str) -> int:
        """Return the fewest updates behind the report of any of the paper's methods."""
        main, others = self.rows(task, hazard)
        steps = self.report(task, hazard).groupby("row")["step"].max()
        return int(steps[main or others].min())

    def seeds(self, task: str, hazard: str) -> int:
        """Return the fewest seeds of any row of the report."""
        return int(self.report(task, hazard).groupby("row")["seed"].nunique().min())


def make(table: pd.DataFrame, facts: Mapping[str, Mapping[str, Any]], behaviour: pd.DataFrame) -> Evidence:
    """Return the evidence in a campaign's table; episodes under another hazard than trained with are left out.

    Episodes without sampler noise are kept apart (`Evidence.silent`): nothing else counts them.

    So are behaviour policies that made none of the campaign's data.
    """
    under = {run: f["config"]["hazard"] for run, f in facts.items()}
    trained = table["run"].map(under).astype(object).fillna(table["hazard"])
    if len(table):
        behaviour = behaviour[behaviour["source"].isin(table["source"].unique())]
    table = table[trained == table["hazard"]]
    deployed, silent = (with_keys(results.at_noise(table, level)) for level in (1, 0))
    deployed = results.complete(deployed)
    return Evidence(deployed, facts, with_keys(results.at_noise(behaviour)), silent)


def load(folder: Path | None = None) -> Evidence:
    """Return the stored evidence; what is not there is empty, and says so when it is asked for.

    Args:
        folder: of ``campaign.csv``, ``behaviour.csv`` and their ``.json``, or a folder ``campaign`` of compressed
            tables (default: the repository's data/results).

    Raises:
        RamacError: a file that is there is none of these.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)

    def read(name: str) -> tuple[pd.DataFrame, dict[str, dict]]:
        if not results.is_there(name, folder):
            return pd.DataFrame(columns=list(results.COLUMNS)), {}
        return results.load(name, folder, level=None)

    table, facts = read(CAMPAIGN)
    return make(table, facts, read(BEHAVIOUR_FILE)[0])


def published(task: str, version: str = "icml", folder: Path | None = None) -> pd.DataFrame:
    """Return the paper's table 1 for a task: columns ``mean cvar``, indexed by the method's printed name."""
    table = pd.read_csv((data_folder() if folder is None else Path(folder)) / "paper" / "table1.csv")
    part = table[(table["task"] == task) & (table["version"] == version)]
    return part.set_index("method")[["mean", "cvar0.1"]].rename(columns={"cvar0.1": "cvar"})
