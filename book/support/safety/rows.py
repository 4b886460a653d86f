"""Methods with a limit on the cost on risky navigation, as stored, beside methods of the tail and clones (chapter 8b).

``data/results/navigation_safety`` has the reports of the former, ``data/results/navigation`` those of chapter 3b. The
cost of an episode is its number of steps inside the danger. A row keeps its limit where the 95 % interval of its mean
cost over the seeds lies at or below κ, breaks it where the interval lies above, and is inconclusive else.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import TRUTH, style
from ramac_lib.datasets import load as load_data
from ramac_lib.datasets.relabel import with_costs
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.tasks import get_task
from ramac_lib.methods.shared.limits import episode_costs
from support.evidence.words import span
from support.navigation import stored
from support.navigation.stored import Measured
from support.safety.frontier import Corner, by_limit

TASK, HAZARD = "navigation-obstacle-mixed", "rare"
NAME = "navigation_safety"
TAIL = "CVaR₀.₁"
SHARE = 0.1  # of the behaviour's mean cost: κ
PRICED = "radac-cost:cost_weight=3.0"  # what the rule takes of the sweep (`price_of`)
ROWS = ("bc-safe", "iql", "r2pac", "fisor", "caps", "cpq", "coptidice", "cdt", "trebi", PRICED)
UNTOLD = ("iql", "fisor", "r2pac", PRICED)  # no limit enters them, at their defaults
# What the public code or another reading does: option → the settings as results name them.
OPTIONS = ("coptidice:threshold=sum", "cpq:ood_gradient=False", "r2pac:penalty=paper", "r2pac:region=limit")
SWEEP, PRICES = "navigation_safety_sweep", (0.3, 1.0, 3.0, 10.0)  # λ of RADAC on r − λc, on seeds 100 and 101
BESIDE = ("radac", "radac:risk=neutral", "oraac", "bc-gaussian", "bc-diffusion")
COMMAND = (
    f"ramac campaign --tasks {TASK} --hazards {HAZARD} --seeds 0 1 2 3 4 \\\n"
    "  --steps 4000 --size 20000 --evaluations 5 --episodes 20 --report-episodes 100 \\\n"
    f"  --out runs/{NAME} \\\n  --methods {' '.join(ROWS)} \\\n  {' '.join(OPTIONS)}\n"
    f"ramac campaign --out runs/{NAME} --export data/results/{NAME}\n"
    f"ramac campaign --tasks {TASK} --hazards {HAZARD} --seeds 100 101 \\\n"
    "  --steps 2000 --size 20000 --evaluations 5 --episodes 20 --report-episodes 50 \\\n"
    f"  --out runs/{SWEEP} \\\n  --methods radac-cost:cost_weight={{{','.join(f'{price:g}' for price in PRICES)}}}\n"
    f"ramac campaign --out runs/{SWEEP} --export data/results/{SWEEP}"
)


@cache
def behaviour_cost(task: str = TASK, hazard: str = HAZARD) -> float:
    """Return the mean cost of the data's episodes."""
    found = get_task(task)
    return float(episode_costs(with_costs(load_data(found), get_hazard(hazard, found))).mean())


def load(folder: Path | None = None) -> tuple[Measured, Measured]:
    """Return the stored methods with a limit, and the rows of chapter 3b.

    Raises:
        Missing: there are none of the former.
    """
    own = stored.load(NAME, folder)
    if own.reports.empty:
        raise Missing(f"No methods with a limit are stored yet for {TASK}; the command stands at this page's end.")
    return own, stored.load(folder=folder)


def verdict(cost: Estimate, limit: float) -> str:
    """Return whether a row keeps the limit."""
    if not np.isfinite(cost.low):
        return "one seed"
    return "keeps" if cost.high <= limit else "breaks" if cost.low > limit else "inconclusive"


def places(own: Measured, beside: Measured) -> dict[str, tuple[Measured, str]]:
    """Return row → where it is stored, and its name there; `ROWS`, then `BESIDE`, without those that are not stored."""
    found = {row: (own, row) for row in ROWS if row in own.rows(TASK, HAZARD)}
    return found | {row: (beside, row) for row in BESIDE if row in beside.rows(TASK, HAZARD)}


def table(own: Measured, beside: Measured, limit: float) -> pd.DataFrame:
    """Return each row's cost, whether it keeps the limit, its mean and CVaR_0.1, and how many episodes arrive.

    Indexed by row, with an `Estimate` where a number has an interval.
    """
    lines = []
    for row, (found, name) in places(own, beside).items():
        cost = found.estimate(name, "steps_inside", TASK, HAZARD)
        lines.append({
            "method": style(row).label, "seeds": len(found.at(name, TASK, HAZARD)), "cost": cost,
            "limit": verdict(cost, limit) if row in ROWS and row not in UNTOLD else "–",
            "mean": found.estimate(name, "mean", TASK, HAZARD), TAIL: found.estimate(name, "cvar", TASK, HAZARD),
            "arrive": f"{found.at(name, TASK, HAZARD)['reached'].mean():.2f}",
        })  # fmt: skip
    return pd.DataFrame(lines, index=pd.Index(list(places(own, beside))))


def options(own: Measured, limit: float) -> pd.DataFrame:
    """Return `OPTIONS`, each after the method's own row: cost, the limit, mean and CVaR_0.1, arrivals.

    Raises:
        Missing: none of them is stored.
    """
    there = [row for row in OPTIONS if row in own.rows(TASK, HAZARD)]
    if not there:
        raise Missing("No rows of the public code's options are stored yet; the command stands at this page's end.")
    lines = []
    rows = list(dict.fromkeys(name for option in there for name in (method_of(option), option)))
    for row in rows:
        at, cost = own.at(row, TASK, HAZARD), own.estimate(row, "steps_inside", TASK, HAZARD)
        told = row not in UNTOLD and row != "r2pac:penalty=paper"
        lines.append({
            "method": style(row).label, "cost": cost, "limit": verdict(cost, limit) if told else "–",
            "mean": own.estimate(row, "mean", TASK, HAZARD), TAIL: own.estimate(row, "cvar", TASK, HAZARD),
            "arrive": f"{at['reached'].mean():.2f}",
        })  # fmt: skip
    return pd.DataFrame(lines, index=pd.Index(rows))


def effect(own: Measured, option: str, column: str) -> Estimate:
    """Return by how much a column's mean over seeds is larger with an option than in the method's own row.

    Raises:
        Missing: one of the two is not stored.
    """
    return own.minus(option, method_of(option), column, TASK, HAZARD)


def scale(found: Measured, chosen: Sequence[str]) -> str:
    """Return how rows were made, for a caption: seeds, updates, episodes; a range where rows differ.

    Raises:
        Missing: none of them is stored.
    """
    own = found.reports
    own = own[(own["task"] == TASK) & (own["hazard"] == HAZARD) & own["row"].isin(list(chosen))] if len(own) else own
    if own.empty:
        raise Missing(f"None of {', '.join(chosen)} is stored.")
    seeds = own.groupby("row")["seed"].nunique()
    told = [f"{span(int(seeds.min()), int(seeds.max()))} seeds"]
    for column, words in (("step", "updates"), ("episodes", "episodes a seed")):
        told.append(f"{span(int(own[column].min()), int(own[column].max()))} {words}")
    return ", ".join(told)


def prices(folder: Path | None = None) -> pd.DataFrame:
    """Return the sweep of λ: mean cost, mean, CVaR_0.1 and arrivals over its seeds, by λ.

    Raises:
        Missing: it is not stored.
    """
    swept, lines = stored.load(SWEEP, folder), {}
    for price in PRICES:
        row = "radac-cost" if price == 1 else f"radac-cost:cost_weight={price}"
        if row in swept.rows(TASK, HAZARD):
            at = swept.at(row, TASK, HAZARD)
            lines[price] = {c: float(at[c].mean()) for c in ("steps_inside", "mean", "cvar", "reached")}
    if not lines:
        raise Missing("The sweep of λ is not stored yet; the command stands at this page's end.")
    return pd.DataFrame.from_dict(lines, orient="index")


def price_of(swept: pd.DataFrame, limit: float) -> float:
    """Return the λ that the rule takes: the least whose mean cost keeps the limit; else that of the least cost."""
    keeps = swept.index[swept["steps_inside"] <= limit]
    return float(str(keeps.min() if len(keeps) else swept["steps_inside"].idxmin()))


def best_tail(own: Measured, beside: Measured, rival: str = "radac") -> tuple[str, Estimate, Estimate]:
    """Return the row of `ROWS` with the highest CVaR_0.1 among those that arrive, it, and how far above the rival's.

    A row arrives where nine episodes of ten reach the goal.

    Raises:
        Missing: no row arrives, or the rival is not stored.
    """
    there = [row for row in ROWS if row in own.rows(TASK, HAZARD)]
    arriving = [row for row in there if own.at(row, TASK, HAZARD)["reached"].mean() >= 0.9]
    if not arriving:
        raise Missing("No stored method with a limit arrives in nine episodes of ten.")
    cvars = {row: own.at(row, TASK, HAZARD)["cvar"].to_numpy(float) for row in arriving}
    best = max(cvars, key=lambda row: cvars[row].mean())
    other = beside.at(rival, TASK, HAZARD)["cvar"].to_numpy(float)
    return best, stored.mean_of(cvars[best]), stored.difference_of(cvars[best], other)


def missing(own: Measured) -> list[str]:
    """Return the labels of rows of `ROWS` that are not stored."""
    return [style(row).label for row in ROWS if row not in own.rows(TASK, HAZARD)]


def draw(own: Measured, beside: Measured, corners: Sequence[Corner], limit: float, lowest: float = -35.0) -> Figure:
    """Draw every row's mean and CVaR_0.1 against its cost, with the exact frontier under a limit on the mean cost.

    Rows whose value lies below `lowest` are drawn at the lower edge, with an arrow.
    """
    figure, panels = plt.subplots(1, 2, figsize=(8.6, 3.9), sharex=True, layout="constrained")
    exact = by_limit(corners, [float(x) for x in np.linspace(0, corners[-1].cost, 81)])
    for axes, column, label in zip(
        panels, ("mean", "cvar"), ("mean return", "CVaR$_{0.1}$ of the return"), strict=True
    ):
        axes.plot(exact["cost"], exact[column], color=TRUTH, label="best mean under a limit, exactly")
        axes.axvline(limit, color="0.6", linewidth=0.8, linestyle=":")
        for row, (found, name) in places(own, beside).items():
            look = style(row)
            across, up = (found.estimate(name, c, TASK, HAZARD) for c in ("steps_inside", column))
            low = up.value < lowest
            spans = [[[max(0.0, e.value - e.low)], [max(0.0, e.high - e.value)]] for e in (across, up)]
            finite = [span if np.isfinite(span).all() else None for span in spans]
            axes.errorbar(
                across.value, lowest if low else up.value, xerr=finite[0], yerr=None if low else finite[1],
                color=look.colour, marker="v" if low else look.marker, markersize=7, linestyle="none", linewidth=0.9,
                label=look.label, alpha=1.0 if row in ROWS else 0.6,
            )  # fmt: skip
        axes.set(xlabel="cost: steps inside the danger, an episode", ylabel=label, ylim=(lowest - 1, -5))
        axes.set_xlim(-0.3, 10)  # intervals of policies that are lost go on to the right
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=8, frameon=False)
    return figure
