"""Where policies go: the share of episodes that pass each cell of the square, for every row, and over training.

``python -m support.navigation.paths campaign --folder CAMPAIGN`` plays the policies of a campaign's runs and writes
``data/results/navigation_paths.npz``: an array ``TASK|HAZARD|ROW`` of `CELLS` × `CELLS` shares (x first), in
thousandths, over all seeds. ``… training`` trains RADAC and writes the same at `MOMENTS` moments of its training, as
``data/results/navigation_moments.npz``.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, UInt16
from tyro.extras import SubcommandApp

import ramac_lib
from ramac_lib.analysis.rows import key
from ramac_lib.envs import play
from ramac_lib.envs.tasks import CROSSING
from ramac_lib.methods import Method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from ramac_lib.training import evaluators, results, stored
from ramac_lib.training.config import RunConfig, make_config
from ramac_lib.training.loop import Schedule

Array = np.ndarray
CELLS = 40
BETWEEN = 8  # points looked at along a step, so that no cell of it is jumped over
EPISODES = 50  # of each seed
MOMENTS = 10
PURPOSE = 3  # tells these episodes from those of reports
OUT = data_folder() / "results" / "navigation_paths"
OVER_TRAINING = data_folder() / "results" / "navigation_moments"
TASK, HAZARD = "navigation-obstacle-mixed", "rare"
STEPS = 4000  # of the grid's runs


def ways(runs: Sequence[play.Rollout]) -> list[Float[Array, "T1 2"]]:
    """Return the positions of episodes that were played with ``steps``, their last ones included."""
    step = 0.1  # of all the library's maps; what ends an episode is not a state that was acted in
    found = []
    for run in runs:
        here = np.array([state[:2] for state in run.states], float)
        last = here[-1] + step * np.clip(run.actions[-1], -1, 1)
        found.append(np.vstack([here, np.clip(last, 0, 1)]))
    return found


def visits(paths: Sequence[Float[Array, "T1 2"]], cells: int = CELLS) -> Float[Array, "c c"]:
    """Return the share of paths that pass each cell of the unit square, x first.

    Raises:
        RamacError: no paths.
    """
    if not paths:
        raise RamacError("there are no paths; expected at least one")
    total = np.zeros((cells, cells))
    shares = np.linspace(0, 1, BETWEEN, endpoint=False)
    for path in paths:
        along = [path[:-1] + share * np.diff(path, axis=0) for share in shares]
        points = np.concatenate([*along, path[-1:]])
        at = np.clip((points * cells).astype(int), 0, cells - 1)
        passed = np.zeros((cells, cells), bool)
        passed[at[:, 0], at[:, 1]] = True
        total += passed
    return total / len(paths)


def played(stacks: Sequence[Method], config: RunConfig, episodes: int = EPISODES) -> list[play.Rollout]:
    """Return episodes of every seed of a run's policies, with their states and actions."""
    env, runs = config.task.env_id(), []
    for stack in stacks:
        runs += evaluators.evaluate(stack, env, config.hazard, CROSSING, episodes, (PURPOSE,), steps=True)
    return runs


def packed(shares: Float[Array, "c c"]) -> UInt16[Array, "c c"]:
    """Return shares in thousandths."""
    return np.round(1000 * shares).astype(np.uint16)


def name_of(config: RunConfig) -> str:
    """Return ``TASK|HAZARD|ROW`` of a run."""
    risk = getattr(config.settings, "risk", "")
    row = key(config.method.name, config.task.name, risk, config.alpha, results.options(config))
    return f"{config.task.name}|{config.hazard.name}|{row}"


def make(campaign: Path, out: Path = OUT) -> dict[str, Array]:
    """Play the policies of every finished run of a campaign; add their shares to OUT.npz and return all of it.

    Raises:
        RamacError: no runs there.
    """
    folders = sorted(Path(campaign).glob("cells/*/policy.pt"))
    if not folders:
        raise RamacError(f"{campaign}: holds no trained policies (cells/*/policy.pt)")
    arrays = load(out) if beside(out, ".npz").exists() else {}
    for file in folders:
        config, stacks, _, step = stored.load_run(file.parent, "cpu", to_act=True)
        if step < config.steps:
            continue
        arrays[name_of(config)] = packed(visits(ways(played(stacks, config))))
    _write(out, arrays, {"episodes": EPISODES})
    return arrays


def _write(out: Path, arrays: dict[str, Array], facts: dict[str, Any]) -> None:
    with atomic(beside(out, ".npz")) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    with atomic(beside(out, ".json")) as temporary:
        made = {"made": provenance(torch.device("cpu")), **facts}
        temporary.write_text(json.dumps(made) + "\n")


def load(out: Path = OUT) -> dict[str, Array]:
    """Return what is stored, by name; nothing where it is not there yet."""
    file = beside(out, ".npz")
    if not file.exists():
        return {}
    with np.load(file) as arrays:
        return {name: arrays[name] for name in arrays.files}


class Recorder(evaluators.Evaluator):
    """Keeps where the policies go at each moment of training.

    Attributes:
        shares: update → what `visits` makes of the episodes of all seeds.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shares: dict[int, Float[Array, "c c"]] = {}

    def evaluate(self, stacks: Sequence[Method], asked: evaluators.Asked) -> pd.DataFrame:
        """Play; return the episodes as rows, as the library's own evaluator does."""
        runs = [run for stack in stacks for run in evaluators.played(stack, asked)]
        self.shares[asked.step] = visits(ways(runs))
        return evaluators.tabulate(runs, asked)


def train(seeds: Sequence[int], steps: int, method: str = "radac", out: Path = OVER_TRAINING) -> dict[int, Array]:
    """Train a method on the obstacle under ``rare``; write where it goes at `MOMENTS` moments, and return it."""
    config = make_config(method, TASK, seeds, steps, hazard=HAZARD)
    recorder = Recorder()
    early = [round(steps / MOMENTS * share) for share in (0.125, 0.25, 0.5)]
    schedule = Schedule(eval_every=max(1, steps // MOMENTS), episodes=EPISODES, evaluate_at=tuple(filter(None, early)))
    ramac_lib.train(config, device="cpu", schedule=schedule, evaluator=recorder, progress=False)
    arrays = {str(step): packed(shares) for step, shares in recorder.shares.items()}
    _write(out, arrays, {"seeds": list(seeds), "episodes": EPISODES, "method": method, "steps": steps})
    return {int(step): array for step, array in arrays.items()}


def moments(out: Path = OVER_TRAINING) -> tuple[dict[int, Float[Array, "c c"]], dict[str, Any]]:
    """Return the stored shares by update, and what made them; nothing where they are not there yet."""
    arrays = {int(step): array / 1000 for step, array in sorted(load(out).items(), key=lambda one: int(one[0]))}
    return arrays, json.loads(beside(out, ".json").read_text()) if arrays else {}


app = SubcommandApp()


@app.command
def campaign(folder: Path, out: Path = OUT) -> None:
    """Play the policies of a campaign's finished runs and add where they go to what is stored.

    Args:
        folder: the campaign's directory.
        out: where to, without a suffix.
    """
    print(*sorted(make(folder, out)), sep="\n")


@app.command
def training(seeds: tuple[int, ...] = (0, 1, 2), steps: int = STEPS, out: Path = OVER_TRAINING) -> None:
    """Train RADAC on the obstacle and store where it goes over training.

    Args:
        seeds: of the run, in one stack.
        steps: updates.
        out: where to, without a suffix.
    """
    train(seeds, steps, out=out)


if __name__ == "__main__":
    app.cli(description=str(__doc__).splitlines()[0])
