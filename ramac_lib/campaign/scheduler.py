"""The campaign itself: rounds over all cells within a budget, one table kept whole, failures named at the end."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
from tqdm.auto import tqdm

from ramac_lib import datasets
from ramac_lib.campaign import estimate, plan
from ramac_lib.campaign.backends.base import Pool
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.campaign.grid import Cell, Grid, tasks_of
from ramac_lib.campaign.plan import Cost, Round, State
from ramac_lib.campaign.slices import Job, SliceResult
from ramac_lib.system.errors import RamacError
from ramac_lib.system.interrupts import OutOfTime, alarm, on_interrupt
from ramac_lib.system.version import code_version
from ramac_lib.training import loop
from ramac_lib.training.engine import Engine, get_engine

CHUNKS, LONGEST = 1000, 500  # looks at the clock in a whole cell; updates between two of them at most
GATHER_EVERY = 15.0  # seconds between two writings of the one table within a round
LATE = 0.03  # of the budget, that a report may end after it
WORTH = 0.05  # of the budget: if more is left after the reports, there is another round, and new reports
PROBE = 5  # updates that a probe makes

log = logging.getLogger(__name__)


@dataclass
class Campaign:
    """A grid, advanced in rounds.

    Args:
        device: auto, cpu or cuda; each cell has the engine that began it, or the grid's choice for its method.
        began: when the command began, by `time.monotonic`; the budget counts from there.
        budget: seconds; None for no end.
        choose: `get_engine`, or what asks it of the machine that will make the updates.
        on_result: told each cell whose slice has come in, and where it now stands.
        on_step: told how far every cell is, what failed and how many slices are done at a time, again and again.
    """

    grid: Grid
    store: CampaignDirectory
    device: str
    began: float
    budget: float | None = None
    progress: bool = True
    choose: Callable[..., Engine] = get_engine
    on_result: Callable[[Cell, State], None] = lambda *_: None
    on_step: Callable[[Mapping[str, int], Mapping[str, str], int], None] = lambda *_: None
    cells: dict[str, Cell] = field(init=False)
    states: dict[str, State] = field(init=False)
    failures: dict[str, str] = field(default_factory=dict)
    workers: int = field(default=1, init=False)  # slices done at a time

    def __post_init__(self) -> None:
        self.cells = {cell.name: cell for cell in self.grid.cells()}
        for cell in self.cells.values():
            self._engine(cell, None)  # what cannot be is refused before anything is done
        every = self.grid.eval_every
        self.schedule = loop.Schedule(
            max(1, self.grid.steps // 50),
            every,
            self.grid.episodes,
            chunk=min(max(1, self.grid.steps // CHUNKS), LONGEST),
            evaluate_at=self.grid.evaluate_at,
        )
        self.code = code_version()
        self._stopped = False
        self._warned: set[str] = set()

    @property
    def end(self) -> float | None:
        """When the budget ends, by `time.monotonic`."""
        return None if self.budget is None else self.began + self.budget

    def remaining(self) -> float | None:
        """Return the seconds left of the budget."""
        return None if self.end is None else self.end - time.monotonic()

    # -- before the first round -------------------------------------------------------------------------------------

    def build_data(self) -> None:
        """Let every task's data be built now, by all cores; workers then find them in the cache.

        Raises:
            RamacError: the source has none, or the budget ends before.
        """
        with alarm(self.remaining()):
            for config in tasks_of(list(self.cells.values())):
                try:
                    datasets.load(
                        config.task, config.source, size=config.size, seed=config.data_seed, env_id=config.env_id,
                        progress=self.progress,
                    )  # fmt: skip
                except OutOfTime:
                    raise RamacError(
                        f"the budget of {self.budget:g} s ended while the data of {config.task} were built; "
                        f"nothing was run (`ramac data {config.task}` builds them beforehand)"
                    ) from None

    def probe(self, pool: Pool) -> Cost:
        """Measure the first cell, leaving nothing behind; return what it asks for.

        Raises:
            RamacError: its first slice and its report do not fit into the budget, or it fails.
        """
        cell = next(iter(self.cells.values()))
        schedule = replace(self.schedule, chunk=1, eval_every=self.grid.steps, evaluate_at=())
        job = replace(self._job(cell, PROBE), folder=None, schedule=schedule, deadline=self.end, timed=True)
        if self.grid.steps <= PROBE:  # no evaluation in it
            job = replace(job, until=self.grid.steps - 1)
        (outcome,) = pool.run([job], lambda job, _: job, lambda *_: None)
        if outcome.failure:
            raise RamacError(f"{cell.name}: {outcome.failure}")
        cost, remaining = outcome.cost(Cost()), self.remaining()
        needed = cost.setup + cost.update + cost.report
        if remaining is not None and (needed > remaining or outcome.step < job.until):
            spent = (self.budget or 0) - remaining
            raise RamacError(
                f"a budget of {self.budget:g} s is too small for one cell: {cell.name} needs about "
                f"{spent + needed:.0f} s to be loaded, updated and reported; nothing was run"
            )
        return cost

    def measure(self, pool: Pool) -> dict[str, Cost]:
        """Return what a cell of each row asks for, measured with the machine as full as in a campaign; nothing is left.

        Raises:
            RamacError: one fails.
        """
        cells = list(estimate.first_cells(list(self.cells.values())).values())
        schedule = replace(self.schedule, chunk=1, eval_every=self.grid.steps, evaluate_at=())
        found: list[dict[str, SliceResult]] = []
        for updates in (estimate.SHORT, estimate.LONG):
            until = max(1, min(updates, self.grid.steps - 1))  # no evaluation in it
            jobs = [replace(self._job(c, until), folder=None, schedule=schedule, timed=True) for c in cells]
            results = list(pool.run(jobs * -(-pool.capacity() // len(jobs)), lambda job, _: job, lambda *_: None))
            for outcome in results:
                if outcome.failure:
                    raise RamacError(f"{outcome.name}: {outcome.failure}")
            found.append({outcome.name: outcome for outcome in results})
        return {cell.row: estimate.difference(found[0][cell.name], found[1][cell.name]) for cell in cells}

    # -- rounds -----------------------------------------------------------------------------------------------------

    def run(self, pool: Pool, cost: Cost | None) -> pd.DataFrame:
        """Go on from where the directory stands to the end of the grid or of the budget; return the one table.

        Raises:
            Interrupted: Ctrl-C, after every slice was stopped and saved.
        """
        pool.recover([(cell, self.store.run_directory(cell).path) for cell in self.cells.values()])
        self.states = {name: self._state(cell) for name, cell in self.cells.items()}
        if cost is not None:
            self.states = {name: replace(state, cost=cost) for name, state in self.states.items()}
        self._seen: dict[str, int] = {}
        table = self.gather()
        for name, state in self.states.items():  # what a kill may have kept from whoever listens
            self.on_result(self.cells[name], state)
        total = self.grid.steps * sum(len(cell.config.seeds) for cell in self.cells.values())
        self._bar = tqdm(
            total=total, initial=self._updates(), unit="update", unit_scale=True, desc="campaign",
            disable=None if self.progress else True,
        )  # fmt: skip
        number = 0
        with self._bar, on_interrupt(lambda: self.stop(pool)):
            while not self._stopped:
                self.workers = pool.capacity()  # machines may have come or gone
                planned = self._plan(number)
                if planned is None:
                    break
                number += 1
                self._bar.set_description(f"round {number}, to step {planned.until}")
                self._round(pool, planned, timed=self.budget is not None)
                table = self.gather()
                left = self.remaining()
                if planned.last and (left is None or left < WORTH * (self.budget or 0)):
                    break
        if self._stopped:
            raise loop.Interrupted(f"stopped after {self._updates()} of {total} updates")
        return table

    def _plan(self, number: int) -> Round | None:
        going, workers = [s for s in self.states.values() if not s.failed], self.workers
        behind = [s for s in going if s.step < s.steps]
        if number == 0 and self.budget is not None and behind:
            return plan.first(behind, self.remaining(), workers)
        return plan.following(going, self.remaining(), workers)

    def _round(self, pool: Pool, planned: Round, timed: bool) -> None:
        due = [s for s in self.states.values() if s.due(planned.until, planned.last)]
        tasks = list(dict.fromkeys(c.config.task for c in self.cells.values()))
        # Slices of a task beside each other, for its data are then in memory; the longest first.
        due.sort(key=lambda s: (tasks.index(self.cells[s.name].config.task), -s.seconds(planned.until, planned.last)))
        jobs = [
            replace(
                self._job(self.cells[s.name], max(planned.until, s.step)), last=planned.last, timed=timed,
                reserve=s.cost.setup + s.cost.report,
            )
            for s in due
        ]  # fmt: skip
        open_cells = [s.cost.setup + s.cost.report for s in self.states.values() if not s.failed and not s.done]
        kept = 0.0 if planned.last else plan.makespan(open_cells, self.workers)

        def with_deadline(job: Job, waiting: Sequence[Job]) -> Job:
            """Leave time for the reports: in the last round its own and those of the jobs that wait, before it all."""
            if self.end is None or self.budget is None:
                return job
            later = sum(other.reserve for other in waiting) / self.workers
            deadline = self.end - (job.reserve + later if planned.last else kept)
            return replace(job, deadline=deadline, report_by=self.end + LATE * self.budget - job.reserve)

        written = time.monotonic()
        for outcome in pool.run(jobs, with_deadline, self._show):
            self._take(outcome)
            if time.monotonic() - written > GATHER_EVERY:
                self.gather()
                written = time.monotonic()

    def _job(self, cell: Cell, until: int) -> Job:
        return Job(
            cell, self.store.run_directory(cell).path, self.schedule, until, self.grid.report_episodes,
            self._engine(cell, self.store.run_directory(cell).begun()), self.code,
        )  # fmt: skip

    def _engine(self, cell: Cell, begun: str | None) -> Engine:
        """Return what makes a cell's updates: what began it, as far as the grid does not say otherwise."""
        return self.choose(self.device, self.grid.engine, self.grid.precision, cell.config.method, begun)

    def _state(self, cell: Cell) -> State:
        return self.store.state(cell, self.grid, lambda begun: self._engine(cell, begun).name)

    def _take(self, outcome: SliceResult) -> None:
        state = self.states[outcome.name]
        if outcome.warning and outcome.warning not in self._warned:
            self._warned.add(outcome.warning)
            log.warning(outcome.warning)
        if outcome.failure:
            self.failures[outcome.name] = outcome.failure
            log.warning(f"{outcome.name}: {outcome.failure}; going on with the other cells")
            # What the failed slice saved before is the truth.
            there = self._state(self.cells[outcome.name])
            self.states[outcome.name] = replace(there, cost=state.cost, failed=True)
        else:
            cost = outcome.cost(state.cost)
            self.states[outcome.name] = replace(state, step=outcome.step, reported=outcome.reported, cost=cost)
        self._show(outcome.name, 0)
        self.on_result(self.cells[outcome.name], self.states[outcome.name])

    def _show(self, name: str, step: int) -> None:
        self._seen[name] = step
        steps = {s.name: max(s.step, self._seen.get(s.name, 0)) for s in self.states.values()}
        self.on_step(steps, self.failures, self.workers)
        self._bar.n = self._updates()
        self._bar.refresh()

    def _updates(self) -> int:
        return sum(
            len(self.cells[s.name].config.seeds) * max(s.step, self._seen.get(s.name, 0)) for s in self.states.values()
        )

    def gather(self) -> pd.DataFrame:
        """Write the one table."""
        return self.store.gather(list(self.cells.values()), self.states)

    def stop(self, pool: Pool) -> None:
        """Stop at the next chunk of every slice."""
        self._stopped = True
        pool.stop()
