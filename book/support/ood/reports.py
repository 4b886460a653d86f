"""Table 2: rates of actions out of the data from runs' reports, as the paper gives them and with intervals.

A row's rate is the share of its report's *actions* that a detector flags at κ = 3: episodes count by their length. The
paper's number is the mean of the seeds' rates with its standard error; the intervals here resample seeds, then episodes
(`ramac_lib.analysis.intervals`).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np
import pandas as pd
from jaxtyping import Float

from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, interval, mean_and_error
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results, unseen
from support.ood import known
from support.ood.calibration import Calibrated
from support.ood.known import spearman

Array = np.ndarray

SOURCES = ("campaign", "decisions")  # the first that says how often actions lay out of the data
COLUMNS = dict(zip(unseen.NAMES, ("action alone", "state and action", "neighbours"), strict=True))
OUTCOMES = ("return", "violations a step", "length")
RESAMPLES = 2000


@dataclass(frozen=True)
class Rate:
    """A row's rate by each detector.

    Attributes:
        seeds: (S, 3), each seed's rate, detectors in the order of `COLUMNS`; NaN where none was stored.
        draws: (R, 3), of resamples.
        curves: (S, 3, κ of `unseen.KAPPAS`).
    """

    seeds: Float[Array, "S 3"]
    draws: Float[Array, "R 3"] = field(repr=False)
    curves: Float[Array, "S 3 K"] = field(repr=False)

    def estimate(self, k: int) -> Estimate:
        """Return the rate of the k-th detector with its 95 % interval."""
        return interval(float(self.seeds[:, k].mean()), self.draws[:, k])

    def minus(self, other: "Rate", k: int) -> Estimate:
        """Return the difference to another row's rate with its interval (rows resampled independently)."""
        value = float(self.seeds[:, k].mean() - other.seeds[:, k].mean())
        return interval(value, self.draws[:, k] - other.draws[:, k])


@dataclass(frozen=True)
class Reports:
    """Runs' reports that have rates of actions out of the data.

    Args:
        name: one of `SOURCES`; empty where nothing is stored.
        evidence: their episodes.
    """

    name: str
    evidence: Evidence
    _rates: dict[tuple[str, str], dict[str, Rate]] = field(default_factory=dict, repr=False)

    def settings(self) -> list[tuple[str, str]]:
        """Return every (task, hazard) of which there are rates.

        Raises:
            Missing: there is none.
        """
        if not self.name:
            raise Missing(
                f"No stored run says how often it acted out of the data: data/results has no {' or '.join(SOURCES)} "
                "with the columns ood_…, which every campaign's reports have (the command is at this page's end)."
            )
        return [pair for pair in self.evidence.settings() if self._has(*pair)]

    def _has(self, task: str, hazard: str) -> bool:
        try:
            return bool(self.episodes(task, hazard)[unseen.NAMES[0]].notna().any())
        except Missing:  # no episodes of the task's own horizon
            return False

    def episodes(self, task: str, hazard: str) -> pd.DataFrame:
        """Return the report's episodes with rates as numbers.

        Raises:
            Missing: there is no report.
        """
        table = self.evidence.report(task, hazard)
        return table.assign(**{name: pd.to_numeric(table[name]) for name in unseen.NAMES})

    def rates(self, task: str, hazard: str) -> dict[str, Rate]:
        """Return the rates of each row that has them, the paper's methods first.

        Raises:
            Missing: there is no report.
        """
        if (task, hazard) not in self._rates:
            table = self.episodes(task, hazard)
            table = table[table[unseen.NAMES[0]].notna()]
            order = [row for part in self.evidence.rows(task, hazard) for row in part]
            parts = dict(list(table.groupby("row", sort=False)))
            made = {row: rate(parts[row], f"{task} {hazard} {row}") for row in order if row in parts}
            self._rates[task, hazard] = made
        return self._rates[task, hazard]

    def row(self, task: str, hazard: str, method: str) -> str:
        """Return the row that stands for a method.

        Raises:
            Missing: it has none with rates.
        """
        found = self.evidence.standing(task, hazard, method)
        if found is None or found not in self.rates(task, hazard):
            raise Missing(f"needs {style(method).label}")
        return found

    def scale(self, task: str, hazard: str, rows: Collection[str] = ()) -> tuple[int, int, int]:
        """Return the fewest updates, seeds and episodes a seed of some rows, or of any."""
        table = self.episodes(task, hazard)
        table = table[table["row"].isin(rows or self.rates(task, hazard))]
        seeds = table.groupby("row")["seed"].nunique().min()
        return int(table["step"].min()), int(seeds), int(table.groupby(["row", "seed"]).size().min())


def load(folder: Path | None = None) -> Reports:
    """Return the reports of the first of `SOURCES` whose episodes have rates of actions out of the data.

    Where none has, they are empty, and say so when they are asked for.

    Args:
        folder: of the stored results (default: the repository's data/results).
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    nothing = pd.DataFrame(columns=list(results.COLUMNS))
    for name in SOURCES:
        if not results.is_there(name, folder):
            continue
        table, facts = results.load(name, folder, level=None)
        if table.loc[table["purpose"] == "report", unseen.NAMES[0]].notna().any():
            return Reports(name, evidence.make(table, facts, nothing))
    return Reports("", evidence.make(nothing, {}, nothing))


def rate(episodes: pd.DataFrame, name: str) -> Rate:
    """Return the rates of one row's episodes; those without a rate, or without a step, weigh nothing.

    Args:
        episodes: columns ``seed length ood_…``.
        name: decides the resamples.
    """
    groups = [group for _, group in episodes.groupby("seed")]
    count = max(map(len, groups))
    shares, weights = np.zeros((len(groups), count, 3)), np.zeros((len(groups), count, 3))
    curves = np.full((len(groups), 3, len(unseen.KAPPAS)), np.nan)
    for s, group in enumerate(groups):
        own = group[list(unseen.NAMES)].to_numpy(float)
        there, length = np.isfinite(own), group["length"].to_numpy(float)
        shares[s, : len(own)] = np.where(there, own, 0)
        weights[s, : len(own)] = there * length[:, None]
        curves[s] = _curve(group["ood_curves"], length)
    rng = np.random.default_rng(crc32(name.encode()))
    taken = max(1, len(groups) - 1)
    drawn = rng.integers(len(groups), size=(RESAMPLES, taken, 1))
    chosen = drawn, rng.integers(count, size=(RESAMPLES, taken, count))
    return Rate(
        _share(shares, weights, (1,)), _share(shares[chosen], weights[chosen], (2,)).mean(axis=1), curves=curves
    )


def _share(shares: Array, weights: Array, axes: tuple[int, ...]) -> Array:
    with np.errstate(invalid="ignore"):
        return (shares * weights).sum(axis=axes) / weights.sum(axis=axes)


def _curve(texts: pd.Series, length: Array) -> Float[Array, "3 K"]:
    there = texts.notna().to_numpy() & (length > 0)
    if not there.any():
        return np.full((3, len(unseen.KAPPAS)), np.nan)
    return np.average([unseen.curves(text) for text in texts[there]], axis=0, weights=length[there])


# -- tables ---------------------------------------------------------------------------------------------------------


def table_2(reports: Reports, task: str, hazard: str) -> pd.DataFrame:
    """Return every row's rates in percent, one line a row and detector, the paper's methods first.

    Columns ``row label detector seeds rate se low high``: mean over seeds, its standard error, 95 % interval.

    Raises:
        Missing: there is no report.
    """
    lines = []
    for row, found in reports.rates(task, hazard).items():
        for k, detector in enumerate(COLUMNS.values()):
            mean, error = mean_and_error(100 * found.seeds[:, k])
            value = found.estimate(k)
            line = {"row": row, "label": style(row).label, "detector": detector, "seeds": len(found.seeds)}
            line |= {"rate": float(mean), "se": float(error)}
            lines.append(line | {"low": 100 * value.low, "high": 100 * value.high})
    return pd.DataFrame(lines)


def published(folder: Path | None = None) -> pd.DataFrame:
    """Return the paper's rates in percent: ``version detector task method rate se``, task one of the three robots."""
    table = pd.read_csv((data_folder() if folder is None else Path(folder)) / "paper" / "ood.csv")
    return table.rename(columns={"rate_percent": "rate", "std_err": "se"})


def robot(task: str) -> str:
    """Return the robot of a task, as the paper's table 2 names its rows."""
    return get_task(task).env


def agreement(reports: Reports, task: str, hazard: str) -> pd.DataFrame:
    """Return the rank correlation of each two detectors over the rows' rates, with resampled seeds' intervals.

    Columns ``first second rows value low high``.

    Raises:
        Missing: there are fewer than three rows.
    """
    rates = list(reports.rates(task, hazard).values())
    if len(rates) < 3:
        raise Missing(f"{task}, {hazard}: {len(rates)} rows have rates; a rank correlation needs three.")
    values = np.stack([rate.seeds.mean(axis=0) for rate in rates])  # (rows, 3)
    draws = np.stack([rate.draws for rate in rates], axis=1)  # (R, rows, 3)
    names, lines = list(COLUMNS.values()), []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        found = known.spearmans(draws[..., i], draws[..., j])
        value = known.bounded(spearman(values[:, i], values[:, j]), found)
        lines.append({"first": names[i], "second": names[j], "rows": len(rates), **value._asdict()})
    return pd.DataFrame(lines)


def predicts(reports: Reports, task: str, hazard: str) -> pd.DataFrame:
    """Return how an episode's rate goes with what became of it, within each row: rank correlations over episodes.

    Within a seed, as seeds are different policies; the mean of the seeds' correlations, with an interval of resampled
    seeds. A seed counts where rate and outcome both vary. The last lines, row ``all``, are the mean over all rows'
    seeds. Columns ``row label detector outcome seeds value low high``.

    Raises:
        Missing: there is no report.
    """
    table = reports.episodes(task, hazard)
    table = table.assign(**{OUTCOMES[1]: table["violations"].astype(float) / table["length"].clip(lower=1)})
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in reports.rates(task, hazard):
        for _, own in table[table["row"] == row].groupby("seed"):
            for name, detector in COLUMNS.items():
                for outcome in OUTCOMES:
                    kept = own[[name, outcome]].dropna().to_numpy(float)
                    value = spearman(*kept.T) if len(kept) > 2 else np.nan
                    for of in (row, "all"):
                        found.setdefault((of, detector, outcome), []).append(value)
    lines = []
    for (key, detector, outcome), values in found.items():
        label = style(key).label if key != "all" else key
        lines.append({"row": key, "label": label, "detector": detector, "outcome": outcome, **_over(values)})
    out = pd.DataFrame(lines)
    return pd.concat([out[out["row"] != "all"], out[out["row"] == "all"]], ignore_index=True)


def _over(values: list[float]) -> dict[str, float]:
    kept = np.array(values)[np.isfinite(values)]
    if len(kept) < 2:
        return {"seeds": len(kept), "value": float(kept.mean()) if len(kept) else np.nan, "low": np.nan, "high": np.nan}
    rng = np.random.default_rng(len(kept))
    draws = kept[rng.integers(len(kept), size=(RESAMPLES, len(kept) - 1))].mean(axis=1)
    return {"seeds": len(kept), **interval(float(kept.mean()), draws)._asdict()}


def radii(reports: Reports, task: str, hazard: str) -> pd.DataFrame:
    """Return the rates of anchored methods' rows by the residual's radius Φ, and each less the own radius's.

    Columns ``method radius detector rate low high minus minus_low minus_high``, in percent.

    Raises:
        Missing: no method was run with two radii.
    """
    rates = reports.rates(task, hazard)
    lines = []
    for row, found in rates.items():
        method, _, options = row.partition(":")
        radius = options.partition("radius=")[2] if options.startswith("radius=") and "," not in options else ""
        if not radius or method not in rates:
            continue
        for k, detector in enumerate(COLUMNS.values()):
            gap = found.minus(rates[method], k)
            for name, value in ((radius, found.estimate(k)), ("", rates[method].estimate(k))):
                line = {"method": method, "radius": float(name or _own_radius(method, task)), "detector": detector}
                line |= dict(zip(("rate", "low", "high"), (100 * x for x in value), strict=True))
                line |= dict(zip(("minus", "minus_low", "minus_high"), (100 * x for x in gap), strict=True))
                lines.append(line)
    if not lines:
        raise Missing(f"{task}, {hazard}: no anchored method was run with a second radius.")
    return pd.DataFrame(lines).sort_values(["method", "detector", "radius"], kind="stable").reset_index(drop=True)


def _own_radius(method: str, task: str) -> float:
    from ramac_lib.methods import get_method

    return float(get_method(method).Config.for_task(task).radius)  # type: ignore[attr-defined]


def references(calibrated: Mapping[str, Calibrated], task: str) -> pd.DataFrame:
    """Return what each detector flags of held-out data and of uniform actions, in percent: ``detector held uniform``.

    Args:
        calibrated: by task, of `support.ood.calibration`.

    Raises:
        Missing: the task was not calibrated.
    """
    if task not in calibrated:
        raise Missing(f"{task} was not calibrated.")
    found, lines = calibrated[task], []
    for detector in COLUMNS.values():
        held, uniform = (100 * found.at(detector, kind)["median"] for kind in ("held out", "uniform"))
        lines.append({"detector": detector, "held": held, "uniform": uniform})
    return pd.DataFrame(lines)


def method_label(row: str) -> str:
    """Return the name of a row's method, as the paper prints it."""
    return style(method_of(row)).label
