"""DAC-CVaR on a robot under the paper's hazard, with rows of chapter 5's campaign: the same data and lengths."""

from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from support.navigation.claims import NEUTRAL

FOLDER = "robot_neighbours"  # results.csv and results.json of a campaign
TASK, HAZARD = "hopper-medium-expert", "paper"
ROW, ONE = "dac-cvar", "dac-cvar:candidates=1"
BESIDE = ("radac", NEUTRAL, "rafmac", "diffusion-ql", "bc-diffusion")
STATISTICS = {"mean": "mean", "cvar": "CVaR₀.₁", "rate": "share of steps in violation"}
QUIET = {"mean": "mean, noise 0", "cvar": "CVaR₀.₁, noise 0"}
COMMAND = (
    f"ramac campaign --profile laptop --tasks {TASK} --hazards {HAZARD} \\\n"
    f"  --seeds 0 1 2 --steps 10000 --methods {ROW} {ONE} radac \\\n"
    "  --evaluations 10 --report-episodes 70 \\\n"
    f"  --out runs/{FOLDER}\n"
    f"mkdir -p data/results/{FOLDER}\n"
    f"cp runs/{FOLDER}/results.csv runs/{FOLDER}/results.json \\\n  data/results/{FOLDER}/"
)


def load(folder: Path | None = None) -> Evidence:
    """Return the stored campaign together with the neighbour's rows, and RADAC's episodes without sampler noise.

    Args:
        folder: of the results (default: ``data/results``).

    Raises:
        Missing: the row is not stored.
    """
    where = (data_folder() / "results" if folder is None else Path(folder)) / FOLDER
    if not (where / "results.csv").exists():
        raise Missing(f"No neighbour is stored yet for {TASK}; the command stands at this page's end.")
    return evidence.load(folder).beside(where, BESIDE)


def rows(found: Evidence) -> list[str]:
    """Return the rows that are stored, the neighbour's first."""
    main, others = found.rows(TASK, HAZARD)
    return [row for row in (ROW, ONE, *BESIDE) if row in (*main, *others)]


def differences(found: Evidence, statistic: str) -> dict[str, Estimate]:
    """Return the neighbour's statistic less each other row's."""
    own = found.sample(TASK, HAZARD, ROW)
    return {row: own.minus(found.sample(TASK, HAZARD, row), statistic) for row in rows(found) if row not in (ROW, ONE)}


def table(found: Evidence) -> pd.DataFrame:
    """Return each row's seeds and statistics with intervals, then those of the policies that made the data.

    Indexed by row, with an `Estimate` where a number has an interval.
    """
    played = {row: f"{row.partition('=')[2]} policy of the data" for row in found.played(TASK, HAZARD)["row"].unique()}
    lines = []
    for row in (*rows(found), *played):
        sample = found.sample(TASK, HAZARD, row)
        line: dict[str, Any] = {
            "method": played.get(row) or style(row).label,
            "seeds": "–" if row in played else str(sample.seeds),
        }
        line |= {head: sample.estimate(key) for key, head in STATISTICS.items()}
        if (silent := quiet(found, row)) is not None:
            line |= {head: silent.estimate(key) for key, head in QUIET.items()}
        lines.append(line)
    return pd.DataFrame(lines, index=pd.Index([*rows(found), *played]))


def again(folder: Path | None = None) -> Sample | None:
    """Return the report of RADAC as trained once more beside the neighbour, as deployed; None where it is not stored.

    Its policies are those of `quiet`, on the neighbour's data; chapter 5's had another rollout of the same recipe.
    """
    where = (data_folder() / "results" if folder is None else Path(folder)) / FOLDER
    part = results.load("results", where)[0]
    part = part[(part["method"] == "radac") & (part["purpose"] == "report")]
    return Sample(part, "radac, again") if len(part) else None


def quiet(found: Evidence, row: str = ROW) -> Sample | None:
    """Return a row's report played without sampler noise, one action a state; None where it is not stored."""
    part = found.silent
    part = part[(part["task"] == TASK) & (part["hazard"] == HAZARD) & (part["row"] == row)]
    part = part[part["purpose"] == "report"]
    return Sample(part, f"{TASK} {HAZARD} {row} silent") if len(part) else None
