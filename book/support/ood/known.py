"""The paper's detector where the support is a formula: the Risky Bandit, and its ring and centre in d dimensions."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from ramac_lib.analysis.intervals import Estimate, interval
from ramac_lib.datasets import ood
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import CUT, Bandit
from ramac_lib.system.errors import RamacError

Array = np.ndarray

COUNTS = (100, 1_000, 10_000)  # of rows to fit on; the last is what the methods were trained on
RESAMPLES = 2000


def detector(rows: int, scale: str = "median", bandit: Bandit | None = None) -> ood.ActionOnly:
    """Return the paper's detector fitted on so many actions of the behaviour law."""
    return ood.ActionOnly(dataset(rows, bandit=bandit).actions, scale)


def rates(
    actions: Mapping[str, Float[Array, "seeds n 2"]],
    rows: int = COUNTS[-1],
    scale: str = "median",
    kappa: float = ood.KAPPA,
    bandit: Bandit | None = None,
) -> pd.DataFrame:
    """Return the detector's rate beside the truth for each policy, one row a method and seed.

    Columns: ``method seed true flagged``; ``missed``, outside but not flagged, and ``false``, inside but flagged, both
    as shares of all actions, so that flagged = true − missed + false; ``hit``, the share of those outside that is
    flagged.

    Args:
        actions: method → actions of each seed.
        rows: of the data that the detector is fitted on.
        scale, kappa: its threshold.

    Raises:
        RamacError: κ ≤ 0, and what `datasets.ood` refuses.
    """
    found, bandit = detector(rows, scale, bandit), bandit or Bandit()
    lines = []
    for method, seeds in actions.items():
        for seed, own in enumerate(seeds):
            out, flagged = ~bandit.support(own), found.flags(np.zeros((len(own), 1)), own, kappa)
            line = {"method": method, "seed": seed, "true": out.mean(), "flagged": flagged.mean()}
            line |= {"missed": (out & ~flagged).mean(), "false": (~out & flagged).mean()}
            lines.append(line | {"hit": flagged[out].mean() if out.any() else np.nan})
    return pd.DataFrame(lines)


def places(
    actions: Mapping[str, Float[Array, "seeds n 2"]], rows: int = COUNTS[-1], bandit: Bandit | None = None
) -> pd.DataFrame:
    """Return where the detector errs, over all policies' actions: one row a kind of place, shares of its actions.

    A place is on one side of the support's boundary and nearer to it than the detector's threshold, or not.
    Columns: ``place actions flagged``.
    """
    bandit, found = bandit or Bandit(), detector(rows, bandit=bandit)
    every = np.concatenate([own.reshape(-1, 2) for own in actions.values()])
    radius, threshold = np.hypot(*every.T.astype(float)), ood.KAPPA * found.scale
    near = np.abs(radius[:, None] - np.array([bandit.centre_edge, *bandit.ring_edges])).min(axis=1) <= threshold
    inside, flagged = bandit.support(every), found.flags(np.zeros((len(every), 1)), every)
    lines = []
    for place, here in (
        ("outside, away from the edge", ~inside & ~near),
        ("outside, near the edge", ~inside & near),
        ("inside, near the edge", inside & near),
        ("inside, away from the edge", inside & ~near),
    ):
        share = flagged[here].mean() if here.any() else np.nan
        lines.append({"place": place, "actions": here.mean(), "flagged": share})
    return pd.DataFrame(lines)


def by_radius(
    radii: Float[Array, " R"], rows: int, kappa: float = ood.KAPPA, angles: int = 720, bandit: Bandit | None = None
) -> Float[Array, " R"]:
    """Return the share of directions in which an action of each radius is flagged."""
    angle = 2 * np.pi * (np.arange(angles) + 0.5) / angles
    points = radii[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    flat = points.reshape(-1, 2)
    return detector(rows, bandit=bandit).flags(np.zeros((len(flat), 1)), flat, kappa).reshape(len(radii), -1).mean(1)


def rank_correlation(
    first: Float[Array, " n"], second: Float[Array, " n"], groups: Sequence[object] | None = None, seed: int = 0
) -> Estimate:
    """Return Spearman's rank correlation with a 95 % bootstrap interval; NaN where one side does not vary.

    Args:
        groups: of rows that are drawn together (a method's seeds, say), of equal sizes; each row by itself if None.

    Raises:
        RamacError: fewer than three rows, different numbers of them, or groups of different sizes.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if len(a) != len(b) or len(a) < 3:
        raise RamacError(f"{len(a)} and {len(b)} numbers; expected as many, and at least three")
    labels = np.arange(len(a)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    sizes = np.bincount(labels)
    if len(set(sizes)) > 1:
        raise RamacError(f"groups of {sizes.min()} and {sizes.max()} rows; expected equal sizes")
    members = np.argsort(labels, kind="stable").reshape(len(sizes), -1)
    drawn = np.random.default_rng(seed).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    rows = members[drawn].reshape(RESAMPLES, -1)
    return bounded(spearman(a, b), spearmans(a[rows], b[rows]))


def bounded(value: float, draws: Float[Array, " R"]) -> Estimate:
    """Return a correlation with the interval of the resamples that have one; NaN where it has none itself."""
    kept = draws[np.isfinite(draws)]
    return interval(value, kept) if np.isfinite(value) and len(kept) else Estimate(np.nan, np.nan, np.nan)


def spearmans(first: Float[Array, "R n"], second: Float[Array, "R n"]) -> Float[Array, " R"]:
    """Return `spearman` along the last axis."""
    a, b = (rankdata(x, axis=-1) for x in (first, second))
    a, b = (x - x.mean(axis=-1, keepdims=True) for x in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum(-1) / np.sqrt((a**2).sum(-1) * (b**2).sum(-1))


def spearman(first: Float[Array, " n"], second: Float[Array, " n"]) -> float:
    """Return the correlation of ranks, ties at their mean rank; NaN where one side does not vary."""
    return float(spearmans(np.asarray(first)[None], np.asarray(second)[None])[0])


# -- more dimensions ------------------------------------------------------------------------------------------------


def shells(count: int, dimensions: int, rng: np.random.Generator, bandit: Bandit | None = None) -> Float[Array, "n d"]:
    """Draw from the bandit's law of the radius, in a uniform direction of so many dimensions.

    With d = 2 it is the behaviour law itself; the support is a ball and a shell around it, with the same radii.

    Raises:
        RamacError: count or dimensions below 1.
    """
    if count < 1 or dimensions < 1:
        raise RamacError(f"{count} actions of {dimensions} dimensions; expected at least one of each")
    bandit = bandit or Bandit()
    u = rng.random(count)
    normal = ndtri(ndtr(-CUT) + u * (ndtr(CUT) - ndtr(-CUT)))
    rayleigh = np.sqrt(-2 * np.log1p(-u * -np.expm1(-(CUT**2) / 2)))
    ring = rng.random(count) < bandit.ring_share
    radius = np.where(ring, bandit.ring_radius + bandit.ring_sigma * normal, bandit.centre_sigma * rayleigh)
    return radius[:, None] * _directions(count, dimensions, rng)


def _directions(count: int, dimensions: int, rng: np.random.Generator) -> Float[Array, "n d"]:
    drawn = rng.normal(size=(count, dimensions))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def by_dimension(dimensions: Sequence[int], rows: int, count: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Return what the detector says at κ = 3 in worlds of several dimensions, one row a number of them.

    Columns: ``dimensions rows threshold``; ``alarms``, of fresh actions of the data's law, and ``hits``, of actions in
    the middle of the gap between the modes, none of which the data can hold.

    Raises:
        RamacError: a count below 1.
    """
    bandit, lines = Bandit(), []
    middle = (bandit.centre_edge + bandit.ring_edges[0]) / 2
    for d in dimensions:
        rng = np.random.default_rng([seed, d])
        found = ood.ActionOnly(shells(rows, d, rng))
        fresh, gap = shells(count, d, rng), middle * _directions(count, d, rng)
        shares = [float(found.flags(np.zeros((count, 1)), part).mean()) for part in (fresh, gap)]
        line = (d, rows, ood.KAPPA * found.scale, *shares)
        lines.append(dict(zip(("dimensions", "rows", "threshold", "alarms", "hits"), line, strict=True)))
    return pd.DataFrame(lines)
