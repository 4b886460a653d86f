"""``ramac analyse``: the commands that serve one chapter each."""

from pathlib import Path

from tyro.conf import Positional
from tyro.extras import SubcommandApp

# Heavy imports stay inside the commands, as in `ramac_lib.cli`.

app = SubcommandApp()


@app.command
def push(
    runs: Positional[tuple[Path, ...]], /, policy: Path, out: Path, episodes: int = 40, device: str = "auto"
) -> None:
    """Ask runs' critics which way returns are: move a policy's actions along their gradient and against it.

    Args:
        runs: directories of runs whose critics are asked.
        policy: the run whose policy acts, of the same task and seeds, BC-diffusion's for example.
        out: where to, e.g. data/results/push.
        episodes: for each move, shared evenly by the seeds.
        device: auto, cpu or cuda.
    """
    from ramac_lib.analysis.push import push_runs

    table = push_runs(runs, policy, out, episodes, device)
    shown = table.groupby(["critics", "alpha", "size"], sort=False)[["return", "length"]].mean()
    print(shown.to_string(float_format="%.1f"))


@app.command
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


@app.command
def critics(
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


@app.command
def behaviour(
    tasks: tuple[str, ...] = ("hopper-medium-expert",),
    hazards: tuple[str, ...] = ("none", "paper", "calibrated"),
    seeds: tuple[int, ...] = (0, 1, 2, 3),
    episodes: int = 100,
    out: Path = Path("data/results/behaviour"),
) -> None:
    """Roll out the behaviour policies that tasks' bundled data are made of; write what chapter 5 sets beside them.

    Args:
        tasks: names of the robots' tasks; `ramac tasks` lists them.
        hazards: paper, calibrated, none.
        seeds: of the rollouts.
        episodes: of each policy and seed.
        out: where to, without a suffix: OUT.csv and OUT.json.
    """
    from ramac_lib.analysis import behaviours
    from ramac_lib.analysis.summary import show

    table, facts = behaviours.measure(tasks, hazards, seeds, episodes)
    behaviours.write(table, facts, out)
    show(table)
