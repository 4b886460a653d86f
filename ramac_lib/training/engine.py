"""How updates are executed: one operator after another, compiled, or as one CUDA graph; and in which precision.

All three make the same update; they differ in rounding. What an update does may depend on its number only through
`Method.phase`: compiled code is specialised to a phase, a graph is captured for each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from ramac_lib.datasets.batches import Replay
from ramac_lib.methods import Method
from ramac_lib.methods.shared.base import Metrics
from ramac_lib.networks.layers import set_products
from ramac_lib.networks.noise import numbers
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import get_device, keep_freed_memory, use_fast_products
from ramac_lib.training.tally import Running, Tally

MODES = ("auto", "eager", "compile", "graph", "compiled-graph")
PRECISIONS = ("auto", "float32", "tf32", "bfloat16")
WARM_UP = 3  # updates of each phase that are made before its graph is captured: allocations, kernels' choices

Update = Callable[[], Metrics]


@dataclass(frozen=True)
class Engine:
    """A device, a way of executing updates on it, and the precision of their matrix products.

    Args:
        device: where everything lies.
        mode: ``eager``; ``compile`` (torch.compile); ``graph`` (captured as one CUDA graph); ``compiled-graph``.
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
        if self.device.type == "cpu":
            keep_freed_memory()
            use_fast_products()
        else:
            torch.backends.cuda.matmul.fp32_precision = "ieee" if self.precision == "float32" else "tf32"

    def updater(self, stack: Method, replay: Replay) -> Update:
        """Return a function that draws batches for a stack's seeds and makes one update of it."""
        if self.precision == "bfloat16":
            for critic in stack.critics().values():
                set_products(critic, self.precision)
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


def get_engine(device: str = "auto", mode: str = "auto", precision: str = "auto") -> Engine:
    """Return an engine; ``auto`` means CUDA where there is one, compiled graphs and TF32 there, else eager and float32.

    Raises:
        RamacError: an unknown name, no usable GPU, or what a CPU cannot do.
    """
    for kind, name, known in (("engine", mode, MODES), ("precision", precision, PRECISIONS)):
        if name not in known:
            raise unknown(kind, name, known)
    target = get_device(device)
    if target.type == "cpu" and ("graph" in mode or precision == "tf32"):
        what = f"--engine {mode}" if "graph" in mode else "--precision tf32"
        raise RamacError(f"{what} needs CUDA; on a CPU there are the engines eager and compile, float32 and bfloat16")
    on_gpu = target.type == "cuda"
    mode = ("compiled-graph" if on_gpu else "eager") if mode == "auto" else mode
    precision = ("tf32" if on_gpu else "float32") if precision == "auto" else precision
    return Engine(target, mode, precision)


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
