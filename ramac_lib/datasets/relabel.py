"""Data under a hazard: which transitions violate it, rewards with its penalties, violations as costs."""

from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float, Float32

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.hazards import Hazard, Outcome
from ramac_lib.system.errors import RamacError


def _judged(data: Dataset, hazard: Hazard, uniforms: Float[np.ndarray, " N"]) -> Outcome:
    if problem := hazard.check(data.next_observations.shape[1]):
        raise RamacError(f"{data.name}: next_observations has {problem}")
    return hazard.decide(data.observations, data.actions, data.next_observations, uniforms)


def monitored(data: Dataset, hazard: Hazard) -> Float32[np.ndarray, " N"]:
    """Return the monitored signal of each transition.

    Raises:
        RamacError: the data's observations lack what the hazard watches.
    """
    violations(data, hazard)
    return hazard.monitored(data.next_observations)


def violations(data: Dataset, hazard: Hazard) -> Bool[np.ndarray, " N"]:
    """Return which transitions violate the hazard.

    Raises:
        RamacError: as `monitored`.
    """
    return _judged(data, hazard, np.ones(len(data), np.float32)).violation


def rates(data: Dataset, hazard: Hazard) -> float:
    """Return the share of transitions that violate the hazard."""
    return float(violations(data, hazard).mean())


def with_costs(data: Dataset, hazard: Hazard) -> Dataset:
    """Return the data with costs: those that they have, else 1 for each violation of the hazard and 0 elsewhere.

    A cost belongs to the transition that enters the forbidden state, as in DSRL (Liu et al. 2024).
    """
    if data.costs is not None:
        return data
    return data.with_(costs=violations(data, hazard).astype(np.float32))


def relabel(data: Dataset, hazard: Hazard, seed: int = 0, uniforms: Float[np.ndarray, " N"] | None = None) -> Dataset:
    """Return the data as if they had been recorded under the hazard.

    A penalty is added to the reward of a step that the hazard strikes. Where the hazard ends an episode, the step
    becomes terminal and what the data still hold of that episode is dropped.

    Args:
        data: transitions, in the order in which they were seen.
        hazard: what to apply; the preset ``none`` leaves the data as they are.
        seed: of the draws, one for each transition.
        uniforms: the draws from U[0, 1) themselves, instead of the seed.

    Raises:
        RamacError: the data lack the monitored signal, or the draws are not one a transition.
    """
    if uniforms is None:
        uniforms = np.random.default_rng([crc32(b"hazard"), seed]).random(len(data), dtype=np.float32)
    if len(uniforms) != len(data):
        raise RamacError(f"{data.name}: {len(uniforms)} draws for {len(data)} transitions; expected one each")
    outcome = _judged(data, hazard, uniforms)
    recipe = {**data.recipe, "hazard": hazard.to_json(), "hazard_seed": seed}
    rewards = data.rewards + outcome.penalty
    if not (outcome.ends & ~data.terminals).any():
        return data.with_(rewards=rewards, recipe=recipe)
    keep = ~_after_end(outcome.ends, data.terminals | data.timeouts)
    arrays = {**data.arrays(), "rewards": rewards}
    arrays["terminals"] = data.terminals | outcome.ends
    arrays["timeouts"] = data.timeouts & ~outcome.ends
    return data.with_(**{key: array[keep] for key, array in arrays.items()}, recipe=recipe)


def _after_end(ends: Bool[np.ndarray, " N"], last: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Return which steps come after an end within their episode; `last` marks each episode's last step."""
    before = np.cumsum(ends) - ends  # ends in all earlier rows
    first = np.concatenate([[True], last[:-1]])
    episode = np.cumsum(first) - 1
    return before > before[first][episode]
