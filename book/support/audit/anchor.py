"""ORAAC's bounded residual on clean Hopper: what it adds to the prior alone (eq. 12 with Φ = 0)."""

from pathlib import Path

import pandas as pd

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.analysis.style import style
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results
from support.audit.gaps import columns

CLEAN, OFFICIAL = "hazard_free", "oraac_official.csv"


def residuals(folder: Path | None = None) -> pd.DataFrame:
    """Return each method of ORAAC's family with its residual and without it, on clean data; one row a method.

    Columns ``method label radius seeds episodes updates`` and, with ``_low _high``, ``mean_with mean_without mean_gap
    cvar_with cvar_without cvar_gap``: gaps are what the residual adds.

    Args:
        folder: of ``hazard_free.csv`` (default: the repository's data/results).

    Raises:
        Missing: no method is stored both ways.
    """
    folder = data_folder() / "results" if folder is None else Path(folder)
    if not results.is_there(CLEAN, folder):
        raise Missing(f"There is no data/results/{CLEAN}.csv yet; its command is in the README.")
    table, facts = results.load(CLEAN, folder)
    radius = table["run"].map({run: f["config"]["settings"].get("radius") for run, f in facts.items()})
    report = table.assign(radius=radius)[table["purpose"] == "report"].dropna(subset=["radius"])
    rows = []
    for method, own in report.groupby("method", sort=False):
        reach = own["radius"].max()
        parts = {"with": own[own["radius"] == reach], "without": own[own["radius"] == 0]}
        if reach == 0 or parts["without"].empty:
            continue
        samples = {name: Sample(part, f"{method} clean {name}") for name, part in parts.items()}
        line = {"method": method, "label": style(str(method)).label, "radius": float(reach)}
        line |= {"seeds": samples["with"].seeds, "episodes": samples["with"].episodes}
        line |= {"updates": int(own["step"].max())}
        line |= columns(("with", samples["with"]), ("without", samples["without"]))
        rows.append(line)
    if not rows:
        raise Missing("No method of ORAAC's family is stored with its residual and without it.")
    return pd.DataFrame(rows)


def gap(table: pd.DataFrame, method: str, statistic: str) -> Estimate:
    """Return what the residual adds to a method of `residuals`.

    Raises:
        Missing: the method is not in the table.
    """
    own = table[table["method"] == method]
    if own.empty:
        raise Missing(f"{style(method).label} is not stored with its residual and without it.")
    return Estimate(*(float(own[f"{statistic}_gap{end}"].iloc[0]) for end in ("", "_low", "_high")))


def official(folder: Path | None = None) -> pd.DataFrame:
    """Return what the official code does on the same data; columns of the file, episodes of one seed each.

    Raises:
        Missing: it has not been measured.
    """
    path = (data_folder() / "results" if folder is None else Path(folder)) / OFFICIAL
    if not path.exists():
        raise Missing("The official code's returns are not stored.")
    return pd.read_csv(path)
