"""Tuning is a budget: what a method is worth after n online episodes of choosing among its settings.

The protocol of Jackson et al. (2025, arXiv 2504.11453): the policies that a method's settings make are the arms of a
bandit, UCB plays them one episode at a time, and after each episode the policy with the best mean so far is the one
that would be deployed; what counts is its own mean, and here its own CVaR. Differences: an arm is a *setting*, whose
policy is that of a seed drawn for each repeat; arms not played yet come first and are never chosen; returns are divided
by the standard deviation of all arms' episodes, so that the exploration bonus √(2 log t / n) has their scale.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from ramac_lib.analysis.intervals import ALPHA
from ramac_lib.analysis.style import TRUTH, style
from ramac_lib.methods import radac
from ramac_lib.risk import cvar
from ramac_lib.risk.checks import checked_count
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from support.audit.episodes import EPISODES
from support.evidence.selection import HAZARD, SEEDS, SWEEPS, SWEEPS_FILE, TASK

Array = np.ndarray
Policies = Sequence[Array]  # of one setting: the episodes of each seed's policy

EXPLORATION = 2.0  # of the protocol
WORTH: Mapping[str, Callable[[Array], float]] = {
    "mean": lambda returns: float(returns.mean()),
    "cvar": lambda returns: float(cvar(returns, ALPHA)),
}


class Choice(NamedTuple):
    """What the deployed policy is worth after 1, 2, … episodes: means over repeats, with 95 % intervals over them."""

    mean: Float[Array, "3 n"]
    cvar: Float[Array, "3 n"]


def choose(settings: Sequence[Policies], episodes: int, *, repeats: int = 1000, seed: int = 0) -> Choice:
    """Return the expected mean and CVaR_0.1 of the policy that UCB picks among settings, after each episode.

    Args:
        settings: for each, its policies' episodes; a repeat draws one policy of each.
        episodes: how many are played in all.

    Raises:
        RamacError: no settings, a setting without policies or a policy without episodes, a count below 1.
    """
    if not settings or not all(policies and all(len(p) for p in policies) for policies in settings):
        raise RamacError("a setting without episodes; expected at least one setting, each with a policy's episodes")
    episodes, repeats = checked_count(episodes, "the number of episodes"), checked_count(repeats, "repeats")
    rng, everyone = np.random.default_rng(seed), np.arange(repeats)
    drawn = np.stack([rng.integers(len(policies), size=repeats) for policies in settings], axis=1)  # (R, k)
    worth = {
        name: np.stack([np.array([f(p) for p in policies])[drawn[:, i]] for i, policies in enumerate(settings)], axis=1)
        for name, f in WORTH.items()
    }
    scale = float(np.concatenate([p for policies in settings for p in policies]).std()) or 1.0
    counts, sums = np.zeros_like(drawn, float), np.zeros_like(drawn, float)
    found: dict[str, list[Array]] = {"mean": [], "cvar": []}
    for t in range(1, episodes + 1):
        means = sums / np.maximum(counts, 1)
        bonus = np.where(counts > 0, np.sqrt(EXPLORATION * np.log(t) / np.maximum(counts, 1)), np.inf)
        arm = _argmax(means / scale + bonus, rng)
        played = (settings[a][drawn[r, a]] for r, a in enumerate(arm))
        sums[everyone, arm] += [
            policy[int(u * len(policy))] for policy, u in zip(played, rng.random(repeats), strict=True)
        ]
        counts[everyone, arm] += 1
        best = _argmax(np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf), rng)
        for name, values in worth.items():
            found[name].append(values[everyone, best])
    return Choice(*(_over_repeats(np.stack(found[name], axis=1), rng) for name in ("mean", "cvar")))


def _argmax(values: Float[Array, "R k"], rng: np.random.Generator) -> Array:
    """Return the place of each row's largest value, of equal ones a random one."""
    ties = values == values.max(axis=1, keepdims=True)
    return np.argmax(ties * (1 + rng.random(values.shape)), axis=1)


def _over_repeats(values: Float[Array, "R n"], rng: np.random.Generator, resamples: int = 200) -> Float[Array, "3 n"]:
    """Return mean, lower and upper bound (95 %, repeats resampled)."""
    means = np.stack([values[rng.integers(len(values), size=len(values))].mean(axis=0) for _ in range(resamples)])
    return np.stack([values.mean(axis=0), *np.quantile(means, [0.025, 0.975], axis=0)])


# -- the stored settings ----------------------------------------------------------------------------------------------


def swept(folder: Path | None = None) -> dict[str, dict[float, Policies]]:
    """Return the episodes of each seed's policy for each swept value, by method; empty where no sweep is stored.

    Args:
        folder: of ``sweeps.csv`` (default: the repository's data/results).
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not results.is_there(SWEEPS_FILE, folder):
        return {}
    table, facts = results.load(SWEEPS_FILE, folder)
    part = table[(table["purpose"] == "report") & table["seed"].isin(SEEDS)]
    part = part[(part["task"] == TASK) & (part["hazard"] == HAZARD)]
    found: dict[str, dict[float, Policies]] = {}
    for sweep in SWEEPS:
        own = part[part["method"] == sweep.method]
        values = own["run"].map({run: f["config"]["settings"].get(sweep.setting) for run, f in facts.items()})
        policies: dict[float, Policies] = {
            float(value): [p["return"].to_numpy(float) for _, p in group.groupby(["run", "seed"])]
            for value, group in own.groupby(values)
        }
        if policies:
            found[sweep.method] = policies
    return found


def spent(folder: Path | None = None) -> pd.DataFrame:
    """Return the online episodes that are stored behind this book's own choices; one row a method.

    Columns ``method label settings policies episodes``: settings that were compared, policies trained for it, and all
    their evaluation episodes, those while training included. Of the stored sweeps and decisions, as far as there are.

    Args:
        folder: of the stored results (default: the repository's data/results).
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    tables = [results.load(name, folder)[0] for name in (SWEEPS_FILE, "decisions") if results.is_there(name, folder)]
    if not tables:
        return pd.DataFrame(columns=["method", "label", "settings", "policies", "episodes"])
    rows: list[dict[str, Any]] = []
    for method, own in pd.concat(tables).groupby("method"):
        line = {"method": method, "label": style(str(method)).label, "settings": own["options"].fillna("").nunique()}
        rows.append(line | {"policies": len(own[["run", "seed"]].drop_duplicates()), "episodes": len(own)})
    return pd.DataFrame(rows)


def released_settings() -> tuple[int, dict[str, int]]:
    """Return how many of RADAC's released tasks have settings of their own, and each setting's number of values."""
    tasks = [name for name in radac.PER_TASK if name in radac.RELEASED_SIZES]
    own = [radac.PER_TASK[task] | {"n_fractions": radac.RELEASED_SIZES[task]} for task in tasks]
    names = sorted({name for settings in own for name in settings})
    default = dataclasses.asdict(radac.RADACConfig())
    values = [tuple(settings.get(name, default[name]) for name in names) for settings in own]
    counts = {name: len(set(column)) for name, column in zip(names, zip(*values, strict=True), strict=True)}
    return len(set(values)), {name: count for name, count in counts.items() if count > 1}


def at_random(settings: Sequence[Policies], statistic: str) -> float:
    """Return the expected ``mean`` or ``cvar`` of the policy of a setting taken at random."""
    return float(np.mean([np.mean([WORTH[statistic](policy) for policy in policies]) for policies in settings]))


def draw(found: Mapping[str, Mapping[float, Policies]], episodes: int, repeats: int = 500) -> Figure:
    """Draw mean and CVaR of the chosen policy against episodes, a line a method; dotted: a setting taken at random."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    panels = figure.subplots(1, 2)
    at = np.arange(1, episodes + 1)
    for method, policies in found.items():
        looks: Any = {"color": style(method).colour}
        chosen = choose(list(policies.values()), episodes, repeats=repeats)
        for axis, name in zip(panels, ("mean", "cvar"), strict=True):
            value, low, high = getattr(chosen, name)
            axis.plot(at, value, label=style(method).label, **looks)
            axis.fill_between(at, low, high, alpha=0.15, linewidth=0, **looks)
            axis.axhline(at_random(list(policies.values()), name), linestyle=":", **looks)
    for axis, title in zip(panels, ("mean of the chosen policy", "its CVaR$_{0.1}$"), strict=True):
        axis.set(title=title, xlabel="online episodes played", xscale="log", xlim=(1, episodes))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.axvline(EPISODES, color=TRUTH, linewidth=0.7, alpha=0.5)
    panels[0].set_ylabel("return")
    panels[0].legend()
    return figure
