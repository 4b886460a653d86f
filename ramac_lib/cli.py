"""The command line, ``ramac``: one sentence and an exit code for whatever a user can mend."""

import argparse
import contextlib
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg
from tyro.extras import SubcommandApp

from ramac_lib.analysis import commands
from ramac_lib.analysis.campaigns import options, release
from ramac_lib.bench.commands import bench
from ramac_lib.system import plugins
from ramac_lib.system.errors import RamacError, told

NARROW = 40  # columns
BEGAN = time.monotonic()  # a campaign's budget counts from here
PLUGIN = (
    "Before the command: `--plugin FILE`, any number of times: a Python file that registers methods, hazards or tasks "
    "of one's own, which every command then knows; `--debug`: an error's traceback."
)

# Heavy imports stay inside the commands, so that `ramac --help` answers at once. First, options of several commands.

Task = Annotated[str, arg(help="a task's name; `ramac tasks` lists them.")]
Source = Annotated[
    str, arg(help="bundled, d4rl, dsrl[:NAME, URL or PATH], minari[:DATASET-ID] or the path of an HDF5 file.")
]
EnvId = Annotated[str | None, arg(help="Gymnasium's id, for a file of your own; --plugin loads what registers it.")]
Device = Annotated[str, arg(help="auto, cpu or cuda.")]

app = SubcommandApp()


@app.command
def data(
    task: Positional[Task],
    source: Source = "bundled",
    size: int | None = None,
    seed: int = 0,
    hazard: str | None = None,
    env_id: EnvId = None,
    export: str | None = None,
) -> None:
    """Build or fetch a task's data; print where they lie, their hash and their statistics.

    Args:
        size: transitions asked for; whole episodes, so a few more may come (default: the source's own).
        seed: of the rollouts of bundled data, or of the choice of episodes.
        hazard: whose violation rate is printed (default: the paper's, if any); the data themselves stay as they are.
        export: also write the data to this HDF5 file, in DSRL's layout where they have costs and in D4RL's else, or as
            minari:NAMESPACE/NAME-v0 into Minari's local folder.
    """
    from ramac_lib import datasets
    from ramac_lib.datasets.relabel import rates
    from ramac_lib.envs.hazards import get_hazard
    from ramac_lib.envs.tasks import BANDIT, get_task

    loaded = datasets.load(task, source, size=size, seed=seed, env_id=env_id)
    rows = {"source": loaded.name, "environment": loaded.env_id, "sha256": loaded.sha256(), **datasets.summary(loaded)}
    if task != BANDIT and not get_task(task).reports_costs:
        live = get_hazard(hazard, task)
        rows[f"share of steps in violation ({live.name} hazard)"] = f"{rates(loaded, live):.4f}"
    if export:
        layout, path = datasets.export(loaded, export)
        rows[f"in {layout}'s layout"] = str(path)
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:<{width}}  {value:,.4g}" if isinstance(value, float) else f"{name:<{width}}  {value}")


@app.command
def train(
    method: str,
    task: Task,
    seeds: tuple[int, ...] = (0,),
    steps: int = 2_000_000,
    source: Source = "bundled",
    size: int | None = None,
    data_seed: int = 0,
    env_id: EnvId = None,
    hazard: str | None = None,
    risk: str | None = None,
    alpha: float | None = None,
    set_: Annotated[tuple[str, ...], arg(name="set", metavar="OPTION=VALUE …")] = (),
    released: bool = False,
    eval_every: int | None = None,
    log_every: int | None = None,
    episodes: int = 10,
    device: Device = "auto",
    engine: str = "auto",
    precision: str = "auto",
    out: Path | None = None,
    resume: bool = False,
) -> None:
    """Train a method on a task, several seeds side by side; log, evaluate and save as it goes.

    Args:
        method: a method's name; `ramac methods` lists them.
        seeds: one run a seed; a seed's result does not depend on the others.
        steps: gradient updates; every schedule is a fraction of them.
        size: transitions asked of the source.
        data_seed: seed of bundled data's rollouts and of the hazard's draws on the data.
        hazard: paper, calibrated or none (default: paper; none on the bandit, which has its own trap); on navigation
            rare (the default), codac, toll or none.
        risk: cvar, wang, cpw, power or neutral (default: the method's own).
        alpha: level of the CVaR, in (0, 1].
        set_: any field of the method's config, e.g. --set n_fractions=64 quantile_axis=target.
        released: start from the released code's settings instead of the paper's reading.
        eval_every: updates between evaluations and checkpoints (default: a tenth of the run).
        log_every: updates between rows of metrics.csv (default: a fiftieth of the run).
        episodes: evaluation episodes a seed; 0 for none.
        engine: eager, native (a C++ kernel for quantile critics), compile (torch.compile), graph, compiled-graph (auto:
            the last on CUDA; on a CPU native where there is a compiler and it serves the method, else eager).
        precision: of matrix products: float32, tf32 (CUDA), bfloat16 (the critics'; auto: tf32 on CUDA).
        out: the run's directory (default: runs/METHOD-TASK-HASH).
        resume: go on with the run in that directory.
    """
    from ramac_lib.analysis.summary import show
    from ramac_lib.training import loop
    from ramac_lib.training.config import make_config, parse_options

    own = {"risk": risk, "alpha": alpha}
    settings = parse_options(set_) | {name: str(value) for name, value in own.items() if value is not None}
    chosen: dict[str, Any] = {"source": source, "size": size, "data_seed": data_seed, "env_id": env_id}
    chosen |= {} if hazard is None else {"hazard": hazard}
    config = make_config(method, task, seeds, steps, settings, released=released, **chosen)
    folder = out or Path("runs") / f"{method}-{task}-{config.hash}"
    how: dict[str, Any] = {"device": device, "engine": engine, "precision": precision, "resume": resume}
    print(f"run {config.hash} in {folder}")
    try:
        trainer = loop.train(config, folder, schedule=loop.Schedule(log_every, eval_every, episodes), **how)
    except loop.Interrupted as stopped:
        raise SystemExit(_interrupted(f"{stopped}; go on with --resume --out {folder}")) from None
    show(trainer.evaluations, "training")
    print(f"results in {folder}: metrics.csv, evaluations.csv, checkpoint.pt")


@app.command
def evaluate(
    run_dir: Positional[Path],
    episodes: int = 50,
    horizon: int | None = None,
    hazard: str | None = None,
    risk_levels: tuple[str, ...] = (),
    device: Device = "auto",
) -> None:
    """Roll out a finished run's policies under the live hazard; add the episodes to its evaluations.csv.

    As many again are played with the policies' sampler noise switched off.

    Args:
        run_dir: the run's directory.
        episodes: episodes in all, shared evenly by the seeds.
        horizon: steps at which an episode is cut (default: the task's).
        hazard: paper, calibrated or none (default: the one that the run was trained with).
        risk_levels: of rs-diffuser, whose risk is chosen when acting: averse, neutral, seeking or numbers in (0, 2), so
            many episodes at each (default: the run's own).
    """
    from ramac_lib.analysis.summary import show
    from ramac_lib.risk import check_level
    from ramac_lib.training import stored
    from ramac_lib.training.evaluators import DIAL

    levels = [check_level(level) for level in risk_levels]  # all, before any episode is played
    if not levels:
        show(stored.evaluate_run(run_dir, episodes, horizon, hazard, device, level=None))
    for level in levels:
        print(f"risk level {level:g}")
        show(stored.evaluate_run(run_dir, episodes, horizon, hazard, device, None, level), DIAL)


@app.command
def gather(runs: Positional[tuple[Path, ...]], /, out: Path) -> None:
    """Gather runs' evaluations into one table, OUT.csv, and what made them into OUT.json.

    Args:
        runs: the runs' directories.
        out: where to, e.g. data/results/hazard_free.
    """
    from ramac_lib.analysis.summary import show
    from ramac_lib.training import results

    show(results.gather(runs, out))


@app.command
def bandit(
    methods: tuple[str, ...] = (),
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4),
    steps: int = 5000,
    suites: tuple[str, ...] = ("methods", "axis", "stability"),
    workers: int = 2,
    cells: Path = Path("runs/bandit"),
    out: Path = Path("data/results/bandit"),
) -> None:
    """Train every method of the paper on the Risky Bandit, several cells side by side; write what chapter 3 shows.

    A run that was cut goes on with the cells it lacks.

    Args:
        methods: which (default: all but the neighbours; `ramac methods` lists them).
        seeds: one cell a method and seed.
        steps: updates of a cell; the default is our reading of the paper's 1000 epochs.
        suites: methods (all on the bandit), axis (RADAC with the released loss), stability (other constants),
            precision (critics' products in bfloat16).
        workers: cells trained at a time, one thread each.
        cells: where the finished cells are kept.
        out: where to, without a suffix: OUT.csv, OUT.json and OUT.npz.
    """
    from ramac_lib.campaign import bandit as campaign_bandit

    every = campaign_bandit.cells(suites, methods, seeds, steps)
    campaign_bandit.run_cells(every, cells, workers)
    table = campaign_bandit.gather(every, cells, out)
    last = table[table["step"] == table.groupby("cell")["step"].transform("max")]
    shown = last.groupby(["suite", "method", "variant"], sort=False)[["centre", "gap", "ring", "ood", "cvar"]].mean()
    print(shown.to_string(float_format="%.3f"))


@app.command
def campaign(
    grid: Annotated[Any, OmitArgPrefixes, arg(constructor_factory=options)],
    profile: str | None = None,
    budget_seconds: float | None = None,
    workers: int | None = None,
    device: Device = "auto",
    out: Path | None = None,
    resume: bool = False,
    export: Path | None = None,
    pack: Path | None = None,
    unpack: Path | None = None,
    pack_states: bool = True,
    backend: str = "processes",
    address: str | None = None,
    states: str | None = None,
    cpus_per_cell: float | None = None,
    gpus_per_cell: float | None = None,
    dry_run: bool = False,
    watch: bool = False,
    track: tuple[str, ...] = ("tensorboard",),
) -> None:
    """Run a grid of tasks × methods × hazards, all seeds of a cell in one run; or export, pack or unpack one.

    All cells advance in rounds, so that a budget leaves them equally far. A campaign that was killed, at whatever
    moment, goes on with --resume, which needs no other option than --out, and may add tasks, methods, hazards, seeds.

    Args:
        profile: quick (minutes on two cores), laptop (an evening), gpu or paper; the grid's options depart from it.
        budget_seconds: when to stop, counted from the command's start, everything included (default: never).
        workers: cells trained at a time, one thread each (default: the cores, 1 on CUDA; 0: no processes).
        out: the campaign's directory (default: runs/campaign-PROFILE).
        resume: go on with the campaign in that directory.
        export: run nothing, write TASK.HAZARD.csv.gz and .json into this folder for each that is whole; other runs
            that are in these files stay.
        pack: run nothing, gather what must travel into this folder, in files under 16 MB.
        unpack: run nothing, write the campaign that was packed into this folder to --out.
        pack_states: take the full states along, without which unfinished cells cannot be gone on with.
        backend: processes of this machine, or ray: tasks of a cluster.
        address: of a Ray cluster: auto or HOST:PORT (default: one of this machine, for as long as it takes).
        states: for ray: where machines keep the cells' states, a shared folder or s3://BUCKET/FOLDER (default: in OUT).
        cpus_per_cell: for ray: cores of a cell; half a core lets two share one (default: 1).
        gpus_per_cell: for ray: GPUs of a cell; 0.5 lets two share one (default: 1 on CUDA).
        dry_run: run nothing, measure each row for seconds, print GPU- or core-hours and days.
        watch: run nothing, show how far the campaign in --out is until it ends.
        track: who is told of losses and returns: tensorboard (OUT/tensorboard), wandb, mlflow.
    """
    from ramac_lib import campaign as campaigns
    from ramac_lib.analysis.summary import show
    from ramac_lib.training.loop import Interrupted

    folder = out or Path("runs") / f"campaign-{profile or 'quick'}"
    onwards = f"go on with --resume --out {folder}"
    if sum(map(bool, (export, pack, unpack))) > 1:
        given = [f"--{k}" for k, v in (("export", export), ("pack", pack), ("unpack", unpack)) if v]
        raise RamacError(f"{' and '.join(given)} were given; expected one of them")
    if export:
        files = campaigns.export(folder, export)
        size = sum(f.stat().st_size for f in files) / 1e6
        return print(f"{folder}: {len(files) // 2} tasks and hazards are whole, {size:.2f} MB, in {export}")
    if pack:
        files = campaigns.pack(folder, pack, pack_states)
        return print(f"{folder} in {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB, in {pack}")
    if unpack:
        campaigns.unpack(unpack, folder, pack_states)
        return print(f"{unpack} is in {folder}; {onwards}")
    if watch:
        return campaigns.watch(folder)
    how: dict[str, Any] = {"workers": workers, "device": device}
    how["backend"] = campaigns.Backend(backend, address, states, cpus_per_cell, gpus_per_cell)
    if dry_run:
        return print(campaigns.dry_run(profile, vars(grid), **how))
    how |= {"budget": budget_seconds, "resume": resume, "track": track}
    try:
        table, failures = campaigns.run(folder, profile, vars(grid), began=BEGAN, **how)
    except Interrupted as stopped:
        raise SystemExit(_interrupted(f"{stopped}; {onwards}")) from None
    show(table)
    print(f"results in {folder}: results.csv, results.json")
    if failures:
        raise RamacError(f"{len(failures)} cells failed: {', '.join(failures)}; {onwards}")


@app.command
def book(
    profile: str = "quick",
    only: str | None = None,
    source: str = "bundled",
    device: Device = "auto",
    force: bool = False,
    pdf: bool = False,
) -> None:
    """Execute the chapters with papermill, build the book, check its pages, print the path of the first.

    Args:
        profile: quick (two cores, minutes), laptop (hours), gpu (one GPU, an hour) or paper.
        only: one chapter, e.g. 3_risky_bandit.
        source: the data that the chapters use.
        force: execute chapters again that have not changed.
        pdf: print the whole book as one PDF, too; needs a Chromium.
    """
    from ramac_lib.publish.build import build

    print(build(profile=profile, only=only, source=source, device=device, force=force, pdf=pdf))


app.command(release)
app.command(bench)
app.command(commands.app, name="analyse", help="Measure for one chapter: what trained networks do, behaviour policies.")


@app.command
def methods() -> None:
    """List the methods: name, label, what each is, and what it needs of the data beside transitions."""
    from ramac_lib.methods import METHODS

    for name, kind in METHODS.items():
        needs = f" Needs {', '.join(kind.needs)}." if kind.needs else ""
        print(f"{name:<16}  {kind.style.label:<16}  {str(kind.__doc__).splitlines()[0]}{needs}")


@app.command
def tasks() -> None:
    """List the tasks: name, Gymnasium's id and the steps after which an evaluation's episode is cut."""
    from ramac_lib.envs.tasks import TASKS

    plugins.load_entry_points()
    for task in TASKS.values():
        print(f"{task.name:<26}  {task.env_id():<16}  {task.horizon}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; exit with 0, or with one line on standard error and a code above 0.

    What a user can mend has the code 1, what nobody foresaw 70; ``--debug`` shows either with its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal without our letters
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns) < NARROW:
        os.environ["COLUMNS"] = str(NARROW)  # narrower, help cannot be laid out
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    front = argparse.ArgumentParser("ramac", "ramac [--plugin FILE]… COMMAND …", add_help=False, allow_abbrev=False)
    front.add_argument("--plugin", type=Path, action="append", default=[])
    front.add_argument("--debug", action="store_true")
    given, rest = front.parse_known_args(arguments)
    try:
        plugins.load(given.plugin)
        app.cli(prog="ramac", description=f"{__doc__}\n\n{PLUGIN}", args=rest)
    except Exception as error:
        if given.debug:
            raise
        sentence, code = told(error)
        print(f"ramac: {sentence}", file=sys.stderr)
        raise SystemExit(code) from None
    except KeyboardInterrupt:
        raise SystemExit(_interrupted("ramac: interrupted")) from None


def _interrupted(message: str) -> int:
    print(message, file=sys.stderr)
    return 130


if __name__ == "__main__":
    main()
