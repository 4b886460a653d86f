"""The neighbours on a robot's data without a hazard, compared with a clone: whether they learn at all."""

from pathlib import Path

import pandas as pd

from ramac_lib.analysis import summary
from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results

NAME, BEFORE = "hazard_free_neighbours", "hazard_free"  # the latter: chapter 5a's methods
CLONE = "bc-diffusion"
BESIDE = ("radac", "rafmac")
DENSITY, ONE = (
    "cped:q_from=1.0",
    "dac-cvar:candidates=1",
)  # why two neighbours are below the clone: without Q; one action
COMMAND = f"""\
clean() {{
  run="runs/clean/$1${{2:+-$2}}"
  ramac train --method $1 --task hopper-medium-expert --hazard none --seeds 0 1 \\
    --steps 5000 --episodes 0 ${{2:+--set $2}} --out "$run"
  ramac evaluate "$run" --episodes 100
}}
for method in dac qdq cped dac-cvar rs-diffuser; do clean $method; done
clean cped q_from=1
clean dac-cvar candidates=1
ramac gather runs/clean/* --out data/results/{NAME}"""


def load(folder: Path | None = None) -> pd.DataFrame:
    """Return a row for each neighbour, for two methods of the paper and for the clone: mean and CVaR with intervals.

    Indexed by row; columns of `summary.summary`, and ``verdict``: by the rule of chapter 5a, a method is *below* or
    *above* the clone where the 95 % bootstrap intervals of their means do not overlap.

    Args:
        folder: of the stored tables (default: ``data/results``).

    Raises:
        Missing: the neighbours are not stored.
    """
    where = Path(folder) if folder else data_folder() / "results"
    if not (where / f"{NAME}.csv").exists():
        raise Missing("No neighbour is stored on data without a hazard; the command stands in the README.")
    own = results.load(NAME, where, level=None)[0]
    before = results.load(BEFORE, where)[0]
    plain = before["options"].isna() | before["options"].eq("")
    before = before[before["method"].isin((CLONE, *BESIDE)) & plain]
    both = pd.concat([own, before], ignore_index=True)
    rows = summary.summary(both[both["purpose"] == "report"], intervals=True)
    rows.index = pd.Index([m + (f":{o}" if o else "") for m, o in zip(rows["method"], rows["options"], strict=True)])
    rows = rows.sort_values("mean", ascending=False)
    clone = rows.loc[CLONE]
    below, above = rows["mean_high"] < clone["mean_low"], rows["mean_low"] > clone["mean_high"]
    return rows.assign(verdict=[judged(*sides) for sides in zip(below, above, strict=True)])


def quiet(row: str, folder: Path | None = None) -> Sample:
    """Return a neighbour's episodes without sampler noise, by row as `load` has it.

    Raises:
        Missing: it was not played so.
    """
    own = results.load(NAME, Path(folder) if folder else data_folder() / "results", level=0)[0]
    method, _, options = row.partition(":")
    part = own[(own["purpose"] == "report") & (own["method"] == method) & (own["options"].fillna("") == options)]
    if part.empty:
        raise Missing(f"{row} was not played without sampler noise.")
    return Sample(part, f"{NAME} {row} silent")


def judged(below: bool, above: bool) -> str:
    """Return on which side of the clone's interval a row's lies."""
    return "below" if below else "above" if above else "overlaps"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows for the page, indexed by row, with an `Estimate` where a number has an interval."""
    columns = {
        name: [Estimate(r[c], r[f"{c}_low"], r[f"{c}_high"]) for _, r in rows.iterrows()]
        for name, c in {"mean": "mean", "CVaR₀.₁": "CVaR_0.1"}.items()
    }
    verdicts = ["–" if method == CLONE else verdict for method, verdict in rows["verdict"].items()]
    steps = rows["length"].map("{:.0f}".format).to_list()
    named = {"method": [style(str(m)).label for m in rows.index]}
    return pd.DataFrame({**named, **columns, "steps": steps, "compared with the clone": verdicts}, index=rows.index)
