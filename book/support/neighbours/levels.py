"""The distribution of an episode's return as the dial turns: RS-Diffuser's, of RADACs a level each, of exact plans."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.stats import binom

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.rows import with_keys
from ramac_lib.analysis.style import style
from ramac_lib.envs.hazards import Region, get_hazard
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from ramac_lib.training.evaluators import DIAL
from support.navigation import measured, stored
from support.navigation.choice import LEVELS
from support.navigation.claims import RARE, TASK
from support.neighbours import crossing
from support.panels import ordered_colours

Array = np.ndarray
Distribution = tuple[Float[Array, " k"], Float[Array, " k"]]  # values and their masses
EXACT = "exact"
AT = (0.1, 0.5)  # quantiles that are told: where CVaR_0.1 begins, and the median


def exact(optimum: pd.DataFrame) -> dict[float, Distribution]:
    """Return level → the distribution of the best plan's return: what it earns, and a binomial number of penalties."""
    hazard = get_hazard(RARE, get_task(TASK))
    assert isinstance(hazard, Region)
    (area,) = hazard.areas
    at = (optimum["map"] == crossing.MAP) & (optimum["preset"] == RARE) & (optimum["points"] == optimum["points"].min())
    found = {}
    for _, plan in optimum[at & optimum["criterion"].isin(("static", "neutral"))].iterrows():
        strikes = np.arange(int(plan["inside"]) + 1)
        base = plan["mean"] - plan["inside"] * area.probability * area.penalty
        found[float(plan["alpha"])] = (
            base + strikes * area.penalty,
            binom.pmf(strikes, int(plan["inside"]), area.probability),
        )
    return found


def played(folder: Path | None = None) -> dict[str, dict[float, Distribution]]:
    """Return who acts → level → the distribution of the return over all seeds' episodes, penalties integrated out.

    Raises:
        Missing: no episode of RS-Diffuser's dial is stored.
    """
    folder = data_folder() / "results" if folder is None else folder
    hazard = get_hazard(RARE, get_task(TASK))
    turned = pd.DataFrame()
    if results.is_there(crossing.NAME, folder):
        whole, _ = results.load(crossing.NAME, folder)
        turned = whole[(whole["purpose"] == DIAL) & (whole["method"] == crossing.PLANNER)]
    if turned.empty:
        raise Missing("RS-Diffuser's dial is not stored yet; the command stands at this page's end.")
    found = {
        crossing.PLANNER: {float(str(level)): measured.law_of(part, hazard) for level, part in turned.groupby("alpha")},
        "radac": {},
    }
    if results.is_there(stored.NAME, folder):
        whole, _ = results.load(stored.NAME, folder)
        there = whole["method"].eq("radac") & whole["task"].eq(TASK) & whole["hazard"].eq(RARE)
        reports = with_keys(whole[there & whole["purpose"].eq("report")])
        found["radac"] = {
            level: measured.law_of(reports[reports["row"] == row], hazard)
            for level, row in LEVELS.items()
            if (reports["row"] == row).any()
        }
    return found


def quantile(distribution: Distribution, share: float) -> float:
    """Return the least value at or below which at least this share of the mass lies."""
    values, masses = distribution
    order = np.argsort(values, kind="stable")
    heights = masses[order].cumsum()
    return float(values[order][np.searchsorted(heights, share * heights[-1] - 1e-12)])


def table(found: Mapping[str, Mapping[float, Distribution]]) -> pd.DataFrame:
    """Return the quantiles `AT` of each distribution: columns ``who level`` and one a quantile, by who and level."""
    return pd.DataFrame(
        [
            {"who": who, "level": level} | {f"{share:g}": quantile(one, share) for share in AT}
            for who, levels in found.items()
            for level, one in sorted(levels.items())
        ]
    )


def draw(
    found: Mapping[str, Mapping[float, Distribution]], shown: tuple[float, ...] = crossing.TURNED, least: float = -60.0
) -> Figure:
    """Draw the distribution functions of the return, a panel for each who and a line for each level.

    Args:
        found: who → level → distribution, as `played` and `exact` return them.
        shown: the levels drawn, where they are there.
        least: where the axis of the return begins; what lies lower is in the height of the line there.
    """
    names = {crossing.PLANNER: "RS-Diffuser, one model", "radac": "RADAC, a model a level", EXACT: "exact plans"}
    figure, axes = plt.subplots(1, len(found), figsize=(9.0, 3.2), sharey=True, layout="constrained", squeeze=False)
    colours = dict(zip(shown, ordered_colours(len(shown)), strict=True))
    lines = dict(zip(shown, cycle(("-", "--", "-.", ":")), strict=False))
    for axis, (who, levels) in zip(axes[0], found.items(), strict=True):
        for level in [level for level in shown if level in levels]:
            values, masses = levels[level]
            order = np.argsort(values, kind="stable")
            x = np.concatenate([[2 * least], values[order], [0]])
            y = np.concatenate([[0], masses[order].cumsum() / masses.sum(), [1]])
            axis.step(
                x, y, where="post", color=colours[level], linestyle=lines[level], linewidth=1.4, label=f"{level:g}"
            )
        axis.axhline(AT[0], color="0.6", linewidth=0.8, linestyle=":")
        axis.set(title=names.get(who, style(who).label), xlabel="return", xlim=(least, -5), ylim=(0, 1.01))
        axis.legend(title="level", fontsize=7, title_fontsize=8, loc="upper left")
    axes[0, 0].set_ylabel("share of episodes at or below")
    return figure
