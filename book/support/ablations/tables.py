"""The tables of chapter 6: every value of every knob, η with α, risk measures, lengths of a run; numbers and text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.campaign import bandit
from ramac_lib.envs.bandit import Bandit
from ramac_lib.methods import get_method
from ramac_lib.risk import weights
from ramac_lib.system.errors import unknown
from ramac_lib.system.minus import number
from ramac_lib.system.paths import data_folder
from ramac_lib.training.config import before
from support.ablations import choice, measures
from support.ablations.effects import STATISTICS, by_seed, mean_of
from support.ablations.knobs import KNOBS, LENGTHS, MAP

NAMES = {
    "eta": r"$\eta$",
    "bc_weight": r"$\lambda_{\mathrm{BC}}$",
    "alpha": r"$\alpha$",
    "n_fractions": "$N$",
    "policy_steps": "steps of the chain",
    "td_clip": "TD clip",
    "eta_warmup": "warm-up",
    "actor_critics": "two critics:",
    "critic_hidden": "critic's width",
    "batch_size": "batch",
    "quantile_axis": "loss's axis:",
    "joint_relu": "joint ReLU",
    "grid_rule": "weights",
    "target_critics": "in the target:",
}
SETTINGS = {"true": "on", "false": "off", "target": "target (released)"}  # of a knob's own value, and those tried
WORDS = {"floor": "eq. 15", "target": "released", "true": "on", "false": "off"}
GAP = " less that with CVaR"  # heads the differences to the measure CVaR
NO_BREAK = "\N{NO-BREAK SPACE}"
PLAIN = {r"$\eta$": "η", r"$\lambda_{\mathrm{BC}}$": "λ<sub>BC</sub>", r"$\alpha$": "α", "$N$": "N"}


def value_text(value: str, plain: bool = False) -> str:
    """Return a row's options for a figure, or in plain text for a table: ``N = 16, weights eq. 15``."""
    parts = []
    for part in value.split(","):
        name, _, number = part.partition("=")
        if name not in NAMES:
            raise unknown("knob", name, NAMES)
        shown = PLAIN.get(NAMES[name], NAMES[name]) if plain else NAMES[name]
        number = WORDS.get(number, number)
        joined = " " if shown.endswith(":") or name in ("grid_rule", "joint_relu") else " = "
        parts.append(f"{shown}{joined}{number}")
    return ", ".join(parts)


def knobs(effects: pd.DataFrame, costs: Mapping[str, Mapping[str, float]] | None = None) -> pd.DataFrame:
    """Return the table of `effects.effects`: a row a value, differences in CVaR and OOD (`Estimate`), and speed.

    Args:
        costs: of `support.ablations.cost.load`: value → how many times RADAC's own updates a second it makes.
    """
    rows = []
    for value, own in effects.groupby("value", sort=False):
        row: dict[str, Any] = {
            "": value_text(str(value), plain=True).replace(" ", NO_BREAK).replace(f",{NO_BREAK}", ", ")
        }
        for statistic, name in (("cvar", "CVaR₀.₁"), ("ood", "out of data")):
            one = own[own["statistic"] == statistic].iloc[0]
            row[name] = f"{one['there']:.2f}"
            row[f"{name}: difference"] = Estimate(*one[["difference", "low", "high"]])
        if costs is not None:
            row["updates/s"] = f"×{costs[str(value)]['ratio']:.2f}" if value in costs else "×1"
        rows.append(row)
    return pd.DataFrame(rows)


def name_of(knob: str) -> str:
    """Return a knob's name in plain text."""
    if knob not in NAMES:
        raise unknown("knob", knob, NAMES)
    return PLAIN.get(NAMES[knob], NAMES[knob]).rstrip(":")


def setting_text(value: Any) -> str:
    """Return a setting's value for a table: ``on`` for a true one, no decimals of a whole number."""
    if isinstance(value, float):
        return f"{value:g}"
    return SETTINGS.get(str(value).lower(), str(value) if value is not None else "none")


def tried(table: pd.DataFrame, facts: Mapping[str, Any], method: str = "radac") -> pd.DataFrame:
    """Return each knob of a method, its own value as stored with its runs, and the values tried.

    Raises:
        Missing: the method's own settings are not stored.
    """
    by_seed(table, "knobs", method, "", "cvar")  # refuses what is not there
    own = table[(table["suite"] == "knobs") & (table["method"] == method) & (table["variant"] == "")]
    stored = before(get_method(method).Config) | facts[own["cell"].iloc[0]]["settings"]
    lines = []
    for knob, values in KNOBS[method].items():
        words = [setting_text(v.replace(",grid_rule=floor", " with eq. 15's weights")) for v in values]
        line = {"": name_of(knob), "its own value": setting_text(stored[knob]), "values tried": ", ".join(words)}
        lines.append(line)
    return pd.DataFrame(lines)


def ranks(order: Sequence[choice.Ranked]) -> pd.DataFrame:
    """Return the knobs in the rule's order with the value that decided, and the values of the first for Hopper."""
    lines = []
    for k, one in enumerate(order):
        values = ", ".join(setting_text(value.partition(",")[0]) for value in choice.VALUES[one.knob])
        line = {"": name_of(one.knob), "differs": "yes" if one.told else "no"}
        signed = (number(value, 2, signed=True) for value in (one.cvar, one.mean))
        line |= {"by": value_text(one.value, plain=True)} | dict(zip(("CVaR₀.₁", "mean"), signed, strict=True))
        lines.append(line | {"on Hopper": values if k < choice.CHOSEN else "–"})
    return pd.DataFrame(lines)


def _settings(table: pd.DataFrame, facts: Mapping[str, Any]) -> pd.DataFrame:
    """Return RADAC's rows of knobs and map that depart in η and α alone, with both as numbers, read from the facts."""
    own = table[(table["method"] == "radac") & table["suite"].isin(["knobs", "map"])]
    named = own["variant"].map(lambda v: {part.partition("=")[0] for part in v.split(",") if part})
    own = own[named.map(lambda names: names <= set(MAP))]
    return own.assign(**{name: [float(facts[cell]["settings"][name]) for cell in own["cell"]] for name in MAP})


def eta_alpha(table: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, pd.DataFrame]:
    """Return, for each statistic, its mean over the seeds that every cell of the map has: α down, η across.

    Raises:
        Missing: a cell is not stored, or no seed is in all of them.
    """
    own = _settings(table, facts)
    wanted = {(float(eta), float(alpha)) for eta in MAP["eta"] for alpha in MAP["alpha"]}
    found = {pair: set(part["seed"]) for pair, part in own.groupby(["eta", "alpha"])}
    if missing := sorted(wanted - set(found)):
        raise Missing("The stored map has no cell at η = {:g}, α = {:g}.".format(*missing[0]))
    if not (seeds := set.intersection(*(found[pair] for pair in wanted))):
        raise Missing("No seed is in every cell of the stored map.")
    inside = np.array([pair in wanted for pair in zip(own["eta"], own["alpha"], strict=True)])
    own = own[own["seed"].isin(seeds) & inside]
    return {s: own.pivot_table(index="alpha", columns="eta", values=s) for s in STATISTICS}


def prefers(bandit: Bandit | None = None, fractions: int = 20) -> pd.DataFrame:
    """Return what each measure says of both modes exactly, read off a grid of fractions, and which it prefers."""
    bandit = bandit or Bandit()
    rows = []
    for measure in measures.MEASURES:
        exact = {mode: bandit.reward_risk(mode, measure) for mode in ("centre", "ring")}
        read = bandit.grid_risk("ring", weights(measure, fractions))
        better = max(exact, key=lambda mode: exact[mode])
        row = {"": measures.NAMES[measure], "centre": exact["centre"], "ring": exact["ring"]}
        rows.append(row | {f"ring, {fractions} fractions": read, "prefers": better})
    return pd.DataFrame(rows)


def measured(cases: Mapping[str, measures.Measured]) -> pd.DataFrame:
    """Return mean and CVaR_0.1 of each case's measures with intervals, and the differences to those with CVaR.

    Indexed by row, with an `Estimate` for each number.

    Args:
        cases: name → case.

    Raises:
        Missing: a measure is not stored.
    """
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for name, case in cases.items():
        for measure in measures.MEASURES:
            by = ", neutral" if measure == "neutral" else f" with {measures.NAMES[measure]}"
            line: dict[str, Any] = {"measure": f"{name}{by}"}
            for statistic, title in (("mean", "mean"), ("cvar", "CVaR₀.₁")):
                line[title] = case.estimate(measure, statistic)
                line[f"{title}{GAP}"] = None if measure == "cvar" else case.minus(measure, "cvar", statistic)
            lines[name, case.method if measure == "cvar" else f"{case.method}:risk={measure}"] = line
    return pd.DataFrame(list(lines.values()), index=pd.Index([row for _, row in lines]))


def length_rows(table: pd.DataFrame, folder: Path | None = None) -> pd.DataFrame:
    """Return the rows of each length on the bandit: this chapter's shortest and longest, chapter 3's between.

    A method of which a length is not stored is left out.

    Raises:
        Missing: so is every method.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    stored = bandit.load(folder / "bandit")[0]
    whole = stored[stored["suite"] == "methods"]
    found = [table[table["suite"] == "lengths"], whole[whole["step"] == whole["step"].max()]]
    there = [method for method in LENGTHS if not any(part[part["method"] == method].empty for part in found)]
    if not there:
        raise Missing(
            f"The stored runs of several lengths have none of {', '.join(style(method).label for method in LENGTHS)}."
        )
    return pd.concat(part[part["method"].isin(there)] for part in found)


def lengths(found: pd.DataFrame) -> pd.DataFrame:
    """Return the page's table of `length_rows`; two seeds have no interval."""
    rows = []
    for method in [name for name in LENGTHS if name in set(found["method"])]:
        for steps, own in found[found["method"] == method].groupby("step"):
            row = {"": style(method).label, "updates": f"{steps:,}", "seeds": str(own["seed"].nunique())}
            for statistic, name in zip(STATISTICS, ("CVaR₀.₁", "mean", "out of data"), strict=True):
                values = own[statistic].to_numpy()
                row[name] = mean_of(values).text(2) if len(values) > 2 else number(values.mean(), 2)
            rows.append(row)
    return pd.DataFrame(rows)
