"""What a grid will cost, before it starts: each row measured where it would run, then the arithmetic of its rounds."""

import dataclasses
import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ramac_lib.campaign import plan
from ramac_lib.campaign.grid import Cell, Grid
from ramac_lib.campaign.plan import Cost, Round, State
from ramac_lib.campaign.slices import SliceResult

SHORT, LONG = 5, 25  # updates of the two slices that measure a row; their difference is free of the first updates' cost
NODES = (1, 2, 4, 8, 16, 32)


def difference(short: SliceResult, long: SliceResult) -> Cost:
    """Return what a cell asks for, of a shorter and a longer slice: compiling and capturing count as set-up."""
    first, second = (short.update or 0.0) * short.step, (long.update or 0.0) * long.step
    more = long.step - short.step
    update = max(0.0, second - first) / more if more else long.update or 0.0
    cost = long.cost(Cost())
    return dataclasses.replace(cost, update=update, setup=cost.setup + max(0.0, second - long.step * update))


def states(grid: Grid, costs: Mapping[str, Cost]) -> list[State]:
    """Return the grid's cells before their first update, each with its row's cost."""
    named = tuple(moment for moment in dict.fromkeys(grid.evaluate_at) if moment % grid.eval_every)
    return [
        State(cell.name, 0, cell.config.steps, grid.eval_every, costs[cell.row], evaluate_at=named)
        for cell in grid.cells()
    ]


def slices(cells: Sequence[State], planned: Round) -> list[float]:
    """Return how long a round's slices take, as a campaign begins them: task by task, the longest first."""
    tasks = {task: i for i, task in enumerate(dict.fromkeys(_task(state) for state in cells))}
    due = [s for s in cells if s.due(planned.until, planned.last)]
    due.sort(key=lambda s: (tasks[_task(s)], -s.seconds(planned.until, planned.last)))
    return [s.seconds(planned.until, planned.last) for s in due]


def _task(state: State) -> str:
    return state.name.partition(".")[0]


def seconds(cells: Sequence[State], workers: int) -> float:
    """Return how long a campaign without a budget takes with so many slices at a time."""
    total, now = 0.0, list(cells)
    while (planned := plan.following(now, None, workers)) is not None:
        total += plan.makespan(slices(now, planned), workers)
        now = [plan.advanced(state, planned.until) for state in now]
    return total


def alone(cells: Sequence[State]) -> float:
    """Return the seconds of all slices together: what they cost, however many are done at a time."""
    return seconds(cells, 1)


def simulate(
    cells: Sequence[State], workers: int, rng: np.random.Generator, spread: float = 0.0, lost_after: float = np.inf
) -> float:
    """Return how long a campaign takes, event by event, in a world that is less regular than `seconds` takes it for.

    Args:
        spread: s.d. of the logarithm of a slice's duration around what was measured.
        lost_after: mean seconds until a worker's machine is lost; another takes its slice up from the beginning.
    """
    clock, now = 0.0, list(cells)
    while (planned := plan.following(now, None, workers)) is not None:
        waiting = [each * rng.lognormal(-(spread**2) / 2, spread) for each in slices(now, planned)]
        busy: list[tuple[float, float, bool]] = []  # (until, what it then still asks for, lost)
        while waiting or busy:
            while waiting and len(busy) < workers:
                asked = waiting.pop(0)
                lost = rng.exponential(lost_after) if np.isfinite(lost_after) else np.inf
                heapq.heappush(busy, (clock + min(asked, lost), asked, lost < asked))
            clock, asked, lost_here = heapq.heappop(busy)
            if lost_here:
                waiting.insert(0, asked)
        now = [plan.advanced(state, planned.until) for state in now]
    return clock


@dataclass(frozen=True)
class Estimate:
    """What `--dry-run` prints.

    Args:
        rows: a row of the grid each: seconds of an update of all seeds, an evaluation, the report; hours of its cells.
        nodes: machines like the measured one: slices at a time, days.
        hours: of one slot (a core, a GPU or its share), for all cells.
    """

    rows: pd.DataFrame
    nodes: pd.DataFrame
    hours: float


def estimate(grid: Grid, costs: Mapping[str, Cost], slots: int, nodes: Sequence[int] = NODES) -> Estimate:
    """Return what a grid costs.

    Args:
        costs: measured, by row.
        slots: slices that one machine does at a time.
    """
    cells = states(grid, costs)
    of: dict[str, list[State]] = {}
    for cell, state in zip(grid.cells(), cells, strict=True):
        of.setdefault(cell.row, []).append(state)
    rows = [
        (row, len(own), costs[row].update, costs[row].evaluation, costs[row].report, alone(own) / 3600)
        for row, own in of.items()
    ]
    days = [(n, n * slots, seconds(cells, n * slots) / 86_400) for n in nodes if n == 1 or n * slots <= len(cells)]
    return Estimate(
        pd.DataFrame(rows, columns=["row", "cells", "update_s", "evaluation_s", "report_s", "hours"]),
        pd.DataFrame(days, columns=["machines", "at_a_time", "days"]),
        alone(cells) / 3600,
    )


def first_cells(cells: Sequence[Cell]) -> dict[str, Cell]:
    """Return one cell of each row."""
    found: dict[str, Cell] = {}
    for cell in cells:
        found.setdefault(cell.row, cell)
    return found


def told(grid: Grid, made: Estimate, slots: int, device: str, share: float) -> str:
    """Return the estimate as text.

    Args:
        device: cpu or cuda.
        share: GPUs that a cell was given while it was measured.
    """
    cells = grid.cells()
    unit = "GPU-hours" if device == "cuda" else "core-hours"
    scale = share or 1.0 if device == "cuda" else 1.0
    lines = [
        f"{len(cells)} cells of {len(grid.every_seed)} seeds × {grid.steps:,} updates; each row measured on "
        f"{grid.tasks[0]}, {slots} at a time on this {'GPU' if device == 'cuda' else 'CPU'}, nothing else was run",
        made.rows.to_string(index=False, float_format="{:,.4g}".format),
        f"{made.hours * scale:,.4g} {unit} in all",
        made.nodes.to_string(index=False, float_format="{:,.3g}".format),
    ]
    if device != "cuda":
        lines.append("GPU-hours, and cells that share a GPU: unmeasured, as there is no GPU here")
    elif share in (0.0, 1.0):
        lines.append("cells that share a GPU: unmeasured; --backend ray --gpus-per-cell 0.5 measures two at a time")
    return "\n".join(lines)
