"""How updates are executed: operator by operator, with a native kernel, compiled, as a CUDA graph; how precisely.

All make the same update; they differ in rounding. What an update does may depend on its number only through
`Method.phase`: compiled code is specialised to a phase, a graph is captured for each.

The native kernel (`ramac_lib.networks.native`) is the quantile critics' head and loss in C++, for one core of a CPU. It
is built when first asked for, where there is a compiler; nothing else needs it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ramac_lib.datasets.batches import Replay
from ramac_lib.methods import Method
from ramac_lib.methods.shared.base import Metrics
from ramac_lib.networks.critics import set_native
from ramac_lib.networks.layers import set_products
from ramac_lib.networks.native import build as native_build
from ramac_lib.networks.noise import numbers
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import get_device, prepare
from ramac_lib.training.tally import Running, Tally

MODES = ("auto", "eager", "native", "compile", "graph", "compiled-graph")
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
WARM_UP = 3  # updates of each phase that are made before its graph is captured: allocations, kernels' choices

Update = Callable[[], Metrics]


@dataclass(frozen=True)
class Engine:
    """A device, a way of executing updates on it, and the precision of their matrix products.

    Args:
        device: where everything lies.
        mode: ``eager``; ``native`` (eager, with the native kernel); ``compile`` (torch.compile); ``graph`` (captured as
            one CUDA graph); ``compiled-graph``.
        precision: ``float32``; ``tf32`` for all products on CUDA; ``bfloat16`` for the critics' (with ``tf32`` for the
            others on CUDA). Layers of one output, parameters, sums, losses and optimisers stay in float32.
    """

    device: torch.device
    mode: str = "eager"
    precision: str = "float32"

    @property
    def name(self) -> str:
        """What a checkpoint remembers: a run goes on with the same bits only on the same engine."""
        return f"{self.device.type} {self.mode} {self.precision}"

    def prepare(self) -> None:
        """Set what PyTorch keeps for the whole process."""
        prepare(self.device)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.fp32_precision = "ieee" if self.precision == "float32" else "tf32"

    def updater(self, stack: Method, replay: Replay) -> Update:
        """Return a function that draws batches for a stack's seeds and makes one update of it.

        Raises:
            RamacError: the native kernel is to be used and is not there or serves nothing.
        """
        if self.precision == "bfloat16":
            for critic in stack.critics().values():
                set_products(critic, self.precision)
        if self.mode == "native":
            _check_native(self.device.type == "cuda", self.precision, type(stack))
            for critic in stack.critics().values():
                set_native(critic)
        if "compile" in self.mode:
            compile_learning(stack)

        sample = replay.sampler(stack.sampling(), stack.config.batch_size)

        def update() -> Metrics:
            phase = tuple(stack.phase().values())
            with stack.batches.update(phase), stack.noise.update(phase):
                return stack.update(sample(stack.batches))

        return GraphedUpdate(stack, update, CUDAGraphs(stack)) if "graph" in self.mode else update


def advance(update: Update, first: int, last: int) -> Tally:
    """Make the updates of these numbers; return their metrics, still on the device."""
    if isinstance(update, GraphedUpdate):
        return update.advance(last - first + 1)
    tally = Tally()
    for number in range(first, last + 1):
        tally.add(update(), number)
    return tally


def get_engine(
    device: str = "auto",
    mode: str = "auto",
    precision: str = "auto",
    method: type[Method] | None = None,
    begun: str | None = None,
) -> Engine:
    """Return an engine; ``auto`` means CUDA where there is one, compiled graphs and TF32 there, else float32.

    On a CPU ``auto`` is ``native`` where that is available and faster for the method, else ``eager``.

    Args:
        device, mode, precision: names, as in `Engine`, or ``auto``.
        method: what is to be trained; without it ``auto`` is ``eager`` on a CPU.
        begun: name of the engine that began a run which is to go on; ``auto`` then means that one.

    Raises:
        RamacError: an unknown name, no usable GPU, what a CPU cannot do, or no native kernel where one is needed.
    """
    for kind, name, known in (("engine", mode, MODES), ("precision", precision, PRECISIONS)):
        if name not in known:
            raise unknown(kind, name, known)
    target = get_device(device)
    there, *how = (begun or "").split()[:3] or [""]
    if there == target.type:
        mode, precision = (mine if mine != "auto" else his for mine, his in zip((mode, precision), how, strict=True))
    else:
        begun = None
    if target.type == "cpu" and ("graph" in mode or precision == "tf32"):
        what = f"--engine {mode}" if "graph" in mode else "--precision tf32"
        raise RamacError(
            f"{what} needs CUDA; on a CPU there are the engines eager, native and compile, float32 and bfloat16"
        )
    on_gpu = target.type == "cuda"
    if mode == "native":
        _check_native(on_gpu, precision, method, begun)
    elif mode == "auto":
        faster = method is not None and has_native(method) and precision != "bfloat16"
        mode = "compiled-graph" if on_gpu else "native" if faster and native_build.gains() else "eager"
    precision = ("tf32" if on_gpu else "float32") if precision == "auto" else precision
    return Engine(target, mode, precision)


def has_native(method: type[Method]) -> bool:
    """Return whether there is a native kernel for a method's critics."""
    return bool(getattr(method.CRITIC, "HAS_NATIVE", False))


def native_kernel() -> tuple[str, bool]:
    """Return the variant of the native kernel here and True; or why there is none, as a sentence's end, and False."""
    name, library = native_build.kernel()
    return name, library is not None


def _check_native(on_gpu: bool, precision: str, method: type[Method] | None, begun: str | None = None) -> None:
    """Refuse the native kernel where it is not available or serves nothing."""
    if on_gpu or precision not in ("auto", "float32"):
        what = "runs on CUDA" if on_gpu else f"computes in {precision}"
        raise RamacError(f"--engine native is for float32 on a CPU, and this run {what}")
    if method is not None and not has_native(method):
        raise RamacError(f"--engine native: there is no native kernel for {method.name}; use auto or eager")
    if reason := native_build.why_not():
        whose = (
            "this run goes on with the engine that began it, native, but"
            if " native " in (begun or "")
            else "--engine native:"
        )
        raise RamacError(f"{whose} there is no native kernel here, as {reason}")


def compile_learning(stack: Method) -> None:
    """Let torch.compile fuse a stack's update; draws of noise and optimisers stay as they are.

    A seed's own generator is nothing that a compiler can see through, and Adam is one fused kernel already. The numbers
    of counters, which are made before the update that draws them, are compiled by themselves.
    """
    torch.compiler.reset()  # what was compiled for earlier stacks counts towards the compiler's limit of variants
    aside: Any = torch.compiler.disable
    for noise in (stack.noise, stack.batches):
        for draw in ("normal", "uniform", "integers"):
            setattr(noise, draw, aside(getattr(noise, draw)))
        if not noise.generators:
            noise.make = torch.compile(numbers, dynamic=False)
    for optimizer in stack.optimizers.values():
        optimizer.step = aside(optimizer.step)  # type: ignore[method-assign]
    for part in stack.ASIDE:
        setattr(stack, part, aside(getattr(stack, part)))
    stack.learn = torch.compile(stack.learn, dynamic=False)


class CUDAGraphs:
    """Records a stack's updates as CUDA graphs that share their memory."""

    def __init__(self, stack: Method) -> None:
        self.stack = stack
        self.stream = torch.cuda.Stream(stack.device)
        self.pool = torch.cuda.graph_pool_handle()

    def warm_up(self, body: Callable[[], None]) -> None:
        """Make an update on a stream of its own, as the capture does."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            body()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self, body: Callable[[], None]) -> Callable[[], None]:
        """Return what repeats an update, without making it."""
        graph = torch.cuda.CUDAGraph()
        for noise in (self.stack.noise, self.stack.batches):
            for generator in noise.generators:
                graph.register_generator_state(generator)
        torch.cuda.synchronize(self.stack.device)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            body()
        return graph.replay


class GraphedUpdate:
    """One update as one graph for each phase: sampling, losses, backward passes, optimisers, targets, the tally.

    The first `WARM_UP` updates of a phase are made outside of a graph and count; then its graph is recorded, which
    executes nothing, and every later update of that phase is a replay. The metrics of an update are overwritten by the
    next: read them at once, in the same stream.

    Args:
        graphs: what records; in tests another one, for there are graphs on CUDA alone.
    """

    def __init__(self, stack: Method, update: Update, graphs: Any) -> None:
        self.stack, self.update, self.graphs = stack, update, graphs
        self.made: dict[tuple[bool, ...], int] = {}
        self.tallies: dict[tuple[str, ...], Running] = {}  # shared by phases that report the same
        self.named: dict[tuple[bool, ...], Running] = {}
        self.replays: dict[tuple[bool, ...], Callable[[], None]] = {}

    def __call__(self) -> Metrics:
        """Make one update of the coming phase; return its metrics."""
        return self.step().last()

    def step(self) -> Running:
        """Make one update of the coming phase; return the tally that its metrics are in."""
        phase, updates = tuple(self.stack.phase().values()), self.stack.updates
        if phase not in self.replays and self.made.get(phase, 0) < WARM_UP:
            self.graphs.warm_up(lambda: self.make(phase))
            self.made[phase] = self.made.get(phase, 0) + 1
        else:
            if phase not in self.replays:
                self.replays[phase] = self.graphs.record(lambda: self.make(phase))
                self.stack.updates = updates  # the update was recorded, not made
            self.replays[phase]()
        self.stack.updates = updates + 1  # a replay runs no Python
        self.named[phase].count += 1
        return self.named[phase]

    def make(self, phase: tuple[bool, ...]) -> None:
        """Make an update and take in its metrics; the first of a phase makes place for them."""
        metrics = self.update()
        if phase not in self.named:
            self.named[phase] = self.tallies.setdefault(tuple(metrics), Running(metrics))
        self.named[phase].add(metrics, self.stack.step)

    def advance(self, updates: int) -> Tally:
        """Make some updates; return their tally."""
        for running in self.tallies.values():
            running.read()  # what was made one by one, and read at once
        for _ in range(updates):
            self.step()
        tally = Tally()
        for running in self.tallies.values():
            tally.merge(running.read())
        return tally
