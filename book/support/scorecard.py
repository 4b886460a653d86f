"""The state of each of the paper's sentences, over the book's campaigns, for its first page and for chapter 5."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from ramac_lib.analysis import evidence
from ramac_lib.analysis.evidence import Evidence
from ramac_lib.campaign import bandit
from ramac_lib.system.paths import data_folder
from support.bandit import claims as bandit_claims
from support.bandit.verdicts import BanditEvidence
from support.evidence import claims as campaign_claims
from support.evidence.case import cases
from support.evidence.scale import LEAST_AFTER, after_start
from support.verdicts import FALSE, IN_PART, OPEN, TRUE, states

ORDER = (TRUE, IN_PART, FALSE, OPEN)
TOY = "Risky Bandit"
HEADLINES = {  # what the abstract, section 4.3 and the conclusion rest on; all others stand in chapters 3 and 5
    TOY: (
        "RADAC concentrates near the safe centre without filling the gap",
        "RADAC does not lose multimodality or collapse to a mode",
        "ORAAC places substantial mass in the low-density gap",
        "Diffusion-BC most faithfully reproduces both the ring and the inner cluster",
    ),
    "robots": (
        "RADAC has the highest CVaR",
        "RADAC has the highest mean",
        "RAMAC improves the CVaR on most tasks",
        "the CVaR's guidance moves probability away from the hazard",
        "ORAAC reliably handles the sharp threshold",
        "at 1,000 steps the ranking largely matches that of the end",
        "RADAC improves on cloning the data",
    ),
}


def deciding(found: Evidence, hazard: str) -> list[str]:
    """Return the tasks whose runs have `LEAST_AFTER` updates with their risk term, and so can decide a claim.

    Raises:
        Missing: there is no campaign.
    """
    tasks = [task for task, name in found.settings() if name == hazard]
    return [task for task in tasks if after_start(found, task, hazard) >= LEAST_AFTER]


def robots(found: Evidence, hazard: str) -> pd.DataFrame:
    """Return the state of each sentence about the robots under a hazard (`verdicts.states`).

    Raises:
        Missing: nothing was reported under this hazard.
    """
    return states(campaign_claims.CLAIMS, cases(found, hazard), deciding(found, hazard))


def stated(folder: Path | None = None) -> dict[str, pd.DataFrame]:
    """Return the states of each stored campaign's sentences, by what they are about; robots by hazard.

    Args:
        folder: of the results (default: the repository's data/results).

    Raises:
        RamacError: a file that is there is not a campaign's.
    """
    return dict(_stated(data_folder() / "results" if folder is None else Path(folder)))


def _stated(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    if (folder / "bandit.csv").exists():
        table, _, actions = bandit.load(folder / "bandit")
        yield TOY, states(bandit_claims.CLAIMS, {TOY: BanditEvidence(table, actions)})
    found = evidence.load(folder)
    try:
        settings = found.settings()
    except evidence.Missing:
        return
    for hazard in dict.fromkeys(hazard for _, hazard in settings):
        yield f"robots, hazard {hazard}", robots(found, hazard)


def counts(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row a campaign and a column a state: how many sentences are in it."""
    rows = {name: table["state"].value_counts() for name, table in tables.items()}
    return pd.DataFrame(rows, index=list(ORDER)).T.fillna(0).astype(int)


def headlines(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the sentences of `HEADLINES` (the paper's hazard only), columns ``about sentence decided state``."""
    parts = []
    for about, table in tables.items():
        wanted = HEADLINES[TOY] if about == TOY else HEADLINES["robots"] if about == "robots, hazard paper" else ()
        part = table[table["sentence"].isin(wanted)]
        parts.append(part[["sentence", "decided", "state"]].assign(about=about))
    columns = ["about", "sentence", "decided", "state"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)
