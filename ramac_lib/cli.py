"""The command line, ``ramac``: one sentence and an exit code for whatever a user can mend."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import Positional, arg

from ramac_lib.system.errors import RamacError

BEGAN = time.monotonic()  # a campaign's budget counts from here

# Heavy imports stay inside the commands, so that `ramac --help` answers at once.


def data(
    task: Positional[str],
    /,
    source: str = "bundled",
    size: int | None = None,
    seed: int = 0,
    hazard: str = "paper",
    env_id: str | None = None,
) -> None:
    """Build or fetch a task's data; print where they lie, their hash and their statistics.

    Args:
        task: {hopper,walker2d,halfcheetah}-{medium-expert,medium-replay} or risky-bandit.
        source: bundled, d4rl, minari, minari:DATASET-ID, or the path of an HDF5 file in D4RL's layout.
        size: transitions asked for; whole episodes, so a few more may come (default: the source's own).
        seed: of the rollouts of bundled data, or of the choice of episodes.
        hazard: whose violation rate is printed (paper, calibrated or none); the data themselves stay as they are.
        env_id: Gymnasium's id, for a file of your own.
    """
    from ramac_lib import datasets
    from ramac_lib.datasets import relabel
    from ramac_lib.envs import hazards as envs_hazards
    from ramac_lib.envs.tasks import BANDIT

    loaded = datasets.load(task, source, size=size, seed=seed, env_id=env_id)
    rows = {"source": loaded.name, "environment": loaded.env_id, "sha256": loaded.sha256(), **datasets.summary(loaded)}
    if task != BANDIT:
        rate = relabel.rates(loaded, envs_hazards.get_hazard(hazard, task))
        rows[f"share of steps in violation ({hazard} hazard)"] = f"{rate:.4f}"
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:,.4g}" if isinstance(value, float) else f"{name:<{width}}  {value}")


def train(
    method: str,
    task: str,
    seeds: tuple[int, ...] = (0,),
    steps: int = 2_000_000,
    source: str = "bundled",
    size: int | None = None,
    data_seed: int = 0,
    env_id: str | None = None,
    hazard: str | None = None,
    risk: str | None = None,
    alpha: float | None = None,
    set_: Annotated[tuple[str, ...], arg(name="set", metavar="OPTION=VALUE …")] = (),
    released: bool = False,
    eval_every: int | None = None,
    log_every: int | None = None,
    episodes: int = 10,
    device: str = "auto",
    engine: str = "auto",
    precision: str = "auto",
    out: Path | None = None,
    resume: bool = False,
) -> None:
    """Train a method on a task, several seeds side by side; log, evaluate and save as it goes.

    Args:
        method: radac, rafmac, oraac, oraac-diffusion, oraac-flow, codac, cql, diffusion-ql, flow-ql, cvae-ql,
            bc-diffusion, bc-flow, bc-cvae.
        task: {hopper,walker2d,halfcheetah}-{medium-expert,medium-replay} or risky-bandit.
        seeds: one run a seed; a seed's result does not depend on the others.
        steps: gradient updates; every schedule is a fraction of them.
        source: bundled, d4rl, minari, minari:DATASET-ID, or the path of an HDF5 file in D4RL's layout.
        size: transitions asked of the source.
        data_seed: seed of bundled data's rollouts and of the hazard's draws on the data.
        env_id: Gymnasium's id, for a file of your own.
        hazard: paper, calibrated or none (default: paper; none on the bandit, which has its own trap).
        risk: cvar, wang, cpw, power or neutral (default: the method's own).
        alpha: level of the CVaR, in (0, 1].
        set_: any field of the method's config, e.g. --set n_fractions=64 quantile_axis=target.
        released: start from the released code's settings instead of the paper's reading.
        eval_every: updates between evaluations and checkpoints (default: a tenth of the run).
        log_every: updates between rows of metrics.csv (default: a fiftieth of the run).
        episodes: evaluation episodes a seed; 0 for none.
        device: auto, cpu or cuda.
        engine: eager, compile (torch.compile), graph, compiled-graph (auto: the last on CUDA, eager on a CPU).
        precision: of matrix products: float32, tf32 (CUDA), bfloat16 (the critics'; auto: tf32 on CUDA).
        out: the run's directory (default: runs/METHOD-TASK-HASH).
        resume: go on with the run in that directory.
    """
    from ramac_lib.training import loop
    from ramac_lib.training.config import make_config, parse_options

    settings = parse_options(set_)
    if risk is not None:
        settings["risk"] = risk
    if alpha is not None:
        settings["alpha"] = str(alpha)
    chosen: dict[str, Any] = {"source": source, "size": size, "data_seed": data_seed, "env_id": env_id}
    if hazard is not None:
        chosen["hazard"] = hazard
    config = make_config(method, task, seeds, steps, settings, released=released, **chosen)
    folder = out or Path("runs") / f"{method}-{task}-{config.hash}"
    schedule = loop.Schedule(log_every, eval_every, episodes)
    print(f"run {config.hash} in {folder}")
    try:
        trainer = loop.train(
            config, folder, device=device, engine=engine, precision=precision, schedule=schedule, resume=resume
        )
    except loop.Interrupted as stopped:
        raise SystemExit(_interrupted(f"{stopped}; go on with --resume --out {folder}")) from None
    _report(trainer.evaluations, "training")
    print(f"results in {folder}: metrics.csv, evaluations.csv, checkpoint.pt")


def evaluate(
    run_dir: Positional[Path],
    /,
    episodes: int = 50,
    horizon: int | None = None,
    hazard: str | None = None,
    device: str = "auto",
) -> None:
    """Roll out a finished run's policies under the live hazard; add the episodes to its evaluations.csv.

    Args:
        run_dir: the run's directory.
        episodes: episodes in all, shared evenly by the seeds.
        horizon: steps at which an episode is cut (default: the task's).
        hazard: paper, calibrated or none (default: the one that the run was trained with).
        device: auto, cpu or cuda.
    """
    from ramac_lib.training import stored

    _report(stored.evaluate_run(run_dir, episodes, horizon, hazard, device), "report")


def gather(runs: Positional[tuple[Path, ...]], /, out: Path) -> None:
    """Gather runs' evaluations into one table, OUT.csv, and what made them into OUT.json.

    Args:
        runs: the runs' directories.
        out: where to, e.g. data/results/hazard_free.
    """
    from ramac_lib.training import results

    table = results.gather(runs, out)
    _report(table, "report")


def push(
    runs: Positional[tuple[Path, ...]],
    /,
    policy: Path,
    out: Path,
    episodes: int = 40,
    device: str = "auto",
) -> None:
    """Ask runs' critics which way returns are: move a policy's actions along their gradient and against it.

    Args:
        runs: directories of runs whose critics are asked.
        policy: the run whose policy acts, of the same task and seeds, BC-diffusion's for example.
        out: where to, e.g. data/results/push.
        episodes: for each move, shared evenly by the seeds.
        device: auto, cpu or cuda.
    """
    from ramac_lib.analysis import push as analysis_push

    table = analysis_push.push_runs(runs, policy, out, episodes, device)
    shown = table.groupby(["critics", "alpha", "size"], sort=False)[["return", "length"]].mean()
    print(shown.to_string(float_format="%.1f"))


def record(
    runs: Positional[tuple[Path, ...]],
    /,
    out: Path,
    episodes: int = 50,
    poses: int = 1,
    behaviour: bool = True,
    device: str = "auto",
) -> None:
    """Roll out runs' policies under the live hazard; keep every step's monitored signal in OUT.npz and OUT.json.

    Args:
        runs: the runs' directories; policies of different runs meet the same start states.
        out: where to, e.g. data/results/signals.
        episodes: of each run, shared evenly by its seeds.
        poses: episodes of each seed whose poses are kept for drawings, the first ones.
        behaviour: keep the signal of the runs' data as well.
        device: auto, cpu or cuda.
    """
    from ramac_lib.analysis import recordings

    kept = recordings.record_runs(runs, out, episodes, poses, behaviour, device)
    shown = recordings.outside(kept, range(len(kept.rows))).assign(hazard=[row.hazard for row in kept.rows])
    print("share of steps outside the safe range, 95 % bootstrap interval (seeds, then episodes)")
    print(shown.to_string(index=False, float_format="%.3f"))


def calibrate_critics(
    runs: Positional[tuple[Path, ...]],
    /,
    out: Path,
    states: int = 20,
    rollouts: int = 64,
    seed: int = 0,
    device: str = "auto",
) -> None:
    """Compare runs' learned quantiles with returns of their policies, rolled out from states of the data.

    Writes OUT.csv (one row a state, action, critic and fraction), OUT_states.csv (one a state, action and critic)
    and OUT.json.

    Args:
        runs: directories of runs on one task, of methods with quantile critics.
        out: where to, e.g. data/results/critics.
        states: of the data, spread over them, the same for all runs.
        rollouts: from each state with the policy's action, and again with the data's.
        seed: of the choice of states.
        device: auto, cpu or cuda.
    """
    from ramac_lib.analysis import agreement, critic_check

    critic_check.calibrate_runs(runs, out, states, rollouts, seed, device)
    _, by_state, facts = critic_check.load(out)
    shown = agreement.summary(by_state)
    names = {run["run"]: run["label"] for run in facts["runs"]}
    print("bias: learned − Monte-Carlo mean; gap and wasserstein: as shares of the range of returns")
    print(shown.assign(run=shown["run"].map(names)).to_string(index=False, float_format="%.3g"))


def bandit(
    methods: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    steps: int = 5000,
    suites: tuple[str, ...] = ("methods", "axis", "stability"),
    workers: int = 2,
    cells: Path = Path("runs/bandit"),
    out: Path = Path("data/results/bandit"),
) -> None:
    """Train every method on the Risky Bandit, several cells side by side; write what chapter 3 shows.

    A run that was cut goes on with the cells it lacks.

    Args:
        methods: some of the methods (default: all).
        seeds: one cell a method and seed.
        steps: updates of a cell; the default is our reading of the paper's 1000 epochs.
        suites: methods (all on the bandit), axis (RADAC with the released loss), stability (other constants),
            precision (critics' products in bfloat16).
        workers: cells trained at a time, one thread each.
        cells: where the finished cells are kept.
        out: where to, without a suffix: OUT.csv, OUT.json and OUT.npz.
    """
    from ramac_lib.campaign import bandit as campaign_bandit

    every = campaign_bandit.cells(suites, methods or campaign_bandit.ALL_METHODS, seeds, steps)
    campaign_bandit.run(every, cells, workers)
    table = campaign_bandit.gather(every, cells, out)
    last = table[table["step"] == table.groupby("cell")["step"].transform("max")]
    shown = last.groupby(["suite", "method", "variant"], sort=False)[["centre", "gap", "ring", "ood", "cvar"]].mean()
    print(shown.to_string(float_format="%.3f"))


def campaign(
    profile: str | None = None,
    methods: tuple[str, ...] = (),
    tasks: tuple[str, ...] = (),
    hazards: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (),
    steps: int | None = None,
    evaluations: int | None = None,
    evaluate_at: tuple[int, ...] = (),
    episodes: int | None = None,
    report_episodes: int | None = None,
    size: int | None = None,
    source: str | None = None,
    data_seed: int | None = None,
    budget_seconds: float | None = None,
    workers: int | None = None,
    device: str = "auto",
    engine: str | None = None,
    precision: str | None = None,
    out: Path | None = None,
    resume: bool = False,
    pack: Path | None = None,
    unpack: Path | None = None,
    pack_states: bool = True,
) -> None:
    """Run a grid of tasks × methods × hazards, all seeds of a cell in one run; or pack one up, or unpack it.

    All cells advance in rounds, so that a budget leaves them equally far. A campaign that was killed, at whatever
    moment, goes on with --resume, which needs no other option than --out, and may add tasks, methods and hazards.

    Args:
        profile: quick (minutes on two cores), laptop (an evening), gpu or paper; what follows departs from it.
        methods: rows, METHOD or METHOD:option=value[,option=value], e.g. radac radac:risk=neutral.
        tasks: {hopper,walker2d,halfcheetah}-{medium-expert,medium-replay}, risky-bandit.
        hazards: paper, calibrated, none.
        seeds: of every cell.
        steps: updates of every cell.
        evaluations: how many there are while a cell is trained, evenly spread.
        evaluate_at: further updates to evaluate at (gpu, paper: 1000, for table 4).
        episodes: of each evaluation, a seed.
        report_episodes: of the report at a cell's end, or at the budget's, a seed.
        size: transitions asked of the source.
        source: bundled, d4rl, minari, or the path of an HDF5 file.
        data_seed: seed of bundled data's rollouts and of the hazard's draws on the data.
        budget_seconds: when to stop, counted from the command's start, everything included (default: never).
        workers: cells trained at a time, one thread each (default: the cores, 1 on CUDA; 0: no processes).
        device: auto, cpu or cuda.
        engine: eager, compile, graph or compiled-graph.
        precision: float32, tf32 or bfloat16.
        out: the campaign's directory (default: runs/campaign-PROFILE).
        resume: go on with the campaign in that directory.
        pack: run nothing, gather what must travel into this folder, in files under 16 MB.
        unpack: run nothing, write the campaign that was packed into this folder to --out.
        pack_states: take the full states along, without which unfinished cells cannot be gone on with.
    """
    from ramac_lib import campaign as campaigns
    from ramac_lib.training.loop import Interrupted

    folder = out or Path("runs") / f"campaign-{profile or 'quick'}"
    if pack is not None or unpack is not None:
        if pack is not None and unpack is not None:
            raise RamacError("--pack and --unpack were given; expected one of them")
        if pack is not None:
            files = campaigns.pack(folder, pack, pack_states)
            print(f"{folder} in {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB, in {pack}")
        elif unpack is not None:
            campaigns.unpack(unpack, folder, pack_states)
            print(f"{unpack} is in {folder}; go on with --resume --out {folder}")
        return
    changes = {
        "rows": methods, "tasks": tasks, "hazards": hazards, "seeds": seeds, "steps": steps,
        "evaluations": evaluations, "evaluate_at": evaluate_at, "episodes": episodes,
        "report_episodes": report_episodes, "size": size, "source": source, "data_seed": data_seed,
        "engine": engine, "precision": precision,
    }  # fmt: skip
    try:
        table, failures = campaigns.run(
            folder, profile, changes,
            budget=budget_seconds, workers=workers, device=device, resume=resume, began=BEGAN,
        )  # fmt: skip
    except Interrupted as stopped:
        raise SystemExit(_interrupted(f"{stopped}; go on with --resume --out {folder}")) from None
    _report(table, "report")
    print(f"results in {folder}: results.csv, results.json")
    if failures:
        raise RamacError(f"{len(failures)} cells failed: {', '.join(failures)}; go on with --resume --out {folder}")


def behaviour(
    tasks: tuple[str, ...] = ("hopper-medium-expert",),
    hazards: tuple[str, ...] = ("none", "paper", "calibrated"),
    seeds: tuple[int, ...] = (0, 1, 2, 3),
    episodes: int = 100,
    out: Path = Path("data/results/behaviour"),
) -> None:
    """Roll out the behaviour policies that tasks' bundled data are made of; write what chapter 5 sets beside them.

    Args:
        tasks: {hopper,walker2d,halfcheetah}-{medium-expert,medium-replay}.
        hazards: paper, calibrated, none.
        seeds: of the rollouts.
        episodes: of each policy and seed.
        out: where to, without a suffix: OUT.csv and OUT.json.
    """
    from ramac_lib.analysis import behaviours

    table, facts = behaviours.measure(tasks, hazards, seeds, episodes)
    behaviours.write(table, facts, out)
    _report(table, "report")


def book(
    profile: str = "quick",
    only: str | None = None,
    source: str = "bundled",
    device: str = "auto",
    force: bool = False,
) -> None:
    """Execute the chapters with papermill, build the book, check its pages, print the path of the first.

    Args:
        profile: quick (two cores, minutes), laptop (hours), gpu (one GPU, an hour) or paper.
        only: one chapter, e.g. 3_risky_bandit.
        source: the data that the chapters use.
        device: auto, cpu or cuda.
        force: execute chapters again that have not changed.
    """
    from ramac_lib.publish import build as builder

    print(builder.build(profile=profile, only=only, source=source, device=device, force=force))


def bench(
    methods: tuple[str, ...] = (),
    task: str = "halfcheetah-medium-expert",
    seeds: tuple[int, ...] = (1, 5),
    chunks: tuple[int, ...] = (),
    scaling: bool = False,
    parts: bool = False,
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
        methods: some of the methods (default: all).
        task: whose observations, actions and settings give the sizes; the transitions are random.
        seeds: how many seeds are trained; a row of the table for each.
        chunks: seeds in one stack, a row each (default: all, as training does).
        scaling: measure RADAC alone, with more seeds, other batches and other numbers of fractions.
        parts: measure instead what is not an update: rollouts, relabelling, evaluation, `ramac --help`, loading a file;
            of the other options only threads, device and json count.
        engines: eager, compile, graph, compiled-graph: a row each.
        precisions: float32, tf32, bfloat16: a row each; the floor is float32's.
        seconds: how long each row is measured.
        passes: how often the whole table is measured; of each row the fastest pass counts.
        threads: of PyTorch on the CPU (default: PyTorch's own choice).
        device: auto, cpu or cuda.
        json: where to write the rows and what the machine is.
    """
    if parts:
        return _parts(threads, device, json)
    from ramac_lib.bench import updates as measurement

    table, machine = measurement.bench(
        methods,
        task,
        seeds,
        chunks,
        scaling=scaling,
        engines=engines,
        precisions=precisions,
        seconds=seconds,
        passes=passes,
        threads=threads,
        device=device,
        json_path=json,
    )
    widths = "observations of {}, actions of {}".format(*machine["widths"])
    print(f"{task} ({widths}) on {machine['device']}, torch {machine['torch']}, {machine['date']}")
    rates = ", ".join(f"{name} {rate:,.0f}" for name, rate in machine["products"].items())
    print(f"matrix products in float32, GFLOP/s: {rates}; the floor takes the best")
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


def _report(table: Any, purpose: str) -> None:
    """Print mean and CVaR_0.1 of each group of episodes."""
    from ramac_lib.analysis.summary import summary

    if len(table):
        print(summary(table[table["purpose"] == purpose]).to_string(index=False, float_format="%.1f"))


def _interrupted(message: str) -> int:
    print(message, file=sys.stderr)
    return 130


COMMANDS: dict[str, Any] = {
    "data": data,
    "train": train,
    "evaluate": evaluate,
    "gather": gather,
    "push": push,
    "record": record,
    "calibrate-critics": calibrate_critics,
    "bandit": bandit,
    "campaign": campaign,
    "behaviour": behaviour,
    "book": book,
    "bench": bench,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit with 0, or with one line on standard error and a code above 0."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="ramac", description=__doc__, args=arguments)
    except RamacError as error:
        print(f"ramac: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(_interrupted("ramac: interrupted")) from None


if __name__ == "__main__":
    main()
