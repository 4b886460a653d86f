"""Policies beside the optimum: a policy's exact numbers given its trajectories, the penalties integrated out."""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.stats import binom

from ramac_lib import risk
from ramac_lib.analysis.rows import with_keys
from ramac_lib.envs.hazards import Hazard, Region, get_hazard
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from ramac_lib.training.routes import ROUTES
from support.navigation import optima

Array = np.ndarray
KEYS = ["row", "method", "task", "hazard", "step", "seed"]


def law_of(table: pd.DataFrame, hazard: Hazard) -> tuple[Float[Array, " k"], Float[Array, " k"]]:
    """Return the law of the return of the policy that played these episodes: their mixture, each with equal mass.

    Given a trajectory, the number of penalties in each area is binomial, as a policy that sees none meets each step's
    independently. What is left of chance is which trajectories were played.

    Args:
        table: rows with ``base_return`` and ``inside`` (`ramac_lib.training.routes`), of one hazard.
        hazard: whose penalties; one without areas has none.

    Raises:
        RamacError: no episodes, or another number of areas than the hazard's.
    """
    if table.empty:
        raise RamacError("there are no episodes; expected at least one")
    areas = hazard.areas if isinstance(hazard, Region) else ()
    laws: dict[str, tuple[Array, Array]] = {}
    values, masses = [], []
    for base, text in zip(table["base_return"], table["inside"].astype(str), strict=True):
        if text not in laws:
            laws[text] = _penalties([int(count) for count in text.split()], areas)
        loss, mass = laws[text]
        values.append(base + loss)
        masses.append(mass / len(table))
    return np.concatenate(values), np.concatenate(masses)


def _penalties(counts: list[int], areas: Any) -> tuple[Array, Array]:
    """Return the law of the sum of penalties after so many steps in each area."""
    loss, mass = np.zeros(1), np.ones(1)
    if areas and len(counts) != len(areas):
        raise RamacError(f"episodes count steps in {len(counts)} areas; expected the hazard's {len(areas)}")
    for count, area in zip(counts, areas, strict=False):
        strikes = np.arange(count + 1)
        loss = (loss[:, None] + strikes * area.penalty).ravel()
        mass = (mass[:, None] * binom.pmf(strikes, count, area.probability)).ravel()
    return loss, mass


def numbers(table: pd.DataFrame, hazard: Hazard, own: int = 1, alpha: float = optima.LEVEL) -> dict[str, float]:
    """Return a policy's exact mean and CVaR_α, its routes, its collisions and how much it leaves the data's support.

    Args:
        own: how many of the hazard's areas are the map's danger; more are a toll.

    Returns:
        ``mean cvar left through right collided steps_inside reached off_support off_corridor``: shares of episodes, but
        for the means of steps inside and of the shares of an episode's steps off the support and off the corridors.
    """
    law = law_of(table, hazard)
    inside = np.array([sum(map(int, text.split()[:own])) for text in table["inside"].astype(str)])
    found = {"mean": risk.risk_of_law(*law, "neutral"), "cvar": risk.risk_of_law(*law, "cvar", alpha=alpha)}
    found |= {route: float(table[route].mean()) for route in ROUTES}
    found |= {"collided": float((inside > 0).mean()), "steps_inside": float(inside.mean())}
    found["reached"] = 1 - float(table["completed"].mean())
    return found | {name: float(table[name].mean()) for name in ("off_support", "off_corridor")}


def beside(table: pd.DataFrame, optimum: pd.DataFrame, alpha: float = optima.LEVEL) -> pd.DataFrame:
    """Return a line for each row, task, hazard, step and seed: `numbers`, and how far from the optimum they are.

    Args:
        table: rows of navigation tasks, of one purpose and level of sampler noise. A row is a method with the settings
            that are not its own, the level of its CVaR among them (`ramac_lib.analysis.rows.key`).
        optimum: as `optima.load` returns it.

    Returns:
        Further columns ``mean_gap cvar_gap``: the optimum less the policy's, negative where a continuous policy does
        better than the planner's grid. Empty where no optimum is stored.
    """
    rows = []
    for keys, group in with_keys(table).groupby(KEYS, sort=False):
        labels: dict[str, Any] = dict(zip(KEYS, keys, strict=True))
        task = get_task(labels["task"])
        hazard = get_hazard(labels["hazard"], task)
        areas = len(optima.MAPS[task.env].areas)
        found = numbers(group, hazard, areas, alpha)
        try:
            best = optima.best(optimum, task.env, labels["hazard"], alpha)
        except RamacError:
            best = {"mean": np.nan, "cvar": np.nan}
        gaps = {f"{name}_gap": best[name] - found[name] for name in best}
        rows.append({**labels, "episodes": len(group), **found, **gaps})
    return pd.DataFrame(rows)
