"""The table of findings: what was found, where it stands, how large it is, and what to do about it.

Effects are functions of what was measured; nothing in the column of sizes is typed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.hazards import PAPER
from support.audit import anchor, axis, clips, deadpath, episodes, others, worlds
from support.audit.shown import number, short, sized


@dataclass
class Measured:
    """What the chapter's findings are computed from; each is made once, when it is first asked for.

    Args:
        evidence: the stored campaign.
        data: each task's data, relabelled with the paper's hazard.
        played: rollouts of Hopper medium-expert's behaviour policies, ``expert`` among them.
        episodes: of each untrained policy.
    """

    evidence: Evidence
    data: Mapping[str, Dataset]
    played: Mapping[str, list[Episode]]
    episodes: int = 32
    made: dict[str, Any] = field(default_factory=dict, repr=False)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when it was first asked for under this name; a lack is raised again."""
        if name not in self.made:
            try:
                self.made[name] = make()
            except Missing as reason:
                self.made[name] = reason
        if isinstance(self.made[name], Missing):
            raise self.made[name]
        return self.made[name]

    @property
    def toy(self) -> axis.Stored:
        """RADAC on the bandit with either loss."""
        return self.once("toy", axis.stored)

    @property
    def reach(self) -> dict[str, deadpath.Reach]:
        """RAFMAC's risk term, ``released`` and as ``written``."""
        return self.once(
            "reach", lambda: {k: deadpath.reach(released=k == "released") for k in ("released", "written")}
        )

    @property
    def bounds(self) -> pd.DataFrame:
        """The bounds on targets beside the data's values."""
        return self.once("bounds", lambda: clips.bounds(self.data))

    @property
    def flattery(self) -> tuple[pd.DataFrame, dict[str, Estimate]]:
        """What the evaluation's protocols add."""
        return self.once("flattery", lambda: episodes.flattery(self.evidence))

    @property
    def hazards(self) -> pd.DataFrame:
        """The two hazards of Hopper medium-expert on the same rollouts."""
        return self.once("hazards", lambda: worlds.two_hazards(self.played, self.data[worlds.TASK]))

    @property
    def coin(self) -> dict[str, float]:
        """Standard deviations of a report of ten rollouts under fresh draws of the hazard."""
        return self.once("coin", lambda: worlds.unseeded(self.played["expert"], PAPER[worlds.TASK]))

    @property
    def untrained(self) -> pd.DataFrame:
        """The published scores beside an untrained policy's."""
        return self.once("untrained", lambda: worlds.untrained(list(PAPER), self.episodes))

    @property
    def residuals(self) -> pd.DataFrame:
        """ORAAC with and without its residual."""
        return self.once("residuals", anchor.residuals)


class Finding(NamedTuple):
    """A row of the table.

    Args:
        name, where, advice: what was found, in which section or file, and what to do.
        effect: its size, from what was measured; raises `Missing` where that is not stored.
        section: the number of the finding whose section it shares (default: its own), 0 for none on this page.
    """

    name: str
    where: str
    effect: Callable[[Measured], str]
    advice: str
    section: int | None = None


def _axis(m: Measured) -> str:
    toy = m.toy
    ends = [number(toy.cvar[f"RADAC, loss as {word}"].value, 2) for word in ("written (eq. 7)", "released")]
    data = number(toy.cvar["the data"].value, 2)
    change = sized(toy.difference, 2)
    return f"CVaR₀.₁ on the bandit {ends[0]} as written, {ends[1]} as released ({change}); the data's is {data}"


def _dead(m: Measured) -> str:
    released, written = m.reach["released"], m.reach["written"]
    return (
        f"norm of its gradient over the cloning loss's: {released.gradient:g} (as written {written.gradient:.3f}); "
        f"largest change of a parameter by η = 1000: {released.moved:g}"
    )


def _clip(m: Measured) -> str:
    worst, least = m.bounds.sort_values("share").iloc[-1], m.bounds["share"].min()
    found = Estimate(*(100 * float(worst[name]) for name in ("share", "low", "high")))
    task = short(str(worst["task"]))
    return f"{sized(found, 0, False)} % of values lie beyond them on {task}, {100 * least:.0f} % where it is least"


def _best(m: Measured) -> str:
    means = m.flattery[1]
    return (
        f"mean {sized(means['best_mean'])} ({number(means['best_mean/sd'].value, 2)} s.d. of an episode) and "
        f"CVaR₀.₁ {sized(means['best_cvar'])}, for policies that do not change"
    )


def _ten(m: Measured) -> str:
    means = m.flattery[1]
    return f"{sized(means['ten'])} above the policy's own CVaR₀.₁; of fifty pooled {sized(means['fifty'])}"


def _coin(m: Measured) -> str:
    return f"the same ten episodes drawn again: s.d. {m.coin['mean']:.0f} of the mean, {m.coin['cvar']:.0f} of CVaR₀.₁"


def _hazards(m: Measured) -> str:
    shares = list(dict.fromkeys(m.hazards["data"]))
    gap = worlds.hazard_gap(m.played["expert"])
    steps = f"{100 * shares[1]:.0f} → {100 * shares[0]:.0f} %"
    return f"figure 4's → released: {steps} of the data's steps in violation, the expert's CVaR₀.₁ {sized(gap)}"


def _impossible(m: Measured) -> str:
    found = worlds.impossible(list(PAPER))
    gaps = found["cvar"] - found["mean"]
    return f"{len(found)} row of {len(m.untrained)}, by {gaps.max():.2f}" if len(found) else "none"


def _untrained(m: Measured) -> str:
    cql = m.untrained[m.untrained["method"] == "CQL"]
    off = (cql["mean"] - cql["untrained"]).abs()
    return (
        f"CQL within {off.max():.0f} of an untrained policy on {len(cql)} tasks, where the best row has "
        f"{cql['best'].min():,.0f} to {cql['best'].max():,.0f}"
    )


def _drawn(m: Measured) -> str:
    found = others.fractions(16)
    return (
        f"error in CVaR₀.₁ of N(0, 1) by 16 fractions: drawn ± {found['drawn']['sd']:.2f}, grid "
        f"{number(found['grid']['bias'], 2, True)}"
    )


def _alphas(m: Measured) -> str:
    found = others.effective_alphas()
    levels = ", ".join(f"{level:.4f}".strip("0") for level in found.values())
    return f"α = {levels} instead of .1 at N = {', '.join(map(str, found))}"


def _anchor(m: Measured) -> str:
    gaps = (anchor.gap(m.residuals, "oraac", name) for name in ("mean", "cvar"))
    mean, tail = (sized(gap) for gap in gaps)
    return f"Hopper without a hazard: mean {mean}, CVaR₀.₁ {tail}"


def _state(m: Measured) -> str:
    greedy, best = others.time_consistency()
    return f"smallest example: the episode's CVaR₀.₁ {number(greedy, 2)}, possible {number(best, 2)} (exact)"


def _penalties(m: Measured) -> str:
    found = others.penalties(m.data)["episode"]
    return f"{found.min():.1f} to {found.max():.1f} penalties an episode of the data, six tasks"


FINDINGS = (
    Finding(
        "RADAC's released critic learns the median at every fraction", "`agents/radac.py`, quantile loss; eq. 7", _axis,
        "weight by the prediction's fraction; train again",
    ),
    Finding(
        "RAFMAC's released risk term never reaches the policy that acts", "`agents/rafmac.py`; eq. 11", _dead,
        "read it as a flow clone; send the gradient through the flow",
    ),
    Finding(
        "Bounds on the critic's targets cut off the values", "`configs/radac.yaml`; not in the text", _clip,
        "no bound, or one beyond every value; log the clipped share",
    ),
    Finding(
        "The best of 40 evaluations is kept, and reported by its own episodes", "`main.py`, an option; D.2", _best,
        "report the last checkpoint, or fresh episodes",
    ),
    Finding(
        "CVaR₀.₁ of ten episodes is the worst episode", "`main.py`, lower_tail_mean; 5, Evaluation", _ten,
        "pool seeds and say so; give an interval",
    ),
    Finding(
        "The hazard's random draws are not seeded", "`environment/risky_wrappers.py`", _coin,
        "seed them with the environment",
    ),
    Finding(
        "Hopper medium-expert's hazard has two versions", "`configs/radac.yaml`; figure 4; project page", _hazards,
        "print the hazard with each number",
    ),
    Finding(
        "Penalties are frequent, so that mean and tail move together", "5, Tasks; [chapter 4](4_stochastic_d4rl.html)",
        _penalties, "test on a hazard that is rare and heavy",
    ),
    Finding(
        "A published baseline is at the level of an untrained policy", "table 1", _untrained,
        "first show that each baseline learns on clean data",
    ),
    Finding("A published CVaR lies above its mean", "table 1, CODAC", _impossible, "check the row", 9),
    Finding(
        "Fractions are drawn; the text has a grid", "`agents/radac.py`; C, eq. 14", _drawn, "either will do; say which",
    ),
    Finding(
        "The grid's rule changes the level α", "C, eq. 15; [chapter 1](1_preliminaries.html)", _alphas,
        "weight each fraction by its bin", 11,
    ),
    Finding(
        "ORAAC's bounded step lowers the return of its own prior", "eq. 12; official code too", _anchor,
        "report the prior alone, too",
    ),
    Finding(
        "A CVaR optimised state by state is not the episode's CVaR", "eq. 10; [chapter 1](1_preliminaries.html)",
        _state, "report both", 0,
    ),
)  # fmt: skip


def table(measured: Measured) -> pd.DataFrame:
    """Return the findings; columns ``""`` (numbers, links to sections) and ``finding size what to do where``."""
    rows = []
    for k, finding in enumerate(FINDINGS, start=1):
        try:
            effect = finding.effect(measured)
        except Missing as reason:
            effect = f"not stored: {reason}"
        section = k if finding.section is None else finding.section
        row = {"": f"[{k}](#finding-{section})" if section else str(k), "finding": finding.name, "size": effect}
        rows.append(row | {"what to do": finding.advice, "where": finding.where})
    return pd.DataFrame(rows)
