"""Draw the picture that messengers show of a link to the book: `book/_static/card.png`, 1200 × 630 pixels."""

from pathlib import Path

import matplotlib.pyplot as plt

from ramac_lib.analysis import style
from ramac_lib.publish.weight import shrink
from support.audit import axis
from support.panels import scatter_actions

ROOT = Path(__file__).parents[1]
TITLE = "RAMAC, reproduced"
BELOW = "Risk-aware offline reinforcement learning: an executable book"
PANELS = {
    "the data": style.TRUTH,
    "RADAC, loss as written (eq. 7)": style.SAFE,
    "RADAC, loss as released": style.VIOLATION,
}


def main() -> None:
    """Draw the toy's data and what RADAC makes of them with either loss, under the title."""
    style.use()
    actions = axis.stored().actions
    figure, grid = plt.subplots(1, len(PANELS), figsize=(12, 6.3), dpi=100)
    for axes, (name, colour) in zip(grid, PANELS.items(), strict=True):
        scatter_actions(axes, actions[name], colour)
        axes.set(title=name, xlabel="", ylabel="", xticks=[], yticks=[])
    figure.suptitle(f"{TITLE}\n", fontsize=34, fontweight="bold")
    figure.text(0.5, 0.86, BELOW, ha="center", fontsize=17)
    path = ROOT / "book" / "_static" / "card.png"
    with plt.rc_context({"savefig.bbox": None}):
        figure.savefig(path, metadata={"Software": None})
    shrink(path)
    print(path)


if __name__ == "__main__":
    main()
