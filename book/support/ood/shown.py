"""Chapter 7's tables as its page shows them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML
from pandas.io.formats.style import Styler

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.datasets import ood
from support import forest
from support.evidence.shown import with_error
from support.ood import calibration, reports
from support.ood.calibration import Calibrated
from support.ood.reports import Reports
from support.page import wrapped

SCALES = {"median": "median", "mad": "MAD", "q95": "95 % quantile"}
SHORT = {"halfcheetah": "HalfCheetah", "walker2d": "Walker2d", "hopper": "Hopper"}


def published() -> Styler:
    """Return the paper's table 2 in both versions, percent of actions."""
    table = reports.published()
    table["value"] = [with_error(rate, error, 2) for rate, error in zip(table["rate"], table["se"], strict=True)]
    versions = {"earlier": "earlier, action alone", "icml": "ICML, given the state"}
    wide = table.assign(version=table["version"].map(versions), task=table["task"].map(SHORT)).pivot(
        index=["version", "method"], columns="task", values="value"
    )
    wide = wide.fillna("–").reset_index().rename_axis(columns=None)
    return wrapped(wide[["version", "method", *SHORT.values()]], "published", ["version", "method"]).hide(axis="index")


MARKS = {"detects": "✓", "not at κ = 3": "–", "does not detect": "✗"}


def verdicts(found: Mapping[str, Calibrated], left_out: Sequence[str] = ("moved 0.05",)) -> Styler:
    """Return each detector's AUC with the mark of its verdict (`MARKS`), a line a task and alteration."""
    lines = []
    for task, one in found.items():
        table = one.table.set_index(["kind", "detector"])
        for kind in (kind for kind in calibration.KINDS if kind not in left_out):
            line = {"task": task, "altered": kind}
            for detector in calibration.DETECTORS:
                there = (kind, detector) in table.index
                cell = table.loc[[(kind, detector)]].iloc[0] if there else None
                line[detector] = "\N{EN DASH}" if cell is None else f"{cell['auc']:.2f} {MARKS[cell['verdict']]}"
            lines.append(line)
    return wrapped(pd.DataFrame(lines), "told", ["task", "altered"]).hide(axis="index")


def scales(found: Mapping[str, Calibrated]) -> pd.DataFrame:
    """Return false alarms and hits on uniform actions by each of the three scales: ``detector scale TASK …``."""
    lines = []
    for detector in calibration.DETECTORS[:3]:
        for scale in ood.SCALES:
            line = {"detector": detector, "scale": SCALES[scale]}
            for task, one in found.items():
                held, uniform = (one.at(detector, kind)[scale] for kind in ("held out", "uniform"))
                line[task] = f"{100 * held:.1f} / {100 * uniform:.1f}"
            lines.append(line)
    return pd.DataFrame(lines)


def table_2(there: Reports, task: str, hazard: str, calibrated: Mapping[str, Calibrated]) -> pd.DataFrame:
    """Return rates in percent: ours by each detector with its interval, standard errors, the paper's, two yardsticks.

    The yardsticks are what the detectors flag of held-out data and of uniform actions; they stand above the rows.
    Indexed by row, with an `Estimate` where a number has an interval.

    Raises:
        Missing: there is no report.
    """
    table = reports.table_2(there, task, hazard)
    paper = reports.published()
    paper = paper[paper["task"] == reports.robot(task)].set_index(["version", "method"])
    lines: dict[str, dict[str, Any]] = {}
    if task in calibrated:
        known = reports.references(calibrated, task).set_index("detector")
        for name, label in (("held", "held-out data"), ("uniform", "uniform actions")):
            rates = {str(d): Estimate(float(value), -np.inf, np.inf) for d, value in known[name].items()}
            lines[label] = {"": label} | rates
    for row, own in table.groupby("row", sort=False):
        label = own.iloc[0]["label"]
        line: dict[str, Any] = {"": label}
        for _, cell in own.iterrows():
            line[cell["detector"]] = Estimate(cell["rate"], cell["low"], cell["high"])
        for _, cell in own.iterrows():
            error = "–" if pd.isna(cell["se"]) else f"{cell['rate']:.2f} ± {cell['se']:.2f}"
            line[f"{cell['detector']}, mean ± s.e."] = error
        for version, column in (("earlier", "paper, earlier"), ("icml", "paper, ICML")):
            key = (version, label)
            printed = paper.loc[[key]].iloc[0] if key in paper.index else None
            line[column] = "–" if printed is None else with_error(printed["rate"], printed["se"], 2)
        lines[str(row)] = line
    return pd.DataFrame(list(lines.values()), index=pd.Index(list(lines)))


def draw_table_2(there: Reports, task: str, hazard: str, calibrated: Mapping[str, Calibrated]) -> HTML:
    """Return `table_2` as a picture, a panel a detector, its numbers folded below."""
    table = table_2(there, task, hazard, calibrated)
    detectors = [c for c in table.columns if any(isinstance(v, Estimate) for v in table[c])]
    return forest.show(table, f"figure-7-9-{task}-{hazard}", detectors)


def agreement(there: Reports) -> pd.DataFrame:
    """Return the detectors' rank correlations over rows for every setting: ``task hazard rows PAIR …``.

    Raises:
        Missing: no setting has three rows.
    """
    lines, reason = [], None
    for task, hazard in there.settings():
        try:
            found = reports.agreement(there, task, hazard)
        except Missing as missing:
            reason = missing
            continue
        line = {"task": task, "hazard": hazard, "rows": int(found["rows"].iloc[0])}
        for _, pair in found.iterrows():
            line[f"{pair['first']} and {pair['second']}"] = correlation(Estimate(*pair[["value", "low", "high"]]))
        lines.append(line)
    if not lines:
        raise reason or Missing("No setting has rates.")
    return pd.DataFrame(lines)


def predicts(
    there: Reports, task: str, hazard: str, detectors: Sequence[str] = ("action alone", "neighbours")
) -> Styler:
    """Return how an episode's rate goes with its outcome, within methods: rank correlations with intervals.

    Raises:
        Missing: there is no report.
    """
    found = reports.predicts(there, task, hazard)
    lines = []
    for _, own in found.groupby("row", sort=False):
        line = {"": str(own["label"].iloc[0])}
        for _, cell in own[own["detector"].isin(detectors)].iterrows():
            line[f"{cell['detector']}: {cell['outcome']}"] = correlation(Estimate(*cell[["value", "low", "high"]]))
        lines.append(line)
    table = pd.DataFrame(lines)
    kept = ["", *(f"{d}: {outcome}" for d in detectors for outcome in reports.OUTCOMES[:2])]
    return wrapped(table[kept], f"predicts-{task}-{hazard}", [""]).hide(axis="index")


def correlation(value: Estimate) -> str:
    """Return a correlation with its interval, a dash where there is none."""
    return "–" if pd.isna(value.value) else value.text(2, signed=True)


def radii(there: Reports, task: str, hazard: str) -> pd.DataFrame:
    """Return anchored methods' rates by radius as text: ``method Φ DETECTOR …``, and the difference's interval.

    Raises:
        Missing: no method was run with two radii.
    """
    found, lines = reports.radii(there, task, hazard), []
    for (method, size), own in found.groupby(["method", "radius"], sort=False):
        line = {"method": style(str(method)).label, "Φ": f"{size:g}"}
        lines.append(
            line | {r["detector"]: Estimate(r["rate"], r["low"], r["high"]).text(2) for _, r in own.iterrows()}
        )
    for method, own in found.drop_duplicates(["method", "detector"]).groupby("method", sort=False):
        line = {"method": style(str(method)).label, "Φ": "smaller − own"}
        gaps = {r["detector"]: Estimate(r["minus"], r["minus_low"], r["minus_high"]) for _, r in own.iterrows()}
        lines.append(line | {name: gap.text(2, signed=True) for name, gap in gaps.items()})
    return pd.DataFrame(lines).sort_values("method", kind="stable")
