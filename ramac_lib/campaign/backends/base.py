"""What a backend of a campaign is: something that does slices."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from ramac_lib.campaign.grid import Cell
from ramac_lib.campaign.slices import Job, SliceResult
from ramac_lib.system.machine import get_device
from ramac_lib.training.engine import Engine, get_engine

Prepare = Callable[[Job, Sequence[Job]], Job]  # a job and those that still wait → the job with its deadline


OnStep = Callable[[str, int], None]  # a cell's name, its step


class Pool(Protocol):
    """Something that does slices."""

    def capacity(self) -> int:
        """Return how many slices are done at a time, as things stand."""
        ...

    def choose(self, device: str, mode: str, precision: str, method: Any, begun: str | None) -> Engine:
        """Return `get_engine`'s choice where the updates will be made: on this machine, unless a backend has others."""
        return get_engine(device, mode, precision, method, begun)

    def gpus(self, device: str) -> float:
        """Return how many GPUs a cell has, 0 on a CPU."""
        return float(get_device(device).type == "cuda")

    def recover(self, cells: Sequence[tuple[Cell, Path]]) -> None:
        """Bring what was saved elsewhere into the cells' run directories."""

    def run(self, jobs: Sequence[Job], prepare: Prepare, on_step: OnStep) -> Iterator[SliceResult]:
        """Do the jobs, the first one first; yield their outcomes as they come."""
        ...

    def stop(self) -> None:
        """Let the slices under way end at their next chunk, and begin no other."""

    def close(self) -> None:
        """End all processes."""
