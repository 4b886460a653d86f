"""DAC-CVaR on a robot under the paper's hazard, with rows of chapter 5's campaign: the same data and lengths."""

from pathlib import Path

import pandas as pd

from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from support.navigation.claims import NEUTRAL
from support.navigation.tables import text

FOLDER = "robot_neighbours"  # results.csv and results.json of a campaign
TASK, HAZARD = "hopper-medium-expert", "paper"
ROW = "dac-cvar"
BESIDE = ("radac", NEUTRAL, "rafmac", "diffusion-ql", "bc-diffusion")
STATISTICS = {"mean": "mean [95 %]", "cvar": "CVaR₀.₁ [95 %]", "rate": "share of steps in violation"}
COMMAND = (
    f"ramac campaign --profile laptop --tasks {TASK} --hazards {HAZARD} \\\n"
    f"  --seeds 0 1 2 --steps 10000 --methods {ROW} --evaluations 10 --report-episodes 70 \\\n"
    f"  --out runs/{FOLDER}\n"
    f"mkdir -p data/results/{FOLDER}\n"
    f"cp runs/{FOLDER}/results.csv runs/{FOLDER}/results.json \\\n  data/results/{FOLDER}/"
)


def load(folder: Path | None = None) -> Evidence:
    """Return the stored campaign together with the neighbour's row.

    Args:
        folder: of the results (default: ``data/results``).

    Raises:
        Missing: the row is not stored.
    """
    where = (data_folder() / "results" if folder is None else Path(folder)) / FOLDER
    if not (where / "results.csv").exists():
        raise Missing(f"No neighbour is stored yet for {TASK}; the command stands at this page's end.")
    return evidence.load(folder).beside(where)


def rows(found: Evidence) -> list[str]:
    """Return the rows that are stored, the neighbour first."""
    main, others = found.rows(TASK, HAZARD)
    return [row for row in (ROW, *BESIDE) if row in (*main, *others)]


def differences(found: Evidence, statistic: str) -> dict[str, Estimate]:
    """Return the neighbour's statistic less each other row's."""
    own = found.sample(TASK, HAZARD, ROW)
    return {row: own.minus(found.sample(TASK, HAZARD, row), statistic) for row in rows(found) if row != ROW}


def table(found: Evidence) -> pd.DataFrame:
    """Return each row's seeds and statistics with intervals, then those of the policies that made the data."""
    played = {row: f"{row.partition('=')[2]} policy of the data" for row in found.played(TASK, HAZARD)["row"].unique()}
    lines = []
    for row in (*rows(found), *played):
        sample = found.sample(TASK, HAZARD, row)
        line = {"method": played.get(row) or style(row).label, "seeds": "–" if row in played else str(sample.seeds)}
        line |= {head: text(sample.estimate(key), 2 * (key == "rate")) for key, head in STATISTICS.items()}
        lines.append(line)
    return pd.DataFrame(lines)


def quiet(found: Evidence) -> Sample:
    """Return the neighbour's report played without sampler noise: one action a state, not the best of ten."""
    part = found.silent
    here = (part["task"] == TASK) & (part["hazard"] == HAZARD) & (part["row"] == ROW) & (part["purpose"] == "report")
    return Sample(part[here], f"{TASK} {HAZARD} {ROW} silent")
