"""What each preset costs the shipped behaviour policies: the same rollouts under every hazard, by policy and hazard."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from ramac_lib.analysis.behaviours import under_hazard
from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.collect import roll_out_policies
from ramac_lib.envs.hazards import PRESETS, Hazard
from ramac_lib.envs.tasks import QUALITIES
from ramac_lib.risk import cvar


def presets(env: str) -> dict[str, Hazard]:
    """Return every preset for an environment by name: ``none``, and two of each other, one for each quality."""
    found = {"none": PRESETS["none"][f"{env}-{QUALITIES[0]}"]}
    for name in ("paper", "calibrated"):
        found |= {f"{name} {quality}": PRESETS[name][f"{env}-{quality}"] for quality in QUALITIES}
    return found


def measure_episodes(
    env: str,
    hazards: Mapping[str, Hazard],
    episodes: int = 100,
    seed: int = 0,
    *,
    steps: Sequence[int] | None = None,
    draws: int = 20,
    workers: int | None = None,
) -> pd.DataFrame:
    """Return one row for each hazard, policy, episode and draw, over the environment's horizon.

    Args:
        env: short name, e.g. ``hopper``.
        hazards: by name, e.g. `presets(env)`; the same rollouts serve all of them.
        episodes: for each policy.
        seed: of the rollouts and the draws.
        steps: the policies' stages; every shipped one if None.
        draws: how often each rollout meets each hazard; far cheaper than rollouts where penalties are rare.
        workers: processes; all cores if None.

    Returns:
        Columns ``env hazard step stage episode draw return length violations``; stage is expert, medium or replay.
    """
    parts = stages(env)
    rollouts = roll_out_policies(env, tuple(steps or parts.shipped), episodes, seed, workers=workers)
    names = {parts.expert: "expert", parts.medium: "medium"}
    tables = [
        under_hazard(group, hazard, seed, draws).assign(
            env=env, hazard=name, step=step, stage=names.get(step, "replay")
        )
        for name, hazard in hazards.items()
        for step, group in rollouts.items()
    ]
    order = ["env", "hazard", "step", "stage", "episode", "draw", "return", "length", "violations"]
    return pd.concat(tables, ignore_index=True)[order]


def summarise(table: pd.DataFrame, alpha: float = 0.1) -> pd.DataFrame:
    """Return `measure_episodes`' table by policy and hazard.

    Returns:
        Columns ``env hazard step stage episodes mean se CVaR violations violation_rate length``: returns over the
        horizon, the mean's standard error (draws of one rollout are not independent of each other: it counts
        rollouts), violations an episode, share of steps in violation.
    """
    rows = []
    for (env, hazard, step, stage), group in table.groupby(["env", "hazard", "step", "stage"], sort=False):
        by_episode = group.groupby("episode")["return"].mean()
        steps, violations = group["length"].mean(), group["violations"].mean()
        rows.append(
            {
                "env": env,
                "hazard": hazard,
                "step": step,
                "stage": stage,
                "episodes": len(by_episode),
                "mean": by_episode.mean(),
                "se": by_episode.sem(),
                "CVaR": float(cvar(group["return"].to_numpy(), alpha)),
                "violations": violations,
                "violation_rate": violations / steps,
                "length": steps,
            }
        )
    return pd.DataFrame(rows)


def cvar_difference(
    table: pd.DataFrame, first: int, second: int, alpha: float = 0.1, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of CVaR(first policy) − CVaR(second), whole rollouts being resampled.

    `table` holds `measure_episodes`' rows of one hazard; `first` and `second` are stages of training.
    """
    rng = np.random.default_rng(seed)
    returns = [
        table[table["step"] == step].pivot(index="episode", columns="draw", values="return").to_numpy()
        for step in (first, second)
    ]
    values = []
    for _ in range(resamples):
        a, b = (float(cvar(r[rng.integers(len(r), size=len(r))].ravel(), alpha)) for r in returns)
        values.append(a - b)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
