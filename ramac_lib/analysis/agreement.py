"""How far learned quantiles are from returns: gaps, Wasserstein distance, calibration, bias, and their intervals."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import wasserstein_distance

from ramac_lib import risk
from ramac_lib.system.errors import RamacError

ALPHA = 0.1
SPREAD = (0.1, 0.9)
RESAMPLES = 2000
ROUNDING = 1e-6


def observed_frequency(
    learned: Float[np.ndarray, "*K N"], returns: Float[np.ndarray, "*K M"], fractions: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "*K N"]:
    """Return how often returns lie below each learned quantile; for a calibrated critic that is its fraction τ.

    Where returns fall on the quantile itself, as they do for distributions with atoms, all numbers from P(R < q) to
    P(R ≤ q) are frequencies of a quantile, and the one nearest to τ is returned: so an exact critic is calibrated for
    every distribution. Without such ties it is P(R < q). What float32 cannot tell apart is a tie.
    """
    difference = returns[..., None, :] - learned[..., :, None]
    tie = ROUNDING * np.maximum(np.abs(learned[..., :, None]), 1)
    below, upto = (difference < -tie).mean(axis=-1), (difference <= tie).mean(axis=-1)
    return np.clip(fractions, below, upto)


def compare(
    learned: Float[np.ndarray, " N"], returns: Float[np.ndarray, " M"], fractions: Float[np.ndarray, " N"]
) -> dict[str, float]:
    """Return what is told of one critic at one state and action.

    Keys: ``learned_mean mc_mean`` and ``learned_cvar mc_cvar`` (α = .1, by the grid's weights and of the sample);
    ``learned_spread mc_spread``, the quantile at about .9 less that at about .1; ``gap``, the mean over the fractions
    of |learned − Monte-Carlo quantile|; ``wasserstein``, the Wasserstein-1 distance between sample and N quantiles of
    1/N each; ``noise``, about the gap that an exact critic would show because the sample
    is small; ``mc_low mc_high``, the extreme returns. All in units of return.
    """
    empirical = np.quantile(returns, fractions, method="inverted_cdf")
    weights = risk.weights("cvar", len(fractions), alpha=ALPHA)
    low, high = (int(np.abs(fractions - level).argmin()) for level in SPREAD)
    return {
        "learned_mean": float(learned.mean()),
        "mc_mean": float(returns.mean()),
        "learned_cvar": float(learned @ weights),
        "mc_cvar": float(risk.cvar(returns, ALPHA)),
        "learned_spread": float(learned[high] - learned[low]),
        "mc_spread": float(empirical[high] - empirical[low]),
        "gap": float(np.abs(learned - empirical).mean()),
        "wasserstein": float(wasserstein_distance(learned, returns)),
        "noise": sampling_gap(returns, fractions),
        "mc_low": float(returns.min()),
        "mc_high": float(returns.max()),
    }


def sampling_gap(returns: Float[np.ndarray, " M"], fractions: Float[np.ndarray, " N"]) -> float:
    """Return half the mean |difference| of the quantiles of the sample's two halves.

    A sample of M has quantiles about half as far from the exact ones as two samples of M/2 have from each other.
    """
    halves = [np.quantile(half, fractions, method="inverted_cdf") for half in (returns[::2], returns[1::2])]
    return float(np.abs(halves[0] - halves[1]).mean() / 2)


def crossed_interval(
    values: Float[np.ndarray, "S K *rest"], level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the percentile interval of the mean over seeds and states, each resampled by itself.

    Every seed is asked at the same states, so that a state is drawn for all seeds at once: the bootstrap of a table
    with two crossed factors (Owen 2007, "The pigeonhole bootstrap"). With one seed the states alone are resampled.

    Raises:
        RamacError: no seeds or no states.
    """
    if values.ndim < 2 or 0 in values.shape[:2]:
        raise RamacError(f"values have shape {values.shape}; expected at least one seed and one state")
    low, high = np.quantile(_resampled(values, resamples, seed), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _resampled(values: Float[np.ndarray, "S K *rest"], resamples: int, seed: int) -> Float[np.ndarray, "R *rest"]:
    """Return the resamples' means."""
    rng = np.random.default_rng(seed)
    s, k = values.shape[:2]
    # Counts instead of copies: a resample is a weighted mean.
    seeds = rng.multinomial(s, np.full(s, 1 / s), resamples) / s
    states = rng.multinomial(k, np.full(k, 1 / k), resamples) / k
    return np.einsum("rs,rk,sk...->r...", seeds, states, values)


def ratio_interval(above: Float[np.ndarray, "S K"], below: Float[np.ndarray, "S K"]) -> tuple[float, float, float]:
    """Return the ratio of two means over seeds and states, and its 95 % interval; NaN where a mean below is 0."""
    both = np.stack([above, below], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.divide(*both.mean(axis=(0, 1)))
        drawn = np.divide(*np.moveaxis(_resampled(both, RESAMPLES, 0), -1, 0))
    low, high = np.quantile(drawn, [0.025, 0.975]) if np.isfinite(drawn).all() else (np.nan, np.nan)
    return float(value), float(low), float(high)


def table_of(rows: pd.DataFrame, column: str) -> Float[np.ndarray, "S K"]:
    """Return a column of the states' table as seeds × states, critics averaged."""
    return rows.pivot_table(index="seed", columns="state", values=column, aggfunc="mean").to_numpy()


def summary(states: pd.DataFrame) -> pd.DataFrame:
    """Return what is reported of each run: one row a run and kind of action, intervals over seeds and states.

    Columns: ``run action seeds states``; with ``_low`` and ``_high``: ``bias`` (learned mean − Monte-Carlo mean: above
    0 the critic is too optimistic), ``tail_bias`` (the same of CVaR_0.1), ``gap``, ``wasserstein`` and ``noise`` as
    shares of ``range``, the distance of the extreme Monte-Carlo returns of that run; and ``spread``, the learned
    distance of the quantiles at .9 and .1 as a share of the Monte-Carlo one: 1 is right, 0 a critic of one number.

    Args:
        states: the table of states that `ramac analyse critics` writes.
    """
    found = []
    for (run, action), rows in states.groupby(["run", "action"], sort=False):
        span = float(rows["mc_high"].max() - rows["mc_low"].min())
        unit = span if span > 0 else np.nan
        row: dict[str, Any] = {"run": run, "action": action, "seeds": rows["seed"].nunique()}
        row |= {"states": rows["state"].nunique(), "range": span}
        parts = {
            "bias": rows["learned_mean"] - rows["mc_mean"],
            "tail_bias": rows["learned_cvar"] - rows["mc_cvar"],
            "gap": rows["gap"] / unit,
            "wasserstein": rows["wasserstein"] / unit,
            "noise": rows["noise"] / unit,
        }
        for name, values in parts.items():
            grid = table_of(rows.assign(value=values), "value")
            low, high = crossed_interval(grid)
            row |= {name: float(grid.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
        spread = ratio_interval(table_of(rows, "learned_spread"), table_of(rows, "mc_spread"))
        row |= dict(zip(("spread", "spread_low", "spread_high"), spread, strict=True))
        found.append(row)
    return pd.DataFrame(found)
