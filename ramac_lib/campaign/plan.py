"""The arithmetic of rounds: how far every cell goes next, in the time that is left. No clock and no processes here."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

LARGE = 3  # times what loading every cell takes: a last round that trains for longer is halved
CAREFUL = 0.97  # share of the time left that a last round is planned to take


@dataclass(frozen=True)
class Cost:
    """What a cell asks for, in seconds.

    Args:
        setup: loading its data and state, and saving.
        update: one update of all its seeds.
        evaluation: one evaluation while it is trained.
        report: the rollouts of the report.
    """

    setup: float = 0.0
    update: float = 0.0
    evaluation: float = 0.0
    report: float = 0.0


@dataclass(frozen=True)
class State:
    """Where a cell stands.

    Args:
        step: updates made.
        steps: those of the whole cell.
        evaluate_at: further moments of evaluation, none of them a multiple of `eval_every`.
        reported: the step of its report; −1 where there is none.
        failed: it is left alone for the rest of this command.
    """

    name: str
    step: int
    steps: int
    eval_every: int
    cost: Cost
    reported: int = -1
    failed: bool = False
    evaluate_at: tuple[int, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.step >= self.steps and self.reported == self.step

    def due(self, until: int, report: bool) -> bool:
        """Return whether a round to `until` has anything for the cell to do."""
        return not self.failed and (self.step < min(until, self.steps) or self._report_due(self.step, report))

    def seconds(self, until: int, report: bool) -> float:
        """Return how long the cell takes to reach `until`, and its report where that is due."""
        if not self.due(until, report):
            return 0.0
        end = max(self.step, min(until, self.steps))
        return (
            self.cost.setup
            + (end - self.step) * self.cost.update
            + self._evaluations(end) * self.cost.evaluation
            + (self.cost.report if self._report_due(end, report) else 0.0)
        )

    def _evaluations(self, end: int) -> int:
        regular = end // self.eval_every - self.step // self.eval_every
        return regular + sum(self.step < moment <= end for moment in self.evaluate_at)

    def _report_due(self, step: int, report: bool) -> bool:
        return (report or step >= self.steps) and 0 < step != self.reported


@dataclass(frozen=True)
class Round:
    """Go on to step `until` with every cell that is behind it; make reports too if it is the last."""

    until: int
    last: bool = False


def makespan(seconds: Sequence[float], workers: int) -> float:
    """Return when the last of `workers` is done, each taking the next job when it is free."""
    free = [0.0] * max(1, workers)
    for each in seconds:
        heapq.heapreplace(free, free[0] + each)
    return max(free)


def duration(states: Sequence[State], planned: Round, workers: int) -> float:
    """Return how long a round takes."""
    return makespan([s.seconds(planned.until, planned.last) for s in states if not s.failed], workers)


def first(states: Sequence[State], remaining: float | None, workers: int) -> Round:
    """Return a small round that measures every cell: a fiftieth of a run, less where the time left asks for it.

    Args:
        remaining: seconds; None without a budget. Costs are those of the one cell that was probed.
    """
    behind = min(s.step for s in states)
    until = behind + max(1, min(s.steps for s in states) // 50)
    if remaining is None:
        return Round(until)
    return Round(_furthest(states, remaining / 5, workers, behind + 1, until, last=False))


def following(states: Sequence[State], remaining: float | None, workers: int) -> Round | None:
    """Return the next round; None if there is nothing to do or no time for it.

    Args:
        remaining: seconds; None without a budget.

    A round takes every cell to the next moment of evaluation of the one that is furthest behind. If afterwards there
    would be no time left for all reports, it is the last round: as far as there is time for it and the reports. Where
    that is far, half of the way comes first, so that speeds which were mistaken are seen in time.
    """
    if remaining is not None and remaining <= 0:
        return None
    going = [s for s in states if not s.failed]
    open_cells = [s for s in going if not s.done]
    if not open_cells:
        return None
    behind = min(s.step for s in open_cells)
    steps = max(s.steps for s in open_cells)
    if behind >= steps:  # only reports are left
        return Round(steps, last=True)
    every = min(s.eval_every for s in open_cells)
    regular = Round(min(steps, (behind // every + 1) * every))
    if remaining is None or duration(going, Round(steps), workers) <= CAREFUL * remaining:
        return regular  # all of it fits
    after = [advanced(s, regular.until) for s in going]
    needed = duration(going, regular, workers) + duration(after, Round(regular.until, last=True), workers)
    if needed <= CAREFUL * remaining:
        return regular
    last = Round(_furthest(going, CAREFUL * remaining, workers, behind, steps, last=True), last=True)
    training = duration(going, last, workers) - duration(going, Round(behind, last=True), workers)
    overhead = makespan([s.cost.setup for s in open_cells], workers)
    if training > LARGE * overhead and last.until - behind > 3:
        half = Round((behind + last.until) // 2)
        halfway = [advanced(s, half.until) for s in going]
        # Two rounds may take longer than one: where the cells that train slowly have the quick reports.
        reports = duration(halfway, Round(half.until, last=True), workers)
        if duration(going, half, workers) + reports <= CAREFUL * remaining:
            return half
    return last if any(s.due(last.until, last.last) for s in going) else None


def advanced(state: State, until: int) -> State:
    """Return a cell after a round to `until`; one that reached its end has its report."""
    step = max(state.step, min(until, state.steps))
    return replace(state, step=step, reported=step if step >= state.steps else state.reported)


def _furthest(states: Sequence[State], seconds: float, workers: int, low: int, high: int, last: bool) -> int:
    """Return the largest step from `low` to `high` that a round reaches in `seconds`; `low` if none does."""
    while low < high:
        middle = (low + high + 1) // 2
        if duration(states, Round(middle, last), workers) <= seconds:
            low = middle
        else:
            high = middle - 1
    return low
