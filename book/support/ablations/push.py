"""One number behind several knobs: how hard a perfect critic would push the policy from the ring to the centre.

It is η/λ_BC times the difference of the two modes by the measure that the policy climbs, read off RADAC's grid of
fractions from the exact distributions of the rewards, clipped where targets are. The idea came when the rows of single
knobs were known, and before those of the map and of the measures were made, which check it: `check` predicts their
CVaR_0.1 from their push alone, by the line through the knobs' rows, and compares the error with that of a guess without
it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ramac_lib import risk
from ramac_lib.analysis.evidence import Missing
from ramac_lib.envs.bandit import Bandit
from ramac_lib.methods import get_method
from ramac_lib.training.config import before

# What the push knows of; rows with other settings than these tell nothing about it.
EXPLAINED = ("eta", "bc_weight", "alpha", "n_fractions", "grid_rule", "td_clip", "risk")


def push(settings: Mapping[str, Any], bandit: Bandit | None = None) -> float:
    """Return η/λ_BC · (ρ(centre) − ρ(ring)) as a perfect critic of these settings reads both; below 0: to the ring."""
    bandit = bandit or Bandit()
    count, bound = settings["n_fractions"], settings["td_clip"] or np.inf
    weights = risk.weights(
        settings["risk"],
        count,
        alpha=settings["alpha"],
        parameter=settings["risk_parameter"],
        rule=settings["grid_rule"],
    )
    read = {
        mode: float(np.clip(bandit.reward_quantile(mode, risk.grid(count)), -bound, bound) @ weights)
        for mode in ("centre", "ring")
    }
    return settings["eta"] / settings["bc_weight"] * (read["centre"] - read["ring"])


def points(table: pd.DataFrame, facts: Mapping[str, Any], method: str = "radac") -> pd.DataFrame:
    """Return one row for each row of knobs, map and measures that changes what the push knows of, and nothing else.

    Columns ``suite variant push cvar``: the push, and the mean CVaR_0.1 over the seeds.
    """
    rows = []
    own = table[(table["method"] == method) & table["suite"].isin(["knobs", "map", "measures"])]
    for (suite, variant), part in own.groupby(["suite", "variant"], sort=False):
        names = {piece.partition("=")[0] for piece in str(variant).split(",") if piece}
        if names <= set(EXPLAINED):
            settings = before(get_method(method).Config) | facts[part["cell"].iloc[0]]["settings"]
            rows.append({"suite": suite, "variant": variant, "push": push(settings), "cvar": part["cvar"].mean()})
    return pd.DataFrame(rows, columns=["suite", "variant", "push", "cvar"])


def check(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of map and measures with the CVaR that their push foretells and the errors of two guesses.

    The line goes through the knobs' rows, linear in the logarithm of the push between them and flat beyond; a push of 0
    or less is foretold as the lowest of the knobs' rows whose push is so. The other guess is the knobs' mean.

    Returns:
        Columns of `points`, and ``foretold error plain``: absolute errors of the line and of the knobs' mean.

    Raises:
        Missing: there are no rows to draw the line through, or none to check.
    """
    knobs, others = found[found["suite"] == "knobs"], found[found["suite"] != "knobs"]
    up = knobs[knobs["push"] > 0].sort_values("push")
    if len(up) < 2 or others.empty:
        raise Missing("The stored sweeps have too few rows to foretell others from them.")
    down = knobs.loc[knobs["push"] <= 0, "cvar"]
    line = np.interp(np.log(others["push"].clip(lower=1e-9)), np.log(up["push"]), up["cvar"])
    foretold = np.where(others["push"] > 0, line, down.min() if len(down) else up["cvar"].iloc[0])
    plain = (others["cvar"] - knobs["cvar"].mean()).abs()
    return others.assign(foretold=foretold, error=(others["cvar"] - foretold).abs(), plain=plain)
