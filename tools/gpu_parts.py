"""The parts of `gpu_check.py`: what each proves of the CUDA path, and what it measures."""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # a checkout that is not installed

import torch  # noqa: E402

from ramac_lib.bench import updates as bench  # noqa: E402
from ramac_lib.methods import METHODS  # noqa: E402
from ramac_lib.networks import noise  # noqa: E402
from ramac_lib.system.files import atomic  # noqa: E402
from ramac_lib.system.version import provenance  # noqa: E402
from ramac_lib.training import engine as engines  # noqa: E402
from ramac_lib.training.config import RunConfig, make_config  # noqa: E402
from ramac_lib.training.engine import Engine  # noqa: E402
from ramac_lib.training.loop import Schedule, Trainer  # noqa: E402

TASK = "halfcheetah-medium-expert"
MEASURED = ("radac", "rafmac", "diffusion-ql", "cql")
COMPILED = ("radac", "oraac", "cql")  # a compilation takes up to a minute
# How far two ways of making 30 updates may end apart, as a share of how far the networks moved.
NEAR = {"float32": 0.05, "tf32": 0.2, "bfloat16": 0.5}
UPDATES = 30
CPU = torch.device("cpu")


class StandIn:
    """Repeats a call where CUDA would replay what the call launched; for the rehearsal."""

    def __init__(self, stack: Any) -> None:
        self.stack = stack

    def warm_up(self, body: Callable[[], None]) -> None:
        """Make it."""
        body()

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        """Return it."""
        return body


@dataclass
class Check:
    """What a part is given, and where it says what it found.

    Args:
        path: of its JSON file.
        deadline: by `time.monotonic`.
        rehearse: the same on the CPU, with tiny sizes.
    """

    path: Path
    deadline: float
    rehearse: bool = False
    lines: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def device(self) -> torch.device:
        """Where updates are made."""
        return CPU if self.rehearse else torch.device("cuda")

    @property
    def left(self) -> float:
        """Seconds until the part is ended."""
        return self.deadline - time.monotonic()

    def say(self, name: str, status: str, reason: str = "", **numbers: Any) -> None:
        """Print a line and keep it."""
        self.lines.append({"check": name, "status": status, "reason": reason, **numbers})
        print(f"{status} {name}" + (f": {reason}" if reason else ""), flush=True)
        with atomic(self.path) as temporary:
            temporary.write_text(json.dumps(self.lines, indent=1) + "\n")

    def attempt(self, name: str, function: Callable[[], tuple[bool, str, dict[str, Any]]], needs: float = 5.0) -> None:
        """Make one check: passed or not, why, numbers. What it raises is its failure; little time left skips it."""
        if self.left < (0 if self.rehearse else needs):
            return self.say(name, "SKIP", "no time left")
        began = time.monotonic()
        try:
            passed, reason, numbers = function()
        except Exception as error:
            traceback.print_exc()
            return self.say(name, "FAIL", f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        self.say(name, "PASS" if passed else "FAIL", reason, seconds=round(time.monotonic() - began, 1), **numbers)

    def config(self, method: str, seeds: int, batch: int | None = None, steps: int = bench.STEPS) -> RunConfig:
        """Return a run's beginning: the task's own sizes, tiny ones in the rehearsal."""
        options = {} if batch is None else {"batch_size": str(batch)}
        if self.rehearse:
            tiny = {"hidden": "8,8", "residual_hidden": "8,8", "embedding": "8", "n_fractions": "4", "batch_size": "4"}
            tiny |= {"n_cos": "4", "critic_encoder": "8", "n_actions": "2", "n_risk_fractions": "4"}
            own = {field.name: field.default for field in dataclasses.fields(METHODS[method].Config)}
            if method == "codac":
                del tiny["embedding"]  # which its critics do not have
            tiny["critic_hidden"] = "8" if isinstance(own.get("critic_hidden"), int) else "8,8"
            options |= {name: value for name, value in tiny.items() if name in own}
        return make_config(method, TASK, range(seeds), steps, options)

    def data(self) -> Any:
        """Return random transitions."""
        return bench.synthetic_data(TASK, 256 if self.rehearse else 50_000)


def end(process: "subprocess.Popen[Any]") -> None:
    """Kill a process and those it started, and wait until they are gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 5.0  # those that nobody waits for stay in the group, but hold no lock
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < until:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


def prepare_for_rehearsal(rehearse: bool) -> None:
    """Let this device's draws be the CPU's, which are then compared; in the rehearsal, let graphs be stand-ins."""
    noise.KIND["cpu"] = "counters"
    if rehearse:
        engines.CUDAGraphs = StandIn  # type: ignore[assignment, misc]


# -- parts ----------------------------------------------------------------------------------------------------------


def facts(check: Check) -> None:
    """Say what the machine is."""
    found: dict[str, Any] = dict(provenance(check.device))
    if not check.rehearse:
        properties = torch.cuda.get_device_properties(0)
        driver = "nvidia-smi --query-gpu=driver_version,clocks.sm,power.limit --format=csv,noheader"
        try:
            found["driver"] = subprocess.run(driver.split(), capture_output=True, text=True, timeout=20).stdout.strip()
        except (OSError, subprocess.SubprocessError) as error:
            found["driver"] = str(error)
        found |= {"cuda": torch.version.cuda, "memory_gb": properties.total_memory / 1e9}
        found |= {"capability": f"{properties.major}.{properties.minor}"}
    check.say("machine", "PASS", ", ".join(f"{name} {value}" for name, value in found.items()), **found)
    for precision in ("float32", "bfloat16") if check.rehearse else ("float32", "tf32", "bfloat16"):
        seconds = 0.0 if check.rehearse else 0.3
        rate = max(bench.product_rates(check.device, precision, seconds).values())
        check.say(f"products in {precision}", "PASS", f"{rate / 1000:,.1f} TFLOP/s", gflop_per_s=rate)


def movement(config: RunConfig, data: Any, engine: Engine, updates: int = UPDATES) -> torch.Tensor:
    """Return how far each number of a run's networks moved in some updates."""
    engine.prepare()
    stacks, every = bench.updaters(config, data, engine)

    def numbers() -> torch.Tensor:
        kept = {name: value for name, value in stacks[0].state_dict().items() if "." in name}
        return torch.cat([value.detach().flatten().double().cpu() for value in kept.values()])

    before = numbers()
    tally = engines.advance(every[0], 1, updates)
    if fault := tally.fault():
        raise ArithmeticError(f"{fault.metric} is not finite at update {fault.update}")
    moved = numbers() - before
    if (share := float((moved != 0).double().mean())) < 0.5:
        raise ArithmeticError(f"{1 - share:.0%} of the parameters did not move")
    return moved


def compared(one: torch.Tensor, other: torch.Tensor, limit: float) -> tuple[bool, str, dict[str, Any]]:
    """Return whether two movements are alike: their distance over the first one's length."""
    apart = float((one - other).norm() / one.norm())
    same = torch.equal(one, other)
    words = "the same bits" if same else f"{apart:.2g} of the distance moved apart (limit {limit:g})"
    return same or apart <= limit, words, {"apart": apart, "same_bits": same}


def agreement(check: Check) -> None:
    """Set updates of every method on this device beside the CPU's, graphs beside eager, precisions beside float32."""
    data, device = check.data(), check.device
    found: dict[str, torch.Tensor] = {}

    def eager(method: str) -> tuple[bool, str, dict[str, Any]]:
        config = check.config(method, 2, 64)
        found[method] = movement(config, data, Engine(device))
        return compared(movement(config, data, Engine(CPU)), found[method], NEAR["float32"])

    def as_eager(method: str, mode: str, precision: str) -> tuple[bool, str, dict[str, Any]]:
        limit = NEAR[precision] if precision != "float32" or "compile" in mode else 0.01
        return compared(
            found[method], movement(check.config(method, 2, 64), data, Engine(device, mode, precision)), limit
        )

    for method in ("radac", *(m for m in METHODS if m != "radac")):
        check.attempt(f"{method}: eager here as on the CPU", lambda m=method: eager(m))
        if method in found:
            check.attempt(f"{method}: graph as eager", lambda m=method: as_eager(m, "graph", "float32"))
    for method in MEASURED:
        for precision in ("bfloat16",) if check.rehearse else ("tf32", "bfloat16"):
            if method in found:
                how = lambda m=method, p=precision: as_eager(m, "graph", p)  # noqa: E731
                check.attempt(f"{method}: {precision} as float32", how)
    for method in () if check.rehearse else COMPILED:
        if method in found:
            how = lambda m=method: as_eager(m, "compiled-graph", "float32")  # noqa: E731
            check.attempt(f"{method}: compiled-graph as eager", how, needs=30)


def resume(check: Check) -> None:
    """Cut runs in the middle and go on: the same bits as a run that was not cut."""
    data = check.data()

    def same(method: str, engine: Engine) -> tuple[bool, str, dict[str, Any]]:
        config = check.config(method, 2 if check.rehearse else 5, steps=2 * UPDATES)

        def trainer() -> Trainer:
            return Trainer(config, data, engine, schedule=Schedule(log_every=UPDATES // 2, episodes=0))

        whole, cut = trainer(), trainer()
        whole.run(progress=False)
        cut.run(progress=False, until=UPDATES)
        resumed = trainer()
        states = [cut.stacks[0].seed_state(i) for i in range(len(config.seeds))]
        resumed.stacks[0].load_seed_states(states, UPDATES)
        resumed.step = UPDATES
        resumed.run(progress=False)
        after = resumed.stacks[0].state_dict()
        differ = [name for name, value in whole.stacks[0].state_dict().items() if not torch.equal(value, after[name])]
        return not differ, f"{len(differ)} tensors differ: {differ[:3]}" if differ else "the same bits", {}

    for method, mode, precision in (
        ("radac", "graph", "tf32"), ("oraac", "graph", "float32"), ("diffusion-ql", "graph", "tf32"),
        ("radac", "compiled-graph", "tf32"),
    ):  # fmt: skip
        engine = Engine(check.device, mode, precision)
        if check.rehearse:
            engine = Engine(CPU, "graph", "float32")
        check.attempt(f"resume {method} on {mode} in {precision}", lambda m=method, e=engine: same(m, e))
        if check.rehearse and method == "oraac":
            return


def launches(update: Callable[[], Any], device: torch.device) -> dict[str, int]:
    """Return how many kernels and copies an update takes on the device, and how many calls launch them."""
    on_gpu = device.type == "cuda"
    kinds = torch.profiler.ProfilerActivity
    with torch.profiler.profile(activities=[kinds.CPU, kinds.CUDA] if on_gpu else [kinds.CPU]) as seen:
        update()
        if on_gpu:
            torch.cuda.synchronize()
    events = list(seen.events())
    if not on_gpu:
        return {"kernels": sum(event.name.startswith("aten::") for event in events), "calls": 0}
    asked = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpy", "cudaMemset")
    return {
        "kernels": sum(event.device_type == torch.autograd.DeviceType.CUDA for event in events),
        "calls": sum(event.name.startswith(asked) for event in events),
    }


def speed_rows(check: Check) -> Iterator[tuple[str, int, str]]:
    """Yield method, number of seeds and mode of each row, the most telling first."""
    if check.rehearse:
        yield from (("radac", 2, "graph"), ("cql", 1, "eager"))
        return
    yield from (("radac", 5, "compiled-graph"), ("radac", 5, "graph"), ("radac", 5, "eager"))
    for count in (5, 1, 20):
        yield from ((method, count, "graph") for method in MEASURED if (method, count) != ("radac", 5))
    yield from ((method, 5, "compiled-graph") for method in MEASURED[1:])
    yield from (("radac", count, "compiled-graph") for count in (1, 20, 100))
    yield from ((method, count, "compiled-graph") for method in MEASURED[1:] for count in (20, 1))
    yield from ((method, 100, "graph") for method in MEASURED)


def speed(check: Check) -> None:
    """Measure updates a second, launches and memory; there is nothing to fail but the goal, which is said."""
    data, device = check.data(), check.device

    def measured(method: str, count: int, mode: str) -> tuple[bool, str, dict[str, Any]]:
        config, engine = check.config(method, count), Engine(device, mode, "float32" if check.rehearse else "tf32")
        engine.prepare()
        spent = bench.time_updates(config, data, engine, seconds=0.02 if check.rehearse else 1.5)
        memory = 0.0 if check.rehearse else torch.cuda.max_memory_allocated(device) / 1e6
        stacks, every = bench.updaters(config, data, engine)
        bench.advance(every, 5 * stacks[0].period)
        counted = launches(lambda: bench.advance(every, 1), device)
        rates = f"{1 / spent:,.0f} updates/s, {count / spent:,.0f} seed-updates/s"
        words = f"{rates}, {counted['kernels']} kernels by {counted['calls']} calls, {memory:,.0f} MB"
        numbers = {"updates_per_s": 1 / spent, "seed_updates_per_s": count / spent, "memory_mb": memory, **counted}
        return True, words, numbers

    for method, count, mode in speed_rows(check):
        needs = 45.0 if "compile" in mode else 15.0
        how = lambda m=method, c=count, k=mode: measured(m, c, k)  # noqa: E731
        check.attempt(f"{method}, {count} seeds, {mode}", how, needs)


def campaign(check: Check) -> None:
    """Run a small campaign with evaluations beside the updates, kill it once, go on; compare with one not killed."""
    steps = 60 if check.rehearse else 3000
    sizes = "hidden=16,batch_size=16"
    rows = [f"radac:{sizes},critic_hidden=16,embedding=8,n_fractions=8", f"bc-flow:{sizes}"]
    options = [
        "--tasks",
        "risky-bandit",
        "--methods",
        *rows,
        "--seeds",
        "0",
        "1",
        "--steps",
        str(steps),
        "--size",
        "2000",
    ]
    options += ["--evaluations", "3", "--episodes", "4", "--report-episodes", "5", "--device", check.device.type]
    options += ["--engine", "eager" if check.rehearse else "graph"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}

    killed_at, whole_at = (check.path.parent / f"campaign-{name}" for name in ("killed", "whole"))
    for folder in (killed_at, whole_at):
        shutil.rmtree(folder, ignore_errors=True)  # of an earlier check

    def started(folder: Path, *more: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "ramac_lib.cli", "campaign", "--out", str(folder), *more]
        return subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)

    def killed() -> tuple[bool, str, dict[str, Any]]:
        folder = killed_at
        first = started(folder, *options)
        try:
            while first.poll() is None and check.left > 0 and not list(folder.rglob("checkpoint.pt")):
                time.sleep(0.02)
            early = first.poll() is None
            if not early and first.returncode:
                return False, f"the campaign ended with {first.returncode} before it was killed", {}
        finally:
            end(first)
        again = started(folder, "--resume", "--device", check.device.type)
        try:
            code = again.wait(max(1.0, check.left))
        finally:
            end(again)
        table = (folder / "results.csv").read_text().splitlines()
        reports = sum(",report," in line for line in table)
        words = f"{'killed while it ran' if early else 'ended before it was killed'}, {reports} of 40 rows of reports"
        return code == 0 and reports == 40, words, {"killed": early}

    def whole() -> tuple[bool, str, dict[str, Any]]:
        process = started(whole_at, *options)
        try:
            process.wait(max(1.0, check.left))
        finally:
            end(process)
        tables = [(folder / "results.csv").read_bytes() for folder in (killed_at, whole_at)]
        return tables[0] == tables[1], "compared with one that was not killed", {}

    check.attempt("campaign, killed and resumed", killed, 30)
    if not check.rehearse:
        check.attempt("the same table", whole, 25)


def tests(check: Check) -> None:
    """Run the tests that need a GPU, uncompiled ones first."""
    for name, chosen, needs in (("graphs", "gpu and not compile", 20), ("compiled", "gpu and compile", 60)):
        if check.left < needs and not check.rehearse:
            check.say(f"tests of {name}", "SKIP", "no time left")
            continue
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", chosen]
        command += [str(ROOT / "tests/training/test_engine.py")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=max(1.0, check.left - 5), cwd=ROOT)
        except subprocess.TimeoutExpired:
            check.say(f"tests of {name}", "SKIP", "ran out of their time before any failed")
            continue
        last = (done.stdout + done.stderr).strip().splitlines()[-1:] or ["no output"]
        missing = "No module named pytest" in done.stderr
        none = missing or done.returncode == 5 or (" passed" not in last[0] and done.returncode == 0)
        check.say(f"tests of {name}", "SKIP" if none else "FAIL" if done.returncode else "PASS", last[0])
        if check.rehearse:
            return
