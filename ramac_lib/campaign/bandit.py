"""The Risky Bandit's whole evidence: every method on every seed, with exact distributions; side by side, resumable.

A cell is one method (perhaps with other settings) on one seed of one bandit. Each finished cell is a file of its own,
so that a run which was cut goes on with the cells it lacks; `gather` makes the committed tables of them.
"""

import dataclasses
import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from tqdm.auto import tqdm

from ramac_lib.datasets.bandit import dataset, with_costs
from ramac_lib.envs.bandit import Bandit
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods import METHODS, Method, get_method
from ramac_lib.methods.shared.registry import BESIDE
from ramac_lib.system.errors import RamacError, killed, unknown
from ramac_lib.system.files import atomic, beside, writing
from ramac_lib.system.processes import spawn
from ramac_lib.system.ranges import Range, check_value
from ramac_lib.system.version import provenance
from ramac_lib.training import loop
from ramac_lib.training.config import RunConfig, make_config, plain_settings
from ramac_lib.training.engine import get_engine
from ramac_lib.training.evaluators import ExactBandit, draw_actions

COUNTED, SHOWN = 20_000, 1_000  # actions behind the final numbers; those kept for figures and counted on the way
FIGURE_6 = 20  # moments of training kept of every cell
# One constant changed at a time. N = 40 makes the grid exact for each of these trap probabilities.
STABILITY: dict[str, dict[str, float]] = {
    "base": {},
    "trap .025": {"trap_probability": 0.025},
    "trap .075": {"trap_probability": 0.075},
    "penalty 5": {"trap_penalty": 5.0, "ring_reward": 1.4},
    "penalty 20": {"trap_penalty": 20.0, "ring_reward": 2.6},
    "gap 6 %": {"ring_reward": 1.6},
    "gap 10 %": {"ring_reward": 2.0},
}
STABILITY_METHODS = ("radac", "diffusion-ql", "oraac")
PRECISION_METHODS = ("radac", "oraac", "flow-ql")  # two critics of quantiles, one plain
SUITES = ("methods", "axis", "stability", "precision")


@dataclass(frozen=True)
class BanditCell:
    """One run of the campaign.

    Args:
        suite, variant: which table it belongs to, and its row there.
        options: settings that depart from the method's own on the bandit.
        constants: of the bandit, where they are not the default.
        precision: of the critics' matrix products.
    """

    suite: str
    method: str
    variant: str
    seed: int
    steps: int
    options: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)
    precision: str = "float32"

    @property
    def key(self) -> str:
        """The cell's identity: what it runs, and the method's settings at the time, by hash."""
        settings = plain_settings(get_method(self.method).Config.for_task("risky-bandit"))
        facts = {**dataclasses.asdict(self), "settings": settings, "bandit": dataclasses.asdict(self.bandit)}
        if self.precision == "float32":
            del facts["precision"]  # cells from before there was a choice keep their names
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def bandit(self) -> Bandit:
        """The bandit that the cell plays."""
        return Bandit(**self.constants)


def cells(suites: Sequence[str], methods: Sequence[str], seeds: Sequence[int], steps: int) -> list[BanditCell]:
    """Return the cells of the suites, for these methods (all where none is given).

    They are every method but the neighbours; RADAC on the released loss's axis; other constants; critics' products in
    bfloat16.

    Raises:
        RamacError: an unknown suite or method, no seeds or one given twice, steps < 1.
    """
    if not suites:
        raise RamacError(f"no suites were given; expected some of {', '.join(SUITES)}")
    for suite in suites:
        if suite not in SUITES:
            raise unknown("suite", suite, SUITES)
    methods = [get_method(method).name for method in methods or METHODS.without(*BESIDE)]
    if not seeds or len(set(seeds)) != len(seeds):
        raise RamacError(f"seeds are {' '.join(map(str, seeds)) or 'none'}; expected at least one, each once")
    if steps < FIGURE_6:
        raise RamacError(f"steps is {steps}; expected at least {FIGURE_6} updates")
    every: dict[str, list[BanditCell]] = {
        "methods": [BanditCell("methods", m, "", s, steps) for s in seeds for m in methods],
        "axis": [BanditCell("axis", "radac", "target", s, steps, {"quantile_axis": "target"}) for s in seeds],
        "stability": [
            BanditCell("stability", m, name, s, steps // 5, {"n_fractions": "40"} if m == "radac" else {}, constants)
            for s in seeds[:2]
            for name, constants in STABILITY.items()
            for m in STABILITY_METHODS
            if m in methods
        ],
        "precision": [
            BanditCell("precision", m, "bfloat16", s, steps, precision="bfloat16")
            for s in seeds
            for m in PRECISION_METHODS
            if m in methods
        ],
    }
    return [cell for suite in suites for cell in every[suite]]


def run_cell(cell: BanditCell, folder: Path) -> float:
    """Train a cell, write its file and return the seconds it took."""
    return run_stack([cell], folder)


def run_stack(stack: Sequence[BanditCell], folder: Path, moments: int = FIGURE_6) -> float:
    """Train cells that differ in their seeds alone in one stack, write a file each, return the seconds they took."""
    torch.set_num_threads(1)
    began = time.monotonic()
    cell = stack[0]
    run = train(
        cell.method,
        [one.seed for one in stack],
        cell.steps,
        cell.options,
        every=cell.steps // moments,
        device="cpu",
        precision=cell.precision,
        bandit=cell.bandit,
        count=SHOWN,
    )
    counted = {**run.actions, cell.steps: draw_actions(run.stack, COUNTED)}
    seconds = time.monotonic() - began
    made = provenance(torch.device("cpu")) | {"engine": run.engine}
    settings = run.config.to_json()["settings"]
    for i, one in enumerate(stack):
        rows = [{"step": k, "actions": len(a[i]), **one.bandit.evaluate(a[i])} for k, a in sorted(counted.items())]
        shown = np.stack([a[i, :SHOWN] for _, a in sorted(run.actions.items())]).astype(np.float16)
        facts = {"cell": dataclasses.asdict(one), "seconds": seconds / len(stack), "made": made, "settings": settings}
        with atomic(folder / f"{one.key}.npz") as temporary, temporary.open("wb") as file:
            np.savez(file, shown=shown, rows=json.dumps(rows), facts=json.dumps(facts))
    return seconds


def run_cells(
    every: Sequence[BanditCell], folder: Path, workers: int = 2, progress: bool = True, together: bool = False
) -> None:
    """Run the cells that the folder lacks, `workers` at a time, one thread each.

    Args:
        together: train the seeds of a row in one stack, and keep the end of training alone.

    Raises:
        RamacError: workers < 1, a process that was killed, or a cell that failed (the others are finished first).
    """
    check_value("workers", workers, int, Range(1, 1024))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    missing = [cell for cell in every if not (folder / f"{cell.key}.npz").exists()]
    stacks: dict[str, list[BanditCell]] = {}
    for cell in missing:
        stacks.setdefault(dataclasses.replace(cell, seed=0).key if together else cell.key, []).append(cell)
    how = (1,) if together else ()
    failed: list[tuple[BanditCell, BaseException]] = []
    bar = tqdm(total=len(every), initial=len(every) - len(missing), unit="cell", disable=not progress, desc="bandit")
    with bar, spawn(workers) as pool:
        try:
            jobs = {pool.submit(run_stack, stack, folder, *how): stack for stack in stacks.values()}
            for job in as_completed(jobs):
                if isinstance(error := job.exception(), BrokenProcessPool):
                    raise error
                if error:
                    failed.append((jobs[job][0], error))
                bar.update(len(jobs[job]))
        except BrokenProcessPool:
            left = sum(not (folder / f"{cell.key}.npz").exists() for cell in every)
            state = f" with {left} of {len(every)} cells to go"
            raise killed("trained cells", "the same command goes on with them", state) from None
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        cell, error = failed[0]
        where = f"{cell.method} {cell.variant} seed {cell.seed}".replace("  ", " ")
        raise RamacError(f"{len(failed)} of {len(every)} cells failed; the first, {where}: {error}")


def gather(every: Sequence[BanditCell], folder: Path, out: Path) -> pd.DataFrame:
    """Write the cells' numbers (OUT.csv), what made them (OUT.json) and the actions to draw, if any (OUT.npz).

    The .npz holds float16 actions: ``METHOD`` (seeds, SHOWN, 2) at the end of training for each method of the suite
    "methods", ``radac-over-training`` (seeds, FIGURE_6, SHOWN, 2) and ``radac-axis`` (seeds, SHOWN, 2).

    Raises:
        RamacError: a cell has not been run yet.
    """
    tables, facts = [], {}
    drawn: dict[str, list[np.ndarray]] = {}
    for cell in every:
        path = folder / f"{cell.key}.npz"
        try:
            with np.load(path) as file:
                shown, rows, made = file["shown"], json.loads(str(file["rows"])), dict(json.loads(str(file["facts"])))
        except FileNotFoundError:
            raise RamacError(f"{path}: {cell.method}, seed {cell.seed}, has not been run yet") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise RamacError(f"{path}: is damaged; delete it, and `ramac bandit` makes it anew") from error
        label = {k: getattr(cell, k) for k in ("suite", "method", "variant", "seed", "precision")}
        tables.append(pd.DataFrame(rows).assign(**label, cell=cell.key))
        facts[cell.key] = made
        if cell.suite == "methods":
            drawn.setdefault(cell.method, []).append(shown[-1])
            if cell.method == "radac":
                drawn.setdefault("radac-over-training", []).append(shown)
        elif cell.suite == "axis":
            drawn.setdefault("radac-axis", []).append(shown[-1])
    merged = pd.concat(tables, ignore_index=True)
    columns = ["suite", "method", "variant", "seed", "precision", "step"]
    merged = merged[columns + [c for c in merged.columns if c not in columns]]
    with atomic(beside(out, ".csv")) as temporary:
        merged.to_csv(temporary, index=False, float_format="%.6g")
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")
    if drawn:
        with atomic(beside(out, ".npz")) as temporary, temporary.open("wb") as file:
            arrays: Any = {name: np.stack(parts) for name, parts in drawn.items()}
            np.savez_compressed(file, **arrays)
    return merged


def load(out: Path) -> tuple[pd.DataFrame, dict[str, Any], dict[str, np.ndarray]]:
    """Return what `gather` wrote: the numbers, what made them, the actions.

    Raises:
        RamacError: there is no such table.
    """
    try:
        table = pd.read_csv(beside(out, ".csv"), keep_default_na=False, na_values=["nan"])
        facts = json.loads(beside(out, ".json").read_text())
        if not (drawn := beside(out, ".npz")).exists():
            return table, facts, {}
        with np.load(drawn) as file:
            return table, facts, {name: file[name].astype(np.float32) for name in file.files}
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; make it with `ramac bandit`") from None


@dataclass(frozen=True)
class Trained:
    """A method trained on the bandit: its stack of seeds, its log, and update → actions (seeds, count, 2)."""

    config: RunConfig
    engine: str
    stack: Method
    metrics: pd.DataFrame
    actions: dict[int, Float[np.ndarray, "seeds count 2"]]

    @property
    def last(self) -> Float[np.ndarray, "seeds count 2"]:
        """What the policies do at the end of training."""
        return self.actions[max(self.actions)]


def train(
    method: str,
    seeds: Sequence[int],
    steps: int,
    options: Mapping[str, Any] | None = None,
    *,
    every: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    bandit: Bandit | None = None,
    count: int = 4000,
) -> Trained:
    """Train a method on the bandit's data; return it with its actions every `every` updates (default: at the end).

    Args:
        options: settings that depart from the method's own on the bandit.
        device, precision: as in `ramac_lib.training.engine`.
        bandit: whose data, where its constants are not the default.
        count: actions drawn at each of those moments.

    Raises:
        RamacError: an unknown method or option.
    """
    config = make_config(method, BANDIT, seeds, steps, {k: str(v) for k, v in (options or {}).items()})
    schedule = loop.Schedule(eval_every=every or steps)
    if bandit is None:
        data = loop.data_of(config, progress=False)
    else:
        data = dataset(bandit=bandit)
        data = with_costs(data, bandit) if "costs" in config.method.needs else data
    evaluator = ExactBandit(bandit, count)
    engine = get_engine(device, precision=precision, method=config.method)
    trainer = loop.Trainer(config, data, engine, schedule=schedule, evaluator=evaluator)
    trainer.run(progress=False)
    return Trained(config, engine.name, trainer.stacks[0], trainer.metrics, evaluator.actions)
