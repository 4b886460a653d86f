"""One tidy table: a row for each evaluation episode, with all that tells it from the others."""

import dataclasses

import pandas as pd

from ramac_lib.methods import get_method
from ramac_lib.risk import cvar
from ramac_lib.runs import RunConfig

COLUMNS = (
    "run", "method", "task", "source", "env_id", "hazard", "risk", "alpha", "options", "seed", "step", "purpose",
    "horizon", "episode", "return", "discounted_return", "length", "violations",
)  # fmt: skip


def options(config: RunConfig) -> str:
    """Return the settings in which a run departs from its method's settings for the task, as ``name=value;…``."""
    default = dataclasses.asdict(get_method(config.method).Config.for_task(config.task))
    here = dataclasses.asdict(config.settings)
    return ";".join(f"{k}={v}" for k, v in here.items() if v != default[k] and k not in ("risk", "alpha"))


def label(
    episodes: pd.DataFrame, config: RunConfig, env_id: str, step: int, purpose: str, horizon: int, hazard: str = ""
) -> pd.DataFrame:
    """Add to `evaluation.frame`'s rows what tells them from other runs' rows.

    Args:
        purpose: ``training`` for an evaluation while training, ``report`` for one of the finished run.
        hazard: the live hazard, if it is not the one that the run was trained with.
    """
    return episodes.assign(
        run=config.hash,
        method=config.method,
        task=config.task,
        source=config.source,
        env_id=env_id,
        hazard=hazard or config.hazard,
        risk=getattr(config.settings, "risk", ""),
        alpha=config.alpha,
        options=options(config),
        step=step,
        purpose=purpose,
        horizon=horizon,
    )[list(COLUMNS)]


GROUP = ("method", "task", "hazard", "risk", "options", "step", "horizon")


def summary(table: pd.DataFrame, alpha: float = 0.1) -> pd.DataFrame:
    """Return mean, CVaR_α of the pooled episodes, violations and length of each group of evaluation episodes."""

    def statistics(group: pd.DataFrame) -> pd.Series:
        returns = group["return"].to_numpy()
        return pd.Series(
            {
                "seeds": group["seed"].nunique(),
                "episodes": len(group),
                "mean": returns.mean(),
                f"CVaR_{alpha:g}": cvar(returns, alpha),
                "violations": group["violations"].mean(),
                "length": group["length"].mean(),
            }
        )

    keys = list(GROUP)
    rows = table.fillna({"risk": "", "options": ""}).groupby(keys, sort=False)[[*table.columns.difference(keys)]]
    return rows.apply(statistics).reset_index().astype({"seeds": int, "episodes": int})
