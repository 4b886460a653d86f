"""What noise regression with a guided target generates (DAC), exactly, where everything is Gaussian.

β = N(μ, σ²) and Q(a) = −k (a − m)² / 2, so that π* ∝ β exp(Q/η) is Gaussian too and the noise of its chain is known.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray
# ᾱ_t of five steps of the variance-preserving schedule that DAC and RADAC share.
BETAS = (0.19587, 0.45882, 0.63578, 0.75488, 0.83503)
KINDS = ("cloning", "exact", "paper", "code")


@dataclass(frozen=True)
class Problem:
    """A Gaussian behaviour policy, a quadratic value and DAC's η."""

    mean: float = 0.3
    std: float = 0.2
    best: float = 0.8
    curvature: float = 4.0
    eta: float = 1.0

    @property
    def tilted(self) -> tuple[float, float]:
        """Mean and standard deviation of π* ∝ β exp(Q/η)."""
        precision = 1 / self.std**2 + self.curvature / self.eta
        centre = (self.mean / self.std**2 + self.curvature * self.best / self.eta) / precision
        return centre, precision**-0.5

    def noise(self, kind: str, x: Float[Array, "*n"], bar: float) -> Float[Array, "*n"]:
        """Return the noise that a network predicts at x_t where ᾱ_t is `bar`.

        Args:
            kind: ``cloning``, E[ε | x_t] of β; ``exact``, that of π*; ``paper``, what eq. 15 of Fang et al. (2025) asks
                for; ``code``, the minimiser of their code's loss, half of whose guidance is lost.
            x: noisy actions.
            bar: ᾱ_t, in (0, 1).

        Raises:
            ValueError: an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"kind of noise {kind!r}; expected one of {', '.join(KINDS)}")
        mean, std = self.tilted if kind == "exact" else (self.mean, self.std)
        found = np.sqrt(1 - bar) * (x - np.sqrt(bar) * mean) / (bar * std**2 + 1 - bar)
        scale = {"paper": 1.0, "code": 0.5}.get(kind, 0.0)
        return found + scale * np.sqrt(1 - bar) * self.curvature * (x - self.best) / self.eta


def betas(steps: int) -> Float[Array, " T"]:
    """Return β_t of the variance-preserving schedule over `steps` steps (1, …, T)."""
    t, low, high = np.arange(1, steps + 1), 0.1, 10.0
    return 1 - np.exp(-low / steps - (high - low) * (2 * t - 1) / (2 * steps**2))


def generate(
    noise: Callable[[Float[Array, " n"], float], Float[Array, " n"]], steps: int, draws: int, seed: int
) -> Float[Array, " n"]:
    """Return actions of the reverse chain with a given noise: the posterior's steps, x̂₀ kept within [−1, 1].

    Args:
        noise: ε of x_t and ᾱ_t.
        steps: T.
        draws: how many actions.
        seed: of the chain's own noise.
    """
    rng, every = np.random.default_rng(seed), betas(steps)
    bars = np.cumprod(1 - every)
    x = rng.standard_normal(draws)
    for t in range(steps - 1, -1, -1):
        bar, before = bars[t], bars[t - 1] if t else 1.0
        clean = np.clip((x - np.sqrt(1 - bar) * noise(x, bar)) / np.sqrt(bar), -1, 1)
        x = (np.sqrt(before) * every[t] * clean + np.sqrt(1 - every[t]) * (1 - before) * x) / (1 - bar)
        if t:
            x = x + np.sqrt(every[t] * (1 - before) / (1 - bar)) * rng.standard_normal(draws)
    return x


def tilted_by_plan(weight: float, kappa: float) -> tuple[float, float]:
    """Return mean and variance of N(0, 1) · exp(w J(x)), J = x − κ x²/2: a risk-guided plan, exactly (RS-Diffuser).

    The return of plan x is N(x, x⁴/4); its CVaR_α is J with κ = φ(Φ⁻¹(α))/α, its mean J with κ = 0, the mean of its
    highest share α J with −κ.

    Raises:
        ValueError: 1 + w κ is not positive, so that the product is no distribution.
    """
    if not 1 + weight * kappa > 0:
        raise ValueError(f"weight {weight} and kappa {kappa}; expected 1 + weight * kappa above 0")
    return weight / (1 + weight * kappa), 1 / (1 + weight * kappa)


def reconstructed(weight: float, kappa: float, steps: int = 20) -> tuple[float, float]:
    """Return mean and standard deviation of plans guided once a step, at the reconstructed plan: RS-Diffuser's default.

    x ~ N(0, 1) and J(x) = x − κ x²/2, as in `tilted_by_plan`: the noise at x_t is √(1−ᾱ) (x_t − √ᾱ w (1 − κ √ᾱ x_t)),
    and each step of the reverse chain is affine in a Gaussian.
    """
    every = betas(steps)
    bars, mean, variance = np.cumprod(1 - every), 0.0, 1.0
    for t in range(steps - 1, -1, -1):
        bar, before = bars[t], bars[t - 1] if t else 1.0
        slope = np.sqrt(1 - bar) * (1 + weight * kappa * bar)  # of the noise in x_t …
        offset = -np.sqrt((1 - bar) * bar) * weight  # … and at 0
        from_clean = np.sqrt(before) * every[t] / (1 - bar) / np.sqrt(bar)
        a = from_clean * (1 - np.sqrt(1 - bar) * slope) + np.sqrt(1 - every[t]) * (1 - before) / (1 - bar)
        mean = a * mean - from_clean * np.sqrt(1 - bar) * offset
        variance = a**2 * variance + every[t] * (1 - before) / (1 - bar)
    return float(mean), float(variance**0.5)
