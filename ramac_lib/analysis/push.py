"""Does a critic point where returns are? Rollouts of a policy whose actions are moved along a critic's gradient."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib.envs import play
from ramac_lib.envs.hazards import Hazard
from ramac_lib.methods import Method
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.training import stored

SIZES = (0.1, -0.1)


def nudged(
    method: Method,
    observations: Float[Tensor, "S B s"],
    actions: Float[Tensor, "S B a"],
    alpha: float,
    size: float,
) -> Float[Tensor, "S B a"]:
    """Return actions moved by `size` along the unit gradient of the method's `value`, clamped to the box.

    Args:
        alpha: of the measure; 1 is the mean.
        size: length of the move, in units of the action bound; negative moves against the gradient.
    """
    observations, actions = observations.to(method.device), actions.to(method.device)
    with torch.enable_grad():
        moved = actions.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(method.value(observations, moved, alpha).sum(), moved)
    return (actions + size * gradient / gradient.norm(dim=-1, keepdim=True).clamp(min=1e-8)).clamp(-1, 1)


def push_test(
    critics: Method,
    policy: Method,
    env_id: str,
    hazard: Hazard | None,
    horizon: int,
    episodes: int,
    sizes: Sequence[float] = SIZES,
) -> pd.DataFrame:
    """Return the returns of a policy with every action moved along a method's critics' gradient.

    A critic that knows which actions are better makes a move along its gradient worth more than one against it. The
    gradient is that of the mean, and of CVaR_0.1 where the critics are distributional. All moves share the
    environments' seeds and the policy's noise.

    Args:
        critics: the method whose critics are asked.
        policy: the method that acts, of the same seeds; it may be the same.
        episodes: for each seed and move.
        sizes: of the moves; see `nudged`.

    Returns:
        One row an episode: ``seed alpha size episode return length``; the policy as it is has alpha 1 and size 0.

    Raises:
        RamacError: no critics, other seeds, or a policy that answers with actions of another shape.
    """
    if policy.seeds != critics.seeds:
        raise RamacError(f"the critics have seeds {critics.seeds}, the policy {policy.seeds}; expected the same")
    if not critics.levels():
        raise RamacError(f"{type(critics).__name__} has no critics; the test needs their gradient")
    tables = []
    for alpha, size in [(1.0, 0.0), *((a, s) for a in critics.levels() for s in sizes)]:
        controller = policy.controller(Noise(policy.seeds, "evaluation", policy.device))
        move = partial(nudged, critics, alpha=alpha, size=size) if size else None
        runs = play.rollouts(controller, env_id, hazard, horizon, policy.seeds, episodes, move=move)
        tables.append(play.frame(runs).assign(alpha=alpha, size=size))
    return pd.concat(tables, ignore_index=True)[["seed", "alpha", "size", "episode", "return", "length"]]


def push_runs(runs: Sequence[Path], policy: Path, out: Path, episodes: int, device: str = "auto") -> pd.DataFrame:
    """Make the push test of several runs' critics on one run's policy; write it as OUT.csv, one row an episode.

    Args:
        episodes: for each move, shared evenly by the seeds.

    Raises:
        RamacError: no run there, a run of another task or of seeds that the policy lacks, a method without critics,
            fewer episodes than seeds.
    """
    acting, policies, facts, _ = stored.load_run(policy, device)
    if episodes < len(policies):
        raise RamacError(f"{episodes} episodes for {len(policies)} seeds; expected at least one a seed")
    tables = []
    for path in runs:
        config, stacks, _, _ = stored.load_run(path, device)
        if config.task != acting.task or not set(config.seeds) <= set(acting.seeds):
            there = f"{config.task} with seeds {config.seeds}"
            raise RamacError(f"{path}: {there}, but the policy's run is {acting.task} with seeds {acting.seeds}")
        for critics in stacks:
            actor = next(p for p in policies if p.seeds == critics.seeds)
            table = push_test(
                critics, actor, facts["env_id"], acting.hazard, acting.task.horizon, episodes // len(policies)
            )
            tables.append(table.assign(critics=config.method.name, run=config.hash, policy=acting.method.name))
    merged = pd.concat(tables, ignore_index=True)
    with atomic(beside(out, ".csv")) as temporary:
        merged.to_csv(temporary, index=False)
    return merged
