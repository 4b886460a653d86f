"""The neighbours on a robot's data without a hazard, compared with a clone: whether they learn at all."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from ramac_lib.analysis import summary
from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.style import BAND, style
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results

NAME, BEFORE = "hazard_free_neighbours", "hazard_free"  # the latter: chapter 5a's methods
CLONE = "bc-diffusion"
BESIDE = ("radac", "rafmac")


def load(folder: Path | None = None) -> pd.DataFrame:
    """Return a row for each neighbour, for two methods of the paper and for the clone: mean and CVaR with intervals.

    Columns of `summary.summary`, and ``verdict``: by the rule of chapter 5a, a method is *below* or *above* the clone
    where the 95 % bootstrap intervals of their means do not overlap.

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
    rows = summary.summary(both[both["purpose"] == "report"], intervals=True).set_index("method")
    rows = rows.sort_values("mean", ascending=False)
    clone = rows.loc[CLONE]
    below, above = rows["mean_high"] < clone["mean_low"], rows["mean_low"] > clone["mean_high"]
    return rows.assign(verdict=[judged(*sides) for sides in zip(below, above, strict=True)])


def judged(below: bool, above: bool) -> str:
    """Return on which side of the clone's interval a row's lies."""
    return "below" if below else "above" if above else "overlaps"


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows for the page."""
    with_interval = {"mean [95 %]": "mean", "CVaR₀.₁ [95 %]": "CVaR_0.1"}
    columns = {
        name: [f"{r[c]:.0f} [{r[f'{c}_low']:.0f}, {r[f'{c}_high']:.0f}]" for _, r in rows.iterrows()]
        for name, c in with_interval.items()
    }
    verdicts = ["–" if method == CLONE else verdict for method, verdict in rows["verdict"].items()]
    steps = rows["length"].map("{:.0f}".format).to_list()
    return pd.DataFrame(
        {"method": [style(m).label for m in rows.index], **columns, "steps": steps, "compared with the clone": verdicts}
    )


def draw(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw each row's mean with its interval, the clone's as a band."""
    low, high = rows.loc[[CLONE], ["mean_low", "mean_high"]].to_numpy(float)[0]
    axes.axvspan(low, high, color=BAND, alpha=0.15, linewidth=0)
    for place, (method, row) in enumerate(rows[::-1].iterrows()):
        look = style(str(method))
        error = [[row["mean"] - row["mean_low"]], [row["mean_high"] - row["mean"]]]
        axes.errorbar(row["mean"], place, xerr=error, color=look.colour, marker=look.marker, capsize=3)
    axes.set_yticks(range(len(rows)), [style(str(method)).label for method in rows.index[::-1]])
    axes.set_xlabel("mean return")
