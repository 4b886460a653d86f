"""Exact numbers of actions on the Risky Bandit, and mean ± standard error of them as short text."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from ramac_lib.analysis.intervals import mean_and_error
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.minus import minus

Array = np.ndarray


def evaluate(
    actions: Float[Array, "seeds count 2"], seeds: Sequence[int], bandit: Bandit | None = None
) -> pd.DataFrame:
    """Return `Bandit.evaluate` of each seed's actions, one row a seed."""
    bandit = bandit or Bandit()
    return pd.DataFrame([bandit.evaluate(a) for a in actions], index=pd.Index(list(seeds), name="seed"))


def summary(tables: Mapping[str, pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    """Return mean ± standard error over seeds as text, one row a table; a single seed has no error.

    Args:
        tables: name → one row a seed, of `evaluate`.
        columns: column of these → heading.
    """
    rows = {}
    for name, table in tables.items():
        rows[name] = [estimate(table[column]) for column in columns]
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns.values()))


def estimate(values: Float[Array, " seeds"] | pd.Series) -> str:
    """Return mean ± standard error as short text, .85±.02; a single seed has no error."""
    mean, error = mean_and_error(np.asarray(values, dtype=float))
    text = f"{mean:.2f}±{error:.2f}" if len(values) > 1 else f"{mean:.2f}"
    return minus(re.sub(r"(?<!\d)0(?=\.)", "", text))
