"""Critics alone on the Risky Bandit, whose laws are exact: what they learn, and by how much it is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from ramac_lib import training
from ramac_lib.bandit import MODES, Bandit, dataset
from ramac_lib.critics import IQNCritic
from ramac_lib.errors import RamacError
from ramac_lib.losses import quantile_huber
from ramac_lib.methods.ramac import RAMAC
from ramac_lib.networks import initialise
from ramac_lib.noise import Noise
from ramac_lib.optim import StackedAdam
from ramac_lib.replay import Replay
from ramac_lib.runs import make_config
from ramac_lib.tasks import BANDIT

Array = np.ndarray


def fit_critic(
    seeds: Sequence[int], steps: int, options: Mapping[str, Any] | None = None, *, method: str = "radac"
) -> RAMAC:
    """Train a method's critics alone, by its own loss and optimiser, on the bandit's data; its policy stays untrained.

    Over the last third the rate falls to zero, so that the last batches do not show in what was learned: at a constant
    rate the ring's CVaR_0.1 wanders by ± .3 from one batch to the next.

    Raises:
        RamacError: an unknown method or option, or a method without a distributional critic.
    """
    config = make_config(method, BANDIT, seeds, steps, {k: str(v) for k, v in (options or {}).items()})
    data = dataset()
    fitted = training.build(config, data, torch.device("cpu"), seeds)
    if not isinstance(fitted, RAMAC):
        raise RamacError(f"{method} has no distributional critic; expected radac or rafmac")
    replay, optimizer = Replay(data), fitted.optimizers["critic"]
    rate = optimizer.adam.param_groups[0]["lr"]
    for k in range(steps):
        optimizer.adam.param_groups[0]["lr"] = rate * min(1.0, 3 * (1 - k / steps))
        batch = replay.sample(fitted.batches, config.settings.batch_size)
        targets, _ = fitted.target_returns(batch)
        loss, _ = fitted.critic_loss(batch, targets)
        optimizer.step(loss)
    return fitted


def probes(mode: str, n: int = 16, bandit: Bandit | None = None) -> Float[Array, "n 2"]:
    """Return `n` actions in a mode: evenly spread on the ring's middle circle, or on a spiral over half the disc."""
    bandit = bandit or Bandit()
    k = np.arange(n)
    # The golden angle spreads a spiral's points evenly; radius ∝ √k gives each the same area.
    spiral = bandit.centre_edge / 2 * np.sqrt((k + 0.5) / n), k * np.pi * (3 - np.sqrt(5))
    radius, angle = spiral if mode == "centre" else (np.full(n, bandit.ring_radius), 2 * np.pi * k / n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


@torch.no_grad()
def critic_quantiles(method: RAMAC, mode: str) -> Float[Array, "seeds 2 n N"]:
    """Return each critic's quantiles on the method's grid at the probe actions of a mode."""
    actions = torch.as_tensor(probes(mode), dtype=torch.float32, device=method.device).expand(*method.stack, -1, -1)
    return method.critic(torch.zeros_like(actions[..., :1]), actions, method.grid).cpu().numpy()


def critic_errors(method: RAMAC, bandit: Bandit | None = None) -> pd.DataFrame:
    """Return what each critic says of each mode's risk (mean over the probes) beside the exact grid functional.

    Columns: seed, critic, mode, learned, exact, error and worst, the largest |error| of a single probe.
    """
    bandit = bandit or Bandit()
    weights = method.config.weights()
    rows = []
    for mode in MODES:
        exact = bandit.grid_risk(mode, weights)
        for seed, pair in zip(method.seeds, critic_quantiles(method, mode) @ weights, strict=True):
            for critic, values in enumerate(pair, 1):
                found = {"learned": values.mean(), "exact": exact, "error": values.mean() - exact}
                rows.append(
                    {"seed": seed, "critic": critic, "mode": mode, **found, "worst": np.abs(values - exact).max()}
                )
    return pd.DataFrame(rows)


def fit_law(
    draw: Callable[[int, np.random.Generator], Float[Array, " n"]],
    n_fractions: int,
    steps: int,
    *,
    axis: str = "prediction",
    seed: int = 0,
    batch: int = 256,
) -> Float[Array, "2 N"]:
    """Return the quantiles that the library's double critic learns of a law, from fresh draws, on the fixed grid.

    Args:
        draw: (n, generator) → n independent draws of the law.
        axis: of `quantile_huber`; the draws are in no order, as targets at random fractions are.
    """
    critic = IQNCritic((1,), 1, 1, hidden=128, embedding=64)
    initialise(critic, Noise([seed], "init").generators)
    optimizer = StackedAdam(critic, 3e-3, stack_rank=2)
    taus = torch.as_tensor((np.arange(n_fractions) + 0.5) / n_fractions, dtype=torch.float32)
    rng = np.random.default_rng(seed)
    nothing = torch.zeros(1, 1, 1)  # the law depends on no state and no action, so that one row stands for all
    for k in range(steps):
        samples = torch.as_tensor(draw(batch, rng), dtype=torch.float32)
        targets = samples.reshape(1, 1, batch // n_fractions, n_fractions)
        optimizer.adam.param_groups[0]["lr"] = 3e-3 * (1 - k / steps)
        quantiles = critic(nothing, nothing, taus).expand(1, 2, targets.shape[2], n_fractions)
        optimizer.step(quantile_huber(quantiles, targets, taus, axis=axis))
    with torch.no_grad():
        return critic(nothing, nothing, taus)[0, :, 0].numpy()
