"""The density of a policy as it is deployed on the bandit, by counting its actions in cells of the support.

A sampler of few clamped steps has no density in closed form. So the support is cut into cells and everything outside is
one more; the policy's law over these is estimated from counts, and β is exact. Two divergences follow. Over cells alone
it is at most the true one, by the data-processing inequality, and grows as cells are cut. With the histogram as the
policy's density, constant in each cell, β's own shape in the cell counts as well. Proposition 1 holds for both as they
stand; the true divergence is not below the first, and near the second where π varies less within a cell than β.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import pi

import numpy as np
from jaxtyping import Float, Int
from scipy.special import rel_entr

from ramac_lib.envs.bandit import ROUNDING, Bandit
from ramac_lib.system.errors import RamacError
from support.proposition.mixtures import Nodes

Array = np.ndarray
ORDER = 20  # of the Gauss-Legendre rule across a cell


@dataclass(frozen=True)
class Cells:
    """The support cut into rings and sectors, in each mode rings of about equal mass under β.

    Args:
        rings, sectors: counts in the ring's annulus; the centre's disc has half of each.

    Raises:
        RamacError: counts below 2 or odd.
    """

    rings: int = 12
    sectors: int = 64
    bandit: Bandit = field(default_factory=Bandit)

    def __post_init__(self) -> None:
        for name in ("rings", "sectors"):
            value = getattr(self, name)
            if value < 2 or value % 2:
                raise RamacError(f"{name} is {value}; expected an even number of at least 2")

    @cached_property
    def modes(self) -> tuple[tuple[Float[Array, " r"], int], ...]:
        """The edges in radius and the number of sectors: of the disc, then of the annulus."""
        spans = (
            (0.0, self.bandit.centre_edge, self.rings // 2, self.sectors // 2),
            (
                *self.bandit.ring_edges,
                self.rings,
                self.sectors,
            ),
        )
        return tuple((self._equal(low, high, n), sectors) for low, high, n, sectors in spans)

    def _equal(self, low: float, high: float, n: int) -> Array:
        fine = np.linspace(low, high, 2001)
        mass = np.concatenate([[0.0], np.cumsum(self._mass(fine))])
        return np.concatenate([[low], np.interp(np.arange(1, n) / n * mass[-1], mass, fine), [high]])

    def _mass(self, edges: Array) -> Array:
        """β's mass between consecutive radii, by quadrature of its density."""
        x, w = np.polynomial.legendre.leggauss(ORDER)
        r = edges[:-1, None] + np.diff(edges)[:, None] * (x + 1) / 2
        density = self.bandit.density(np.stack([r, np.zeros_like(r)], axis=-1))
        return (2 * pi * r * density * w).sum(axis=1) * np.diff(edges) / 2

    @cached_property
    def shape(self) -> float:
        """The divergence of β from a law that is constant in each cell and has β's masses there."""
        x, w = np.polynomial.legendre.leggauss(ORDER)
        total = 0.0
        for edges, _ in self.modes:
            r = edges[:-1, None] + np.diff(edges)[:, None] * (x + 1) / 2
            density = self.bandit.density(np.stack([r, np.zeros_like(r)], axis=-1))
            level = self._mass(edges) / (pi * np.diff(edges**2))
            terms = 2 * pi * r * density * np.log(density / level[:, None]) * w
            total += float(terms.sum(axis=1) @ np.diff(edges) / 2)
        return total

    @cached_property
    def beta(self) -> Float[Array, " k"]:
        """β's mass in each cell."""
        return np.concatenate([np.repeat(self._mass(edges) / n, n) for edges, n in self.modes])

    def count(self, actions: Float[Array, "n 2"]) -> Int[Array, " k+1"]:
        """Return how many actions lie in each cell, and last how many lie in none.

        An action on the box's edge was clamped there. It belongs to an atom, to which β gives no mass, and counts as
        outside: also at the four points where the annulus touches the box.

        Raises:
            RamacError: no actions, a wrong shape, NaN.
        """
        actions = np.asarray(actions)
        inside = self.bandit.support(actions) & (np.abs(actions).max(axis=-1) < 1)
        if len(actions) == 0:
            raise RamacError("there are no actions; expected at least one")
        x, y = actions[inside].T.astype(np.float64)
        r, turn = np.hypot(x, y), np.arctan2(y, x) / (2 * pi) % 1
        counts = []
        for edges, n in self.modes:
            here = (r >= edges[0] - 2 * ROUNDING) & (r <= edges[-1] + 2 * ROUNDING)
            ring = np.searchsorted(edges[1:-1], r[here])
            sector = np.minimum((turn[here] * n).astype(int), n - 1)
            counts.append(np.bincount(ring * n + sector, minlength=(len(edges) - 1) * n))
        return np.concatenate([*counts, [len(actions) - inside.sum()]])


@dataclass(frozen=True)
class Divergence:
    """KL(β ‖ π) in nats and π's mass outside, with the standard errors of counting.

    Attributes:
        kl: with the histogram as π's density; the bias of counting is taken off.
        kl_error: of counting.
        kl_cells: over cells alone, which the true KL is not below; cells account for kl − kl_cells at most, where π
            varies within a cell no more than β.
        bias: of counting, about k/2n for k cells and n actions.
        ood, ood_error: δ.
        empty: β's mass in cells without any action; these count half an action each, so that KL is finite and too low.
    """

    kl: float
    kl_error: float
    kl_cells: float
    bias: float
    ood: float
    ood_error: float
    empty: float

    @property
    def bound(self) -> float:
        """1 − exp(−KL), the right side of Proposition 1."""
        return float(-np.expm1(-max(self.kl, 0.0)))


def divergence(cells: Cells, actions: Float[Array, "n 2"]) -> Divergence:
    """Estimate KL(β ‖ π) and δ of the policy that drew these actions.

    Raises:
        RamacError: no actions, a wrong shape, NaN.
    """
    counts, n = cells.count(actions), len(actions)
    beta, ood = cells.beta, counts[-1] / n
    law = np.maximum(counts[:-1], 0.5) / n
    bias = float((beta * (1 - law) / law)[counts[:-1] > 0].sum() / (2 * n))
    over_cells = float(rel_entr(beta, law).sum()) - bias
    spread = (beta**2 / law).sum() - 1
    return Divergence(
        kl=over_cells + cells.shape,
        kl_error=float(np.sqrt(max(spread, 0) / n)),
        kl_cells=over_cells,
        bias=bias,
        ood=float(ood),
        ood_error=float(np.sqrt(ood * (1 - ood) / n)),
        empty=float(beta[counts[:-1] == 0].sum()),
    )


def nodes(bandit: Bandit | None = None, radial: int = 24, angular: int = 96) -> Nodes:
    """Return the behaviour law by quadrature: Gauss-Legendre in the radius, equally spaced angles."""
    bandit = bandit or Bandit()
    x, w = np.polynomial.legendre.leggauss(radial)
    angle = 2 * pi * (np.arange(angular) + 0.5) / angular
    points, areas = [], []
    for low, high in ((0.0, bandit.centre_edge), bandit.ring_edges):
        r = low + (high - low) * (x + 1) / 2
        points.append(r[:, None, None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1))
        areas.append(np.repeat(r * w * (high - low) / 2 * 2 * pi / angular, angular))
    every = np.concatenate([p.reshape(-1, 2) for p in points])
    return Nodes(every, np.concatenate(areas), bandit.density(every))
