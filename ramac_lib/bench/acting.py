"""What acting costs: a step of many episodes in step with each other, for the deployed policy of every method."""

import functools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from ramac_lib.bench import updates
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import play
from ramac_lib.methods import METHODS, Method
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.system.version import provenance
from ramac_lib.training.config import RunConfig, make_config
from ramac_lib.training.engine import get_engine
from ramac_lib.training.loop import build

COLUMNS = ("method", "episodes", "ms_per_step")
STEPS = 24  # of a block: whole chunks and plans of every method
EPISODES = 50  # as a report of one seed has


def act(stack: Method, data: Dataset, episodes: int) -> None:
    """Let a method's first seed act for `STEPS` steps of so many episodes, with the rewards and costs of the data."""
    controller = stack.controller(Noise(stack.seeds, "evaluation", stack.device, (0,)))
    costs = np.zeros(len(data), np.float32) if data.costs is None else data.costs
    for step in range(STEPS):
        rows = slice(step * episodes, (step + 1) * episodes)
        observations = torch.as_tensor(data.observations[rows], device=stack.device).unsqueeze(0)
        play.ask(controller, observations, data.actions.shape[1:])
        play.tell(controller, "observe", data.rewards[None, rows], costs[None, rows])


def time_acting(config: RunConfig, data: Dataset, device: torch.device, episodes: int, seconds: float) -> float:
    """Return the least wall time of a step, in seconds, over blocks of `STEPS` steps; an untrained policy's.

    Args:
        episodes: in step with each other, one action of each a step.
        seconds: how long to measure, beyond the first block.
    """
    block = functools.partial(act, build(config, data, device, config.seeds[:1]), data, episodes)
    block()  # allocations
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        times.append(updates.seconds_of(block, device))
    return min(times) / STEPS


def measure(
    methods: Sequence[str] = (),
    task: str = "halfcheetah-medium-expert",
    *,
    episodes: int = EPISODES,
    seconds: float = 3.0,
    threads: int | None = None,
    device: str = "auto",
    json_path: Path | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Time a step of the methods' deployed policies; return a row for each, and the machine.

    Args:
        methods: all if none is named.
        episodes: in step with each other.
        seconds: how long each is measured.
        threads: PyTorch's on the CPU (as they are if None).
        json_path: where to write both, if anywhere.

    Raises:
        RamacError: an unknown method, task or device, a number that is not positive, a path that cannot be written.
    """
    for name, value in {"episodes": episodes, "seconds": seconds, "threads": 1 if threads is None else threads}.items():
        if not (math.isfinite(value) and value > 0):
            raise RamacError(f"--{name} {value}: expected a positive number")
    updates.check_path(json_path)
    engine = get_engine(device)
    with updates.use_threads(threads):
        engine.prepare()
        data, rows = updates.synthetic_data(task, 1000 * math.ceil(STEPS * episodes / 1000)), []
        for name in tqdm(methods or list(METHODS), unit="method", disable=not progress):
            config = make_config(name, task, (0,), updates.STEPS)
            own = data.with_(costs=np.zeros(len(data), np.float32)) if "costs" in config.method.needs else data
            spent = time_acting(config, own, engine.device, episodes, seconds)
            rows.append(dict(zip(COLUMNS, (name, episodes, 1e3 * spent), strict=True)))
        machine: dict[str, Any] = dict(provenance(engine.device))
        machine |= {"threads": torch.get_num_threads(), "task": task, "steps": STEPS}
    updates.write(json_path, machine, rows)
    return pd.DataFrame(rows, columns=list(COLUMNS)), machine
