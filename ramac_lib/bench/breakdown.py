"""Where an update's time goes on a CPU: products, passes over memory, optimiser, draws, interpreter."""

import re
import time
from collections.abc import Callable
from typing import Any

from torch.profiler import ProfilerActivity, profile

# PyTorch's operators by what they do; the first pattern that a name matches counts. The rest of its operators are
# passes over memory: elementwise arithmetic, reductions, copies.
PATTERNS = {
    "products": r"aten::(mm|bmm|addmm|baddbmm|addbmm|mv|addmv|addmv_|dot|mkldnn_.*)$",
    "optimiser": r"aten::_(fused_adam|foreach_).*",
    "draws": r"aten::(normal_?|uniform_?|random_|randint|randn|rand|index|index_select|gather)$",
    "passes": r"aten::.*",
}
KINDS = (*PATTERNS, "interpreter")


def kind(operator: str) -> str:
    """Return what an operator of the profiler's table does; what is none of PyTorch's is the interpreter's."""
    return next((name for name, pattern in PATTERNS.items() if re.match(pattern, operator)), "interpreter")


def breakdown(function: Callable[[], Any]) -> dict[str, float]:
    """Return the share of a call's wall time that each of `KINDS` takes on the CPU, in one thread.

    Draws include the choice of a batch's rows. The interpreter's share is what no operator takes: Python, autograd's
    bookkeeping, and the profiler itself, which makes it larger than it is where operators are short.
    """
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        start = time.perf_counter()
        function()
        wall = time.perf_counter() - start
    spent = dict.fromkeys(KINDS, 0.0)
    for event in seen.key_averages():
        spent[kind(event.key)] += event.self_cpu_time_total / 1e6
    spent["interpreter"] = max(0.0, wall - sum(spent[name] for name in PATTERNS))
    return {name: seconds / wall for name, seconds in spent.items()}
