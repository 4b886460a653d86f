"""Measure the shipped behaviour policies and write ``data/behaviour/returns.csv`` (see ``--help``)."""

import numpy as np
import pandas as pd
import tyro

from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.collect import roll_out_policies
from ramac_lib.envs.hazards import PAPER
from ramac_lib.envs.tasks import ENVS, HORIZONS, QUALITIES
from ramac_lib.risk import cvar
from ramac_lib.system.files import atomic
from ramac_lib.system.paths import data_folder


def measure(episodes: int = 100, seed: int = 0) -> None:
    """Roll out every shipped policy without a hazard for 1,000 steps; returns also over the hazards' horizon."""
    rows = []
    for env in ENVS:
        horizon, parts = HORIZONS[env], stages(env)
        roles = {parts.expert: "expert", parts.medium: "medium"}
        for step, group in roll_out_policies(
            env, parts.shipped, episodes, seed, horizon=1000, purpose="returns"
        ).items():
            full = np.array([e.rewards.sum(dtype=np.float64) for e in group])
            short = np.array([e.rewards[:horizon].sum(dtype=np.float64) for e in group])
            signals = np.concatenate(
                [e.observations[1 : horizon + 1, PAPER[f"{env}-medium-expert"].signal] for e in group]
            )
            row = {"env": env, "step": step, "stage": roles.get(step, "replay"), "episodes": episodes}
            row |= {"return_1000": full.mean(), "return_1000_se": full.std(ddof=1) / np.sqrt(episodes)}
            row |= {"cvar_1000": float(cvar(full)), "length_1000": np.mean([len(e) for e in group]), "horizon": horizon}
            row |= {"return_horizon": short.mean(), "return_horizon_se": short.std(ddof=1) / np.sqrt(episodes)}
            row["cvar_horizon"] = float(cvar(short))
            for quality in QUALITIES:
                hazard = PAPER[f"{env}-{quality}"]
                rate = ((signals < hazard.low) | (signals > hazard.high)).mean()
                row[f"violation_rate_paper_{quality.replace('-', '_')}"] = rate
            rows.append(row)
    with atomic(data_folder() / "behaviour" / "returns.csv") as path:
        pd.DataFrame(rows).to_csv(path, index=False, float_format="%.4g")


if __name__ == "__main__":
    tyro.cli(measure)
