"""Lemma 4.1 and the safety margin (section 4.1): a bounded step from an anchor on three supports of known geometry.

The lemma's inequality is lost from every copy of the paper; this is our reconstruction. Let S = supp β(·|s), O its
complement, λ area, and let a = b + ξ with ‖ξ‖ ≤ Φ have a density that is at least c > 0 on B_Φ(b*) ∩ O for some b* in S
with λ(B_Φ(b*) ∩ O) > 0. Then

    δ_s = P(a ∈ O) ≥ c · λ(B_Φ(b*) ∩ O) > 0.

Here anchors are uniform on S and steps uniform on the disc of radius Φ, so that both sides are known: the density of a
at x is λ(B_Φ(x) ∩ S) / (λ(S) π Φ²). Each support depends on one number, a *position*: the distance from its middle.
"""

from dataclasses import dataclass
from math import pi
from typing import Protocol

import numpy as np
from jaxtyping import Float

from ramac_lib.system.errors import RamacError

Array = np.ndarray
QUADRATURE, SCAN = 400, 200


class Support(Protocol):
    """A set in the plane that looks the same from every point of one position."""

    @property
    def area(self) -> float:
        """Its area λ(S)."""

    @property
    def depth(self) -> float:
        """The largest margin of any of its points: from here on Φ reaches the complement from every anchor."""

    def margin(self, position: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The distance to the complement, dist(b, O); 0 outside."""

    def covered(self, position: Float[Array, "*n"], radius: float) -> Float[Array, "*n"]:
        """The area λ(B_Φ(b) ∩ S) of the disc of this radius about a point that lies in the support."""

    def anchors(self) -> tuple[Float[Array, " q"], Float[Array, " q"]]:
        """Positions and probabilities that integrate over the uniform law on the support."""


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise RamacError(f"{name} is {value}; expected a positive number")


def lens(distance: Float[Array, "*n"], first: float, second: float) -> Float[Array, "*n"]:
    """Return the area in which two discs of these radii overlap, their middles so far apart."""
    d = np.asarray(distance, dtype=np.float64)
    small, large = min(first, second), max(first, second)
    if small == 0:
        return np.zeros_like(d)
    near, far = d <= large - small, d >= large + small
    x = np.where(near | far, large, d)
    a = np.clip((x**2 + small**2 - large**2) / (2 * x * small), -1, 1)
    b = np.clip((x**2 + large**2 - small**2) / (2 * x * large), -1, 1)
    kite = (-x + small + large) * (x + small - large) * (x - small + large) * (x + small + large)
    area = small**2 * np.arccos(a) + large**2 * np.arccos(b) - np.sqrt(np.maximum(kite, 0)) / 2
    return np.where(near, pi * small**2, np.where(far, 0.0, area))


@dataclass(frozen=True)
class Annulus:
    """The points between two radii; a disc where the inner one is 0. A point's position is its radius.

    Raises:
        RamacError: radii that are not 0 ≤ inner < outer.
    """

    inner: float
    outer: float

    def __post_init__(self) -> None:
        _positive(outer=self.outer)
        if not 0 <= self.inner < self.outer:
            raise RamacError(f"inner is {self.inner}; expected at least 0 and below outer, {self.outer}")

    @property
    def area(self) -> float:
        """Its area λ(S)."""
        return pi * (self.outer**2 - self.inner**2)

    @property
    def depth(self) -> float:
        """The largest margin: half the width, or a disc's radius."""
        return self.outer if self.inner == 0 else (self.outer - self.inner) / 2

    def margin(self, position: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The distance to the nearer edge."""
        r = np.asarray(position, dtype=np.float64)
        inward = np.inf if self.inner == 0 else r - self.inner
        return np.maximum(np.minimum(self.outer - r, inward), 0)

    def covered(self, position: Float[Array, "*n"], radius: float) -> Float[Array, "*n"]:
        """The overlap with the outer disc less that with the hole."""
        return lens(position, radius, self.outer) - lens(position, radius, self.inner)

    def anchors(self) -> tuple[Float[Array, " q"], Float[Array, " q"]]:
        """Gauss-Legendre in the radius, whose density is proportional to it."""
        r, w = _rule(self.inner, self.outer)
        return r, 2 * pi * r * w / self.area


@dataclass(frozen=True)
class Strip:
    """The points within `half_width` of a straight line of this length, whose ends are ignored.

    A point's position is its distance from the line.

    Raises:
        RamacError: a size that is not positive.
    """

    half_width: float
    length: float

    def __post_init__(self) -> None:
        _positive(half_width=self.half_width, length=self.length)

    @property
    def area(self) -> float:
        """Its area λ(S)."""
        return 2 * self.half_width * self.length

    @property
    def depth(self) -> float:
        """The largest margin, that of the line's own points."""
        return self.half_width

    def margin(self, position: Float[Array, "*n"]) -> Float[Array, "*n"]:
        """The distance to the nearer edge."""
        return np.maximum(self.half_width - np.abs(position), 0)

    def covered(self, position: Float[Array, "*n"], radius: float) -> Float[Array, "*n"]:
        """The disc less its two caps beyond the edges."""
        y = np.asarray(position, dtype=np.float64)
        return pi * radius**2 - _cap(self.half_width - y, radius) - _cap(self.half_width + y, radius)

    def anchors(self) -> tuple[Float[Array, " q"], Float[Array, " q"]]:
        """Gauss-Legendre across; both sides are alike."""
        y, w = _rule(0.0, self.half_width)
        return y, w / self.half_width


def _cap(distance: Array, radius: float) -> Array:
    """The area of a disc beyond a line at a signed distance from its middle."""
    d = np.clip(distance / radius, -1, 1)
    return radius**2 * (np.arccos(d) - d * np.sqrt(1 - d**2))


def _rule(low: float, high: float) -> tuple[Array, Array]:
    x, w = np.polynomial.legendre.leggauss(QUADRATURE)
    return low + (high - low) * (x + 1) / 2, (high - low) * w / 2


def ood_probability(support: Support, radius: float) -> float:
    """Return δ, the probability that anchor and step, both uniform, end outside the support (by quadrature).

    Raises:
        RamacError: a radius that is not positive.
    """
    _positive(radius=radius)
    at, share = support.anchors()
    return float(1 - share @ support.covered(at, radius) / (pi * radius**2))


def safe_share(support: Support, radius: float) -> float:
    """Return the share of anchors that meet the safety margin condition Φ ≤ dist(b, O), whatever the step.

    Raises:
        RamacError: a radius that is not positive.
    """
    _positive(radius=radius)
    if radius >= support.depth:
        return 0.0
    if isinstance(support, Annulus):
        inner = support.inner + radius if support.inner else 0.0
        return float(((support.outer - radius) ** 2 - inner**2) / (support.outer**2 - support.inner**2))
    return float(1 - radius / support.depth)


def density(support: Support, position: Float[Array, "*n"], radius: float) -> Float[Array, "*n"]:
    """Return the density of the perturbed action at points of these positions.

    Raises:
        RamacError: a radius that is not positive.
    """
    _positive(radius=radius)
    return support.covered(position, radius) / (support.area * pi * radius**2)


def lemma_bound(support: Support, radius: float) -> tuple[float, float]:
    """Return the largest c · λ(B_Φ(b*) ∩ O) over anchors b*, and that anchor's margin; (0, NaN) if none reaches O.

    c is the least density on B_Φ(b*) ∩ O. Beyond an edge the density falls with the distance, so the least is at the
    farthest points that the disc reaches on either side; in a ring's hole, which the disc may cross, we scan.

    Raises:
        RamacError: a radius that is not positive.
    """
    _positive(radius=radius)
    at, _ = support.anchors()
    at = at[:: max(1, len(at) // SCAN)]
    escaped = pi * radius**2 - support.covered(at, radius)
    reached = np.abs(at[:, None] + radius * np.linspace(-1, 1, SCAN + 1))  # through the middle to the other side
    outside = support.margin(reached) <= 0
    least = np.where(outside, density(support, reached, radius), np.inf).min(axis=1)
    values = np.where(np.isfinite(least), least, 0) * escaped
    best = int(values.argmax())
    return (float(values[best]), float(support.margin(at[best]))) if values[best] > 0 else (0.0, float("nan"))
