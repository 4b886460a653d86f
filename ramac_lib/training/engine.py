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
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.machine import get_device, keep_freed_memory, use_fast_products

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
            others on CUDA). Parameters, sums, losses and optimisers stay in float32.
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
            return stack.update(sample(stack.batches))

        return GraphedUpdate(stack, update) if "graph" in self.mode else update


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

    A seed's own generator is nothing that a compiler can see through, and Adam is one fused kernel already.
    """
    torch.compiler.reset()  # what was compiled for earlier stacks counts towards the compiler's limit of variants
    aside: Any = torch.compiler.disable
    for noise in (stack.noise, stack.batches):
        for draw in ("normal", "uniform", "integers"):
            setattr(noise, draw, aside(getattr(noise, draw)))
    for optimizer in stack.optimizers.values():
        optimizer.step = aside(optimizer.step)  # type: ignore[method-assign]
    stack.learn = torch.compile(stack.learn, dynamic=False)


class GraphedUpdate:
    """One update as one CUDA graph for each phase: sampling, losses, backward passes, optimisers, targets.

    The first `WARM_UP` updates of a phase are made outside of a graph and count; then its graph is captured, which
    executes nothing, and every later update of that phase is a replay. The metrics of a replay are overwritten by the
    next: read them at once, in the same stream.
    """

    def __init__(self, stack: Method, update: Update) -> None:
        self.stack, self.update = stack, update
        self.stream = torch.cuda.Stream(stack.device)
        self.pool = torch.cuda.graph_pool_handle()
        self.made: dict[tuple[bool, ...], int] = {}
        self.graphs: dict[tuple[bool, ...], tuple[torch.cuda.CUDAGraph, Metrics]] = {}

    def __call__(self) -> Metrics:
        """Make one update of the coming phase."""
        phase = tuple(self.stack.phase().values())
        if phase in self.graphs:
            graph, metrics = self.graphs[phase]
            graph.replay()
            self.stack.updates += 1
            return metrics
        self.made[phase] = self.made.get(phase, 0) + 1
        if self.made[phase] <= WARM_UP:
            # Warm-up belongs on a stream of its own, as the capture does.
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                metrics = self.update()
            torch.cuda.current_stream().wait_stream(self.stream)
            return metrics
        self.graphs[phase] = self.capture()
        return self()

    def capture(self) -> tuple[torch.cuda.CUDAGraph, Metrics]:
        """Record an update of the present phase without making it."""
        graph, updates = torch.cuda.CUDAGraph(), self.stack.updates
        for noise in (self.stack.noise, self.stack.batches):
            for generator in noise.generators:
                graph.register_generator_state(generator)
        torch.cuda.synchronize(self.stack.device)
        with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
            metrics = self.update()
        self.stack.updates = updates  # the update was recorded, not made
        return graph, metrics
