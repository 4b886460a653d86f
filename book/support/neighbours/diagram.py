"""Where each neighbour of RAMAC intervenes between the data and the action, as a picture."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from ramac_lib.analysis.style import style

STAGES = ("data", "critic's target", "actor's loss", "what is sampled", "action")
# Method → stage → what it does there.
PLACES: dict[str, dict[str, str]] = {
    "radac": {"actor's loss": "CVaR of the return"},
    "dac": {"critic's target": "mean − ρ · spread\nof ten critics", "actor's loss": "∇Q in the noise\nto regress on"},
    "dac-cvar": {"actor's loss": "∇CVaR in the noise\nto regress on"},
    "qdq": {"data": "returns of windows", "critic's target": "smaller where\nreturns are spread"},
    "cped": {"data": "density of actions", "actor's loss": "density above\na bound"},
    "rs-diffuser": {"data": "returns of plans", "what is sampled": "∇CVaR_α while\na plan is made"},
}


def draw_places() -> Figure:
    """Return the picture: a line a method, a box where it does something that plain actor-critic does not."""
    figure, axis = plt.subplots(figsize=(8.4, 4.2))
    for x, stage in enumerate(STAGES):
        axis.text(x, 0.75, stage, ha="center", va="bottom", fontweight="bold", fontsize=9)
    for y, (method, places) in enumerate(PLACES.items()):
        look = style(method)
        axis.annotate("", (len(STAGES) - 0.55, -y), (-0.4, -y), arrowprops={"arrowstyle": "->", "color": "#999999"})
        axis.text(-0.55, -y, look.label, ha="right", va="center")
        for stage, words in places.items():
            box = {"boxstyle": "round,pad=.35", "facecolor": "white", "edgecolor": look.colour, "linewidth": 1.8}
            axis.text(STAGES.index(stage), -y, words, ha="center", va="center", fontsize=8, bbox=box)
    axis.set(xlim=(-1.6, len(STAGES) - 0.4), ylim=(-len(PLACES) + 0.4, 1.2))
    axis.axis("off")
    return figure
