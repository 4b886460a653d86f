"""RAFMAC's released risk term beside the paper's: does its weight reach the policy that is deployed?"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
import torch

from ramac_lib.datasets.bandit import dataset
from ramac_lib.datasets.batches import Replay
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods.shared.ramac import RAMAC
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop
from ramac_lib.training.config import make_config


def learner(options: Mapping[str, Any], *, released: bool, seed: int, steps: int, task: str = BANDIT) -> RAMAC:
    """Return a RAFMAC, not yet trained, with the released settings or the paper's, and options of one's own.

    Raises:
        RamacError: an unknown option.
    """
    own = {name: str(value) for name, value in options.items()}
    config = make_config("rafmac", task, [seed], steps, own, released=released)
    made = loop.build(config, dataset(), torch.device("cpu"), [seed])
    if not isinstance(made, RAMAC):
        raise RamacError(f"{config.method.name} is no RAMAC")
    return made


class Reach(NamedTuple):
    """What the risk term does to the deployed field.

    Args:
        gradient: norm of its gradient in the field's parameters, over the norm of the cloning loss's; 0 where no path
            leads there.
        moved: the largest difference of any parameter of the field after training with the risk term and without it,
            from the same start, batches and noise.
    """

    gradient: float
    moved: float


def reach(*, released: bool, seed: int = 0, steps: int = 20) -> Reach:
    """Return whether RAFMAC's risk term reaches its deployed field, with the released settings or the paper's."""
    options = {"eta": 1000.0, "eta_warmup": 0.0, "eta_ramp": 0.0} if released else {"eta_warmup": 0.0, "eta_ramp": 0.0}
    share = _share(learner(options, released=released, seed=seed, steps=steps), dataset())
    weighed = learner(options, released=released, seed=seed, steps=steps)
    without = learner(options | {"eta": 0.0}, released=released, seed=seed, steps=steps)
    for method in (weighed, without):
        replay = Replay(dataset())
        for _ in range(steps):
            method.step += 1
            method.learn(replay.sample(method.batches, method.config.batch_size))
    pairs = zip(weighed.policy.parameters(), without.policy.parameters(), strict=True)
    return Reach(share, max(float((a - b).detach().abs().max()) for a, b in pairs))


def _share(method: RAMAC, data: Dataset) -> float:
    """Return the norm of the risk loss's gradient in the field over that of the cloning loss."""
    batch = Replay(data).sample(method.batches, method.config.batch_size)
    noise = method.policy_noise(batch.observations)
    if method.config.risk_path == "one-step":
        actions = method.one_step(torch.cat([noise, batch.observations], dim=-1)).clamp(-1, 1)
    else:
        actions = method.policy.sample(noise, batch.observations)
    risk_loss = method.config.eta * method.risk_loss(batch, actions)[0]
    return _norm(risk_loss, method) / _norm(method.bc_loss(batch), method)


def _norm(loss: torch.Tensor, method: RAMAC) -> float:
    found = torch.autograd.grad(loss.sum(), list(method.policy.parameters()), allow_unused=True, retain_graph=True)
    return float(sum((g**2).sum() for g in found if g is not None) ** 0.5)


def clamped(data: Mapping[str, Dataset], bound: float = 1.0) -> pd.DataFrame:
    """Return what clamping rewards to ±bound leaves of each task's: ``task beyond low high``.

    Args:
        data: task → relabelled data. `beyond` is the share of steps whose reward is cut; `low` and `high` the range of
            rewards before it.
    """
    rows = []
    for task, own in data.items():
        rewards = own.rewards
        beyond = float((abs(rewards) > bound).mean())
        rows.append({"task": task, "beyond": beyond, "low": float(rewards.min()), "high": float(rewards.max())})
    return pd.DataFrame(rows)
