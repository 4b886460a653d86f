"""What the bandit's campaign says of a sentence: the evidence, by seed, and verdicts by rules that are stated first.

The paper's sentences and their rules are in `support.bandit.claims`. A sentence holds where every seed passes its rule;
it holds in part where some do, or where the part of it that the rule names is true; else it does not hold
(`support.bandit.tables.verdict`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from ramac_lib.campaign.bandit import STABILITY
from ramac_lib.envs.bandit import CUT, REGIONS, Bandit
from ramac_lib.system.errors import RamacError
from support.bandit.tables import estimate, verdict

Array = np.ndarray

EPOCHS = 1000  # the paper's, which are the whole of a run here
LEAK = 0.1  # from here on a mass in the gap is substantial
MOST = 0.5


@dataclass(frozen=True)
class Evidence:
    """The campaign's suite "methods": each method's exact numbers at every moment, and actions to measure widths on.

    Args:
        table: of `campaign.load`.
        actions: method → (seeds, n, 2) at the end of training.
        bandit: whose behaviour law is the measure of "kept".
    """

    table: pd.DataFrame
    actions: Mapping[str, Float[Array, "seeds n 2"]]
    bandit: Bandit = field(default_factory=Bandit)

    def over(self, method: str) -> pd.DataFrame:
        """Return a method's rows with their epoch and their mass where the trap can strike ("side": ring or beyond).

        Raises:
            RamacError: the table lacks the method.
        """
        rows = self.table[(self.table["suite"] == "methods") & (self.table["method"] == method)]
        if rows.empty:
            raise RamacError(f"the table of the bandit has no {method}; make it with `ramac bandit`")
        # No moment falls between: a run of any length has its moments at the same shares of it.
        epochs = (EPOCHS * rows["step"] / rows["step"].max()).round().astype(int)
        return rows.assign(epoch=epochs, side=rows["ring"] + rows["outside"])

    def at(self, method: str, epoch: int = EPOCHS) -> pd.DataFrame:
        """Return one row a seed at the last moment up to an epoch.

        Raises:
            RamacError: there is no moment so early.
        """
        rows = self.over(method)
        rows = rows[rows["epoch"] <= epoch]
        if rows.empty:
            raise RamacError(f"no moment of {method} lies before epoch {epoch}")
        return rows[rows["epoch"] == rows["epoch"].max()].set_index("seed").sort_index()

    def kept(self, method: str, mode: str) -> pd.Series:
        """Return, by seed, whether a mode has at least half of the data's share."""
        return self.at(method)[mode] >= self.share(mode) / 2

    def share(self, mode: str) -> float:
        """Return the behaviour law's mass in a region."""
        return {"centre": 1 - self.bandit.ring_share, "ring": self.bandit.ring_share}.get(mode, 0.0)

    def distance(self, method: str) -> pd.Series:
        """Return, by seed, the total variation distance between the policy's and the data's masses of the regions."""
        off = self.at(method)[list(REGIONS)] - [self.share(region) for region in REGIONS]
        return off.abs().sum(axis=1) / 2

    def side_radii(self, method: str) -> list[Float[Array, " n"]]:
        """Return, for each seed, the radii of the stored actions where the trap can strike."""
        return [np.hypot(*a[self.bandit.trapped(a)].T.astype(float)) for a in self.actions[method]]

    def sparse(self, method: str) -> pd.Series:
        """Return, by seed, the share of those that lie over 2 σ off the ring's circle, where 4 % of its data lie."""
        off = 2 * self.bandit.ring_sigma
        shares = [
            np.mean(np.abs(r - self.bandit.ring_radius) > off) if len(r) else 0.0 for r in self.side_radii(method)
        ]
        return pd.Series(shares, index=self.at(method).index)

    def width(self, method: str) -> pd.Series:
        """Return, by seed, the interquartile range of those radii, in that of the data (infinite without any)."""
        exact = 2 * self.bandit.ring_sigma * ndtri(ndtr(-CUT) + 0.75 * (ndtr(CUT) - ndtr(-CUT)))
        found = [
            np.subtract(*np.quantile(r, [0.75, 0.25])) / exact if len(r) else np.inf for r in self.side_radii(method)
        ]
        return pd.Series(found, index=self.at(method).index)


class Finding(NamedTuple):
    """The numbers a rule speaks of, by seed, and which seeds pass it, or pass a part of it."""

    shown: Mapping[str, pd.Series]
    passed: pd.Series
    partly: pd.Series | Sequence[bool] = ()


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, the figure it speaks of, how it is read, and the function that judges it."""

    key: str
    figure: str
    sentence: str
    rule: str
    judge: Callable[[Evidence], Finding]


def judge(evidence: Evidence, claims: Sequence[Claim]) -> pd.DataFrame:
    """Return key, figure, sentence, what was found (mean ± standard error over seeds) and verdict, one row a claim."""
    rows = []
    for claim in claims:
        shown, passed, partly = claim.judge(evidence)
        found = ", ".join(f"{name} {estimate(values)}" for name, values in shown.items())
        said = verdict([bool(p) for p in passed], [bool(p) for p in partly])
        rows.append({"": claim.key, "fig.": claim.figure, "sentence": claim.sentence, "found": found, "verdict": said})
    return pd.DataFrame(rows)


def rules(claims: Sequence[Claim]) -> pd.DataFrame:
    """Return key, figure, sentence and rule, one row a claim."""
    return pd.DataFrame(
        [{"": c.key, "fig.": c.figure, "sentence": c.sentence, "it holds where": c.rule} for c in claims]
    )


# -- the constants ----------------------------------------------------------------------------------------------------

PATTERN = {  # name → method, mass that it must have, least
    "RADAC centre": ("radac", ("centre",), MOST),
    "DQL ring+": ("diffusion-ql", ("ring", "outside"), MOST),
    "ORAAC gap": ("oraac", ("gap",), LEAK),
}


def stability(table: pd.DataFrame) -> pd.DataFrame:
    """Return, for each choice of constants, the exact laws, the masses of the pattern, and where the pattern breaks.

    Columns: ring's mean and CVaR_0.1 (the centre's are 1), the three masses of `PATTERN` as means over the seeds,
    ORAAC's centre, and "breaks": the names of those that miss their least mass.

    Raises:
        RamacError: the table lacks a choice of constants.
    """
    rows = table[table["suite"] == "stability"]
    last = rows[rows["step"] == rows.groupby("cell")["step"].transform("max")]
    found = last.groupby(["variant", "method"])[list(REGIONS)].mean().to_dict("index")
    out = {}
    for name, constants in STABILITY.items():
        for method in {method for method, _, _ in PATTERN.values()}:
            if (name, method) not in found:
                raise RamacError(f"the table of the bandit has no {method} at {name!r}; make it with `ramac bandit`")
        masses = {label: sum(found[name, m][region] for region in where) for label, (m, where, _) in PATTERN.items()}
        missing = [label for label, mass in masses.items() if mass < PATTERN[label][2]]
        bandit = Bandit(**constants)
        out[name] = {
            "ring mean": bandit.reward_mean("ring"),
            "ring CVaR": bandit.reward_risk("ring"),
            **masses,
            "ORAAC centre": found[name, "oraac"]["centre"],
            "breaks": ", ".join(missing),
        }
    return pd.DataFrame.from_dict(out, orient="index")


def breaks(table: pd.DataFrame) -> str:
    """Return where the pattern of `stability`'s table holds and what of it breaks where, in a sentence or more."""
    whole = [name for name in table.index if not table.loc[name, "breaks"]]
    text = f"The pattern holds at {len(whole)} of {len(table)} choices of the constants."
    for label in PATTERN:
        where = [str(name) for name in table.index if label in str(table.loc[name, "breaks"]).split(", ")]
        if where:
            text += f" {label} breaks at {', '.join(where) if len(where) < len(table) else 'each'}."
    return text
