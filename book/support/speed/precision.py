"""Does a precision change what is learned? The same seeds in two of them, compared seed by seed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from ramac_lib.analysis.intervals import mean_and_error
from ramac_lib.system.errors import RamacError

# Columns of the bandit's table → what a reader calls them.
MEASURES = {"ring": "ring", "centre": "centre", "gap": "gap", "ood": "OOD", "cvar": "CVaR_0.1"}
COLUMNS = (
    "method", "measure", "seeds", "mean_a", "error_a", "mean_b", "error_b", "difference", "low", "high", "differs",
)  # fmt: skip


def paired_interval(differences: Float[np.ndarray, " n"], level: float = 0.95) -> tuple[float, float, float]:
    """Return mean, low and high of paired differences by Student's t with n − 1 degrees of freedom.

    Raises:
        RamacError: fewer than two differences.
    """
    n = len(differences)
    if n < 2:
        raise RamacError(f"{n} paired difference(s); an interval needs two at least")
    mean, error = mean_and_error(np.asarray(differences, dtype=float))
    half = float(stats.t.ppf((1 + level) / 2, n - 1)) * float(error)
    return float(mean), float(mean) - half, float(mean) + half


def compare(
    table: pd.DataFrame, a: str = "float32", b: str = "bfloat16", measures: Mapping[str, str] = MEASURES
) -> pd.DataFrame:
    """Return a row for each method and measure: both precisions at their last step, and b − a by seed.

    `differs` says whether the interval of the paired difference leaves out zero.

    Args:
        table: columns method, seed, step, precision and those of `measures`.

    Raises:
        RamacError: a precision is missing, or a method's seeds are not the same in both, once each.
    """
    rows = []
    for method, group in table.groupby("method", sort=False):
        last = group[group["step"] == group.groupby(["precision", "seed"])["step"].transform("max")]
        one, two = (last[last["precision"] == name].set_index("seed").sort_index() for name in (a, b))
        if len(one) == 0 or not one.index.equals(two.index) or one.index.has_duplicates:
            found = f"{a}: {list(one.index)}, {b}: {list(two.index)}"
            raise RamacError(f"{method}: expected the same seeds in both precisions, once each; found {found}")
        for column, name in measures.items():
            first, second = (part[column].to_numpy(dtype=float) for part in (one, two))
            mean, low, high = paired_interval(second - first)
            values = (method, name, len(one), *mean_and_error(first), *mean_and_error(second), mean, low, high)
            rows.append(dict(zip(COLUMNS, (*values, not low <= 0 <= high), strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS))
