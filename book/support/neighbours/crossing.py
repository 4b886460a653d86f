"""The neighbours on risky navigation, as stored, beside RADAC and the optimum; RS-Diffuser as its dial is turned.

``data/results/navigation_neighbours`` has the reports of the neighbours, and the episodes of RS-Diffuser at other
levels of its dial (``purpose`` ``dial``, the level in ``alpha``); ``data/results/navigation`` the rows of chapter 3b.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import SAFE, TRUTH, style
from ramac_lib.envs.maps import MAPS
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from ramac_lib.training.evaluators import DIAL
from support.navigation import figures, measured, optima, stored, tables
from support.navigation.choice import LEVELS
from support.navigation.claims import NEUTRAL, RARE, TASK
from support.navigation.stored import Measured, mean_of

NAME = "navigation_neighbours"
LONGER, TIMES = "navigation_longer", 3  # rows that still had a trend, trained so many times as long
ROWS = ("dac", "dac-cvar", "dac-cvar:candidates=1", "qdq", "qdq:model=quantiles", "cped", "rs-diffuser")
BESIDE = ("radac", NEUTRAL, "rafmac", "diffusion-ql", "bc-diffusion")
MAP = "obstacle"
TURNED = (0.1, 0.5, 0.75, 0.9, 1.0, 1.5, 1.9)  # levels of the dial; above 1 it seeks risk
PLANNER = "rs-diffuser"
TAIL = "CVaR₀.₁"
COLUMNS = ("mean", "cvar", "through", "reached")
COMMAND = (
    "for seeds in '0 1 2 3 4' '5 6 7 8 9'; do\n"
    f'  out="runs/{NAME}-${{seeds%% *}}"\n'
    f"  ramac campaign --tasks {TASK} --hazards {RARE} --seeds $seeds \\\n"
    "    --steps 4000 --size 20000 --evaluations 10 --episodes 20 --report-episodes 100 \\\n"
    f'    --out "$out" --methods \\\n    {" ".join(ROWS[:4])} \\\n    {" ".join(ROWS[4:])}\n'
    f'  ramac evaluate "$out/cells/{TASK}.{RARE}.{PLANNER}" \\\n'
    f"    --episodes 500 --risk-levels {' '.join(f'{level:g}' for level in TURNED)}\n"
    '  ramac campaign --out "$out" --resume\n'
    f'  ramac campaign --out "$out" --export data/results/{NAME}\n'
    "done\n"
    f"ramac campaign --tasks {TASK} --hazards {RARE} --seeds 0 1 2 3 4 5 6 7 8 9 \\\n"
    f"  --steps {TIMES * 4000} --size 20000 --evaluations 10 --episodes 20 --report-episodes 100 \\\n"
    f"  --out runs/{LONGER} --methods cped\n"
    f"ramac campaign --out runs/{LONGER} --export data/results/{LONGER}"
)


def load(folder: Path | None = None, level: int = 1) -> tuple[Measured, Measured]:
    """Return the stored neighbours, and the rows of chapter 3b.

    Args:
        level: of sampler noise: 1 as deployed; at 0 a policy has one action in each state, and chooses among none.

    Raises:
        Missing: there are none of the former.
    """
    own = stored.load(NAME, folder, level)
    if own.reports.empty:
        raise Missing(f"No neighbours are stored yet for {TASK}; the command stands at this page's end.")
    return own, stored.load(folder=folder, level=level)


def longer(own: Measured, folder: Path | None = None) -> pd.DataFrame:
    """Return the rows that were trained `TIMES` as long, and how far that moved them.

    Returns:
        Indexed by row: columns ``updates``, ``settled`` (by the rule of `stored.settled`), and as `Estimate` ``mean``,
        ``cvar``, ``mean_moved``, ``cvar_moved``: the longer training's less that of `own`. Empty where none is stored.
    """
    found = stored.load(LONGER, folder)
    there = found.rows(TASK, RARE)
    lines = {}
    for row, trends in stored.settled(found, there, TASK, RARE).iterrows():
        at = found.at(str(row), TASK, RARE)
        line: dict[str, Any] = {"updates": int(at["step"].max()), "settled": trends["settled"]}
        for column in ("mean", "cvar"):
            before = own.at(str(row), TASK, RARE)[column].to_numpy(float)
            line[column] = found.estimate(str(row), column, TASK, RARE)
            line[f"{column}_moved"] = stored.difference_of(at[column].to_numpy(float), before)
        lines[row] = line
    return pd.DataFrame.from_dict(lines, orient="index")


def places(own: Measured, beside: Measured) -> dict[str, Measured]:
    """Return row → where it is stored: `ROWS`, then `BESIDE`, without those that are not stored."""
    found = {row: own for row in ROWS if row in own.rows(TASK, RARE)}
    return found | {row: beside for row in BESIDE if row in beside.rows(TASK, RARE)}


def missing(own: Measured, beside: Measured) -> list[str]:
    """Return the labels of rows that are not stored."""
    there = places(own, beside)
    return [style(row).label for row in (*ROWS, *BESIDE) if row not in there]


def table(own: Measured, beside: Measured, silent: tuple[Measured, Measured] | None = None) -> pd.DataFrame:
    """Return each row's exact mean and CVaR_0.1, its routes, arrivals, and actions out of the data's support (OOD).

    Indexed by row, with an `Estimate` where a number has an interval.

    Args:
        silent: of `load` at level 0, whose CVaR is a further column.
    """
    lines = []
    without = places(*silent) if silent else {}
    for row, found in places(own, beside).items():
        at = found.at(row, TASK, RARE)
        line: dict[str, Any] = {"method": style(row).label, "seeds": len(at)}
        line |= {name: found.estimate(row, c, TASK, RARE) for name, c in (("mean", "mean"), (TAIL, "cvar"))}
        line["left / through / right"] = " / ".join(f"{at[route].mean():.2f}" for route in tables.ROUTES)
        line |= {
            name: found.estimate(row, c, TASK, RARE) for name, c in (("collided", "collided"), ("OOD", "off_support"))
        }
        line["arrive"] = f"{at['reached'].mean():.2f}"
        if row in without:
            line[f"{TAIL}, noise 0"] = without[row].estimate(row, "cvar", TASK, RARE)
        lines.append(line)
    return pd.DataFrame(lines, index=pd.Index(list(places(own, beside))))


def draw(own: Measured, beside: Measured, lowest: float = -45.0) -> Figure:
    """Draw every row's mean and CVaR_0.1 with their intervals beside the exact plans, without rows that lie lower."""
    there = places(own, beside)
    points = {row: tuple(f.estimate(row, c, TASK, RARE) for c in ("mean", "cvar")) for row, f in there.items()}
    shown: Any = {row: both for row, both in points.items() if both[1].value >= lowest}
    return figures.frontier(own.optimum, MAPS[MAP], RARE, shown)


def lower(own: Measured, beside: Measured, lowest: float = -45.0) -> list[str]:
    """Return the labels of rows that `draw` leaves out."""
    there = places(own, beside)
    return [style(row).label for row, f in there.items() if f.estimate(row, "cvar", TASK, RARE).value < lowest]


def compared(own: Measured, beside: Measured, column: str = "cvar", rival: str = "radac") -> dict[str, Estimate]:
    """Return, for each stored neighbour, by how much a column's mean over seeds lies above a rival's.

    Raises:
        Missing: the rival is not stored.
    """
    other = beside.at(rival, TASK, RARE)[column].to_numpy(float)
    return {
        row: stored.difference_of(own.at(row, TASK, RARE)[column].to_numpy(float), other)
        for row in ROWS
        if row in own.rows(TASK, RARE)
    }


def round_it(found: Measured, row: str) -> tuple[int, int]:
    """Return of how many seeds most episodes take a way round the danger, and of how many there are.

    Raises:
        Missing: the row is not stored.
    """
    at = found.at(row, TASK, RARE)
    return int((at["left"] + at["right"] > 0.5).sum()), len(at)


def turned(folder: Path | None = None) -> dict[float, pd.DataFrame]:
    """Return level → RS-Diffuser's exact numbers at that level of its dial, a line a seed.

    Raises:
        Missing: no such episodes are stored.
    """
    folder = data_folder() / "results" if folder is None else folder
    rows = pd.DataFrame()
    if results.is_there(NAME, folder):
        whole, _ = results.load(NAME, folder)
        rows = whole[(whole["purpose"] == DIAL) & (whole["method"] == PLANNER)]
    if rows.empty:
        raise Missing("RS-Diffuser's dial is not stored yet; the command stands at this page's end.")
    optimum = optima.load()[0]
    return {
        float(str(level)): measured.beside(part, optimum).set_index("seed").sort_index()
        for level, part in rows.groupby("alpha")
    }


def dial(planner: Mapping[float, pd.DataFrame], beside: Measured) -> pd.DataFrame:
    """Return, level by level, RS-Diffuser, the RADAC trained at it where one is stored, and the exact plan.

    Returns:
        Columns ``level who`` and, as `Estimate`, ``mean cvar through reached``; ``who`` is a row or ``exact``.
    """
    lines: list[dict[str, Any]] = []
    for level, at in sorted(planner.items()):
        lines.append({"level": level, "who": PLANNER} | {c: mean_of(at[c].to_numpy(float)) for c in COLUMNS})
    for level, row in LEVELS.items():
        if row in beside.rows(TASK, RARE):
            own = beside.at(row, TASK, RARE)
            lines.append({"level": level, "who": "radac"} | {c: mean_of(own[c].to_numpy(float)) for c in COLUMNS})
    plans = beside.optimum[(beside.optimum["map"] == MAP) & (beside.optimum["preset"] == RARE)]
    for _, plan in plans[plans["criterion"].isin(("static", "neutral"))].sort_values("alpha").iterrows():
        exact = {"mean": plan["mean"], "cvar": plan["cvar_0.1"], "through": plan["route"] == "through", "reached": 1}
        known = {name: Estimate(float(x), float(x), float(x)) for name, x in exact.items()}
        lines.append({"level": float(plan["alpha"]), "who": "exact"} | known)
    return pd.DataFrame(lines)


def draw_dial(found: pd.DataFrame) -> Figure:
    """Draw `dial`: the share of episodes through the middle by level, and mean against CVaR_0.1."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.3), layout="constrained")
    exact = found[found["who"] == "exact"]
    left.step(exact["level"], [one.value for one in exact["through"]], where="mid", color=SAFE, label="exact plan")
    right.scatter(
        *([one.value for one in exact[c]] for c in ("mean", "cvar")), color=TRUTH, marker="*", s=60, zorder=3,
        label="exact plans",
    )  # fmt: skip
    beside: dict[str, Any] = {"textcoords": "offset points", "xytext": (-6, 5), "ha": "right", "fontsize": 7}
    for best, label in (("mean", "best mean"), ("cvar", "best CVaR")):
        place = max(zip(exact["mean"], exact["cvar"], strict=True), key=lambda pair: pair[best == "cvar"].value)
        right.annotate(label, (place[0].value, place[1].value), **beside)
    for who in ("radac", PLANNER):
        own, look = found[found["who"] == who], style(who)
        if own.empty:
            continue
        label = look.label + (", one model" if who == PLANNER else ", a model a level")
        line = "-" if who == PLANNER else "none"
        how: dict[str, Any] = {"color": look.colour, "marker": look.marker, "linewidth": 1, "linestyle": line}
        heights, spans = _spans(own["through"], (0, 1))
        left.errorbar(own["level"], heights, yerr=spans, label=label, **how)
        means, across = _spans(own["mean"])
        tails, up = _spans(own["cvar"])
        right.errorbar(means, tails, xerr=across, yerr=up, label=label, **how)
        for level, x, y in zip(own["level"], means, tails, strict=True):
            if level in (0.75, 0.9, 1.5) or level == (1.0 if who == PLANNER else 0.5):  # names would lie on others
                continue
            right.annotate(f"{level:g}", (x, y), textcoords="offset points", xytext=(4, 4), fontsize=7)
    left.axvline(1, color="0.6", linewidth=0.8, linestyle=":")
    left.set(xlabel="level of the dial: averse < 1 < seeking", ylabel="by the middle", ylim=(-0.05, 1.05))
    right.set(xlabel="mean return", ylabel="CVaR$_{0.1}$ of the return")
    left.legend(fontsize=8)
    return figure


def _spans(values: pd.Series, within: tuple[float, float] = (-np.inf, np.inf)) -> tuple[list[float], np.ndarray | None]:
    """Return estimates' values and how far their intervals reach down and up, for `errorbar`."""
    low, high = within
    reach = [[v.value - max(v.low, low), min(v.high, high) - v.value] for v in values]
    spans = np.array(reach).clip(0).T
    return [v.value for v in values], spans if np.isfinite(spans).all() else None
