"""A dataset on the device, and batches drawn from it without leaving the device: transitions, chunks, windows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import episode_ends, returns_to_go
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError


class Batch(NamedTuple):
    """B entries for each of S seeds, by column; filled by name. An entry is what the method's `sampling` names.

    Shapes are those of transitions; chunks and windows say where theirs differ.
    """

    observations: Float[Tensor, "S B s"]
    actions: Float[Tensor, "S B a"]
    rewards: Float[Tensor, "S B"]
    next_observations: Float[Tensor, "S B s"]
    terminals: Float[Tensor, "S B"]  # 1 where nothing is bootstrapped; time-outs are 0
    costs: Float[Tensor, "S B"] | None = None  # where the data have them
    mask: Float[Tensor, "S B h"] | None = None  # of chunks and padded windows: 1 where a step was taken
    returns: Float[Tensor, "S B"] | None = None  # of windows with a discount: the return from the first step on
    cost_returns: Float[Tensor, "S B"] | None = None  # and the costs' discounted sum, where the data have them


@dataclass(frozen=True)
class Transitions:
    """Single steps (s, a, r, s′), any row of the data."""


@dataclass(frozen=True)
class Chunks:
    """`length` steps in a row, h: the state before them, the state after them, what was done in between.

    ``actions (S, B, h, a)``, ``rewards``, ``costs`` and ``mask (S, B, h)``; ``observations (S, B, s)`` before the first
    step, ``next_observations (S, B, s)`` and ``terminals (S, B)`` after the last that was taken. A chunk never runs
    across an episode's end: one that a time-out cuts is left out; one that a terminal state cuts is kept, with zeros
    for the steps that were not taken and a mask that says so.

    Raises:
        RamacError: a length that is no whole number of at least 1.
    """

    length: int

    def __post_init__(self) -> None:
        _check(self.length, "a chunk")


@dataclass(frozen=True)
class Windows:
    """`length` whole transitions in a row, H, never across an episode's end: every column has shape (S, B, H, …).

    Args:
        padded: keep windows that a terminal state cuts. The last transition then stands in for those that were not
            taken, without its reward and its cost; ``mask (S, B, H)`` says which were.
        discount: γ of the column ``returns (S, B)``, Σ_k γ^k r_{t+k} from the window's first step to its episode's end,
            be that a terminal state or a time-out, and of ``cost_returns``, the same of costs. Windows of an episode
            that the data's end cuts are left out.

    Raises:
        RamacError: a length that is no whole number of at least 1, a discount outside [0, 1].
    """

    length: int
    padded: bool = False
    discount: float | None = None

    def __post_init__(self) -> None:
        _check(self.length, "a window")
        if self.discount is not None and not 0 <= self.discount <= 1:
            raise RamacError(f"the discount of windows is {self.discount}; expected a number in [0, 1]")


Sampling = Transitions | Chunks | Windows


def _check(length: int, what: str) -> None:
    if not isinstance(length, int | np.integer) or length < 1:
        raise RamacError(f"the length of {what} is {length!r}; expected a whole number of at least 1 step")


def starts(data: Dataset, sampling: Chunks | Windows) -> tuple[Int[np.ndarray, " M"], Int[np.ndarray, " M"]]:
    """Return the rows that chunks or windows may begin at, and the last row of each one's episode.

    Raises:
        RamacError: they are longer than every episode, or returns are asked of data that mark no episode's end.
    """
    rows, ends, longest = [], [], 0
    ended = episode_ends(data) if isinstance(sampling, Windows) and sampling.discount is not None else None
    for first, stop in data.episode_bounds():
        if ended is not None and not ended[stop - 1]:
            continue
        longest = max(longest, stop - first)
        padded = (isinstance(sampling, Chunks) or sampling.padded) and bool(data.terminals[stop - 1])
        whole = stop if padded else stop - sampling.length + 1
        rows.append(np.arange(first, max(first, whole)))
        ends.append(np.full(len(rows[-1]), stop - 1))
    if sampling.length > longest:  # not even a padded chunk would ever be whole
        what = type(sampling).__name__.lower()
        raise RamacError(
            f"{data.name}: {what} of {sampling.length} steps are longer than every episode; the longest has {longest}"
        )
    return np.concatenate(rows), np.concatenate(ends)


class Replay:
    """The transitions as tensors on `device`."""

    def __init__(self, data: Dataset, device: torch.device | str = "cpu") -> None:
        def column(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else torch.as_tensor(array, dtype=torch.float32, device=device)

        self.data, self.device = data, device
        self.columns = {key: column(getattr(data, key)) for key in Batch._fields if hasattr(data, key)}

    def __len__(self) -> int:
        return len(self.data)

    def sample(self, noise: Noise, batch_size: int) -> Batch:
        """Return transitions for each seed, drawn uniformly with replacement from that seed's own stream."""
        return self._at(noise.integers(len(self), batch_size))

    def sampler(self, sampling: Sampling, batch_size: int) -> Callable[[Noise], Batch]:
        """Return a function that draws a batch of such entries for each seed, as `sample` does transitions.

        Raises:
            RamacError: chunks or windows longer than every episode, or returns of data without an episode's end.
        """
        if isinstance(sampling, Transitions):
            return lambda noise: self.sample(noise, batch_size)
        first, end = (torch.as_tensor(rows, device=self.device) for rows in starts(self.data, sampling))
        steps = torch.arange(sampling.length, device=self.device)

        to_go, costs_to_go = None, None
        if isinstance(sampling, Windows) and sampling.discount is not None:
            found = returns_to_go(self.data, sampling.discount)
            to_go = torch.as_tensor(found, dtype=torch.float32, device=self.device)
            if self.data.costs is not None:
                summed = returns_to_go(self.data, sampling.discount, self.data.costs)
                costs_to_go = torch.as_tensor(summed, dtype=torch.float32, device=self.device)

        def windows(noise: Noise) -> Batch:
            chosen = noise.integers(len(first), batch_size)
            rows, last = first[chosen][..., None] + steps, end[chosen]
            mask = (rows <= last[..., None]).float()
            batch = self._at(torch.minimum(rows, last[..., None]))
            return batch._replace(
                rewards=batch.rewards * mask,
                costs=None if batch.costs is None else batch.costs * mask,
                mask=mask,
                returns=None if to_go is None else to_go[rows[..., 0]],
                cost_returns=None if costs_to_go is None else costs_to_go[rows[..., 0]],
            )

        def chunks(noise: Noise) -> Batch:
            chosen = noise.integers(len(first), batch_size)
            rows, last = first[chosen][..., None] + steps, end[chosen]
            mask = (rows <= last[..., None]).float()
            inside, after = self._at(torch.minimum(rows, last[..., None])), torch.minimum(rows[..., -1], last)
            edges = self._at(after)
            return Batch(
                observations=self._at(first[chosen]).observations,
                actions=inside.actions * mask[..., None],
                rewards=inside.rewards * mask,
                next_observations=edges.next_observations,
                terminals=edges.terminals,
                costs=None if inside.costs is None else inside.costs * mask,
                mask=mask,
            )

        return chunks if isinstance(sampling, Chunks) else windows

    def _at(self, rows: Int[Tensor, "S B *h"]) -> Batch:
        found = {key: None if column is None else column[rows] for key, column in self.columns.items()}
        return Batch(**found)  # type: ignore[arg-type]
