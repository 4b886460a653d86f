"""Chapter 7's figures, each from numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ramac_lib.analysis.style import BAND, SAFE, TRUTH, VIOLATION, style
from ramac_lib.datasets import ood
from ramac_lib.envs.bandit import Bandit
from ramac_lib.training import unseen
from support.bandit.plots import draw_support
from support.ood import calibration
from support.ood.calibration import Calibrated
from support.ood.reports import Rate
from support.proposition import anchored

Array = np.ndarray

# A detector has one colour and mark everywhere.
LOOKS = dict(
    zip(
        calibration.DETECTORS,
        ((SAFE, "o"), (VIOLATION, "s"), (BAND, "^"), ("#CC79A7", "D"), (TRUTH, "*")),
        strict=True,
    )
)


# Methods whose colour and mark are close to another's: their marks are hollow where many stand in one panel.
HOLLOW = ("bc-flow",)


def reach(axes: Axes, actions: Float[Array, "n 2"], threshold: float, asked: Float[Array, "q 2"], title: str) -> None:
    """Draw the data's reach, the union of discs of the threshold's radius about its actions, and actions beyond it."""
    discs = PatchCollection([Circle(tuple(a), threshold) for a in actions], facecolor="#9ec9e2", linewidths=0)
    discs.set_rasterized(True)
    axes.add_collection(discs)
    draw_support(axes)
    far = np.linalg.norm(asked[:, None] - actions[None], axis=2).min(axis=1) > threshold
    for flags, colour, mark in ((far, VIOLATION, "x"), (~far, TRUTH, ".")):
        axes.plot(*asked[flags].T, mark, color=colour, markersize=4)
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", title=title)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    axes.grid(False)


def hits(found: Mapping[str, Calibrated], detectors: Sequence[str] = calibration.DETECTORS[:3]) -> Figure:
    """Draw the share flagged at κ = 3 of each kind of row, a panel a task; lines are the false alarms."""
    figure, axes = plt.subplots(1, len(found), figsize=(3.2 * len(found), 3.6), sharey=True, squeeze=False)
    kinds = ("held out", *calibration.KINDS)
    for axis, (task, one) in zip(axes[0], found.items(), strict=True):
        for k, detector in enumerate(detectors):
            colour, mark = LOOKS[detector]
            rows = [one.at(detector, kind) for kind in kinds]
            places = np.arange(len(kinds)) + 0.22 * (k - 1)
            middle = np.array([row["median"] for row in rows])
            errors = [middle - [row["median_low"] for row in rows], [row["median_high"] for row in rows] - middle]
            axis.errorbar(
                middle, places, xerr=np.maximum(errors, 0), fmt=mark, color=colour, markersize=4, label=detector
            )
            axis.axvline(middle[0], color=colour, linewidth=0.7, linestyle=":")
        axis.set(title=task, xlim=(-0.02, 1.02), xlabel="share flagged at κ = 3")
    axes[0, 0].set_yticks(range(len(kinds)), kinds)
    axes[0, 0].invert_yaxis()
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def roc(one: Calibrated, kinds: Sequence[str] = ("uniform", "another state's", "moved 0.4", "moved 0.1")) -> Figure:
    """Draw ROC curves of all detectors, a panel a kind; the marks are at κ = 3."""
    figure, axes = plt.subplots(1, len(kinds), figsize=(2.45 * len(kinds), 3.1), sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for detector, (colour, mark) in LOOKS.items():
            if (detector, kind) not in one.hits:
                continue
            line = "--" if detector == calibration.DETECTORS[-1] else "-"
            axis.plot(calibration.ALARMS, one.hits[detector, kind], line, color=colour, linewidth=1.3, label=detector)
            if detector in calibration.DETECTORS[:3]:
                at = one.at(detector, "held out")["median"], one.at(detector, kind)["median"]
                axis.plot(*at, mark, color=colour, markersize=5)
        axis.set(title=kind, xlabel="false alarms", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes[0].set_ylabel("hits")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def growth(sizes: pd.DataFrame, dimensions: Sequence[pd.DataFrame]) -> Figure:
    """Draw how alarms and hits change with rows on a task, and hits with dimensions in a world with a known gap."""
    figure, axes = plt.subplots(1, 3, figsize=(9.4, 3.1))
    for detector, part in sizes.groupby("detector", sort=False):
        colour, mark = LOOKS[str(detector)]
        axes[0].loglog(part["rows"], part["scale"], mark + "-", color=colour, markersize=4, label=detector)
        axes[1].semilogx(part["rows"], part["hits"], mark + "-", color=colour, markersize=4)
        axes[1].semilogx(part["rows"], part["alarms"], mark + ":", color=colour, markersize=3)
    axes[0].set(xlabel="rows of data", title="scale, in the detector's unit")
    axes[0].legend(fontsize=8)
    axes[1].set(xlabel="rows of data", title="flagged: uniform (line), held out", ylim=(-0.02, None))
    for part, line in zip(dimensions, (":", "-"), strict=False):
        label = f"{part['rows'].iloc[0]:,} rows"
        axes[2].plot(part["dimensions"], part["hits"], "o" + line, color=VIOLATION, markersize=4, label=label)
        axes[2].plot(part["dimensions"], part["alarms"], "x" + line, color=TRUTH, markersize=4)
    axes[2].set(xlabel="dimensions of the action", title="flagged: in the gap, fresh data (×)", ylim=(-0.03, 1.03))
    axes[2].legend(fontsize=8)
    return figure


def against_truth(rates: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw each policy's rate over its true probability, every method and seed, a panel a detector's rows."""
    figure, axes = plt.subplots(1, len(rates), figsize=(3.1 * len(rates), 3.9), sharey=True, squeeze=False)
    for axis, (title, table) in zip(axes[0], rates.items(), strict=True):
        axis.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for method, part in table.groupby("method", sort=False):
            look = style(str(method))
            kept = {"color": look.colour, "markersize": 5, "alpha": 0.8, "label": look.label}
            kept |= {"markerfacecolor": "none"} if method in HOLLOW else {}
            axis.plot(part["true"], part["flagged"], look.marker, **kept)
        axis.set(title=title, xlabel="outside the support (exact)", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("flagged at κ = 3")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=5, fontsize=8)
    return figure


def by_radius(radii: Float[Array, " R"], shares: Mapping[str, Array], bandit: Bandit | None = None) -> Figure:
    """Draw the share flagged at each radius, the support shaded, β's density of the radius below."""
    bandit = bandit or Bandit()
    figure, axes = plt.subplots(2, 1, figsize=(6.6, 3.9), sharex=True, height_ratios=[2.2, 1])
    for axis in axes:
        for low, high in ((0, bandit.centre_edge), bandit.ring_edges):
            axis.axvspan(low, high, color=BAND, alpha=0.13, linewidth=0)
    for (label, share), line in zip(shares.items(), (":", "--", "-"), strict=False):
        axes[0].plot(radii, share, line, color=VIOLATION, label=label)
    axes[0].set(ylabel="flagged at κ = 3", ylim=(-0.03, 1.03))
    axes[0].legend(loc="upper left", bbox_to_anchor=(1, 1))
    density = 2 * np.pi * radii * bandit.density(np.stack([radii, np.zeros_like(radii)], axis=1))
    axes[1].plot(radii, density, color=TRUTH)
    axes[1].set(xlabel="radius of the action", ylabel="density", xlim=(radii[0], radii[-1]))
    return figure


def training(table: pd.DataFrame) -> Figure:
    """Draw Proposition 1's bound, what it bounds and the detector's rate over training, the cloning loss below."""
    methods = list(table["method"].unique())
    figure, axes = plt.subplots(2, len(methods), figsize=(4.2 * len(methods), 4.6), sharex="col", squeeze=False)
    looks: dict[str, dict[str, Any]] = {
        "bound": {"color": TRUTH, "linestyle": "--", "label": "1 − exp(−KL)"},
        "ood": {"color": VIOLATION, "label": "outside the support"},
        "flagged": {"color": SAFE, "linestyle": ":", "label": "flagged at κ = 3"},
    }
    for column, method in zip(axes.T, methods, strict=True):
        for _, own in table[table["method"] == method].groupby("seed"):
            for name, look in looks.items():
                column[0].plot(own["step"], own[name], linewidth=1.1, **look)
                look.pop("label", None) if column is not axes.T[0] else None
            column[1].plot(own["step"], own["bc_loss"], color=style(method).colour, linewidth=1.1)
        column[0].set(title=style(method).label, ylim=(0, 1.03))
        column[1].set(xlabel="updates", ylim=(0, None))
    axes[0, 0].set_ylabel("probability")
    axes[1, 0].set_ylabel("cloning loss")
    handles, names = axes[0, 0].get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=len(unique))
    return figure


def radius(table: pd.DataFrame, uniform: bool = True) -> Figure:
    """Draw how OOD, leaving and coming back change with Φ, mean and standard error over seeds; Φ = 0 is the prior."""
    figure, axes = plt.subplots(1, 3, figsize=(9.4, 3.3), sharey=True)
    for method, own in table.groupby("method", sort=False):
        look = style(str(method))
        for axis, name in zip(axes, ("ood", "out", "back"), strict=True):
            part = own.groupby("radius")[name].agg(["mean", "sem"])
            if name == "ood":
                start = own.groupby("seed")["prior"].mean()
                part = pd.concat([pd.DataFrame({"mean": start.mean(), "sem": start.sem()}, index=[0.0]), part])
            x, y, error = part.index.to_numpy(float), part["mean"].to_numpy(), part["sem"].to_numpy()
            looks = {"color": look.colour, "marker": look.marker, "linestyle": look.line, "label": look.label}
            axis.errorbar(x, y, yerr=error, markersize=5, **looks)
    if uniform:
        inner, outer = Bandit().ring_edges
        phis = np.linspace(0.01, 0.5, 40)
        ring = anchored.Annulus(inner, outer)
        axes[1].plot(
            phis,
            [anchored.ood_probability(ring, phi) for phi in phis],
            color="#999999",
            label="any direction, from the ring",
        )
    axes[0].set(title="outside the support", ylabel="probability", ylim=(-0.03, 1.03))
    axes[1].set(title="inside before the step, outside after")
    axes[2].set(title="outside before, inside after")
    for axis in axes:
        axis.set_xlabel("Φ")
    handles, names = axes[1].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize=8)
    return figure


def curves(rates: Mapping[str, Rate], reference: Mapping[str, Array] | None = None) -> Figure:
    """Draw rates over κ from 1 to 10, a panel a detector, a line a row (mean over seeds, bars one standard error).

    Args:
        reference: of held-out data, by detector, over `calibration.KAPPAS`.
    """
    names = calibration.DETECTORS[:3]
    figure, axes = plt.subplots(1, 3, figsize=(9.4, 4.2), sharey=True)
    for k, (axis, name) in enumerate(zip(axes, names, strict=True)):
        seen = set()
        for row, found in rates.items():
            look = style(row)
            again = (look.colour, look.marker) in seen  # a variant without a look of its own
            seen.add((look.colour, look.marker))
            own = found.curves[:, k]
            middle = own.mean(axis=0)
            error = own.std(axis=0, ddof=1) / np.sqrt(len(own)) if len(own) > 1 else np.zeros_like(middle)
            kept = {"marker": look.marker, "color": look.colour, "markersize": 4, "label": look.label}
            kept |= {"markerfacecolor": "none", "markersize": 6} if again else {}
            axis.errorbar(unseen.KAPPAS, middle, error, linestyle=look.line, capsize=4, elinewidth=1, **kept)
        if reference is not None and name in reference:
            axis.plot(calibration.KAPPAS, reference[name], color=TRUTH, linewidth=2.2, alpha=0.5, label="held-out data")
        axis.axvline(ood.KAPPA, color="#999999", linewidth=0.8)
        axis.set(title=name, xlabel="κ", yscale="symlog")
        axis.set_yscale("symlog", linthresh=0.01)
        axis.set_ylim(0, 1.05)
        axis.set_yticks([0, 0.01, 0.1, 1], ["0", ".01", ".1", "1"])
    axes[0].set_ylabel("share flagged")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    return figure
