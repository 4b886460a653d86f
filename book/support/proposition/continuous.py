"""Proposition 1 for densities on the line: Gaussian mixtures by quadrature, never by sampling.

A behaviour law is a mixture truncated to a union of intervals, its support S; a policy is a mixture on the whole line.
π(S) is a sum of normal probabilities, and KL(β ‖ π) an integral over S, by Gauss-Legendre quadrature.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logsumexp, ndtr

from ramac_lib.system.errors import RamacError

Array = np.ndarray
ORDER, PANELS = 24, 6  # of the Gauss-Legendre rule, and panels an interval


@dataclass(frozen=True)
class Mixture:
    """Gaussian mixtures on the line, any number at once along leading axes.

    Args:
        weights, means, scales: (*batch, k), of the components; scales are standard deviations.
        intervals: (*batch, m, 2), disjoint, if the law is truncated to their union; its support. None: the line.

    Raises:
        RamacError: weights below 0 or not summing to 1, scales not above 0, an empty interval, overlap, NaN.
    """

    weights: Float[Array, "*batch k"]
    means: Float[Array, "*batch k"]
    scales: Float[Array, "*batch k"]
    intervals: Float[Array, "*batch m 2"] | None = None

    def __post_init__(self) -> None:
        for name in ("weights", "means", "scales"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, values)
            if not np.isfinite(values).all():
                raise RamacError(f"{name} hold {values[~np.isfinite(values)][0]}; expected finite numbers")
        if not self.weights.shape == self.means.shape == self.scales.shape or self.weights.ndim == 0:
            shapes = self.weights.shape, self.means.shape, self.scales.shape
            raise RamacError(f"weights, means and scales have shapes {shapes}; expected the same, (*batch, k)")
        if (self.weights < 0).any():
            raise RamacError(f"a weight is {self.weights.min()}; expected none below 0")
        total = self.weights.sum(-1)
        if (np.abs(total - 1) > 1e-9).any():
            raise RamacError(f"weights sum to {total.flat[np.abs(total - 1).argmax()]}; expected 1")
        if (self.scales <= 0).any():
            raise RamacError(f"a scale is {self.scales.min()}; expected positive numbers")
        if self.intervals is not None:
            edges = np.asarray(self.intervals, dtype=np.float64)
            object.__setattr__(self, "intervals", edges)
            flat = edges.reshape(*edges.shape[:-2], -1)
            if not (np.diff(flat, axis=-1) > 0).all():
                raise RamacError(f"intervals are {edges.tolist()}; expected disjoint ones in increasing order")

    def mass(self, intervals: Float[Array, "*batch m 2"]) -> Float[Array, "*batch"]:
        """Return the probability of the union of intervals, before any truncation."""
        z = (np.asarray(intervals)[..., None] - self._across(self.means, 2)) / self._across(self.scales, 2)
        inside = ndtr(z[..., 1, :]) - ndtr(z[..., 0, :])  # (*batch, m, k)
        return (inside * self._across(self.weights, 1)).sum(axis=(-2, -1))

    def log_density(self, x: Float[Array, "*batch q"]) -> Float[Array, "*batch q"]:
        """Return the log density; of a truncated law on its support only, where it is meant to be evaluated."""
        scales = self._across(self.scales, 1)
        z = (np.asarray(x)[..., None] - self._across(self.means, 1)) / scales
        with np.errstate(divide="ignore"):  # a weight of 0
            terms = np.log(self._across(self.weights, 1)) - z**2 / 2 - np.log(scales * np.sqrt(2 * np.pi))
        value = logsumexp(terms, axis=-1)
        return value if self.intervals is None else value - np.log(self.mass(self.intervals))[..., None]

    @staticmethod
    def _across(values: Array, axes: int) -> Array:
        return values.reshape(*values.shape[:-1], *[1] * axes, values.shape[-1])


def nodes(
    intervals: Float[Array, "*batch m 2"], order: int = ORDER, panels: int = PANELS
) -> tuple[Float[Array, "*batch q"], Float[Array, "*batch q"]]:
    """Return the nodes and weights of a Gauss-Legendre rule on each panel of each interval."""
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.asarray(intervals, dtype=np.float64)
    width = (edges[..., 1] - edges[..., 0])[..., None, None] / panels
    at = edges[..., 0][..., None, None] + width * (np.arange(panels)[:, None] + (x + 1) / 2)
    weight = np.broadcast_to(width * w / 2, at.shape)
    flat = (*edges.shape[:-2], -1)
    return at.reshape(flat), weight.reshape(flat)


def _support(beta: Mixture) -> Array:
    if beta.intervals is None:
        raise RamacError("the behaviour law's support is the whole line; expected one truncated to intervals")
    return beta.intervals


def ood_probability(beta: Mixture, policy: Mixture) -> Float[Array, "*batch"]:
    """Return δ = 1 − π(supp β) by the normal distribution function.

    Raises:
        RamacError: β is not truncated, so that nothing is out of distribution.
    """
    support = _support(beta)
    whole = 1.0 if policy.intervals is None else policy.mass(policy.intervals)
    return 1 - policy.mass(support) / whole


def divergence(beta: Mixture, policy: Mixture, order: int = ORDER, panels: int = PANELS) -> Float[Array, "*batch"]:
    """Return KL(β ‖ π) by quadrature over the support of β.

    Raises:
        RamacError: β is not truncated.
    """
    x, w = nodes(_support(beta), order, panels)
    log_beta = beta.log_density(x)
    return (w * np.exp(log_beta) * (log_beta - policy.log_density(x))).sum(axis=-1)


def bound(divergence: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return 1 − exp(−KL), the right side of eq. 13.

    Raises:
        RamacError: a divergence below 0, or NaN.
    """
    kl = np.asarray(divergence, dtype=np.float64)
    if not (kl >= 0).all():
        raise RamacError(f"a divergence is {kl[~(kl >= 0)][0]}; expected numbers of at least 0")
    return -np.expm1(-kl)


def restrict(beta: Mixture, policy: Mixture) -> Mixture:
    """Return π_S, the policy truncated to the support of β.

    Raises:
        RamacError: β is not truncated.
    """
    return Mixture(policy.weights, policy.means, policy.scales, _support(beta))


def random_pairs(count: int, rng: np.random.Generator) -> tuple[Mixture, Mixture]:
    """Draw `count` behaviour laws on two intervals and as many policies: half unrelated, half near their β."""
    lengths = rng.uniform(0.1, 2.0, (count, 3))
    ends = np.cumsum(lengths, axis=1) - lengths.sum(axis=1, keepdims=True) / 2
    first = -lengths.sum(axis=1) / 2
    intervals = np.stack([np.stack([first, ends[:, 0]], 1), np.stack([ends[:, 1], ends[:, 2]], 1)], axis=1)
    shape = (count, 3)
    beta = rng.dirichlet(np.ones(3), count), rng.uniform(-3, 3, shape), np.exp(rng.uniform(-1, 1, shape))
    other = rng.dirichlet(np.ones(3), count), rng.uniform(-3, 3, shape), np.exp(rng.uniform(-1, 1.5, shape))
    # The same components with a little noise: π_S is near β, and the bound near to equality.
    size = 10 ** rng.uniform(-3, -0.5, (count, 1))
    mixed = (1 - size) * beta[0] + size * rng.dirichlet(np.ones(3), count)
    near = mixed, beta[1] + size * rng.normal(size=shape), beta[2] * np.exp(size / 2)
    pick = (rng.random(count) < 0.5)[:, None]
    policy: list[Any] = [np.where(pick, a, b) for a, b in zip(other, near, strict=True)]
    return Mixture(*beta, intervals=intervals), Mixture(*policy)


def survey(count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Return δ, KL, the bound, their ratio and the quadrature's error of `count` random pairs, one row a pair.

    The error is the change of KL against a rule of half the panels; "holds" allows for it, and no more.

    Raises:
        RamacError: count < 1.
    """
    if count < 1:
        raise RamacError(f"count is {count}; expected at least one pair")
    beta, policy = random_pairs(count, rng)
    delta, kl = ood_probability(beta, policy), divergence(beta, policy)
    error = np.abs(kl - divergence(beta, policy, panels=PANELS // 2)) + 1e-14
    limit = bound(np.maximum(kl, 0))
    return pd.DataFrame(
        {
            "ood": delta,
            "kl": kl,
            "bound": limit,
            "ratio": delta / limit,
            "error": error,
            "holds": delta <= bound(np.maximum(kl + error, 0)),
        }
    )
