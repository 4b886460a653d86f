"""Monte-Carlo returns of the data's own policy: discounted sums of rewards to an episode's end, or over windows."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from ramac_lib.datasets.contract import Dataset
from ramac_lib.system.errors import RamacError


@dataclass(frozen=True)
class Returns:
    """Rows of the data that windows begin at, and the discounted sum of rewards over each window."""

    rows: Int[np.ndarray, " M"]
    values: Float32[np.ndarray, " M"]


def episode_ends(data: Dataset) -> Bool[np.ndarray, " N"]:
    """Return whether an episode ends with each row, by a terminal state or a time-out.

    Raises:
        RamacError: none does, so that no step's return is known.
    """
    ends = data.terminals | data.timeouts
    if not ends.any():
        raise RamacError(
            f"{data.name}: no terminals and no timeouts mark an episode's end, so that no step's return is known; "
            "expected at least one"
        )
    return ends


def returns_to_go(
    data: Dataset, discount: float, summed: Float32[np.ndarray, " N"] | None = None
) -> Float64[np.ndarray, " N"]:
    """Return Σ_k γ^k r_{t+k} of each row to its episode's end; of an episode cut by the data's end, what they have.

    Args:
        summed: what is summed in the rewards' place, costs say.
    """
    found, rewards = np.zeros(len(data)), (data.rewards if summed is None else summed).tolist()
    for first, stop in data.episode_bounds():
        following = 0.0
        for row in range(stop - 1, first - 1, -1):
            found[row] = following = rewards[row] + discount * following
    return found


def window_starts(episode: int, length: int, step: int, limit: int) -> Int[np.ndarray, " K"]:
    """Return where windows of `length` steps begin in an episode, every `step` steps; at 0 alone in a shorter one."""
    return np.arange(0, max(episode - length, 0) + 1, step)[:limit]


def monte_carlo(data: Dataset, discount: float, length: int = 200, step: int = 10, limit: int = 100) -> Returns:
    """Return Σ_{k<L} γ^k r_{t+k} of windows that begin at t = 0, step, 2·step … of each episode (Zhang et al. 2024).

    No window runs across an episode's end. An episode of less than `length` steps has one window, the whole of it; one
    that the data's end cuts so short has none, as its return is not known.

    Args:
        discount: γ, from 0 to 1.
        length: of a window, L, in steps.
        step: between the beginnings of two windows.
        limit: most windows of an episode.

    Raises:
        RamacError: a number out of its range, no episode's end in the data.
    """
    for name, value in (("length", length), ("step", step), ("limit", limit)):
        if value < 1:
            raise RamacError(f"{name} of the windows of returns is {value}; expected at least 1")
    if not 0 <= discount <= 1:
        raise RamacError(f"discount is {discount}; expected a number from 0 to 1")
    ends, to_go, rows, values = episode_ends(data), returns_to_go(data, discount), [], []
    for first, stop in data.episode_bounds():
        if stop - first < length and not ends[stop - 1]:
            continue
        begin = first + window_starts(stop - first, length, step, limit)
        beyond = begin + length  # what is earned from there on is not the window's
        rows.append(begin)
        values.append(to_go[begin] - discount**length * np.where(beyond < stop, to_go[np.minimum(beyond, stop - 1)], 0))
    return Returns(np.concatenate(rows), np.concatenate(values).astype(np.float32))
