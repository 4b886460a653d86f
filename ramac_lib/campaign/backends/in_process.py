"""No processes: slices are done one after another in this one."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ramac_lib.campaign.backends.base import OnStep, Pool, Prepare
from ramac_lib.campaign.grid import Cell
from ramac_lib.campaign.slices import Job, SliceResult, attempt


class InProcess(Pool):
    """No processes: slices are done one after another in this one."""

    def __init__(self) -> None:
        self._stopped = False

    def capacity(self) -> int:
        """Return one."""
        return 1

    def recover(self, cells: Sequence[tuple[Cell, Path]]) -> None:
        """Nothing is saved elsewhere."""

    def run(self, jobs: Sequence[Job], prepare: Prepare, on_step: OnStep) -> Iterator[SliceResult]:
        """Do the jobs."""
        for i, job in enumerate(jobs):
            if self._stopped:
                return

            def tick(step: int, name: str = job.cell.name) -> bool:
                on_step(name, step)
                return self._stopped

            yield attempt(prepare(job, jobs[i + 1 :]), tick)

    def stop(self) -> None:
        """Stop at the next chunk."""
        self._stopped = True

    def close(self) -> None:
        """Nothing is to be ended."""
