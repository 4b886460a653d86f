"""Which six knobs go from the bandit to Hopper: the rule, written down before any of the bandit's cells was run.

A value of a knob is compared with RADAC's own settings seed by seed (both see the same batches and draw from the same
streams): the mean difference in the exact CVaR_0.1, and its 95 % interval, Student's t over the seeds. A value is told
apart where that interval leaves out zero. A knob's effect is the largest distance among its values that are told apart;
where none is, the largest of all of them, and the knob comes after every knob that has one. Knobs are taken by effect,
the largest first, of equal ones the one with the larger distance in the mean reward.

η and λ_bc are one knob: Adam's step does not know the loss's scale, so that only their ratio counts (up to the clip of
the gradient). η goes, whichever of the two has the larger effect, which counts for it. Targets' rate and discount are
not ranked: nothing is bootstrapped on the bandit, so that they do nothing there; Hopper has the former among the rules
for short runs.

The values for Hopper (`VALUES`) were fixed with the rule. They are not the bandit's: Hopper's own settings differ. One
has changed since: RADAC's critics there now have the joint ReLU, so that the pair is the same and *off* departs.
"""

from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from support.ablations.effects import knob_of

CHOSEN = 6
ONE_KNOB = {"bc_weight": "eta"}
# Around Hopper's own settings: η .05, α .1, 32 fractions, 5 steps, clip 300, warm-up .15 (.25 in runs of 10,000).
VALUES: dict[str, tuple[str, ...]] = {
    "eta": ("0.0125", "0.2"),
    "alpha": ("0.25", "1"),
    "n_fractions": ("8", "64"),
    "policy_steps": ("1", "20"),
    "td_clip": ("100", "none"),
    "eta_warmup": ("0.5",),
    "actor_critics": ("mean,target_critics=mean", "one,target_critics=one"),
    "critic_hidden": ("64", "512"),
    "batch_size": ("64", "512"),
    "quantile_axis": ("target",),
    "joint_relu": ("false",),
}


class Ranked(NamedTuple):
    """A knob with its effect: whether a value is told apart, that value, its differences in CVaR and in the mean."""

    knob: str
    told: bool
    value: str
    cvar: float
    mean: float


def ranked(effects: pd.DataFrame) -> list[Ranked]:
    """Return the knobs, the one that matters most first.

    Args:
        effects: of `support.ablations.effects.effects` for RADAC.
    """
    best: dict[str, Ranked] = {}
    by_value: Mapping = dict(list(effects.groupby("value", sort=False)))
    for value, own in by_value.items():
        cvar = own[own["statistic"] == "cvar"].iloc[0]
        mean = own[own["statistic"] == "expected_reward"].iloc[0]
        told = bool(cvar["low"] > 0 or cvar["high"] < 0)
        name = ONE_KNOB.get(knob_of(value), knob_of(value))
        found = Ranked(name, told, value, float(cvar["difference"]), float(mean["difference"]))
        if name not in best or _order(found) > _order(best[name]):
            best[name] = found
    return sorted(best.values(), key=_order, reverse=True)


def _order(one: Ranked) -> tuple[bool, float, float]:
    return one.told, abs(one.cvar), abs(one.mean)


def hopper_rows(order: list[Ranked]) -> list[str]:
    """Return the rows for Hopper, as `ramac campaign --methods` takes them: RADAC, then the first knobs' values."""
    return ["radac", *(f"radac:{one.knob}={value}" for one in order[:CHOSEN] for value in VALUES[one.knob])]
