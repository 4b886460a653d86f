"""One look for every figure: the same colour and mark for the same method everywhere, safe for the colour-blind."""

from typing import NamedTuple

import matplotlib as mpl


class Style(NamedTuple):
    """How a method is drawn. Families share a hue; within one, lightness, line and mark tell the members apart."""

    label: str
    colour: str
    line: str = "-"
    marker: str = "o"


STYLES = {
    "radac": Style("RADAC", "#D55E00", "-", "o"),
    "rafmac": Style("RAFMAC", "#E69F00", "--", "s"),
    "diffusion-ql": Style("DiffusionQL", "#0072B2", "-", "^"),
    "flow-ql": Style("FlowQL", "#56B4E9", "--", "v"),
    "cvae-ql": Style("CVAE-QL", "#332288", ":", "<"),
    "oraac": Style("ORAAC", "#009E73", "-", "D"),
    "oraac-diffusion": Style("ORAAC-Diffusion", "#117733", "--", "d"),
    "oraac-flow": Style("ORAAC-Flow", "#44AA99", ":", "p"),
    "cql": Style("CQL", "#CC79A7", "-", "P"),
    "codac": Style("CODAC", "#882255", "--", "X"),
    "bc-diffusion": Style("BC-diffusion", "#444444", "-", "h"),
    "bc-flow": Style("BC-flow", "#707070", "--", "H"),
    "bc-cvae": Style("BC-CVAE", "#9A9A9A", ":", "*"),
    "behaviour": Style("behaviour", "#000000", "-", "."),
}
# Rows of a method that depart from its own settings, by their keys (`ramac_lib.analysis.rows`).
VARIANTS = {
    "radac:risk=neutral": Style("RADAC, neutral", "#F0A070", ":", ">"),
    "radac:td_clip=None": Style("RADAC, no TD clip", "#8C3A00", "--", "8"),
    "radac:quantile_axis=target,td_clip=None": Style("RADAC, released axis, no TD clip", "#4D2000", "-.", "*"),
    "diffusion-ql:candidates=1": Style("DiffusionQL, one candidate", "#00395E", ":", "<"),
    "behaviour:stage=expert": Style("behaviour, expert", "#000000", "-", "."),
    "behaviour:stage=medium": Style("behaviour, medium", "#000000", "--", "."),
}
SAFE, VIOLATION, TRUTH = "#0072B2", "#D55E00", "#000000"
BAND = "#009E73"  # a safe range


def style(row: str) -> Style:
    """Return the style of a method, or of a row ``METHOD:option=value,…``: its method's, with the options named.

    A method that has none yet is drawn in olive under its own name.
    """
    if row in VARIANTS:
        return VARIANTS[row]
    method, colon, options = row.partition(":")
    own = STYLES.get(method, Style(method, "#999933", "-.", "x"))
    return own._replace(label=f"{own.label}, {options.replace(',', ', ')}", line="-.") if colon else own


def use() -> None:
    """Set matplotlib's defaults for the book."""
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.bbox": "tight",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e6e6e6",
            "grid.linewidth": 0.8,
            "axes.axisbelow": True,
            "legend.frameon": False,
            "svg.hashsalt": "ramac",  # figures that do not change keep their bytes
        }
    )
