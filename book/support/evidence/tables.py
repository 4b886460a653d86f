"""Tables 1, 3 and 4 of the paper from a campaign's results, as numbers; `support.evidence.shown` writes them out."""

from typing import Any

import numpy as np
import pandas as pd

from ramac_lib.analysis.evidence import Evidence, published
from ramac_lib.analysis.intervals import ALPHA, Sample
from ramac_lib.analysis.rows import method_of, split
from ramac_lib.analysis.style import style
from ramac_lib.risk import cvar

MAIN, CONTROL, POLICY = "method", "control", "behaviour policy"  # groups of a table's rows, in this order
EARLY = 1000  # gradient steps of the paper's table 4, as its text reads
LONG = 1000  # steps of an episode of it, as an early version of the released code reads
PROTOCOL = 10  # evaluation episodes a seed in the paper


def groups(evidence: Evidence, task: str, hazard: str) -> dict[str, str]:
    """Return each row's group, in the order of the tables; behaviour policies last."""
    main, others = evidence.rows(task, hazard)
    played = dict.fromkeys(evidence.played(task, hazard)["row"], POLICY)
    return dict.fromkeys(main, MAIN) | dict.fromkeys(others, CONTROL) | played


def marks(samples: dict[str, Sample], among: list[str], statistic: str) -> dict[str, str]:
    """Return each row's mark: ``best`` of `among`, ``tied`` with it, or ``above`` it (a row not in `among`).

    Tied is a row whose difference to the best has an interval that contains zero (`ramac_lib.analysis.intervals`).
    """
    if not among:
        return dict.fromkeys(samples, "")
    best = max(among, key=lambda row: samples[row].values[statistic])
    words = {-1: "", 0: "tied", 1: "above"}
    return {
        row: "best" if row == best else words[sample.minus(samples[best], statistic).sign]
        for row, sample in samples.items()
    }


def table_1(evidence: Evidence, task: str, hazard: str) -> pd.DataFrame:
    """Return mean and CVaR of each row's report with intervals and marks, and the paper's own numbers.

    Columns ``row label group mean mean_low mean_high mean_mark cvar … violations length seeds episodes paper_mean
    paper_cvar``; the published numbers (NaN where there are none) stand beside the paper's hazard only.

    Raises:
        Missing: there is no report.
    """
    found = groups(evidence, task, hazard)
    samples = {row: evidence.sample(task, hazard, row) for row in found}
    among = [row for row, group in found.items() if group == MAIN]
    marked = {name: marks(samples, among, name) for name in ("mean", "cvar")}
    theirs = published(task) if hazard == "paper" else pd.DataFrame(columns=["mean", "cvar"])
    out = []
    for row, group in found.items():
        sample = samples[row]
        line: dict[str, Any] = {"row": row, "label": style(row).label, "group": group}
        for name in ("mean", "cvar", "violations"):
            line |= dict(zip((name, f"{name}_low", f"{name}_high"), sample.estimate(name), strict=True))
        line |= {f"{name}_mark": marked[name][row] for name in marked}
        line |= {"length": sample.length, "seeds": sample.seeds, "episodes": sample.episodes}
        name = style(method_of(row)).label
        told = group == MAIN and name in theirs.index
        line |= {f"paper_{c}": float(theirs[c][name]) if told else np.nan for c in ("mean", "cvar")}
        out.append(line)
    return pd.DataFrame(out)


def by_seed(episodes: pd.DataFrame) -> pd.DataFrame:
    """Return each seed's mean return and CVaR of its own episodes; columns ``mean cvar``, indexed by row and seed."""
    found = episodes.groupby(["row", "seed"], sort=False)["return"]
    return pd.DataFrame({"mean": found.mean(), "cvar": found.agg(lambda x: float(cvar(x.to_numpy(), ALPHA)))})


def _spread(values: pd.Series) -> tuple[float, float]:
    """Return mean and standard error; a single seed has none."""
    return float(values.mean()), float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def table_3(evidence: Evidence, task: str, hazard: str) -> pd.DataFrame:
    """Return mean ± standard error over seeds: of the mean, of the CVaR of a seed's episodes, and of the latter as the
    paper computes it, of its first `PROTOCOL` episodes, where the lowest tenth is the worst one.

    Columns ``row label group seeds each mean mean_se cvar cvar_se protocol protocol_se pooled``; `each` is the number
    of episodes of a seed, `pooled` the CVaR of all episodes together (table 1).

    Raises:
        Missing: there is no report.
    """
    episodes = evidence.report(task, hazard)
    whole = by_seed(episodes)
    first = by_seed(episodes[episodes["episode"] < PROTOCOL])
    out = []
    for row, group in groups(evidence, task, hazard).items():
        if group == POLICY:
            continue
        line: dict[str, Any] = {"row": row, "label": style(row).label, "group": group}
        own = episodes[episodes["row"] == row]
        line |= {"seeds": own["seed"].nunique(), "each": own["episode"].nunique()}
        line["mean"], line["mean_se"] = _spread(whole["mean"][row])
        line["cvar"], line["cvar_se"] = _spread(whole["cvar"][row])
        line["protocol"], line["protocol_se"] = _spread(first["cvar"][row])
        line["pooled"] = evidence.sample(task, hazard, row).values["cvar"]
        out.append(line)
    return pd.DataFrame(out)


def table_4(evidence: Evidence, task: str, hazard: str, reading: str) -> pd.DataFrame:
    """Return the paper's table 4 in one of its two readings; columns as `table_1`'s, and ``step``.

    Args:
        reading: ``steps`` for the evaluation nearest to 1,000 gradient steps, without rows that have none within a
            tenth of them; ``episodes`` for episodes of 1,000 steps.

    Raises:
        Missing: there are no such episodes.
    """
    part = evidence.early(task, hazard, EARLY) if reading == "steps" else evidence.report(task, hazard, LONG)
    main, others = split(part["row"])
    samples = {row: Sample(part[part["row"] == row], f"{task} {hazard} {row} {reading}") for row in (*main, *others)}
    marked = {name: marks(samples, main, name) for name in ("mean", "cvar")}
    out = []
    for row, sample in samples.items():
        line: dict[str, Any] = {"row": row, "label": style(row).label, "group": MAIN if row in main else CONTROL}
        line |= {"step": int(part.loc[part["row"] == row, "step"].iloc[0])}
        for name in ("mean", "cvar"):
            line |= dict(zip((name, f"{name}_low", f"{name}_high"), sample.estimate(name), strict=True))
            line[f"{name}_mark"] = marked[name][row]
        line |= {"seeds": sample.seeds, "episodes": sample.episodes}
        out.append(line)
    return pd.DataFrame(out)
