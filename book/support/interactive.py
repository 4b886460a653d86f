"""Figures with controls, drawn by `_static/figures.js` on a page; elsewhere, and without scripts, a still picture."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure

from support.tabs import rendered

KINDS = ("risk-weights", "risk-dial", "bandit-densities", "training-film", "robot-film")
BINS = 200


def interactive(kind: str, data: Mapping[str, Any], still: Figure, label: str) -> HTML:
    """Return a figure that a page's script turns into one with controls.

    Args:
        kind: what is drawn, one of `KINDS`.
        data: its numbers; what each kind expects stands at the function that makes it.
        still: shown where no script runs, and then closed.
        label: what the picture shows, for readers who do not see it.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"figure {kind!r}; expected one of {', '.join(KINDS)}")
    numbers = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    return HTML(
        f'<figure class="book-figure" data-figure="{kind}" aria-label="{html.escape(label)}">'
        f'<script type="application/json">{numbers}</script>'
        f'<div class="book-figure-still">{rendered(still, label)}</div></figure>'
    )


def quantile_bins(quantile: Any, bins: int = BINS, points: int = 400) -> list[float]:
    """Return the mean of a quantile function over each of `bins` shares of outcomes, by `points` midpoints in each.

    Args:
        quantile: F⁻¹, elementwise.
    """
    inside = (np.arange(bins * points) + 0.5) / (bins * points)
    return [round(float(mean), 5) for mean in quantile(inside).reshape(bins, points).mean(1)]


def weights_data(distributions: Sequence[Any]) -> dict[str, Any]:
    """Return what ``risk-weights`` draws: of each distribution (`name`, `quantile`) the mean of every 1/200 of it."""
    return {"distributions": [{"name": d.name, "quantiles": quantile_bins(d.quantile)} for d in distributions]}


def weights_still(distributions: Sequence[Any], alpha: float = 0.1) -> Figure:
    """Return the still picture of `weights_data`: each distribution's quantiles, and the tail that CVaR_α averages."""
    figure, axes = plt.subplots(1, len(distributions), figsize=(2.9 * len(distributions), 2.9))
    for axis, one in zip(np.atleast_1d(axes), distributions, strict=True):
        u, q = (np.arange(BINS) + 0.5) / BINS, np.array(quantile_bins(one.quantile))
        axis.plot(u, q, color="#000000")
        axis.axvspan(0, alpha, color="#77AADD", alpha=0.5)
        axis.axhline(q.mean(), color="#777777", linestyle="--")
        axis.axhline(q[: round(alpha * BINS)].mean(), color="#CC3311")
        axis.set(title=one.name, xlabel="quantile fraction $\\tau$")
    np.atleast_1d(axes)[0].set_ylabel("return")
    return figure
