"""Monte-Carlo returns of the data's own policy: discounted sums of rewards over windows of episodes."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from ramac_lib.datasets.contract import Dataset
from ramac_lib.system.errors import RamacError


@dataclass(frozen=True)
class Returns:
    """Rows of the data that windows begin at, and the discounted sum of rewards over each window."""

    rows: Int[np.ndarray, " M"]
    values: Float32[np.ndarray, " M"]


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
        RamacError: a number out of its range, no episode's end in the data, windows longer than every episode.
    """
    for name, value in (("length", length), ("step", step), ("limit", limit)):
        if value < 1:
            raise RamacError(f"{name} of the windows of returns is {value}; expected at least 1")
    if not 0 <= discount <= 1:
        raise RamacError(f"discount is {discount}; expected a number from 0 to 1")
    ends = data.terminals | data.timeouts
    if not ends.any():
        raise RamacError(
            f"{data.name}: no step ends an episode; a return is a sum within an episode, so terminals or timeouts must "
            "say where episodes end"
        )
    bounds = data.episode_bounds()
    longest = max(stop - first for first, stop in bounds)
    if length > longest:
        raise RamacError(
            f"{data.name}: windows of {length} steps are longer than every episode; the longest has {longest}"
        )
    rows, values = [], []
    powers = discount ** np.arange(length)
    for first, stop in bounds:
        if stop - first < length and not ends[stop - 1]:
            continue
        begin = first + window_starts(stop - first, length, step, limit)
        inside = min(length, stop - first)
        rewards = np.lib.stride_tricks.sliding_window_view(data.rewards[first:stop], inside)[begin - first]
        rows.append(begin)
        values.append(rewards @ powers[:inside])
    return Returns(np.concatenate(rows), np.concatenate(values).astype(np.float32))
