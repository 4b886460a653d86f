"""The tables as a page shows them: the best cell bold and underlined, tied cells bold, a rule above the controls."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from ramac_lib.analysis import style
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.system.minus import minus, number
from support.evidence.selection import Sweep
from support.evidence.tables import MAIN
from support.page import where, wrapped

SYMBOLS = {"eta": "η", "bc_coefficient": "α"}  # of swept settings, as their papers have them
RULES = {"cvar": "by the CVaR₀.₁", "mean": "by the mean"}
MARKS = {"best": "font-weight: bold; text-decoration: underline", "tied": "font-weight: bold", "above": "", "": ""}
ABOVE = "\N{NO-BREAK SPACE}▲"


def plain(value: float, digits: int = 0) -> str:
    """Return a number as text, – for none; what rounds to zero has no sign."""
    return "–" if pd.isna(value) else number(value, digits, thousands=True)


def gained(value: float) -> str:
    """Return a difference as text with its sign; what rounds to zero has none."""
    return number(value, signed=bool(round(value)), thousands=True)


def with_error(value: float, error: float, digits: int = 0) -> str:
    """Return ``value ± error``, without the error where there is none."""
    return plain(value, digits) + ("" if pd.isna(error) else f"\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{error:.{digits}f}")


def styled(text: pd.DataFrame, table: pd.DataFrame, name: str, marked: dict[str, str] | None = None) -> Styler:
    """Return a page's table of `text` with the marks and the rule of `table`, whose rows are the same.

    Args:
        name: unique on its page.
        marked: column of `text` → column of `table` with its marks.
    """
    text, table = text.reset_index(drop=True), table.reset_index(drop=True)
    props = pd.DataFrame("", index=text.index, columns=text.columns)
    for column, marks in (marked or {}).items():
        props[column] = table[marks].map(MARKS)
        text[column] = text[column] + np.where(table[marks] == "above", ABOVE, "")
    below = table.index[table["group"] != MAIN]
    if len(below) and below[0] > 0:
        props.loc[below[0]] += "; border-top: 2px solid currentColor"
    styler = wrapped(text, name, [text.columns[0]])
    return styler.apply(lambda _: props, axis=None).hide(axis="index")


def estimate_of(line: pd.Series, name: str) -> Estimate:
    """Return a table's number with its interval."""
    return Estimate(line[name], line[f"{name}_low"], line[f"{name}_high"])


def intervals(table: pd.DataFrame, name: str, digits: int = 0) -> list[str]:
    """Return a column of ``value [low, high]``."""
    return [estimate_of(line, name).text(digits) for _, line in table.iterrows()]


def column(table: pd.DataFrame, name: str) -> list[str]:
    """Return a column of whole numbers."""
    return [plain(value) for value in table[name]]


def show_1(table: pd.DataFrame, name: str) -> Styler:
    """Return `tables.table_1` for the page."""
    text: dict[str, Sequence[str]] = {"": list(table["label"])}
    text |= {"mean [95 %]": intervals(table, "mean"), "CVaR₀.₁ [95 %]": intervals(table, "cvar")}
    text |= {"violations [95 %]": intervals(table, "violations", 1), "steps": column(table, "length")}
    if table["paper_mean"].notna().any():
        pairs = zip(column(table, "paper_mean"), column(table, "paper_cvar"), strict=True)
        text["paper: mean / CVaR"] = ["–" if mean == "–" else f"{mean} / {tail}" for mean, tail in pairs]
    marked = {"mean [95 %]": "mean_mark", "CVaR₀.₁ [95 %]": "cvar_mark"}
    return styled(pd.DataFrame(text), table, name, marked)


def show_3(table: pd.DataFrame, name: str) -> Styler:
    """Return `tables.table_3` for the page."""
    pairs = {"mean": "mean", "CVaR₀.₁ of a seed's episodes": "cvar", "… of its first ten: the worst": "protocol"}
    text: dict[str, Sequence[str]] = {"": list(table["label"])}
    text |= {
        head: [with_error(v, e) for v, e in zip(table[key], table[f"{key}_se"], strict=True)]
        for head, key in pairs.items()
    }
    text |= {"CVaR₀.₁ pooled": column(table, "pooled")}
    return styled(pd.DataFrame(text), table, name)


def show_4(table: pd.DataFrame, name: str) -> Styler:
    """Return `tables.table_4` for the page."""
    text: dict[str, Sequence[str]] = {"": list(table["label"]), "updates": column(table, "step")}
    text |= {"mean [95 %]": intervals(table, "mean"), "CVaR₀.₁ [95 %]": intervals(table, "cvar")}
    marked = {"mean [95 %]": "mean_mark", "CVaR₀.₁ [95 %]": "cvar_mark"}
    return styled(pd.DataFrame(text), table, name, marked)


def show_best(table: pd.DataFrame, name: str) -> Styler:
    """Return `tables.best_of_evaluations` for the page."""
    gain = table["best_mean"] - table["mean"]
    text = {"": list(table["label"]), "last: mean": column(table, "mean"), "best: mean": column(table, "best_mean")}
    text |= {"it flatters by": [gained(value) for value in gain]}
    text |= {"last: CVaR₀.₁": column(table, "cvar"), "best: CVaR₀.₁": column(table, "best_cvar")}
    return styled(pd.DataFrame(text), table, name)


def made_by(facts: Sequence[dict]) -> str:
    """Return source, device, versions and dates of some runs, for a caption."""
    places = list(dict.fromkeys(where(f["made"]) for f in facts))
    sources = sorted({f["config"]["source"] for f in facts})
    return f"{', '.join(sources)} data; {'; '.join(places)}"


def show_untrained(table: pd.DataFrame, name: str) -> Styler:
    """Return `tables.untrained` for the page."""
    text = {"": list(table["label"]), "paper: mean": column(table, "paper_mean")}
    text |= {"ours: mean [95 %]": intervals(table, "mean"), "CVaR₀.₁ [95 %]": intervals(table, "cvar")}
    share = ["–" if pd.isna(value) else f"{100 * value:.0f}\N{NO-BREAK SPACE}%" for value in table["share"]]
    return styled(pd.DataFrame(text | {"of BC-diffusion's mean": share}), table, name)


def show_sweeps(found: Mapping[Sweep, pd.DataFrame], name: str) -> Styler:
    """Return what `selection.load` found for the page: the value that the rule names bold, the one taken marked."""
    parts = []
    for sweep, table in found.items():
        taken = table["chosen"] if sweep.decides else table["value"] == sweep.default
        text: dict[str, Sequence[str]] = {"": [style.style(sweep.method).label] + [""] * (len(table) - 1)}
        text |= {"setting": [minus(f"{SYMBOLS[sweep.setting]} = {value:g}") for value in table["value"]]}
        text |= {"mean [95 %]": intervals(table, "mean"), "CVaR₀.₁ [95 %]": intervals(table, "cvar")}
        rule = RULES[sweep.criterion] if sweep.decides else "published"
        text |= {"taken": [rule if yes else "" for yes in taken]}
        parts.append(pd.DataFrame(text).assign(marked=table["chosen"].to_numpy(), first=range(len(table))))
    whole = pd.concat(parts, ignore_index=True)
    props = pd.DataFrame("", index=whole.index, columns=whole.columns[:-2])
    props.loc[whole["marked"]] = "font-weight: bold"
    props.loc[whole["first"].eq(0)] += "; border-top: 2px solid currentColor"
    styler = wrapped(whole.drop(columns=["marked", "first"]), name, ["", "setting", "taken"])
    return styler.apply(lambda _: props, axis=None).hide(axis="index")
