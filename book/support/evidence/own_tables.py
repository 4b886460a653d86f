"""Chapter 5's tables that the paper does not have: the best of the evaluations, and what looks untrained in its own."""

from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing, published
from ramac_lib.analysis.intervals import ALPHA
from ramac_lib.analysis.rows import method_of
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar
from support.evidence.tables import groups, table_1

POOR = 0.1  # of the best mean: a method that earns less is hardly trained


def best_of_evaluations(evidence: Evidence, task: str, hazard: str) -> pd.DataFrame:
    """Return the last checkpoint's report beside the best of the evaluations, as the released code selects it.

    For each seed the evaluation with the highest mean return on its curve is taken, and its own episodes are reported:
    mean over seeds, and CVaR of these episodes pooled. Columns ``row label group evaluations each mean cvar best_mean
    best_cvar``: `mean` and `cvar` are the report's.

    Raises:
        Missing: there is no report, or there are no evaluations.
    """
    curve = evidence.curve(task, hazard)
    means = curve.groupby(["row", "seed", "step"])["return"].mean()
    chosen = means[means == means.groupby(["row", "seed"]).transform("max")].reset_index()
    chosen = chosen.drop_duplicates(["row", "seed"])[["row", "seed", "step"]]
    kept = curve.merge(chosen, on=["row", "seed", "step"])
    out = []
    for row, group in groups(evidence, task, hazard).items():
        own = kept[kept["row"] == row]
        if own.empty:
            continue
        sample, returns = evidence.sample(task, hazard, row), own["return"].to_numpy()
        line: dict[str, Any] = {"row": row, "label": style(row).label, "group": group}
        line |= {"evaluations": curve.loc[curve["row"] == row, "step"].nunique(), "each": own["episode"].nunique()}
        line |= {"mean": sample.values["mean"], "cvar": sample.values["cvar"]}
        out.append(line | {"best_mean": returns.mean(), "best_cvar": float(cvar(returns, ALPHA))})
    if not out:
        raise Missing(f"No row on {task} under {hazard} has both a report and evaluations.")
    return pd.DataFrame(out)


def untrained(evidence: Evidence, task: str, hazard: str) -> pd.DataFrame:
    """Return the methods that look untrained in the paper's table, beside what ours earn on the same task.

    They are those whose published mean is under `POOR` of the task's best published one; variants stand below. Columns
    ``row label group paper_mean mean mean_low mean_high cvar cvar_low cvar_high share``; `share` is the mean as a share
    of BC-diffusion's (NaN without it).

    Raises:
        Missing: no such method of the paper's table is in the results.
    """
    table, theirs = table_1(evidence, task, hazard), published(task)["mean"]
    poor = theirs[theirs < POOR * theirs.max()]
    names = {row: style(method_of(row)).label for row in table["row"]}
    kept = table[table["row"].map(names).isin(poor.index)]
    if kept.empty:
        raise Missing(f"No method that looks untrained in the paper's table on {task} is in the results.")
    clone = table.loc[table["row"] == "bc-diffusion", "mean"]
    share = kept["mean"] / clone.iloc[0] if len(clone) else np.nan
    return kept.assign(paper_mean=kept["row"].map(names).map(poor), share=share).reset_index(drop=True)
