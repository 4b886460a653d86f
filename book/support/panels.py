"""Panels that more than one chapter draws: learning curves, actions, histograms, monitored signals, estimates."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.axes import Axes

from ramac_lib.analysis.intervals import mean_and_error
from ramac_lib.analysis.style import BAND, TRUTH, VIOLATION, style

LIGHTEST = 0.72  # of viridis: what lies beyond is pale on white, and dark on the dark page, where light is dark


def curve(axes: Axes, table: pd.DataFrame, value: str, method: str, x: str = "step", **kwargs: object) -> None:
    """Draw the mean over seeds of a column against the step, with a band of one standard error."""
    wide = table.pivot_table(index=x, columns="seed", values=value)
    mean, error = mean_and_error(wide.to_numpy().T)
    drawn = style(method)
    options = {"color": drawn.colour, "linestyle": drawn.line, "label": drawn.label, **kwargs}
    axes.plot(wide.index, mean, **options)  # type: ignore[arg-type]
    axes.fill_between(wide.index, mean - error, mean + error, color=str(options["color"]), alpha=0.2, linewidth=0)


def scatter_actions(axes: Axes, actions: Float[np.ndarray, "N 2"], colour: str, limit: float = 1.05) -> None:
    """Draw two-dimensional actions as points on square axes of equal scale."""
    axes.scatter(actions[:, 0], actions[:, 1], s=3, color=colour, alpha=0.35, linewidths=0, rasterized=True)
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xlabel="$a_1$", ylabel="$a_2$")


def ordered_colours(count: int) -> list[str]:
    """Return colours from dark to light for things in an order, such as stages of training."""
    shades = mpl.colormaps["viridis"](np.linspace(0, LIGHTEST, max(count, 1)))
    return [mpl.colors.to_hex(shade) for shade in shades]


def histogram_by(
    axes: Axes,
    values: Float[np.ndarray, " N"],
    groups: Sequence[object],
    colours: Mapping[object, str],
    weights: Float[np.ndarray, " N"] | None = None,
    bins: int = 30,
) -> None:
    """Draw one histogram with the groups' parts stacked, in the order of `colours` (group to colour).

    Each value counts 1, or its weight as a share of all weights.
    """
    labels = np.asarray(groups)
    share = None if weights is None else [weights[labels == group] / weights.sum() for group in colours]
    parts = [values[labels == group] for group in colours]
    names = [str(group) for group in colours]
    axes.hist(parts, bins, weights=share, stacked=True, color=list(colours.values()), label=names, linewidth=0)


def monitor(
    axes: Axes,
    signal: Float[np.ndarray, " T"],
    violation: Bool[np.ndarray, " T"],
    low: float,
    high: float,
    struck: Bool[np.ndarray, " T"] | None = None,
) -> None:
    """Draw a monitored signal over an episode's steps, its safe range as a band, violations and penalties as marks."""
    steps = np.arange(len(signal))
    bounds = [bound for bound in (low, high) if np.isfinite(bound)]
    bottom, top = min([signal.min(), *bounds]), max([signal.max(), *bounds])
    margin = 0.08 * max(top - bottom, 1e-9)
    bottom, top = bottom - margin, top + margin
    axes.axhspan(max(low, bottom), min(high, top), color=BAND, alpha=0.13, linewidth=0, label="safe range")
    for bound in bounds:
        axes.axhline(bound, color=BAND, linewidth=1)
    axes.plot(steps, signal, color=TRUTH, linewidth=0.8)
    axes.plot(steps[violation], signal[violation], ".", color=VIOLATION, markersize=4, label="violation")
    if struck is not None:
        axes.plot(steps[struck], signal[struck], "o", color=VIOLATION, markersize=9, fillstyle="none", label="penalty")
    axes.set(ylim=(bottom, top), xlim=(0, max(len(signal) - 1, 1)))


def estimate(axes: Axes, x: Sequence[float], y: Sequence[float], **kwargs: object) -> None:
    """Draw a point with its intervals in both directions; `x` and `y` are (value, low, high) each."""
    errors = [[[value - low], [high - value]] for value, low, high in (x, y)]
    axes.errorbar(x[0], y[0], xerr=errors[0], yerr=errors[1], **{"elinewidth": 1, **kwargs})  # type: ignore[arg-type]
