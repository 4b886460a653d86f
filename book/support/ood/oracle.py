"""What the best detector could tell: the density of the behaviour policies themselves, which bundled data have."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.behaviour import LOG_STD_RANGE, BehaviourPolicy, load_policy
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

Array = np.ndarray

EDGE = 1 - 2.0**-24  # in float32 the last number before 1, beyond which tanh rounds to it


def policies_behind(data: Dataset) -> list[BehaviourPolicy]:
    """Return the policies that made a data set; none where they are not known."""
    recipe = data.recipe
    if recipe.get("source") != "bundled" or "policies" not in recipe:
        return []
    env = get_task(recipe["task"]).env
    return [load_policy(env, step) for step in recipe["policies"]]


def log_density(
    policies: Sequence[BehaviourPolicy], observations: Float[Array, "N s"], actions: Float[Array, "N a"]
) -> Float[Array, " N"]:
    """Return log β(a|s) of the policies' equal mixture, a density on the open box (−1, 1)^a.

    Of a single policy a = tanh(m + σ ε): log β = Σ_j log N(artanh a_j; m_j, σ_j²) − log(1 − a_j²). Actions at the
    edge are taken as the last number before it. The mixture is the same in every state: who visits it is not weighed.

    Raises:
        RamacError: no policies, or arrays that are not theirs.
    """
    if not policies or (observations.shape[1], actions.shape[1]) != policies[0].sizes:
        raise RamacError(
            f"{len(policies)} policies, observations {observations.shape}, actions {actions.shape}: expected at least "
            "one, and arrays of its widths"
        )
    inside = np.clip(actions.astype(np.float64), -EDGE, EDGE)
    before, slope = np.arctanh(inside), np.log1p(-(inside**2))
    terms = []
    for policy in policies:
        w = policy.weights
        hidden = np.maximum(observations @ w["w0"] + w["b0"], 0)
        hidden = np.maximum(hidden @ w["w1"] + w["b1"], 0)
        log_std = np.clip(hidden @ w["w_log_std"] + w["b_log_std"], *LOG_STD_RANGE).astype(np.float64)
        z = (before - (hidden @ w["w_mean"] + w["b_mean"])) / np.exp(log_std)
        terms.append((-(z**2) / 2 - log_std - np.log(2 * np.pi) / 2 - slope).sum(axis=1))
    return logsumexp(terms, axis=0) - np.log(len(policies))
