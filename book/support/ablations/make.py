"""What makes chapter 6's stored numbers: ``python -m support.ablations.make NAME``, with ``book`` on the path."""

import json
from pathlib import Path

import torch
from tyro.extras import SubcommandApp

from ramac_lib.bench.updates import use_threads
from ramac_lib.campaign import bandit as campaign
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.system.files import atomic
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from support.ablations import cost, effects, knobs

app = SubcommandApp()
RESULTS = data_folder() / "results"


@app.command
def bandit(
    suites: tuple[str, ...] = knobs.SUITES,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    steps: int = 5000,
    workers: int = 1,
    cells: Path = Path("runs/bandit"),
    out: Path = RESULTS / effects.FILE,
) -> None:
    """Train the rows of the bandit's sweeps, the seeds of a row in one stack. A run that was cut goes on.

    Args:
        suites: knobs, measures, map, lengths.
        seeds: of every row; map and lengths take the first two.
        steps: of chapter 3's runs: sweeps have a fifth, the longest runs four times as many.
        workers: rows trained at a time, one thread each.
        cells: where the finished cells are kept.
        out: where to, without a suffix.
    """
    every = knobs.cells(suites, seeds, steps)
    campaign.run_cells(every, cells, workers, together=True)
    campaign.gather(every, cells, out)


@app.command
def costs(seconds: float = 0.5, passes: int = 3, out: Path = RESULTS / cost.FILE) -> None:
    """Measure what each value that changes an update's work costs, on the bandit and on Hopper.

    Args:
        seconds: of each timing.
        passes: how often the whole list is timed.
        out: where to.
    """
    with use_threads(1):
        found = {task: cost.measure(task, cost.values(task), seconds, passes) for task in (BANDIT, cost.HOPPER)}
        machine = provenance(torch.device("cpu")) | {"engine": cost.engine().name}
    with atomic(out) as part:
        part.write_text(json.dumps({"machine": machine, "tasks": found}, indent=1) + "\n")


if __name__ == "__main__":
    app.cli(description=str(__doc__).splitlines()[0])
