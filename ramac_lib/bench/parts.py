"""How fast the parts around updates are: rollouts, relabelling, evaluation, navigation, `ramac --help`, loading."""

import dataclasses
import functools
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ramac_lib.bench import updates
from ramac_lib.datasets import bundled, hdf5, navigation
from ramac_lib.datasets import relabel as datasets_relabel
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import hazards, maps
from ramac_lib.envs import navigation as envs_navigation
from ramac_lib.envs import play as envs_play
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import cores
from ramac_lib.system.version import provenance
from ramac_lib.training import evaluators, loop
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import get_engine

COLUMNS = ("part", "amount", "unit", "seconds", "rate", "goal_rate", "goal_seconds", "met")
ROLLED = ("hopper-medium-expert", "walker2d-medium-expert", "halfcheetah-medium-expert")
EVALUATED = ("radac", "diffusion-ql")
CROSSED, CROSSINGS = "navigation-obstacle-mixed", 1000  # episodes of a diffusion policy
SIDE_BY_SIDE = 10_000
SEEDS = range(5)
# An untrained Hopper falls within some steps; this one goes on, so that every step of every episode is made.
ENDLESS = "RamacEndlessHopper-v0"


@dataclass(frozen=True)
class Amounts:
    """How much of each part is timed: transitions, and episodes of `horizon` steps shared by five seeds.

    Raises:
        RamacError: an amount below 1, or episodes that five seeds cannot share.
    """

    rollout: int = bundled.SIZE
    relabel: int = 2_000_000
    load: int = 2_000_000
    episodes: int = 50
    horizon: int = 500
    repeats: int = 3

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value < 1:
                raise RamacError(f"{name} is {value}; expected a positive number")
        if self.episodes % len(SEEDS):
            raise RamacError(f"episodes is {self.episodes}; expected a multiple of the {len(SEEDS)} seeds")


@dataclass(frozen=True)
class Part:
    """One thing to time.

    Args:
        name: as the table says it.
        run: what is timed, once it is prepared.
        amount, unit: what one call works through.
        goal_rate: at least so many of them a second.
        goal_seconds: at most so many seconds a call.
        repeats: of which the median counts.
    """

    name: str
    run: Callable[[], Any]
    amount: int
    unit: str
    goal_rate: float | None = None
    goal_seconds: float | None = None
    repeats: int = 1

    def row(self, seconds: float) -> dict[str, Any]:
        """Return the part's row of the table; `met` is None where there is no goal."""
        rate, met = self.amount / seconds, None
        if self.goal_rate is not None:
            met = rate >= self.goal_rate
        if self.goal_seconds is not None:
            met = seconds <= self.goal_seconds
        values = (self.name, self.amount, self.unit, seconds, rate, self.goal_rate, self.goal_seconds, met)
        return dict(zip(COLUMNS, values, strict=True))


def endless_hopper() -> str:
    """Register Hopper-v5 without its rule of ending where it has fallen; return its id."""
    if ENDLESS not in gymnasium.registry:
        spec = gymnasium.spec("Hopper-v5")
        options: dict[str, Any] = {**spec.kwargs, "terminate_when_unhealthy": False}
        gymnasium.register(ENDLESS, entry_point=spec.entry_point, kwargs=options)
    return ENDLESS


def evaluate(method: str, amounts: Amounts, device: torch.device) -> Callable[[], list[envs_play.Rollout]]:
    """Return a function that plays an untrained method's episodes under the paper's hazard, all of full length."""
    task = "hopper-medium-expert"
    config = make_config(method, task, SEEDS, updates.STEPS)
    stack = loop.build(config, updates.synthetic_data(task, 1000), device, config.seeds)
    hazard, each = hazards.get_hazard("paper", task), amounts.episodes // len(SEEDS)
    return functools.partial(evaluators.evaluate, stack, endless_hopper(), hazard, amounts.horizon, each)


def cross(steps: int) -> float:
    """Make so many steps of navigation at least, many episodes side by side, and let the danger judge each."""
    world, hazard, rng = maps.MAPS["obstacle"], hazards.get_hazard("rare", CROSSED), np.random.default_rng(0)
    here, paid = np.full((SIDE_BY_SIDE, 2), 0.86, np.float32), 0.0
    for _ in range(-(-steps // SIDE_BY_SIDE)):
        actions, before = rng.uniform(-1, 1, here.shape).astype(np.float32), envs_navigation.observe(world, here)
        here, rewards, _ = envs_navigation.step(world, here, actions)
        after = envs_navigation.observe(world, here)
        paid += float(rewards.sum() + hazard.decide(before, actions, after, rng.random(len(here))).penalty.sum())
    return paid


def crossing(device: torch.device) -> Iterator[Part]:
    """Yield what is timed of risky navigation."""
    yield Part("step navigation", functools.partial(cross, 1_000_000), 1_000_000, "steps", goal_rate=1e6)
    make = functools.partial(navigation.dataset, CROSSED)
    yield Part("build navigation's data", make, navigation.SIZE, "transitions", goal_seconds=2.0)
    config = make_config("bc-diffusion", CROSSED, (0,), updates.STEPS)
    stack = loop.build(config, make(1000), device, config.seeds)
    play = functools.partial(evaluators.evaluate, stack, config.task.env_id(), config.hazard, 50, CROSSINGS, drop=True)
    yield Part("evaluate bc-diffusion on navigation", play, CROSSINGS, "episodes", goal_seconds=5.0)


def compress(data: Dataset, path: Path) -> Path:
    """Write the six arrays compressed by gzip, as D4RL's own files are."""
    with h5py.File(path, "w") as file:
        for key, array in data.arrays().items():
            file.create_dataset(key, data=array, compression="gzip")
        file.attrs["env_id"] = data.env_id
    return path


def parts(
    amounts: Amounts, folder: Path, device: torch.device, workers: int | None = None, progress: bool = True
) -> Iterator[Part]:
    """Yield what is timed, each prepared as it is asked for.

    Args:
        amounts: how much of each.
        folder: for the files that are loaded.
        device: of the policies that are evaluated.
        workers: processes that roll out (all cores if None).
        progress: show the rollouts' bar.
    """
    for task in ROLLED:
        run = functools.partial(bundled.build, get_task(task), amounts.rollout, workers=workers, progress=progress)
        yield Part(f"roll out {task}", run, amounts.rollout, "transitions", goal_rate=8000)

    # Of this hazard, which also ends episodes, every branch is taken.
    task = "hopper-medium-replay"
    data, hazard = updates.synthetic_data(task, amounts.relabel), hazards.get_hazard("paper", task)
    relabel = functools.partial(datasets_relabel.relabel, data, hazard)
    yield Part("relabel with a hazard", relabel, amounts.relabel, "transitions", repeats=amounts.repeats)

    for method in EVALUATED:
        play = evaluate(method, amounts, device)
        yield Part(f"evaluate {method} on Hopper", play, amounts.episodes, "episodes", goal_seconds=10.0)

    yield from crossing(device)

    answer = functools.partial(subprocess.run, [sys.executable, "-m", "ramac_lib.cli", "--help"], check=True)
    quiet = functools.partial(answer, stdout=subprocess.DEVNULL)
    yield Part("ramac --help", quiet, 1, "call", goal_seconds=3.0, repeats=amounts.repeats)

    data = updates.synthetic_data("halfcheetah-medium-expert", amounts.load)
    plain, packed = hdf5.save_file(data, folder / "plain.hdf5"), compress(data, folder / "gzip.hdf5")
    del data
    for name, path in (("load HDF5", plain), ("load HDF5, gzip", packed)):
        load = functools.partial(hdf5.load_file, path)
        yield Part(name, load, amounts.load, "transitions", goal_seconds=5.0, repeats=amounts.repeats)


def measure(
    amounts: Amounts | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    workers: int | None = None,
    json_path: Path | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Time every part; return a row for each, and the machine.

    Args:
        amounts: how much of each part (default: the issue's sizes).
        device: of the policies that are evaluated.
        threads: PyTorch's threads on the CPU (as they are if None).
        workers: processes that roll out (all cores if None).
        json_path: where to write both, if anywhere.

    Raises:
        RamacError: an unknown device, a number that is not positive, a path that cannot be written.
    """
    amounts = amounts or Amounts()
    if threads is not None and threads < 1:
        raise RamacError(f"--threads {threads}: expected a positive number")
    updates.check_path(json_path)
    engine = get_engine(device)
    with updates.use_threads(threads), tempfile.TemporaryDirectory() as folder:
        engine.prepare()
        rows = []
        for part in tqdm(
            parts(amounts, Path(folder), engine.device, workers, progress), unit="part", disable=not progress
        ):
            times = [updates.seconds_of(part.run, engine.device) for _ in range(part.repeats)]
            rows.append(part.row(statistics.median(times)))
        machine: dict[str, Any] = dict(provenance(engine.device))
        machine |= {"threads": torch.get_num_threads(), "cores": cores(), "amounts": dataclasses.asdict(amounts)}
    updates.write(json_path, machine, rows)
    return pd.DataFrame(rows, columns=list(COLUMNS)), machine
