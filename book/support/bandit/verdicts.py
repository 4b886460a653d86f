"""What the bandit's campaign says of a sentence, by seed, and whether the constants matter.

The paper's sentences and their rules are in `support.bandit.claims`; `support.verdicts` judges them, as it
does those about the robots. A part of a sentence is true where every seed passes it, false where none does, and
inconclusive where seeds disagree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.bandit import STABILITY
from ramac_lib.envs.bandit import CUT, REGIONS, Bandit
from ramac_lib.system.errors import RamacError
from support.bandit.tables import estimate
from support.verdicts import Found

Array = np.ndarray

EPOCHS = 1000  # the paper's, which are the whole of a run here
LEAK = 0.1  # from here on a mass in the gap is substantial
MAJORITY = 0.5


@dataclass(frozen=True)
class BanditEvidence:
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
            Missing: the table lacks the method.
        """
        rows = self.table[(self.table["suite"] == "methods") & (self.table["method"] == method)]
        if rows.empty:
            raise Missing(f"the table of the bandit has no {method}; make it with `ramac bandit`")
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


def agreed(passed: Iterable[bool]) -> int:
    """Return the sign of a part: 1 where every seed passes it, −1 where none does, 0 where they disagree."""
    each = [bool(p) for p in passed]
    return int(all(each)) - int(not any(each))


def mostly(passed: Iterable[bool]) -> int:
    """Return the sign of a part that speaks of most seeds: 1 where more than half pass it, −1 where fewer, else 0."""
    each = [bool(p) for p in passed]
    return int(np.sign(2 * sum(each) - len(each)))


def finding(shown: Mapping[str, pd.Series], *parts: pd.Series | int) -> Found:
    """Return the signs of a sentence's parts and, as mean ± standard error over seeds, the numbers that it speaks of.

    Args:
        parts: which seeds pass each, or its sign where that is not for all seeds to say.
    """
    signs = [part if isinstance(part, int) else agreed(part) for part in parts]
    text = ", ".join(f"{name.strip()} {estimate(values)}" for name, values in shown.items())
    return signs, text.replace(", to ", " to ")


# -- the constants ----------------------------------------------------------------------------------------------------

PATTERN = {  # name → method, mass that it must have, least
    "RADAC centre": ("radac", ("centre",), MAJORITY),
    "DQL ring+": ("diffusion-ql", ("ring", "outside"), MAJORITY),
    "ORAAC gap": ("oraac", ("gap",), LEAK),
}
BROKEN = {
    "RADAC centre": "RADAC has less than half of its mass in the centre",
    "DQL ring+": "DiffusionQL has less than half of its mass on the ring or beyond",
    "ORAAC gap": "ORAAC has less than a tenth of its mass in the gap",
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
            at = f"{len(where)} of them ({', '.join(where)})" if len(where) < len(table) else "each"
            text += f" {BROKEN[label]} at {at}."
    return text
