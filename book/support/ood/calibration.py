"""What detectors of actions out of the data can tell, measured where the answer is known: on the data themselves.

A fifth of the episodes is held out, whole, and detectors are fitted on the rest, as a run's report fits them
(`ramac_lib.training.unseen`). An action that the behaviour policy took in a held-out episode is in the data's
distribution by construction, so each flag there is a false alarm. The same rows with their actions altered (`KINDS`)
say what is hit. Of `states moved` the action is the data's own: a detector of actions should keep silent.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from ramac_lib.analysis.intervals import Estimate, interval
from ramac_lib.datasets import ood
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.density_ratio import log_density_ratio
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.version import provenance
from ramac_lib.training.unseen import ROWS
from support.ood import oracle

Array = np.ndarray

HELD = 0.2  # of the episodes
SIZES = (0.05, 0.1, 0.2, 0.4)
STATE_MOVE = 0.1  # standard deviations
KINDS = ("uniform", "another state's", *(f"moved {size:g}" for size in SIZES), "states moved")
DETECTORS = ("action alone", "state and action", "neighbours", "density ratio", "behaviour's density")
ALARMS = np.concatenate([np.linspace(0, 0.1, 21), np.linspace(0.1, 1, 31)[1:]])  # false alarms at which hits are kept
KAPPAS = np.arange(1, 10.5, 0.5)
RESAMPLES = 500
BARELY = 0.05  # of the altered rows
FORMERLY = {"tells": "detects", "cannot tell": "does not detect"}  # verdicts as older files have them


@dataclass(frozen=True)
class Split:
    """Rows to fit on, and held-out rows with the number of their episode.

    Args:
        fitted: a data set's observations and actions.
        held: the same of whole other episodes.
        episode: of each held-out row, from 0 on.
    """

    fitted: tuple[Array, Array]
    held: tuple[Array, Array]
    episode: Int[Array, " n"]


def split(data: Dataset, rows: int, seed: int = 0) -> Split:
    """Return the data with a fifth of the episodes held out; of these so many drawn rows, in their order.

    Raises:
        RamacError: fewer than ten episodes, or rows < 2.
    """
    bounds = data.episode_bounds()
    if len(bounds) < 10 or rows < 2:
        raise RamacError(f"{data.name}: {len(bounds)} episodes, {rows} rows; expected at least 10 and 2")
    rng = np.random.default_rng(seed)
    out = np.zeros(len(bounds), bool)
    out[rng.choice(len(bounds), max(2, round(HELD * len(bounds))), replace=False)] = True
    episode = np.repeat(np.arange(len(bounds)), [stop - start for start, stop in bounds])
    held = np.flatnonzero(out[episode])
    held = np.sort(rng.choice(held, min(rows, len(held)), replace=False))
    parts = [(data.observations[chosen], data.actions[chosen]) for chosen in (~out[episode], held)]
    return Split(parts[0], parts[1], np.unique(episode[held], return_inverse=True)[1])


def alter(part: Split, kind: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return held-out observations and actions with the actions (or the states) altered; never outside the box.

    - ``uniform``: in the box [−1, 1]^a;
    - ``another state's``: the action of a drawn row of another episode;
    - ``moved X``: by a vector of length X in a uniform direction; a coordinate that would leave the box goes the
      other way, so that the length is kept;
    - ``states moved``: the action stays; each coordinate of the state gets normal noise of `STATE_MOVE` of its s.d.

    Raises:
        RamacError: an unknown kind, or a single episode to take other states' actions from.
    """
    states, actions = part.held
    if kind == "uniform":
        return states, rng.uniform(-1, 1, actions.shape).astype(actions.dtype)
    if kind == "another state's":
        return states, actions[_others(part.episode, rng)]
    if kind == "states moved":
        noise = STATE_MOVE * ood.units(part.fitted[0]) * rng.normal(size=states.shape)
        return (states + noise).astype(states.dtype), actions
    name, _, size = kind.partition(" ")
    if name != "moved" or kind not in KINDS:
        raise RamacError(f"unknown kind {kind!r}: expected one of {', '.join(KINDS)}")
    step = rng.normal(size=actions.shape)
    step *= float(size) / np.linalg.norm(step, axis=1, keepdims=True)
    step = np.where(np.abs(actions + step) > 1, -step, step)
    return states, (actions + step).astype(actions.dtype)


def _others(episode: Int[Array, " n"], rng: np.random.Generator) -> Int[Array, " n"]:
    """Return for each row the number of a row of another episode."""
    if len(np.unique(episode)) < 2:
        raise RamacError("the held-out rows are of one episode; expected at least two")
    found = rng.integers(len(episode), size=len(episode))
    while (same := episode[found] == episode).any():
        found[same] = rng.integers(len(episode), size=int(same.sum()))
    return found


def makers(part: Split, rows: int = ROWS) -> Mapping[str, Callable[[str], ood.Detector]]:
    """Return what fits each detector, given its scale: the paper's on all rows, the others on at most `rows` drawn."""
    states, actions = part.fitted
    drawn = np.sort(np.random.default_rng(0).choice(len(states), min(rows, len(states)), replace=False))
    return {
        "action alone": lambda scale: ood.ActionOnly(actions, scale),
        "state and action": lambda scale: ood.StateAction(states[drawn], actions[drawn], scale),
        "neighbours": lambda scale: ood.Neighbours(states[drawn], actions[drawn], scale=scale),
    }


class Episodes:
    """Rows grouped by episode, and resamples of the episodes: what intervals here are over.

    Args:
        episode: of each row, 0 to E − 1.
    """

    def __init__(self, episode: Int[Array, " n"], seed: int = 0) -> None:
        self.episode, count = episode, int(episode.max()) + 1
        rng = np.random.default_rng(seed)
        self.weights = rng.multinomial(max(1, count - 1), np.full(count, 1 / count), size=RESAMPLES)
        self.sizes = np.bincount(episode, minlength=count)

    def share(self, flags: Array) -> tuple[float, Float[Array, " R"]]:
        """Return the share of flagged rows, and the same of each resample."""
        own = np.bincount(self.episode, flags.astype(float), minlength=len(self.sizes))
        return float(flags.mean()), (self.weights @ own) / (self.weights @ self.sizes)

    def auc(self, below: Float[Array, " n"], above: Float[Array, " n"]) -> Estimate:
        """Return P(above > below) + ½ P(equal), the area under the ROC curve, with its 95 % interval."""
        places = np.unique(np.concatenate([below, above]), return_inverse=True)[1]
        low, high = places[: len(below)], places[len(below) :]
        size = int(places.max()) + 1

        def area(weights: Array) -> float:
            own = weights[self.episode]
            under = np.bincount(low, own, minlength=size)
            over = np.bincount(high, own, minlength=size)
            return float(over @ (np.cumsum(under) - under / 2) / own.sum() ** 2)

        return interval(area(np.ones(len(self.sizes))), np.array([area(w) for w in self.weights]))


def judged(auc: Estimate, gain: Estimate) -> str:
    """Return whether a detector detects one alteration, by a rule that was written before its numbers were seen.

    - *does not detect*: the 95 % interval of the AUC contains .5, or lies below it;
    - *not at κ = 3*: it lies above, but the share flagged at κ = 3 exceeds the false alarms by no more than five in a
      hundred rows, or may do so (95 % interval): the order is right, the threshold is not;
    - *detects*: the AUC's interval lies above .5, and the excess of flags above five in a hundred.
    """
    if not auc.low > 0.5:
        return "does not detect"
    return "detects" if gain.low > BARELY else "not at κ = 3"


@dataclass(frozen=True)
class Calibrated:
    """A calibration of all detectors on one data set.

    Attributes:
        table: a row a detector and kind: ``detector kind auc auc_low auc_high verdict``, and for each scale at κ = 3
            ``SCALE SCALE_low SCALE_high``, the share flagged; kind ``held out`` has the false alarms.
        hits: (detector, kind) → the share of altered rows beyond the distance that so many held-out ones
            (`ALARMS`) exceed.
        curves: (detector, kind) → the share flagged at each κ of `KAPPAS`, scale median.
        scales: (detector, scale) → in the detector's unit; NaN where the data allow none.
        rows, episodes: fitted on and held out.
    """

    table: pd.DataFrame
    hits: dict[tuple[str, str], Array] = field(repr=False)
    curves: dict[tuple[str, str], Array] = field(repr=False)
    scales: dict[tuple[str, str], float]
    rows: tuple[int, int]
    episodes: int

    def at(self, detector: str, kind: str) -> pd.Series:
        """Return the table's row."""
        table = self.table
        return table[(table["detector"] == detector) & (table["kind"] == kind)].iloc[0]


def calibrate(
    data: Dataset, rows: int = 10_000, *, fit_rows: int = ROWS, ratio_updates: int = 1000, seed: int = 0
) -> Calibrated:
    """Return false alarms, hits and ROC curves of the detectors on a data set, with intervals over episodes.

    Args:
        rows: held out, drawn from a fifth of the episodes.
        fit_rows: at most, of the detectors that look at the state.
        ratio_updates: of the density ratio's networks, fitted on the held-out rows in five folds; 0 leaves it out.
        seed: of the split and the alterations.

    Raises:
        RamacError: the data allow no detector, or have fewer than ten episodes.
    """
    part = split(data, rows, seed)
    groups, rng = Episodes(part.episode), np.random.default_rng(seed + 1)
    altered = {kind: alter(part, kind, rng) for kind in KINDS}
    lines: list[dict] = []
    hits: dict[tuple[str, str], Array] = {}
    curves: dict[tuple[str, str], Array] = {}
    scales: dict[tuple[str, str], float] = {}
    for name, make in makers(part, fit_rows).items():
        detector = make("median")
        scales |= {(name, kind): _scale(make, kind) for kind in ood.SCALES}
        own = detector.distances(*part.held)
        for kind in ("held out", *KINDS):
            there = own if kind == "held out" else detector.distances(*altered[kind])
            line = {"detector": name, "kind": kind} | _rates(groups, there, name, scales)
            if kind != "held out":
                hits[name, kind] = _hits(own, there)
                line |= _told(groups, own, there, ood.KAPPA * detector.scale)
            curves[name, kind] = np.array([(there > kappa * detector.scale).mean() for kappa in KAPPAS])
            lines.append(line)
    for name, kind, own, there in _scored(data, part, altered, ratio_updates, seed):
        area = groups.auc(own, there)
        verdict = "detects" if area.low > 0.5 else "does not detect"
        lines.append({"detector": name, "kind": kind, "verdict": verdict, **_named("auc", area)})
        hits[name, kind] = _hits(own, there)
    return Calibrated(pd.DataFrame(lines), hits, curves, scales, (len(part.fitted[0]), len(own)), len(groups.sizes))


def _scored(
    data: Dataset, part: Split, altered: Mapping[str, tuple[Array, Array]], updates: int, seed: int
) -> Iterator[tuple[str, str, Array, Array]]:
    """Yield the detectors without a scale: name, kind, and scores of held-out and of altered rows, high means out."""
    for kind in KINDS[:-1] if updates else ():
        found = log_density_ratio(*part.held, altered[kind][1], updates=updates, seed=seed)
        yield "density ratio", kind, -found[0], -found[1]
    if policies := oracle.policies_behind(data):
        own = -oracle.log_density(policies, *part.held)
        for kind in KINDS:
            yield "behaviour's density", kind, own, -oracle.log_density(policies, *altered[kind])


# -- stored ---------------------------------------------------------------------------------------------------------


def write(found: Mapping[str, Calibrated], sizes: Mapping[str, pd.DataFrame], out: Path) -> None:
    """Write calibrations by task: ``OUT.csv``, and ``OUT.json`` with what made them, curves and scales."""
    parts = [one.table.assign(task=task) for task, one in found.items()]
    facts: dict[str, dict] = {"made": dict(provenance(torch.device("cpu")))}
    for task, one in found.items():
        facts[task] = {
            "rows": list(one.rows),
            "episodes": one.episodes,
            "scales": {"/".join(key): float(value) for key, value in one.scales.items()},
            "hits": {"/".join(key): np.round(values, 4).tolist() for key, values in one.hits.items()},
            "curves": {"/".join(key): np.round(values, 4).tolist() for key, values in one.curves.items()},
            "by_rows": sizes[task].to_dict("list"),
        }
    with atomic(beside(out, ".csv")) as temporary:
        pd.concat(parts, ignore_index=True).to_csv(temporary, index=False, float_format="%.4f")
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps(facts, sort_keys=True).replace('}, "', '},\n"') + "\n")


def load(out: Path) -> tuple[dict[str, Calibrated], dict[str, pd.DataFrame], dict[str, str]]:
    """Return what `write` wrote: calibrations and `by_rows` by task, and what made them; empty where nothing is.

    Raises:
        RamacError: one of the two files is missing.
    """
    paths = [beside(out, suffix) for suffix in (".csv", ".json")]
    if not any(path.exists() for path in paths):
        return {}, {}, {}
    for path in paths:
        if not path.exists():
            raise RamacError(f"{path}: not there; `python -m support.ood.make calibrate` writes both files")
    table, facts = pd.read_csv(paths[0]).replace({"verdict": FORMERLY}), json.loads(paths[1].read_text())
    made = facts.pop("made")

    def keyed(values: Mapping[str, list]) -> dict:
        return {tuple(key.split("/")): np.array(value) for key, value in values.items()}

    found, sizes = {}, {}
    for task in table["task"].unique():
        own = facts[task]
        part = table[table["task"] == task].drop(columns="task").reset_index(drop=True)
        scales = {key: float(value) for key, value in keyed(own["scales"]).items()}
        found[task] = Calibrated(
            part, keyed(own["hits"]), keyed(own["curves"]), scales, tuple(own["rows"]), own["episodes"]
        )
        sizes[task] = pd.DataFrame(own["by_rows"])
    return found, sizes, made


# -- parts ----------------------------------------------------------------------------------------------------------


def _scale(make: Callable[[str], ood.Detector], kind: str) -> float:
    try:
        return make(kind).scale
    except RamacError:
        return np.nan


def _named(name: str, value: Estimate) -> dict[str, float]:
    return {name: value.value, f"{name}_low": value.low, f"{name}_high": value.high}


def _rates(groups: Episodes, there: Array, name: str, scales: Mapping[tuple[str, str], float]) -> dict:
    """Return shares beyond κ = 3 by each scale."""
    out: dict[str, float] = {}
    for kind in ood.SCALES:
        flagged = there > ood.KAPPA * scales[name, kind]
        out |= _named(kind, interval(*groups.share(flagged)))
    return out


def _told(groups: Episodes, own: Array, there: Array, threshold: float) -> dict:
    area = groups.auc(own, there)
    (rate, rates), (alarm, alarms) = groups.share(there > threshold), groups.share(own > threshold)
    return {**_named("auc", area), "verdict": judged(area, interval(rate - alarm, rates - alarms))}


def _hits(own: Array, there: Array) -> Float[Array, " P"]:
    edges = np.quantile(own, 1 - ALARMS)
    return np.array([(there > edge).mean() for edge in edges[:-1]] + [1.0])


def by_rows(data: Dataset, counts: Sequence[int], rows: int = 5_000, kind: str = "uniform") -> pd.DataFrame:
    """Return how the two 1-NN detectors change with the number of rows that they are fitted on, one line a number.

    Columns: ``detector rows scale alarms hits``: the median scale, and at κ = 3 the shares of held-out rows and of
    the same rows altered that are flagged.

    Args:
        counts: of rows drawn from those to fit on; at most all of them.
        rows: held out.

    Raises:
        RamacError: as `calibrate`.
    """
    part = split(data, rows)
    altered = alter(part, kind, np.random.default_rng(1))
    lines = []
    order = np.random.default_rng(2).permutation(len(part.fitted[0]))
    for count in sorted({min(count, len(order)) for count in counts}):
        drawn = np.sort(order[:count])
        fitted = Split((part.fitted[0][drawn], part.fitted[1][drawn]), part.held, part.episode)
        for name in DETECTORS[:2]:
            detector = makers(fitted, len(drawn))[name]("median")
            shares = [float(detector.flags(*pair).mean()) for pair in (part.held, altered)]
            line = (name, len(drawn), detector.scale, *shares)
            lines.append(dict(zip(("detector", "rows", "scale", "alarms", "hits"), line, strict=True)))
    return pd.DataFrame(lines)
