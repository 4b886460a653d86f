"""The neighbours on a robot under the paper's hazard, with RADAC and a clone, all trained on the same data."""

from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results, unseen
from support.ood import reports

FOLDER = "robot_neighbours"  # results.csv and results.json of a campaign
TASK, HAZARD = "hopper-medium-expert", "paper"
ROW, ONE = "dac-cvar", "dac-cvar:candidates=1"
TIGHT = "cped:coverage=0.05"  # chosen among .05, .25 and .5 on seeds 100 and 101, 10,000 updates
NEIGHBOURS = ("dac", ROW, ONE, "qdq", "cped", TIGHT, "rs-diffuser")
CLONE = "bc-diffusion"
BESIDE = ("radac", CLONE)
STATISTICS = {"mean": "mean", "cvar": "CVaR₀.₁", "rate": "share of steps in violation"}
QUIET = {"mean": "mean, noise 0", "cvar": "CVaR₀.₁, noise 0"}
OOD = "OOD %"
DETECTOR = 1  # of chapter 7's, on state and action
COMMAND = (
    f"ramac campaign --profile laptop --tasks {TASK} --hazards {HAZARD} \\\n"
    f"  --seeds 0 1 2 --steps 10000 --evaluations 10 --report-episodes 70 \\\n"
    f"  --out runs/{FOLDER} --methods \\\n  {' '.join((*NEIGHBOURS, *BESIDE))}\n"
    f"mkdir -p data/results/{FOLDER}\n"
    f"cp runs/{FOLDER}/results.csv runs/{FOLDER}/results.json \\\n  data/results/{FOLDER}/"
)


def load(folder: Path | None = None) -> Evidence:
    """Return the stored rows, and the policies that made the data.

    Args:
        folder: of the results (default: ``data/results``).

    Raises:
        Missing: no row is stored.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not results.is_there("results", folder / FOLDER):
        raise Missing(f"No neighbour is stored yet for {TASK}; the command stands at this page's end.")
    behaviour = evidence.load(folder).behaviour.drop(columns="row")
    return evidence.make(*results.load("results", folder / FOLDER, level=None), behaviour)


def rows(found: Evidence) -> list[str]:
    """Return the rows that are stored, the neighbours' first."""
    there = {row for part in found.rows(TASK, HAZARD) for row in part}
    return [row for row in (*NEIGHBOURS, *BESIDE) if row in there]


def sample(found: Evidence, row: str) -> Sample:
    """Return a row's report as deployed."""
    return found.sample(TASK, HAZARD, row)


def quiet(found: Evidence, row: str = ROW) -> Sample | None:
    """Return a row's report played without sampler noise, one action a state; None where it is not stored."""
    part = found.silent
    part = part[(part["task"] == TASK) & (part["hazard"] == HAZARD) & (part["row"] == row)]
    part = part[part["purpose"] == "report"]
    return Sample(part, f"{TASK} {HAZARD} {row} silent") if len(part) else None


def out_of_data(found: Evidence, row: str) -> Estimate | None:
    """Return how many percent of a row's actions lie out of the data by `DETECTOR`; None where that is not stored."""
    episodes = found.report(TASK, HAZARD)
    episodes = episodes[episodes["row"] == row].assign(**{n: pd.to_numeric(episodes[n]) for n in unseen.NAMES})
    if episodes[unseen.NAMES[DETECTOR]].isna().all():
        return None
    rate = reports.rate(episodes, f"{TASK} {HAZARD} {row}").estimate(DETECTOR)
    return Estimate(*(100 * number for number in (rate.value, rate.low, rate.high)))


def first_and_last(found: Evidence, row: str) -> tuple[tuple[int, float], tuple[int, float]]:
    """Return step and mean return, over seeds, of the best evaluation while a row was trained, and of the last."""
    curve = found.curve(TASK, HAZARD)
    means = curve[curve["row"] == row].groupby("step")["return"].mean()
    both = [(int(step), float(value)) for step, value in zip(means.index, means, strict=True)]
    return max(both, key=lambda pair: pair[1]), max(both)


def training(row: str, folder: Path | None = None) -> pd.DataFrame:
    """Return means over seeds by step from a CPED row's ``metrics.csv``: ``surprise gap multiplier policy_value``.

    The gap is the mean of −log p less its bound, the value the critics' of the policy's actions.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    table = pd.read_csv(folder / FOLDER / "cped_training.csv")
    return table[table["row"] == row].drop(columns=["row", "seed"]).groupby("step").mean()


def differences(found: Evidence, statistic: str, rival: str = "radac", noisy: bool = True) -> dict[str, Estimate]:
    """Return by how much each neighbour's statistic lies above a rival's.

    Args:
        noisy: as deployed; else without sampler noise, for the rows that were played so.
    """
    gaps = {}
    for row in [row for row in rows(found) if row in NEIGHBOURS]:
        one, other = ((sample if noisy else quiet)(found, name) for name in (row, rival))
        if one is not None and other is not None:
            gaps[row] = one.minus(other, statistic)
    return gaps


def grouped(gaps: dict[str, Estimate]) -> dict[int, list[str]]:
    """Return the labels of rows whose difference is above zero (1), below (−1), or not shown to be either (0)."""
    return {sign: [style(row).label for row, gap in gaps.items() if gap.sign == sign] for sign in (1, -1, 0)}


def table(found: Evidence) -> pd.DataFrame:
    """Return each row's seeds and statistics with intervals, then those of the policies that made the data.

    Indexed by row, with an `Estimate` where a number has an interval.
    """
    played = {row: f"{row.partition('=')[2]} policy of the data" for row in found.played(TASK, HAZARD)["row"].unique()}
    lines = []
    for row in (*rows(found), *played):
        own = sample(found, row)
        line: dict[str, Any] = {
            "method": played.get(row) or style(row).label,
            "seeds": "–" if row in played else str(own.seeds),
        }
        line |= {head: own.estimate(key) for key, head in STATISTICS.items()}
        if row not in played:
            line |= {OOD: out_of_data(found, row)}
        if (silent := quiet(found, row)) is not None:
            line |= {head: silent.estimate(key) for key, head in QUIET.items()}
        lines.append(line)
    return pd.DataFrame(lines, index=pd.Index([*rows(found), *played]))
