"""Critics alone on the Risky Bandit, whose laws are exact: what they learn, and by how much it is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from ramac_lib import risk
from ramac_lib.datasets.bandit import dataset
from ramac_lib.datasets.batches import Replay
from ramac_lib.envs.bandit import MODES, Bandit
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared.ramac import RAMAC
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.critics import IQNCritic
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.quantile_loss import quantile_huber
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop
from ramac_lib.training.config import make_config

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
    fitted = loop.build(config, data, torch.device("cpu"), seeds)
    if not isinstance(fitted, RAMAC):
        raise RamacError(f"{method} has no distributional critic; expected radac or rafmac")
    replay, optimizer = Replay(data), fitted.optimizers["critic"]
    rate = optimizer.lr
    for k in range(steps):
        optimizer.lr = rate * min(1.0, 3 * (1 - k / steps))
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


def fit_laws(
    draws: Sequence[Callable[[int, np.random.Generator], Float[Array, " n"]]],
    n_fractions: int,
    steps: int,
    *,
    axis: str = "prediction",
    seed: int = 0,
    batch: int = 256,
) -> Float[Array, "laws 2 N"]:
    """Return the quantiles that the library's double critic learns of each law, from fresh draws, on the fixed grid.

    The laws are members of one stack that start alike and do not depend on each other.

    Args:
        draws: for each law, (n, generator) → n independent draws.
        axis: of `quantile_huber`; the draws are in no order, as targets at random fractions are.

    Raises:
        RamacError: no laws, or a batch that the fractions do not divide.
    """
    if not draws or batch % n_fractions:
        raise RamacError(f"{len(draws)} laws, {batch} draws for {n_fractions} fractions; expected some, and a multiple")
    critic = IQNCritic((len(draws),), 1, 1, hidden=128, embedding=64)
    initialise(critic, Noise([seed] * len(draws), "init").generators)
    optimizer = StackedAdam(critic, 3e-3, stack_rank=2)
    taus = torch.as_tensor(risk.grid(n_fractions), dtype=torch.float32)
    generators = [np.random.default_rng(seed) for _ in draws]
    nothing = torch.zeros(len(draws), 1, 1)  # a law depends on no state and no action: one row stands for all
    rows = batch // n_fractions
    for k in range(steps):
        samples = np.stack([draw(batch, rng) for draw, rng in zip(draws, generators, strict=True)])
        targets = torch.as_tensor(samples, dtype=torch.float32).reshape(-1, 1, rows, n_fractions)
        optimizer.lr = 3e-3 * (1 - k / steps)
        quantiles = critic(nothing, nothing, taus).expand(-1, 2, rows, n_fractions)
        optimizer.step(quantile_huber(quantiles, targets, taus, axis=axis))
    with torch.no_grad():
        return critic(nothing, nothing, taus)[:, :, 0].numpy()


def fit_law(
    draw: Callable[[int, np.random.Generator], Float[Array, " n"]], n_fractions: int, steps: int, **options: Any
) -> Float[Array, "2 N"]:
    """Return `fit_laws` of a single law."""
    return fit_laws([draw], n_fractions, steps, **options)[0]
