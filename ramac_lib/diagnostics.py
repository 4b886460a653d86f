"""Does a critic point where returns are? Rollouts of a policy whose actions are moved along a critic's gradient."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from ramac_lib import evaluation, risk
from ramac_lib.errors import RamacError
from ramac_lib.hazards import Hazard
from ramac_lib.methods import Method
from ramac_lib.methods.base import frozen
from ramac_lib.methods.distributional import Distributional
from ramac_lib.noise import Noise


def nudged(
    method: Distributional,
    observations: Float[Tensor, "S B s"],
    actions: Float[Tensor, "S B a"],
    alpha: float,
    size: float,
) -> Float[Tensor, "S B a"]:
    """Return actions moved by `size` along the unit gradient of CVaR_α(Z(s, a)), clamped to the box.

    Args:
        alpha: of the measure; 1 is the mean.
        size: length of the move, in units of the action bound; negative moves against the gradient.
    """
    count = method.config.n_fractions
    weights = torch.as_tensor(risk.weights("cvar", count, alpha=alpha), dtype=torch.float32, device=method.device)
    with torch.enable_grad(), frozen(method.critic):
        moved = actions.detach().requires_grad_(True)
        value = method.critic(observations, moved, method.grid).amin(dim=1) @ weights
        (gradient,) = torch.autograd.grad(value.sum(), moved)
    return (actions + size * gradient / gradient.norm(dim=-1, keepdim=True).clamp(min=1e-8)).clamp(-1, 1)


def push_test(
    method: Method,
    env_id: str,
    hazard: Hazard | None,
    horizon: int,
    episodes: int,
    alphas: Sequence[float] = (0.1, 1.0),
    sizes: Sequence[float] = (0.1, -0.1),
) -> pd.DataFrame:
    """Return the mean return of a method's policy with every action moved along its critics' gradient.

    A critic that knows which actions are better makes a move along its gradient worth more than one against it. All
    rows share environments' seeds and the policy's noise.

    Args:
        episodes: for each seed and row.
        alphas: of the CVaR whose gradient is followed; 1 is the mean.
        sizes: of the move; see `nudged`.

    Returns:
        One row for the policy as it is (alpha is NaN, size 0), then one for each alpha and size: ``alpha size mean se
        length``, the standard error over all episodes.

    Raises:
        RamacError: the method has no quantile critics.
    """
    if not isinstance(method, Distributional):
        raise RamacError(f"{type(method).__name__} has no quantile critics; the test needs their gradient")
    rows = []
    for alpha, size in [(float("nan"), 0.0), *((a, s) for a in alphas for s in sizes)]:
        noise = Noise(method.seeds, "evaluation", method.device)

        def act(observations: Tensor, alpha: float = alpha, size: float = size, noise: Noise = noise) -> Tensor:
            seen = observations.to(method.device)
            actions = method.act(seen, noise)
            return nudged(method, seen, actions, alpha, size) if size else actions

        runs = evaluation.rollouts(act, env_id, hazard, horizon, method.seeds, episodes)
        returns = np.array([r.ret for r in runs])
        error = returns.std(ddof=1) / np.sqrt(len(returns)) if len(returns) > 1 else float("nan")
        length = float(np.mean([r.length for r in runs]))
        rows.append({"alpha": alpha, "size": size, "mean": returns.mean(), "se": error, "length": length})
    return pd.DataFrame(rows)
