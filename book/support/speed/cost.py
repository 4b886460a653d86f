"""What a campaign costs, by extrapolation from measured rates."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.bench import updates
from ramac_lib.campaign.grid import Grid
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from ramac_lib.training.loop import build

NEUTRAL = "radac:risk=neutral"


def load(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the rows and the machine of a file that `ramac bench --json` has written.

    Raises:
        RamacError: the file is missing or is none of these.
    """
    try:
        stored = json.loads(path.read_text())
        return pd.DataFrame(stored["rows"]), stored["machine"]
    except OSError as error:
        raise RamacError(f"{path}: cannot be read ({error.strerror}); `ramac bench --json` writes it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RamacError(f"{path}: expected what `ramac bench --json` writes ({error!r})") from error


def row_updates(grid: Grid) -> int:
    """Return the seed-updates of one row of a campaign, over all its tasks, hazards and seeds."""
    return len(grid.tasks) * len(grid.hazards) * len(grid.seeds) * grid.steps


def hours(grid: Grid, rates: pd.Series) -> pd.Series:
    """Return the hours of each row of a campaign on what its rate, in seed-updates a second, was measured on.

    Raises:
        RamacError: a row has no rate.
    """
    missing = [row for row in grid.rows if row not in rates.index]
    if missing:
        raise RamacError(f"no rate was measured for {', '.join(missing)}")
    return row_updates(grid) / rates[list(grid.rows)] / 3600


def best_rates(rows: pd.DataFrame, engine: str | None = None, precision: str | None = None) -> pd.Series:
    """Return each method's best rate, in seed-updates a second, over the rows of an engine and a precision.

    How many seeds share a stack is the user's choice, so the best number of them counts.
    """
    for name, value in (("engine", engine), ("precision", precision)):
        if value is not None:
            rows = rows[rows[name] == value]
    return rows.groupby("method", sort=False)["seed_updates_per_s"].max()


def with_neutral(rates: pd.Series, flop_ratio: float) -> pd.Series:
    """Return rates with RADAC under the neutral measure added: as RADAC's, slower by the ratio of operations."""
    return pd.concat([rates, pd.Series({NEUTRAL: rates["radac"] / flop_ratio})])


def acting_flop(method: str, task: str, rows: int) -> float:
    """Return the operations of the matrix products of `rows` actions of a method's deployed policy on a task."""
    data = updates.synthetic_data(task, 1000)
    stack = build(make_config(method, task, (0,), updates.STEPS), data, torch.device("cpu"), (0,))
    observations = torch.as_tensor(data.observations[:rows]).unsqueeze(0)
    return updates.count_flop(lambda: stack.act(observations, stack.noise))


def repeated_rows(
    critic: IQNCritic, observations: Float[Tensor, "S B s"], actions: Float[Tensor, "S B a"], taus: Float[Tensor, " N"]
) -> Float[Tensor, "S C B N"]:
    """Return what the critic returns, the expensive way: each of B·N rows goes through every layer.

    That is how the released code evaluates its quantiles: (s, a) repeated N times, each row with a fraction of its own.
    """
    count = len(taus)
    states, acts = (x.repeat_interleave(count, dim=-2).unsqueeze(-3) for x in (observations, actions))
    encoded = critic.encoder(torch.cat([critic.state(states).relu(), critic.action(acts).relu()], dim=-1))
    cosines = torch.cos(taus.repeat(observations.shape[-2])[:, None] * critic.harmonics)
    quantiles = critic.head(critic.hidden(encoded * critic.fraction(cosines).relu()).relu())
    return quantiles.squeeze(-1).unflatten(-1, (-1, count))
