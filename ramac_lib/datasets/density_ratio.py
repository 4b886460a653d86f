"""log β(a|s) / π(a|s) by a classifier of the data's actions against a policy's at the same states."""

import numpy as np
import torch
from jaxtyping import Float
from torch.nn import functional

from ramac_lib.datasets.ood import checked, joined, units
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import MLP, initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError

Array = np.ndarray
HIDDEN, RATE, BATCH = (64, 64), 1e-3, 256


def log_density_ratio(
    observations: Float[Array, "N s"],
    data_actions: Float[Array, "N a"],
    policy_actions: Float[Array, "N a"],
    *,
    folds: int = 5,
    updates: int = 1000,
    seed: int = 0,
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Return the logarithm of β(a|s) / π(a|s) at the data's actions and at the policy's; low means out of the data.

    A network tells which of a state's two actions is the data's; its logit estimates the ratio (Sugiyama et al. 2012,
    "Density Ratio Estimation in Machine Learning"). Each row is judged by a network that was fitted without its fold;
    folds are runs of consecutive rows, so that an episode is seldom in two. Far from both data sets it means little.

    Args:
        observations: states of the data, in the order in which they were seen.
        data_actions, policy_actions: at each of them, one that the data took and one drawn from the policy.
        folds: networks, side by side.
        updates: of each, with batches of 256 rows.
        seed: of the networks and the batches.

    Raises:
        RamacError: arrays of different lengths or widths, numbers that are not finite, fewer rows than folds.
    """
    true, drawn = joined(observations, data_actions), joined(observations, policy_actions)
    checked(drawn, "observations and the policy's actions", true.shape[1])
    if not 2 <= folds <= len(true) or updates < 1:
        raise RamacError(f"{folds} folds of {len(true)} rows and {updates} updates; expected 2 folds or more")
    unit = units(true)
    pair = np.stack([true, drawn]) / unit - true.mean(axis=0) / unit
    rows = torch.from_numpy(pair.astype(np.float32))  # (2, N, s + a)
    fold = torch.arange(len(true)) * folds // len(true)
    keys = tuple(range(folds))
    network = MLP((folds,), (true.shape[1], *HIDDEN, 1), "relu")
    initialise(network, Noise(keys, "init", keys=(seed,)).generators)
    batches, optimizer = Noise(keys, "batches", keys=(seed,)), StackedAdam(network, RATE)
    others = [torch.nonzero(fold != k).squeeze(1) for k in keys]
    for _ in range(updates):
        draws = batches.uniform(BATCH)
        index = torch.stack([own[(u * len(own)).long()] for own, u in zip(others, draws, strict=True)])
        logits = network(torch.cat([rows[0][index], rows[1][index]], dim=1)).squeeze(-1)
        loss = functional.softplus(-logits[:, :BATCH]).mean(1) + functional.softplus(logits[:, BATCH:]).mean(1)
        optimizer.step(loss)
    with torch.no_grad():
        logits = network(rows.flatten(0, 1).expand(folds, -1, -1)).squeeze(-1).unflatten(1, (2, -1))
    found = logits.gather(0, fold.expand(1, 2, -1))[0].double().numpy()
    return found[0], found[1]
