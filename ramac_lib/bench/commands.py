"""``ramac bench``."""

from pathlib import Path

# Heavy imports stay inside the command, as in `ramac_lib.cli`.


def bench(
    methods: tuple[str, ...] = (),
    task: str = "halfcheetah-medium-expert",
    seeds: tuple[int, ...] = (1, 5),
    chunks: tuple[int, ...] = (),
    scaling: bool = False,
    parts: bool = False,
    acting: bool = False,
    engines: tuple[str, ...] = ("auto",),
    precisions: tuple[str, ...] = ("auto",),
    seconds: float = 3.0,
    passes: int = 1,
    threads: int | None = None,
    device: str = "auto",
    json: Path | None = None,
) -> None:
    """Measure updates a second of every method, and the share of what the machine's matrix products allow.

    Args:
        methods: some of the methods (default: all; `ramac methods` lists them).
        task: a task's name (`ramac tasks` lists them), whose observations, actions and
            settings give the sizes; the transitions are random.
        seeds: how many seeds are trained; a row of the table for each.
        chunks: seeds in one stack, a row each (default: all, as training does).
        scaling: measure RADAC alone, with more seeds, other batches and other numbers of fractions.
        parts: measure instead what is not an update: rollouts, relabelling, evaluation, `ramac --help`, loading a file;
            of the other options only threads, device and json count.
        acting: measure instead a step of 50 episodes of each method's deployed policy, of one seed; of the others only
            methods, task, seconds, threads, device and json count.
        engines: eager, native, compile, graph, compiled-graph: a row each (auto: the last on CUDA; on a CPU eager and,
            where it can be had and serves the method, native).
        precisions: float32, tf32, bfloat16: a row each, with the floor of its own measured rate.
        seconds: how long each row is measured.
        passes: how often the whole table is measured; of each row the fastest pass counts.
        threads: of PyTorch on the CPU (default: PyTorch's own choice).
        device: auto, cpu or cuda.
        json: where to write the rows and what the machine is.
    """
    if parts:
        return _parts(threads, device, json)
    if acting:
        return _acting(methods, task, seconds, threads, device, json)
    from ramac_lib.bench import updates as measurement

    table, machine = measurement.bench(
        methods, task, seeds, chunks, scaling=scaling, engines=engines, precisions=precisions, seconds=seconds,
        passes=passes, threads=threads, device=device, json_path=json,
    )  # fmt: skip
    widths = "observations of {}, actions of {}".format(*machine["widths"])
    print(f"{task} ({widths}) on {machine['device']}, torch {machine['torch']}, {machine['date']}")
    if machine["native"] is not None:
        print(f"native kernel: {machine['native']}")
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in machine["products"].items())
    print(f"matrix products in float32, GFLOP/s: {rates}; the floor takes the best")
    if others := ", ".join(f"{name} {rate:,.0f}" for name, rate in machine["rates"].items() if name != "float32"):
        print(f"the best in other precisions, each the floor of its rows: {others}")
    print("gflop: one update of one seed; floor_ms, ms: one update of every seed; share: floor_ms / ms")
    print(
        table.dropna(axis=1, how="all").to_string(
            index=False, formatters={"gflop": "{:.3g}".format}, float_format="%.3g"
        )
    )
    if machine["goes"]:
        print("where an update's time goes, in %: products, passes over memory, optimiser, draws, interpreter")
        for name, shares in machine["goes"].items():
            print(f"{name:<16} " + ", ".join(f"{kind} {100 * share:.0f}" for kind, share in shares.items()))


def _parts(threads: int | None, device: str, json: Path | None) -> None:
    """Measure the parts around the updates; print the table."""
    from ramac_lib.bench import parts as bench_parts

    table, machine = bench_parts.measure(device=device, threads=threads, json_path=json)
    print(f"{machine['device']}, {machine['cores']} cores, torch {machine['torch']}, {machine['date']}")
    print(table.to_string(index=False, na_rep="", float_format="{:,.4g}".format))


def _acting(
    methods: tuple[str, ...], task: str, seconds: float, threads: int | None, device: str, json: Path | None
) -> None:
    """Measure what an action costs; print the table."""
    from ramac_lib.bench import acting as bench_acting

    table, machine = bench_acting.measure(
        methods, task, seconds=seconds, threads=threads, device=device, json_path=json
    )
    print(f"{machine['device']}, torch {machine['torch']}, {machine['date']}; {task}")
    print(table.to_string(index=False, float_format="{:,.3g}".format))
