"""How far the CVaR of two laws of returns can be apart, given their divergence.

Returns lie in [m, M], CVaR_α is of the lower tail. The paper's ICML version bounds the difference by

    |CVaR_α(P) − CVaR_α(Q)| ≤ (M − m)/α · √(KL(P ‖ Q) / 2)                                   (Pinsker).

Ours, for every pair of laws, and attained by two-point laws on {m, M}:

    in total variation t:   (M − m) · min(t/α, 1);
    in divergence k:        (M − m) · W_α(k)/α,   W_α(k) = max {|p − q|: p, q ∈ [0, α], kl(p ‖ q) ≤ k},

with kl the divergence of two coins. For α ≤ ½ the maximum has q = α: W_α(k) = α − p with kl(p ‖ α) = k. The best
constant C(α) in (M − m) · C · √KL is √(2(1 − α)/α) for α ≤ ½, and Pinsker's own 1/(α√2) beyond; chapter 2 proves it.
For policies P and Q are mixtures of the same laws Z(a), and KL(P ‖ Q) ≤ KL(β ‖ π).
"""

from math import log, sqrt

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import logsumexp, rel_entr

from ramac_lib.risk import check_alpha
from ramac_lib.system.errors import RamacError

Array = np.ndarray
HALVINGS = 52  # bisection to the spacing of doubles near 1
SECTIONS = 32  # .618³² = 2e-7 of a place where the slope is 0, hence 1e-13 of the value
GOLDEN = (sqrt(5) - 1) / 2


def _divergences(values: Float[Array, "*n"]) -> Array:
    kl = np.asarray(values, dtype=np.float64)
    if not (kl >= 0).all():
        raise RamacError(f"a divergence is {kl[~(kl >= 0)][0]}; expected numbers of at least 0")
    return kl


def _spread(spread: float) -> float:
    if not (np.isfinite(spread) and spread >= 0):
        raise RamacError(f"spread is {spread}; expected M − m, a finite number of at least 0")
    return spread


def _terms(p: Array, q: Array) -> Array:
    """Return p log(p/q) − p + q ≥ 0, whose sum over a law is its divergence; exact also where p is near to q."""
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (p - q) / q
        series = u**2 * (1 / 2 - u / 6 + u**2 / 12 - u**3 / 20 + u**4 / 30)  # of (1+u) log(1+u) − u
        full = np.where(p > 0, p * np.log(p / q), 0.0) - p + q
    return np.where(q > 0, np.where(np.abs(u) < 1e-3, q * series, full), np.where(p > 0, np.inf, 0.0))


def coin_divergence(p: Float[Array, "*n"], q: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return kl(p ‖ q) = p log(p/q) + (1−p) log((1−p)/(1−q)), the divergence of two coins.

    Raises:
        RamacError: a probability outside [0, 1].
    """
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    for values in (p, q):
        if not ((values >= 0) & (values <= 1)).all():
            raise RamacError(f"a probability is {values[~((values >= 0) & (values <= 1))][0]}; expected it in [0, 1]")
    return _terms(p, q) + _terms(1 - p, 1 - q)


def divergence(first: Float[Array, "*batch n"], second: Float[Array, "*batch n"]) -> Float[Array, "*batch"]:
    """Return KL(P ‖ Q) of discrete laws along the last axis, ∞ where Q misses a part of P.

    Raises:
        RamacError: probabilities below 0, not summing to 1, or NaN.
    """
    laws = [np.asarray(values, dtype=np.float64) for values in (first, second)]
    for values in laws:
        if not (values >= 0).all():
            raise RamacError(f"a probability is {values[~(values >= 0)][0]}; expected none below 0")
        total = values.sum(-1)
        if (np.abs(total - 1) > 1e-9).any():
            raise RamacError(f"probabilities sum to {total.flat[np.abs(total - 1).argmax()]}; expected 1")
    return _terms(*laws).sum(axis=-1)


def total_variation_bound(distance: Float[Array, "*n"], alpha: float, spread: float = 1.0) -> Float[Array, "*n"]:
    """Return (M − m) · min(t/α, 1), the largest difference of CVaR_α at total variation distance t.

    Raises:
        RamacError: a distance outside [0, 1], α outside (0, 1], a spread below 0.
    """
    t = np.asarray(distance, dtype=np.float64)
    if not ((t >= 0) & (t <= 1)).all():
        raise RamacError(f"a distance is {t[~((t >= 0) & (t <= 1))][0]}; expected it in [0, 1]")
    return _spread(spread) * np.minimum(t / check_alpha(alpha), 1)


def pinsker_bound(divergence: Float[Array, "*n"], alpha: float, spread: float = 1.0) -> Float[Array, "*n"]:
    """Return (M − m)/α · √(KL/2), the ICML version's bound.

    Raises:
        RamacError: a divergence below 0, α outside (0, 1], a spread below 0.
    """
    return _spread(spread) / check_alpha(alpha) * np.sqrt(_divergences(divergence) / 2)


def tail_frontier(divergence: Float[Array, "*n"], alpha: float) -> Float[Array, "*n"]:
    """Return W_α(KL) = max {|p − q|: p, q ∈ [0, α], kl(p ‖ q) ≤ KL}; with α = 1 the largest total variation distance.

    Raises:
        RamacError: a divergence below 0, α outside (0, 1].
    """
    kl, alpha = _divergences(divergence), check_alpha(alpha)
    low, high = np.zeros_like(kl), np.full_like(kl, alpha)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        within = _least(middle, alpha) <= kl
        low, high = np.where(within, middle, low), np.where(within, high, middle)
    # At k ≥ −log(1 − α) a policy may take a return of m in the whole of its tail.
    return np.where(kl >= (np.inf if alpha == 1 else -log(1 - alpha)), alpha, low)


def _least(t: Array, alpha: float) -> Array:
    """Return the least kl(p ‖ p + t) with p and p + t in [0, α]; the other direction is never less (chapter 2)."""
    low, high = np.zeros_like(t), alpha - t
    if alpha <= 0.5:
        return coin_divergence(high, np.full_like(t, alpha))
    for _ in range(SECTIONS):  # kl is convex along the line
        width = GOLDEN * (high - low)
        left, right = high - width, low + width
        better = _coins(left, t) < _coins(right, t)
        low, high = np.where(better, low, left), np.where(better, right, high)
    p = (low + high) / 2
    return coin_divergence(p, np.minimum(p + t, 1))


def _coins(p: Array, t: Array) -> Array:
    return rel_entr(p, p + t) + rel_entr(1 - p, 1 - p - t)


def sharp_bound(divergence: Float[Array, "*n"], alpha: float, spread: float = 1.0) -> Float[Array, "*n"]:
    """Return (M − m) · W_α(KL)/α, the largest difference of CVaR_α that two laws with this divergence can have.

    Raises:
        RamacError: a divergence below 0, α outside (0, 1], a spread below 0.
    """
    return _spread(spread) * tail_frontier(divergence, alpha) / check_alpha(alpha)


def best_constant(alpha: float) -> float:
    """Return C(α), the least C with |CVaR_α(P) − CVaR_α(Q)| ≤ (M − m) · C · √KL(P ‖ Q) for all laws on [m, M].

    Raises:
        RamacError: α outside (0, 1].
    """
    alpha = check_alpha(alpha)
    return sqrt(2 * (1 - alpha) / alpha) if alpha <= 0.5 else 1 / (alpha * sqrt(2))


def extremal_pair(divergence: float, alpha: float) -> tuple[float, float]:
    """Return (p, q): laws with these probabilities of m, the rest on M, attain `sharp_bound` (α ≤ ½).

    Raises:
        RamacError: a divergence below 0, α outside (0, ½].
    """
    if check_alpha(alpha) > 0.5:
        raise RamacError(f"alpha is {alpha}; expected a number in (0, 1/2]")
    return alpha - float(tail_frontier(np.array(divergence), alpha)), alpha


def cvar(
    values: Float[Array, "*batch n"], probabilities: Float[Array, "*batch n"], alpha: float
) -> Float[Array, "*batch"]:
    """Return CVaR_α of many laws on values that must increase along the last axis: `risk.risk_of_law` for a batch."""
    mass = np.minimum(np.cumsum(probabilities, axis=-1) / check_alpha(alpha), 1)
    return (np.diff(mass, prepend=0, axis=-1) * values).sum(axis=-1)


def survey(count: int, alpha: float, rng: np.random.Generator) -> pd.DataFrame:
    """Return the difference of CVaR_α and its bounds for `count` random pairs of policies, one row a pair.

    A pair has 2 to 6 actions, whose return laws live on 5 increasing values from 0 to 1; a third are two coins near α.
    Columns: gap, kl (of the policies), kl_returns, tv (of the returns), by_tv, pinsker, sharp, and as `constant` the
    gap in units of √kl_returns.

    Raises:
        RamacError: count < 1, α outside (0, 1].
    """
    if count < 1:
        raise RamacError(f"count is {count}; expected at least one pair")
    parts = []
    sizes = rng.integers(2, 7, count)
    for n in range(2, 7):
        here = int((sizes == n).sum())
        values = np.concatenate([[0.0], np.sort(rng.random(3)), [1.0]])
        beta = rng.dirichlet(np.ones(n), here)
        mix = 10 ** rng.uniform(-3, 0, (here, 1))
        policy = (1 - mix) * beta + mix * rng.dirichlet(np.ones(n), here)
        laws = rng.dirichlet(np.full(5, 0.3), (here, n))
        coins = rng.random(here) < 1 / 3  # the first action always earns 0, the others 1
        laws[coins] = np.eye(5)[[0] + [4] * (n - 1)]
        near = alpha * rng.uniform(0.5, 1, (here, 2))
        for law, share in zip((beta, policy), near.T, strict=True):
            rest = law[:, 1:] / law[:, 1:].sum(1, keepdims=True)
            law[coins] = np.concatenate([share[:, None], (1 - share)[:, None] * rest], axis=1)[coins]
        first, second = (np.einsum("bi,bin->bn", law, laws) for law in (beta, policy))
        parts.append(
            pd.DataFrame(
                {
                    "gap": np.abs(cvar(values, first, alpha) - cvar(values, second, alpha)),
                    "kl": divergence(beta, policy),
                    "kl_returns": divergence(first, second),
                    "tv": np.minimum(np.abs(first - second).sum(1) / 2, 1),
                }
            )
        )
    table = pd.concat(parts, ignore_index=True)
    kl = table["kl_returns"].to_numpy()
    table["by_tv"] = total_variation_bound(table["tv"].to_numpy(), alpha)
    table["pinsker"], table["sharp"] = pinsker_bound(kl, alpha), sharp_bound(kl, alpha)
    return table.assign(constant=table["gap"] / np.sqrt(kl))


def search(
    kl: float, alpha: float, rng: np.random.Generator, atoms: int = 4, rounds: int = 120, population: int = 200
) -> float:
    """Return the largest difference of CVaR_α that an evolutionary search finds among laws on [0, 1] with KL = `kl`.

    It knows nothing of the theorem: values, P and Q are free; P is drawn towards Q until the divergence is as given.

    Raises:
        RamacError: a divergence that is not above 0, α outside (0, 1].
    """
    if not 0 < kl < np.inf:
        raise RamacError(f"kl is {kl}; expected a positive number")
    genes, best = rng.normal(size=(population, 3, atoms)), 0.0
    for k in range(rounds):
        values = np.sort(1 / (1 + np.exp(-4 * genes[:, 0])), axis=-1)
        far, second = (np.exp(g - logsumexp(g, axis=-1, keepdims=True)) for g in (3 * genes[:, 1], 3 * genes[:, 2]))
        low, high = np.zeros((population, 1)), np.ones((population, 1))
        for _ in range(30):
            middle = (low + high) / 2
            within = (divergence(second + middle * (far - second), second) <= kl)[:, None]
            low, high = np.where(within, middle, low), np.where(within, high, middle)
        first = second + low * (far - second)
        gap = np.abs(cvar(values, first, alpha) - cvar(values, second, alpha))
        best = max(best, float(gap.max()))
        parents = genes[np.argsort(-gap)[: population // 10]]
        scale = 0.6 * 0.96**k
        children = parents[rng.integers(len(parents), size=population)] + scale * rng.normal(size=genes.shape)
        genes = np.concatenate([parents, children])[:population]
    return best
