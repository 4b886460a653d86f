"""What every source of data must deliver: the Dataset, validated on entry."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int

from ramac_lib.system.errors import RamacError

FLOATS = ("observations", "actions", "rewards", "next_observations")
FLAGS = ("terminals", "timeouts")
KEYS = (*FLOATS, *FLAGS)
# Two float32 roundings of one state differ by less; a reset or another episode's state differs by more.
LARGEST_STEP = 1e-3


@dataclass(frozen=True)
class Dataset:
    """Transitions of whole or cut episodes in the order in which they were seen.

    Args:
        observations, next_observations: float32, shape (N, s).
        actions: float32, shape (N, a), each in [-1, 1].
        rewards: float32, shape (N,).
        terminals: bool, shape (N,); the environment ended the episode: no bootstrapping.
        timeouts: bool, shape (N,); the clock ended it: the value of ``next_observations`` is bootstrapped.
        env_id: Gymnasium's id of the environment that the data are from.
        name: where the data came from, for messages: a file's path, or ``bundled hopper-medium-expert``.
        recipe: what rebuilds these very data (source, task, size, seed, hazard …), for a run's config.
        costs: shape (N,), ≥ 0, where the data have them; of the transition that enters a forbidden state.

    Raises:
        RamacError: one sentence naming the source, the key and what was expected.
    """

    observations: Float32[np.ndarray, "N s"]
    actions: Float32[np.ndarray, "N a"]
    rewards: Float32[np.ndarray, " N"]
    next_observations: Float32[np.ndarray, "N s"]
    terminals: Bool[np.ndarray, " N"]
    timeouts: Bool[np.ndarray, " N"]
    env_id: str
    name: str = "dataset"
    recipe: Mapping[str, Any] = field(default_factory=dict)
    costs: Float32[np.ndarray, " N"] | None = None

    def __post_init__(self) -> None:
        validate(self)

    def __len__(self) -> int:
        return len(self.rewards)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the six arrays by key, in the contract's order, and ``costs`` last where there are any."""
        costs = {} if self.costs is None else {"costs": self.costs}
        return {key: getattr(self, key) for key in KEYS} | costs

    def sha256(self) -> str:
        """Return the hash of the arrays' bytes (name and recipe do not count)."""
        digest = hashlib.sha256()
        for key, array in self.arrays().items():
            digest.update(f"{key}{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def episode_bounds(self) -> list[tuple[int, int]]:
        """Return (start, stop) of each episode; the last may be cut short by the data's end."""
        stops = np.flatnonzero(self.terminals | self.timeouts) + 1
        if len(self) and (len(stops) == 0 or stops[-1] != len(self)):
            stops = np.append(stops, len(self))
        starts = np.concatenate([[0], stops[:-1]])
        return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]

    def episode_returns(self, horizon: int | None = None) -> Float32[np.ndarray, " E"]:
        """Return each episode's undiscounted sum of rewards over its first `horizon` steps (all if None)."""
        return self._sums(self.rewards, horizon)

    def episode_costs(self, horizon: int | None = None) -> Float32[np.ndarray, " E"]:
        """Return each episode's undiscounted sum of costs over its first `horizon` steps (all if None).

        Raises:
            RamacError: the data have no costs.
        """
        if self.costs is None:
            raise RamacError(f"{self.name} has no costs")
        return self._sums(self.costs, horizon)

    def _sums(self, values: Float32[np.ndarray, " N"], horizon: int | None) -> Float32[np.ndarray, " E"]:
        return np.array(
            [
                values[a : b if horizon is None else min(b, a + horizon)].sum(dtype=np.float64)
                for a, b in self.episode_bounds()
            ],
            dtype=np.float32,
        )

    def with_(self, **changes: Any) -> "Dataset":
        """Return a validated copy with these fields changed."""
        return replace(self, **changes)


def validate(data: Dataset) -> None:
    """Check the contract: keys, types, shapes, finiteness, range of actions, no step across an episode's end.

    Raises:
        RamacError: the first thing found wrong, in one sentence.
    """

    def refuse(key: str, problem: str) -> RamacError:
        return RamacError(f"{data.name}: {key} {problem}")

    n = len(data.rewards)
    if n == 0:
        raise refuse("rewards", "holds no transitions; at least one is needed")
    for key, array in data.arrays().items():
        want: type[np.generic] = np.bool_ if key in FLAGS else np.float32
        if array.dtype != want:
            raise refuse(key, f"has dtype {array.dtype}; expected {np.dtype(want)}")
        ndim = 2 if key in ("observations", "actions", "next_observations") else 1
        if array.ndim != ndim:
            raise refuse(key, f"has shape {array.shape}; expected {ndim} dimension(s)")
        if ndim == 2 and array.shape[1] == 0:
            raise refuse(key, "has no columns; expected at least one")
        if len(array) != n:
            raise refuse(key, f"has {len(array)} rows; expected {n}, as many as rewards")
        if key not in FLAGS and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise refuse(key, f"is NaN or infinite at row {row}; expected finite numbers")
    if data.observations.shape != data.next_observations.shape:
        raise refuse(
            "next_observations",
            f"has shape {data.next_observations.shape}; expected that of observations, {data.observations.shape}",
        )
    if data.costs is not None and data.costs.min() < 0:
        row = int(np.argmin(data.costs))
        raise refuse("costs", f"is {data.costs[row]:g} at row {row}; expected numbers ≥ 0")
    largest = np.abs(data.actions).max()
    if largest > 1 + 1e-5:
        raise refuse("actions", f"reaches {largest:.4g}; expected values in [-1, 1]")
    breaks = unmarked_breaks(data.observations, data.next_observations, data.terminals, data.timeouts)
    if len(breaks):
        row = int(breaks[0])
        raise refuse(
            "next_observations",
            f"at row {row} is not the next row's observation although the episode goes on there; "
            "expected terminals or timeouts to mark each episode's last row",
        )


def unmarked_breaks(
    observations: Float32[np.ndarray, "N s"],
    next_observations: Float32[np.ndarray, "N s"],
    terminals: Bool[np.ndarray, " N"],
    timeouts: Bool[np.ndarray, " N"],
) -> Int[np.ndarray, " B"]:
    """Return the rows after which the state jumps although no flag ends the episode there."""
    inside = ~(terminals | timeouts)[:-1]
    jump = (np.abs(next_observations[:-1] - observations[1:]) > LARGEST_STEP).any(axis=1)
    return np.flatnonzero(inside & jump)
