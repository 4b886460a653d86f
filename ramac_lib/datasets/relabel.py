"""Data under a hazard: which transitions violate it, and rewards with its penalties."""

from dataclasses import asdict
from zlib import crc32

import numpy as np
from jaxtyping import Bool, Float, Float32

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.hazards import Hazard, decide
from ramac_lib.system.errors import RamacError


def monitored(data: Dataset, hazard: Hazard) -> Float32[np.ndarray, " N"]:
    """Return the monitored signal of each transition.

    Raises:
        RamacError: the data's observations have no such entry.
    """
    width = data.next_observations.shape[1]
    if hazard.signal >= width:
        raise RamacError(
            f"{data.name}: next_observations has {width} columns; the hazard monitors column {hazard.signal}"
        )
    return data.next_observations[:, hazard.signal]


def violations(data: Dataset, hazard: Hazard) -> Bool[np.ndarray, " N"]:
    """Return which transitions leave the safe range."""
    signals = monitored(data, hazard)
    return decide(hazard, signals, np.ones(len(data), np.float32)).violation


def rates(data: Dataset, hazard: Hazard) -> float:
    """Return the share of transitions that leave the safe range."""
    return float(violations(data, hazard).mean())


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
    signals = monitored(data, hazard)
    outcome = decide(hazard, signals, uniforms)
    recipe = {**data.recipe, "hazard": asdict(hazard), "hazard_seed": seed}
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
