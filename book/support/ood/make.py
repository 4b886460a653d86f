"""The commands behind chapter 7's stored numbers: ``python -m support.ood.make NAME``, with ``book`` on the path."""

import json
import os
import tempfile
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm
from tyro.extras import SubcommandApp

from ramac_lib import datasets
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from support.ood import calibration, cost, leaving

app = SubcommandApp()
RESULTS = data_folder() / "results"
TASKS = ("hopper-medium-expert", "halfcheetah-medium-replay", "walker2d-medium-replay")
ROW_COUNTS = (300, 1_000, 3_000, 10_000, 30_000, 100_000, 1_000_000)


def write(table: pd.DataFrame, facts: dict, out: Path) -> None:
    """Write ``OUT.csv`` and ``OUT.json``."""
    with atomic(beside(out, ".csv")) as part:
        table.to_csv(part, index=False, float_format="%.5g")
    with atomic(beside(out, ".json")) as part:
        part.write_text(json.dumps({"made": provenance(torch.device("cpu")), **facts}, indent=1) + "\n")


@app.command
def radius(
    methods: tuple[str, ...] = leaving.ANCHORED,
    radii: tuple[float, ...] = leaving.RADII,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    steps: int = 5000,
    cells: Path = Path("runs/ood"),
    out: Path = RESULTS / "ood_radius",
) -> None:
    """Train anchored methods on the bandit with residuals of several radii; count where their steps end.

    Args:
        methods: with a prior and a residual.
        radii: Φ, in units of the action bound.
        seeds: trained side by side.
        steps: updates.
        cells: a folder for each cell's rows, so that a run that was cut goes on.
        out: where to, without a suffix.
    """
    torch.set_num_threads(1)
    cells.mkdir(parents=True, exist_ok=True)
    every = [(method, size) for method in methods for size in radii]
    for method, size in tqdm(every, unit="cell"):
        path = cells / f"radius.{method}.{size:g}.{steps}.csv"
        if not path.exists():
            with atomic(path) as part:
                leaving.by_radius(method, size, seeds, steps).to_csv(part, index=False)
    parts = [pd.read_csv(cells / f"radius.{method}.{size:g}.{steps}.csv") for method, size in every]
    write(pd.concat(parts, ignore_index=True), {"actions": leaving.COUNT}, out)


@app.command
def training(
    methods: tuple[str, ...] = leaving.CLONED,
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    steps: int = 5000,
    out: Path = RESULTS / "ood_training",
) -> None:
    """Train on the bandit and set Proposition 1's bound beside what was left of it, at 20 moments.

    Args:
        methods: with a cloning loss.
        seeds: trained side by side.
        steps: updates.
        out: where to, without a suffix.
    """
    torch.set_num_threads(1)
    parts = [leaving.over_training(method, seeds, steps) for method in tqdm(methods, unit="method")]
    write(pd.concat(parts, ignore_index=True), {"actions": leaving.FOLLOWED}, out)


@app.command
def calibrate(
    tasks: tuple[str, ...] = TASKS,
    source: str = "bundled",
    rows: int = 10_000,
    out: Path = RESULTS / "ood_calibration",
) -> None:
    """Measure what the detectors can tell on tasks' data: false alarms, hits, ROC curves, the number of rows.

    Args:
        tasks: names; `ramac tasks` lists them.
        source: of the data.
        rows: held out, of a fifth of the episodes.
        out: where to, without a suffix.
    """
    found, sizes = {}, {}
    for task in tqdm(tasks, unit="task"):
        data = datasets.load(task, source, progress=False)
        found[task] = calibration.calibrate(data, rows)
        sizes[task] = calibration.by_rows(data, ROW_COUNTS)
    calibration.write(found, sizes, out)


@app.command
def search(
    rows: int = cost.ROWS, asked: int = cost.ASKED, threads: int = 2, out: Path = RESULTS / "ood_search"
) -> None:
    """Time the detectors on many rows, each in a process of its own, and take its peak memory.

    Args:
        rows: of the data.
        asked: actions.
        threads: PyTorch's.
        out: where to, without a suffix.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before the processes start
    with tempfile.TemporaryDirectory() as folder:
        table = cost.measure(Path(folder), rows, asked)
    write(table, {"task": cost.TASK, "rows": rows, "threads": threads}, out)
    print(table.to_string(index=False))


if __name__ == "__main__":
    app.cli()
