"""A campaign's curves where their users look: TensorBoard, Weights & Biases, MLflow; each on this machine first.

They are fed by the process that runs the campaign, from a cell's tables after each of its slices, so that they slow no
update and decide nothing. What each was told is kept in ``.tracked.json``; after a kill it may be told a row twice.
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.campaign.grid import Cell
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.files import atomic, read
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.results import at_noise

Scalars = Mapping[int, Mapping[str, float]]  # step → name → value
PROJECT = "ramac"  # of W&B's runs; MLflow's experiment


def tensorboard(out: Path, cell: Cell, scalars: Scalars) -> None:
    """Add a cell's scalars to its folder in OUT/tensorboard."""
    from tensorboardX import SummaryWriter

    folder, suffix = (
        str(out / "tensorboard" / cell.name),
        f".{max(scalars, default=0)}",
    )  # files are named by the second
    with contextlib.closing(SummaryWriter(folder, filename_suffix=suffix)) as writer:
        for step, values in scalars.items():
            for name, value in values.items():
                writer.add_scalar(name, value, step)


def wandb(out: Path, cell: Cell, scalars: Scalars) -> None:
    """Add a cell's scalars to its run in OUT/wandb, for ``wandb sync``; WANDB_MODE=online sends at once."""
    import wandb as client

    mode: Any = os.environ.get("WANDB_MODE", "offline")
    run = client.init(
        project=PROJECT, dir=str(out), id=cell.config.hash, name=cell.name, config=cell.config.to_json(),
        resume="allow", mode=mode, settings=client.Settings(silent=True),
    )  # fmt: skip
    for step, values in scalars.items():
        run.log(dict(values), step=step)
    run.finish()


def mlflow(out: Path, cell: Cell, scalars: Scalars) -> None:
    """Add a cell's scalars to its run in OUT/mlflow.db, or wherever MLFLOW_TRACKING_URI says."""
    from mlflow.entities import Metric, Param
    from mlflow.tracking import MlflowClient

    client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{out.resolve() / 'mlflow.db'}")
    there = client.get_experiment_by_name(PROJECT)
    experiment = client.create_experiment(PROJECT) if there is None else there.experiment_id
    found = client.search_runs([experiment], f"tags.hash = '{cell.config.hash}'")
    if found:
        run = found[0].info.run_id
    else:
        tags = {"hash": cell.config.hash, "mlflow.runName": cell.name}
        run = client.create_run(experiment, tags=tags).info.run_id
        options = cell.config.to_json()
        client.log_batch(run, params=[Param(k, str(v)[:500]) for k, v in options.items() if k != "settings"])
    metrics = [Metric(name, value, 0, step) for step, values in scalars.items() for name, value in values.items()]
    for i in range(0, len(metrics), 1000):  # at most so many are taken at a time
        client.log_batch(run, metrics=metrics[i : i + 1000])


TRACKERS: dict[str, Callable[[Path, Cell, Scalars], None]] = {
    "tensorboard": tensorboard, "wandb": wandb, "mlflow": mlflow,
}  # fmt: skip
EXTRAS = ("wandb", "mlflow")  # of the package, named as the trackers and as what they import


def scalars_of(run: RunDirectory, after: int) -> dict[int, dict[str, float]]:
    """Return what a run's tables say of steps beyond `after`: losses, and mean returns of its episodes, a seed each."""
    found: dict[int, dict[str, float]] = {}
    metrics = run.read_table("metrics.csv")
    for row in metrics.to_dict("records") if len(metrics) else []:
        if row["step"] > after:
            named = {f"{k}/seed {row['seed']:g}": float(v) for k, v in row.items() if k not in ("step", "seed")}
            found.setdefault(int(row["step"]), {}).update({k: v for k, v in named.items() if pd.notna(v)})
    episodes = run.read_table("evaluations.csv")
    if len(episodes):
        episodes = at_noise(episodes)
        means = episodes[episodes["step"] > after].groupby(["step", "purpose", "seed"])["return"].mean()
        for row in means.reset_index().to_dict("records"):
            found.setdefault(int(row["step"]), {})[f"{row['purpose']} return/seed {row['seed']}"] = float(row["return"])
    return dict(sorted(found.items()))


@dataclass
class Tracking:
    """What the trackers of a campaign have been told.

    Args:
        out: the campaign's directory.
        names: of `TRACKERS`; none for none.

    Raises:
        RamacError: an unknown tracker, or one whose package is not installed.
    """

    out: Path
    names: Sequence[str]

    def __post_init__(self) -> None:
        import importlib.util

        for name in self.names:
            if name not in TRACKERS:
                raise unknown("tracker", name, TRACKERS)
            if name in EXTRAS and importlib.util.find_spec(name) is None:
                raise RamacError(f"--track {name}: is not installed; `pip install 'ramac-lib[{name}]'` brings it")
        self.told: dict[str, dict[str, int]] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError, TypeError, RecursionError):  # damaged: told anew
            before = json.loads(read(self._file))
            self.told = {name: {cell: int(step) for cell, step in own.items()} for name, own in before.items()}
        self._failed: set[str] = set()

    @property
    def _file(self) -> Path:
        return self.out / ".tracked.json"

    def __call__(self, cell: Cell, run: RunDirectory, step: int) -> None:
        """Tell the trackers what a cell's tables say up to a step; one that fails is named once and left alone."""
        for name in self.names:
            told = self.told.setdefault(name, {})
            if name in self._failed or told.get(cell.name, -1) >= step:
                continue
            try:
                new = {k: v for k, v in scalars_of(run, told.get(cell.name, -1)).items() if k <= step}
                TRACKERS[name](self.out, cell, new)
            except Exception as error:  # whatever a tracker does, the campaign goes on
                self._failed.add(name)
                reason = (str(error).splitlines() or [""])[0]
                logging.getLogger(__name__).warning(f"--track {name}: {type(error).__name__}: {reason}; it is left out")
                continue
            told[cell.name] = step
        if self.names:
            with atomic(self._file) as temporary:
                temporary.write_text(json.dumps(self.told))
