"""One look for every figure: the same colour and mark for the same method everywhere, safe for the colour-blind."""

from typing import Any

import matplotlib as mpl

from ramac_lib.methods import METHODS
from ramac_lib.methods.shared.base import Style

# Rows of a method that depart from its own settings, by their keys (`ramac_lib.analysis.rows`).
VARIANTS = {
    "behaviour": Style("behaviour", "#000000", "-", "."),
    "radac:risk=neutral": Style("RADAC, neutral", "#778C00", ":", "$N$"),
    "radac:quantile_axis=target": Style("RADAC, released axis", "#8066CC", "--", "$A$"),
    "radac:td_clip=None": Style("RADAC, no TD clip", "#8C3A00", "--", "8"),
    "radac:quantile_axis=target,td_clip=None": Style("RADAC, released axis, no TD clip", "#4D2000", "-.", "*"),
    "radac-cost:cost_weight=3.0": Style("RADAC, r − 3c", "#A63603", "--", "$P$"),
    "diffusion-ql:candidates=1": Style("DiffusionQL, one candidate", "#00395E", ":", "<"),
    "dac-cvar:candidates=1": Style("DAC-CVaR with one candidate", "#35978F", ":", "2"),
    "cped:coverage=0.05": Style("CPED with a tighter bound", "#B84A4A", "-.", "x"),
    "cped:q_from=1.0": Style("CPED by density alone", "#C05050", ":", "4"),
    "qdq:model=quantiles": Style("QDQ with quantile regression", "#C587B5", ":", "1"),
    "behaviour:stage=expert": Style("behaviour, expert", "#000000", "-", "."),
    "behaviour:stage=medium": Style("behaviour, medium", "#000000", "--", "."),
}
WORDS = {  # what an option is called in a row that has no style of its own
    "quantile_axis=target": "released axis", "joint_relu=True": "with the released ReLU",
    "lr_actor=0.0003": "its source's rate",
}  # fmt: skip
SAFE, VIOLATION, TRUTH, BAND = "#0072B2", "#D55E00", "#000000", "#009E73"  # the last: a safe range


def style(row: str) -> Style:
    """Return the style of a method, or of a row ``METHOD:option=value,…``: its method's, with the options named.

    A method that is not registered is drawn in olive under its own name.
    """
    if row in VARIANTS:
        return VARIANTS[row]
    method, colon, options = row.partition(":")
    own = METHODS[method].style if method in METHODS else VARIANTS.get(method, Style(method))
    named = [own.label, *(WORDS.get(option, option) for option in options.split(","))]
    return own._replace(label=", ".join(named), line="-.") if colon else own


def use() -> None:
    """Set matplotlib's defaults for the book."""
    kept: Any = {
        "figure.dpi": 110, "savefig.bbox": "tight", "figure.constrained_layout.use": True, "font.size": 10,
        "axes.titlesize": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.color": "#e6e6e6", "grid.linewidth": 0.8, "axes.axisbelow": True, "legend.frameon": False,
        "svg.hashsalt": "ramac",  # figures that do not change keep their bytes
    }  # fmt: skip
    mpl.rcParams.update(kept)
