"""Gaussian mixtures of any dimension fitted to a law that is given by quadrature nodes: no samples, no sampling error.

The expectation-maximisation algorithm minimises KL(β ‖ π) over mixtures; on weighted nodes it does so for β itself.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from ramac_lib.system.errors import RamacError

Array = np.ndarray


@dataclass(frozen=True)
class Nodes:
    """A law by quadrature over its support: points, what each weighs in an area integral, and the law's density there.

    Args:
        points: (q, d).
        areas: (q,), Σ areas · f(points) ≈ ∫_S f.
        density: (q,), of the law; it must integrate to 1.

    Raises:
        RamacError: shapes that do not fit, density at or below 0, or a law that does not integrate to 1 within 1e-6.
    """

    points: Float[Array, "q d"]
    areas: Float[Array, " q"]
    density: Float[Array, " q"]

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or not len(self.points) == len(self.areas) == len(self.density):
            shapes = self.points.shape, self.areas.shape, self.density.shape
            raise RamacError(f"points, areas and density have shapes {shapes}; expected (q, d), (q,), (q,)")
        if not (self.density > 0).all():
            raise RamacError(f"a density is {self.density.min()}; expected positive numbers on the support")
        if abs(self.mass.sum() - 1) > 1e-6:
            raise RamacError(f"the law integrates to {self.mass.sum()}; expected 1")

    @property
    def mass(self) -> Float[Array, " q"]:
        """Each node's share of the law."""
        return self.areas * self.density


@dataclass(frozen=True)
class Gaussians:
    """A mixture of k Gaussian laws in d dimensions.

    Args:
        weights, means, covariances: (k,), (k, d), (k, d, d).
    """

    weights: Float[Array, " k"]
    means: Float[Array, "k d"]
    covariances: Float[Array, "k d d"]

    def log_terms(self, points: Float[Array, "q d"]) -> Float[Array, "q k"]:
        """Return each component's log weight plus log density."""
        factors = np.linalg.cholesky(self.covariances)
        off = points[:, None, :] - self.means  # (q, k, d)
        z = np.linalg.solve(factors, off[..., None])[..., 0]
        log_det = np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        d = points.shape[1]
        return np.log(self.weights) - (z**2).sum(axis=-1) / 2 - log_det - d * np.log(2 * np.pi) / 2

    def log_density(self, points: Float[Array, "q d"]) -> Float[Array, " q"]:
        """Return the log density at points."""
        return logsumexp(self.log_terms(points), axis=1)


def fit(nodes: Nodes, k: int, rng: np.random.Generator, iterations: int = 300, starts: int = 3) -> Gaussians:
    """Return the mixture of k Gaussians of least KL(β ‖ π) that EM finds from a few random starts.

    Raises:
        RamacError: k, iterations or starts below 1.
    """
    for name, value in (("k", k), ("iterations", iterations), ("starts", starts)):
        if value < 1:
            raise RamacError(f"{name} is {value}; expected at least 1")
    found = [_climb(nodes, k, rng, iterations if k > 1 else 1) for _ in range(starts if k > 1 else 1)]
    return min(found, key=lambda mixture: divergence(nodes, mixture))


def _climb(nodes: Nodes, k: int, rng: np.random.Generator, iterations: int) -> Gaussians:
    mass, points = nodes.mass, nodes.points
    d = points.shape[1]
    mean = mass @ points
    spread = np.einsum("q,qi,qj->ij", mass, points - mean, points - mean)
    if k == 1:
        return Gaussians(np.ones(1), mean[None], spread[None])
    means = points[rng.choice(len(points), k, replace=False, p=mass / mass.sum())]
    mixture = Gaussians(np.full(k, 1 / k), means, np.tile(spread / k, (k, 1, 1)))
    for _ in range(iterations):
        terms = mixture.log_terms(points)
        share = np.exp(terms - logsumexp(terms, axis=1, keepdims=True)) * mass[:, None]
        weights = share.sum(axis=0)
        means = share.T @ points / weights[:, None]
        off = points[:, None, :] - means
        covariances = np.einsum("qk,qki,qkj->kij", share, off, off) / weights[:, None, None]
        mixture = Gaussians(weights / weights.sum(), means, covariances + 1e-9 * np.eye(d))
    return mixture


def divergence(nodes: Nodes, mixture: Gaussians) -> float:
    """Return KL(β ‖ π) by quadrature."""
    return float(nodes.mass @ (np.log(nodes.density) - mixture.log_density(nodes.points)))


def ood_probability(nodes: Nodes, mixture: Gaussians) -> float:
    """Return δ = 1 − ∫_S π by quadrature."""
    return float(1 - nodes.areas @ np.exp(mixture.log_density(nodes.points)))
