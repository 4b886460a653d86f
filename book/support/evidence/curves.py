"""Learning curves as small multiples: a panel a row, over the means of all others."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ramac_lib.analysis.evidence import Evidence
from ramac_lib.analysis.intervals import ALPHA
from ramac_lib.analysis.rows import split
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar
from support.panels import curve

COLUMNS = 4
OTHERS = "#d0d0d0"
RANKS = ("-", "--", ":", "-.")  # lines of the behaviour policies, the best mean first


def seed_curves(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return each evaluation of each seed; columns ``row seed step mean cvar``."""
    found = episodes.groupby(["row", "seed", "step"], sort=False)["return"]
    table = pd.DataFrame({"mean": found.mean(), "cvar": found.agg(lambda x: float(cvar(x.to_numpy(), ALPHA)))})
    return table.reset_index()


def learning_curves(evidence: Evidence, task: str, hazard: str) -> Figure:
    """Draw mean and CVaR of evaluations against updates, a panel a row: the paper's methods, then the controls.

    Coloured lines are means over seeds, solid for the mean return and dashed for the CVaR, bands one standard error;
    grey are the mean returns of all other rows. At the right edge stand the behaviour policies' means (filled) and the
    CVaR of as many of their episodes as an evaluation has (hollow), by name in the first panel.

    Raises:
        Missing: there are no evaluations while training.
    """
    episodes = evidence.curve(task, hazard)
    table, each = seed_curves(episodes), int(episodes["episode"].nunique())
    main, others = split(table["row"])
    rows = [*main, *others]
    means = table.groupby(["row", "step"])["mean"].mean()
    played = evidence.played(task, hazard)
    lines = -(-len(rows) // COLUMNS)
    figure, grid = plt.subplots(
        lines, COLUMNS, figsize=(8.6, 0.6 + 1.75 * lines), sharex=True, sharey=True, squeeze=False
    )
    for k, axes in enumerate(grid.flat):
        axes.set_visible(k < len(rows))
        if k < len(rows):
            _draw_row(axes, table, means, rows[k])
            draw_policies(axes, played, each, named=k == 0)
        axes.xaxis.set_major_locator(MaxNLocator(2, integer=True))
        if k >= len(rows) - COLUMNS:
            axes.xaxis.set_tick_params(labelbottom=True)
    tail = "worst" if ALPHA * each <= 1 else "CVaR$_{0.1}$"
    figure.supxlabel("update", fontsize=10)
    figure.supylabel(f"mean return (solid), {tail} of {each} episodes (dashed)", fontsize=10)
    return figure


def _draw_row(axes: Axes, table: pd.DataFrame, means: pd.Series, row: str) -> None:
    for other in dict.fromkeys(table["row"]):
        if other != row:
            axes.plot(means[other].index, means[other], color=OTHERS, linewidth=0.8, label="_other")
    own, look = table[table["row"] == row], style(row)
    curve(axes, own, "mean", row, linestyle="-", linewidth=1.8)
    curve(axes, own, "cvar", row, linestyle="--", linewidth=1.2, label=f"{look.label}, tail")
    for band in axes.collections:
        band.set_alpha(0.35)  # fainter ones lose their hue where a page's picture has few colours
    axes.set_title(look.label.replace(", ", ",\n", 1), fontsize=9, color=look.colour)


def in_groups(returns: Float[np.ndarray, " n"], each: int) -> float:
    """Return the mean CVaR of the returns' disjoint groups of `each` in their order; NaN where there is no whole one.

    The CVaR of few episodes lies above that of many, so that only groups of the same size can be compared.
    """
    whole = returns[: len(returns) // each * each].reshape(-1, each)
    return float(cvar(whole, ALPHA).mean()) if len(whole) else float("nan")


def draw_policies(axes: Axes, played: pd.DataFrame, each: int, named: bool = False) -> None:
    """Mark each behaviour policy's mean (filled) and CVaR of `each` episodes (hollow) at the right edge of a panel."""
    means = played.groupby("row")["return"].mean()
    for row, own in played.groupby("row", sort=False):
        returns, look = own["return"].to_numpy(), style(str(row))
        for level, fill in ((float(returns.mean()), "black"), (in_groups(returns, each), "none")):
            if np.isfinite(level):
                axes.plot(
                    1, level, "<", transform=axes.get_yaxis_transform(), clip_on=False, markersize=5,
                    markerfacecolor=fill, markeredgecolor="black", label=look.label,
                )  # fmt: skip
        if named:
            stage = look.label.rpartition(", ")[2]
            apart = "bottom" if row == means.idxmax() else "top" if row == means.idxmin() else "center"
            axes.annotate(
                stage, (1, float(returns.mean())), xycoords=axes.get_yaxis_transform(), xytext=(-6, 0),
                textcoords="offset points", ha="right", va=apart, fontsize=7,
            )  # fmt: skip
