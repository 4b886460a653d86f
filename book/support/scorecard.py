"""How many of the paper's sentences hold, over the book's campaigns, for its first page."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from ramac_lib.analysis import evidence
from ramac_lib.campaign import bandit
from ramac_lib.system.paths import data_folder
from support.bandit import claims as bandit_claims
from support.bandit.verdicts import BanditEvidence
from support.evidence import claims as campaign_claims
from support.evidence.case import cases
from support.verdicts import ORDER, judge


def judged(folder: Path | None = None) -> dict[str, pd.DataFrame]:
    """Return the verdicts of each stored campaign, by where it is shown; columns ``sentence verdict`` and more.

    Args:
        folder: of the results (default: the repository's data/results).

    Raises:
        RamacError: a file that is there is not a campaign's.
    """
    return dict(_judged(data_folder() / "results" if folder is None else Path(folder)))


def _judged(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    if (folder / "bandit.csv").exists():
        table, _, actions = bandit.load(folder / "bandit")
        yield "Risky Bandit", judge(bandit_claims.CLAIMS, {"Risky Bandit": BanditEvidence(table, actions)})
    found = evidence.load(folder)
    try:
        settings = found.settings()
    except evidence.Missing:
        return
    for hazard in dict.fromkeys(hazard for _, hazard in settings):
        table = judge(campaign_claims.CLAIMS, cases(found, hazard))
        tasks = ", ".join(task for task, name in settings if name == hazard)
        yield f"{tasks}, hazard {hazard}", table


def counts(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row a campaign and a column a verdict: how many sentences got it."""
    rows = {name: table["verdict"].value_counts() for name, table in tables.items()}
    return pd.DataFrame(rows, index=list(ORDER)).T.fillna(0).astype(int)


def sentences(tables: dict[str, pd.DataFrame], verdict: str) -> str:
    """Return the sentences with a verdict as a list in Markdown, each with what was found."""
    lines = []
    for name, table in tables.items():
        for _, row in table[table["verdict"] == verdict].iterrows():
            lines.append(f"- *{name}*: “{row['sentence']}” ({row['found']})")
    return "\n".join(lines)
