"""Speed: updates a second of every method, and the share it reaches of what the machine's matrix products allow.

The floor of an update is the time that its matrix products alone would take at the machine's best measured rate in the
row's precision; the share reached is that floor over the measured time. What is left goes to elementwise passes, memory
traffic, the optimiser, draws of noise and the interpreter (`breakdown`).
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

import ramac_lib.envs.bandit  # noqa: F401  (registers the bandit's environment)
from ramac_lib.bench.breakdown import KINDS as KINDS  # chapter 10 asks here
from ramac_lib.bench.breakdown import breakdown
from ramac_lib.datasets.batches import Replay
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import get_task
from ramac_lib.methods import METHODS, Method, get_method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic
from ramac_lib.system.version import provenance
from ramac_lib.training import engine as training_engine
from ramac_lib.training.config import RunConfig, make_config
from ramac_lib.training.engine import Engine, Update, get_engine, has_native, native_kernel
from ramac_lib.training.loop import build

# (rows, inner, columns): one product of a critic's widest layer, and one large enough to be free of overhead.
PRODUCTS = ((8192, 256, 256), (2048, 2048, 2048))
COLUMNS = (
    "method", "options", "seeds", "chunk", "engine", "precision", "updates_per_s", "seed_updates_per_s", "gflop",
    "floor_ms", "ms", "share", "memory_mb",
)  # fmt: skip
# How a rate grows: RADAC with one size changed at a time, in one stack.
SCALING_SEEDS = (1, 5, 20, 100)
SCALING = {"batch_size": (64, 256, 1024), "n_fractions": (8, 32, 128)}
STEPS = 2_000_000  # the run whose beginning is timed: no schedule has switched anything off yet
BLOCKS = 10  # timed blocks of updates that the given seconds are cut into


def synthetic_data(task: str, size: int = 50_000) -> Dataset:
    """Return random transitions of the task's real sizes, in episodes of a thousand; speed asks nothing more of data.

    Raises:
        RamacError: an unknown task.
    """
    env_id = get_task(task).env_id()
    env = make_env(env_id)
    widths = [int(np.prod(space.shape or ())) for space in (env.observation_space, env.action_space)]
    env.close()
    rng = np.random.default_rng(0)
    states = rng.standard_normal((size + 1, widths[0]), dtype=np.float32)
    return Dataset(
        observations=states[:-1],
        actions=rng.uniform(-1, 1, (size, widths[1])).astype(np.float32),
        rewards=rng.standard_normal(size, dtype=np.float32),
        next_observations=states[1:],
        terminals=np.zeros(size, dtype=bool),
        timeouts=(np.arange(1, size + 1) % 1000 == 0) | (np.arange(size) == size - 1),
        env_id=env_id,
        name=f"synthetic {task}",
    )


# -- work -----------------------------------------------------------------------------------------------------------


def _mv_flop(matrix: Sequence[int], vector: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * math.prod(matrix)


# PyTorch's counter has no formula for a matrix times a vector, which the critics' heads are made of.
FORMULAS = {torch.ops.aten.mv: _mv_flop}


def count_flop(function: Callable[[], Any]) -> int:
    """Return the floating-point operations of all matrix products in a call, backward passes included.

    A product of (m, k) and (k, n) counts 2mkn; elementwise work counts nothing.
    """
    with FlopCounterMode(display=False, custom_mapping=FORMULAS) as counter:
        function()
    return counter.get_total_flops()


def time_goes(config: RunConfig, data: Dataset) -> dict[str, float]:
    """Return the shares of one seed's update that `breakdown` tells apart; on the CPU."""
    stacks, every = updaters(config, data, Engine(torch.device("cpu")))
    unit = stacks[0].period
    advance(every, 2 * unit)
    return breakdown(lambda: advance(every, 4 * unit))


def update_flop(config: RunConfig, data: Dataset) -> float:
    """Return the operations of one update of one seed, the mean over the method's period; counted on the CPU."""
    stacks, every = updaters(config, data, Engine(torch.device("cpu")))
    return count_flop(lambda: advance(every, stacks[0].period)) / stacks[0].period


# -- time -----------------------------------------------------------------------------------------------------------


def updaters(
    config: RunConfig, data: Dataset, engine: Engine, chunk: int | None = None
) -> tuple[list[Method], list[Update]]:
    """Return a run's seeds in stacks of `chunk` (all if None), and the functions that make an update of each."""
    if "costs" in config.method.needs and data.costs is None:
        data = data.with_(costs=np.zeros(len(data), np.float32))
    replay, seeds = Replay(data, engine.device), config.seeds
    chunk = chunk or len(seeds)
    stacks = [build(config, data, engine.device, seeds[i : i + chunk]) for i in range(0, len(seeds), chunk)]
    for stack in stacks:  # what learns before the policy does is no part of a table of its updates
        stack.updates = math.ceil(stack.prelude * config.steps)
        stack.step.fill_(stack.updates)
    return stacks, [engine.updater(stack, replay) for stack in stacks]


def advance(every: Sequence[Update], updates: int) -> None:
    """Update stack after stack, as the training loop does between two rows of its log."""
    for update in every:
        training_engine.advance(update, 1, updates)


def seconds_of(function: Callable[[], Any], device: torch.device) -> float:
    """Return the wall time of a call, in seconds, the device's queue emptied before and after."""
    wait: Callable[[], Any] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    function()
    wait()
    return time.perf_counter() - start


def _multiply(a: torch.Tensor, b: torch.Tensor, out: torch.Tensor, repeat: int) -> None:
    for _ in range(repeat):
        torch.mm(a, b, out=out)


def product_rates(device: torch.device, precision: str = "float32", seconds: float = 0.3) -> dict[str, float]:
    """Return the best rate of each of `PRODUCTS` in a precision, in GFLOP/s; each is repeated for `seconds`."""
    Engine(device, precision=precision).prepare()
    generator = torch.Generator(device).manual_seed(0)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rates = {}
    for rows, inner, columns in PRODUCTS:
        shapes = (rows, inner), (inner, columns)
        a, b = (torch.randn(shape, generator=generator, device=device).to(kind) for shape in shapes)
        out = torch.empty(rows, columns, device=device, dtype=kind)
        # On a GPU one product is shorter than its launch: several in a row, until they outlast it.
        repeat = 50 if device.type == "cuda" else 1

        multiply = functools.partial(_multiply, a, b, out, repeat)
        multiply()
        times: list[float] = []
        while len(times) < 3 or sum(times) < seconds:
            times.append(seconds_of(multiply, device))
        rates[f"{rows}x{inner}x{columns}"] = 2 * rows * inner * columns * repeat / min(times) / 1e9
    return rates


def time_updates(
    config: RunConfig, data: Dataset, engine: Engine, *, chunk: int | None = None, seconds: float
) -> float:
    """Return the least wall time, in seconds, in which every seed of the run makes one update, over blocks of updates.

    The least, as for the floor: what else a machine does can only slow it down.

    Args:
        chunk: seeds of one stack (all if None); the stacks are worked through one after another.
        seconds: how long to measure, beyond the warm-up.
    """
    device = engine.device
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    stacks, every = updaters(config, data, engine, chunk)
    unit = stacks[0].period
    warm = (2 if engine.mode in ("eager", "native") else 5) * unit  # allocations, compilation, capture, Adam's state
    advance(every, warm)
    once = seconds_of(lambda: advance(every, unit), device)
    updates = unit * max(1, round(seconds / BLOCKS / once))
    times: list[float] = []
    while len(times) < 3 or sum(times) < seconds:
        times.append(seconds_of(lambda: advance(every, updates), device))
    return min(times) / updates


# -- the table ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measurement:
    """One row to measure: a run's beginning, the seeds of one stack, an engine."""

    config: RunConfig
    chunk: int
    engine: Engine
    options: str = ""


def measurements(
    methods: Sequence[str], task: str, seeds: Sequence[int], chunks: Sequence[int], engines: Sequence[Engine]
) -> list[Measurement]:
    """Return every method's rows, for each number of seeds, seeds in a stack and engine that serves the method."""
    found = []
    for method, count in itertools.product(methods or METHODS, seeds):
        config = make_config(method, task, range(count), STEPS)
        serving = [engine for engine in engines if engine.mode != "native" or has_native(get_method(method))]
        for chunk, engine in itertools.product(sorted({min(c, count) for c in chunks or (count,)}), serving):
            found.append(Measurement(config, chunk, engine))
    return found


def scaling_measurements(task: str, engines: Sequence[Engine]) -> list[Measurement]:
    """Return RADAC's rows with more seeds, another batch, another number of fractions; options name what is changed."""
    found = []
    for engine in engines:
        for count in SCALING_SEEDS:
            found.append(Measurement(make_config("radac", task, range(count), STEPS), count, engine, f"seeds={count}"))
        for name, values in SCALING.items():
            for value in values:
                config = make_config("radac", task, (0,), STEPS, {name: str(value)})
                found.append(Measurement(config, 1, engine, f"{name}={value}"))
    return found


def _engines(device: str, modes: Sequence[str], precisions: Sequence[str]) -> list[Engine]:
    """Return the engines that a table has rows of; errors as `get_engine`.

    The native kernel computes in float32 alone: where float32 is measured too, it has no row in another precision.
    """
    found: dict[Engine, None] = {}
    served = {"auto", "float32"}.intersection(precisions)
    pairs = itertools.product(modes, precisions)
    for mode, precision in ((m, p) for m, p in pairs if m != "native" or p in served or not served):
        found[get_engine(device, mode, precision)] = None
        engine = next(reversed(found))
        if mode == "auto" and engine.name == "cpu eager float32" and native_kernel()[1]:
            found[get_engine(device, "native")] = None
    return list(found)


def _of_one(config: RunConfig) -> RunConfig:
    return dataclasses.replace(config, seeds=config.seeds[:1])


def row(one: Measurement, seconds: float, flop: float, rate: float, memory: float | None = None) -> dict[str, Any]:
    """Return a row of the table.

    Args:
        seconds: in which every seed makes one update.
        flop: of one seed's update.
        rate: the machine's in the row's precision, in GFLOP/s.
        memory: of the GPU, in bytes.
    """
    gflop, seeds = flop / 1e9, len(one.config.seeds)
    floor = seeds * gflop / rate
    how = (one.config.method.name, one.options, seeds, one.chunk, one.engine.mode, one.engine.precision)
    values = (*how, 1 / seconds, seeds / seconds, gflop, 1e3 * floor, 1e3 * seconds, floor / seconds)
    return dict(zip(COLUMNS, (*values, None if memory is None else memory / 1e6), strict=True))


def bench(
    methods: Sequence[str] = (),
    task: str = "halfcheetah-medium-expert",
    seeds: Sequence[int] = (1, 5),
    chunks: Sequence[int] = (),
    *,
    scaling: bool = False,
    engines: Sequence[str] = ("auto",),
    precisions: Sequence[str] = ("auto",),
    seconds: float = 3.0,
    passes: int = 1,
    threads: int | None = None,
    device: str = "auto",
    json_path: Path | None = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Measure methods; return a row for each method, number of seeds, chunk, engine and precision, and the machine.

    Args:
        methods: all if none is named.
        seeds, chunks: numbers of seeds, and of seeds in one stack (if none: all, as the training loop does).
        scaling: measure `scaling_measurements` instead.
        engines, precisions: as in `ramac_lib.training.engine`, but ``auto`` on a CPU is a row of eager and, where it is
            available and serves the method, one of native.
        seconds: how long each row is measured.
        passes: how often the whole table is measured; of each row the fastest pass counts.
        threads: PyTorch's threads on the CPU (as they are if None).
        json_path: where to write both, if anywhere.

    Raises:
        RamacError: an unknown method, task or device, a number that is not positive, a path that cannot be written.
    """
    numbers = {"seconds": seconds, "passes": passes, "threads": 1 if threads is None else threads}
    given = {"seeds": seeds, "chunks": chunks, **{name: (value,) for name, value in numbers.items()}}
    for name, values in given.items():
        if not all(math.isfinite(v) and v > 0 for v in values):
            raise RamacError(f"--{name} {' '.join(map(str, values))}: expected positive numbers")
    if not seeds:
        raise RamacError("--seeds: expected at least one number of seeds")
    check_path(json_path)
    every = _engines(device, engines, precisions)
    todo = scaling_measurements(task, every) if scaling else measurements(methods, task, seeds, chunks, every)
    target = every[0].device
    with use_threads(threads):
        data = synthetic_data(task)
        # Float32's is always known: rows of other precisions are set beside it.
        rates = {p: product_rates(target, p) for p in dict.fromkeys(["float32", *(e.precision for e in every)])}
        goes: dict[str, dict[str, float]] = {}
        flop: dict[str, float] = {}
        least: dict[Measurement, float] = {}
        memory: dict[Measurement, float | None] = {}
        beside = ""
        for one in tqdm(todo * passes, unit="row", disable=not progress):
            config, of_one = one.config, _of_one(one.config)
            if of_one.hash not in flop:
                Engine(torch.device("cpu")).prepare()
                flop[of_one.hash] = update_flop(of_one, data)
                if target.type == "cpu" and not one.options:
                    goes[config.method.name] = time_goes(of_one, data)
            if one.config.method.name != beside:
                # Measured again beside every method: a machine that is busy for a moment does not lower the floor.
                beside = one.config.method.name
                for precision, before in rates.items():
                    again = product_rates(target, precision)
                    rates[precision] = {name: max(rate, before[name]) for name, rate in again.items()}
            one.engine.prepare()
            spent = time_updates(config, data, one.engine, chunk=one.chunk, seconds=seconds)
            least[one] = min(spent, least.get(one, math.inf))
            memory[one] = torch.cuda.max_memory_allocated(target) if target.type == "cuda" else None
        best = {precision: max(found.values()) for precision, found in rates.items()}
        widths = [data.observations.shape[1], data.actions.shape[1]]
        machine = provenance(target) | {"threads": torch.get_num_threads(), "task": task, "widths": widths}
        name, there = native_kernel() if target.type == "cpu" else ("", False)
        machine["native"] = (name if there else f"none here, as {name}") if target.type == "cpu" else None
        machine |= {"seconds": seconds, "passes": passes, "gflop_per_s": best["float32"], "goes": goes}
        machine |= {"products": rates["float32"], "rates": best}
    rows = [
        row(one, least[one], flop[_of_one(one.config).hash], best[one.engine.precision], memory[one]) for one in todo
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write(json_path, machine, table.to_dict("records"))
    return table, machine


def check_path(path: Path | None) -> None:
    """Refuse a folder in the place of a file to write, with a `RamacError`."""
    if path is not None and path.is_dir():
        raise RamacError(f"{path}: is a folder; expected the path of a file to write")


def write(path: Path | None, machine: Mapping[str, Any], rows: Sequence[Mapping[Any, Any]]) -> None:
    """Write what was measured, and on which machine, if there is a path."""
    if path is not None:
        with atomic(path) as temporary:
            temporary.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")


@contextlib.contextmanager
def use_threads(count: int | None) -> Iterator[None]:
    """Let PyTorch use so many threads on the CPU within the block; as many as before if None."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
