"""Are learned quantiles those of the returns? Critics against Monte-Carlo rollouts of the policies they were made for.

What is compared: each critic by itself, no minimum over two, with the TD clip that it was trained with, at K states of
the data, with the learned policy's action there and with the data's. A rollout starts from exactly that state and
action and goes on with the *deployed* policy under the live hazard. Three things differ by construction, and are part
of what is measured: targets take the minimum of two critics, the next action in them comes from the slowly following
copy of the policy (RADAC, RAFMAC) or is scored with an entropy bonus (CODAC), and a critic is only as good as the data
cover the policy.
"""

import copy
import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Float32, Int
from tqdm.auto import tqdm

from ramac_lib import datasets
from ramac_lib.analysis.agreement import compare, observed_frequency
from ramac_lib.analysis.rows import row_of
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import play, restart
from ramac_lib.envs.hazards import Hazard
from ramac_lib.methods import Controller, Method
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.machine import get_device
from ramac_lib.system.version import code_version, provenance
from ramac_lib.training import stored
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import HASHES, RunDirectory

FORMAT = 1
ACTIONS = ("policy", "data")
CALIBRATION = 3  # tells these draws from those of evaluations and recordings


@torch.no_grad()
def learned_quantiles(
    method: Method, states: Float32[np.ndarray, "K s"], actions: Float32[np.ndarray, "K a"]
) -> tuple[Float[np.ndarray, "C K N"], Float[np.ndarray, " N"]]:
    """Return what each critic of a stack of one seed says at K states and actions, and at which N fractions."""
    asked = (torch.as_tensor(array, device=method.device)[None] for array in (states, actions))
    quantiles, fractions = method.quantiles(*asked)
    return quantiles[0].double().cpu().numpy(), fractions.double().cpu().numpy()


def critic_discount(config: RunConfig) -> float:
    """Return the γ of the return that a run's critics stand for; 0 where they do not bootstrap."""
    settings: Any = config.settings
    return float(settings.discount) if getattr(settings, "bootstrap", True) else 0.0


def choose_states(data: Dataset, count: int, seed: int = 0) -> Int[np.ndarray, " K"]:
    """Return rows of `count` states spread over the data: one drawn from each of as many equal stretches of rows.

    Stretches follow the data's order, so that each behaviour policy gives its share. Rows are left out whose
    observation does not fix the state (`restart.fixed_by_observation`).

    Raises:
        RamacError: count < 1, or a stretch without a row to draw.
    """
    if not 1 <= count <= len(data):
        raise RamacError(f"{count} states were asked for; expected 1 to {len(data)}, the transitions of {data.name}")
    known = restart.fixed_by_observation(data.env_id, data.observations)
    rng = np.random.default_rng([count, seed])
    edges = np.linspace(0, len(data), count + 1).round().astype(int)
    found = []
    for start, stop in pairwise(edges):
        rows = start + np.flatnonzero(known[start:stop])
        if len(rows) == 0:
            raise RamacError(f"{data.name}: rows {start} to {stop} have no state that its observation fixes")
        found.append(int(rng.choice(rows)))
    return np.array(found)


def calibrate_seed(
    method: Method,
    env_id: str,
    hazard: Hazard | None,
    data: Dataset,
    rows: Int[np.ndarray, " K"],
    rollouts: int,
    discount: float,
    bar: Any = None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, float]]:
    """Compare the critics of one seed with returns.

    Args:
        method: a stack of one seed.
        rows: of the data, whose states are asked.
        discount: of the returns.

    Returns:
        One row a state, kind of action, critic and fraction; one row a state, kind of action and critic; the share of
        rollouts cut, and the largest of their |returns|.
    """
    (seed,) = method.seeds
    horizon = restart.rollout_length(discount)
    states, noise = data.observations[rows], Noise(method.seeds, "evaluation", method.device, (CALIBRATION,))

    started = method.controller(noise)
    first = play.ask(started, torch.as_tensor(states, device=method.device)[None], method.dims[1:])
    chosen = {"policy": first[0].cpu().numpy(), "data": data.actions[rows]}

    def go_on(of: Int[np.ndarray, " B"]) -> Controller:
        # A policy's action may be the first of several: rollouts go on with what was remembered when it was chosen.
        own = copy.deepcopy(started, {id(method): method, id(noise): noise})
        play.tell(own, "keep", of)
        return own

    begin = {"policy": go_on, "data": lambda of: method.controller(noise)}
    quantiles, compared, alive, largest = [], [], [], 0.0
    for number, (kind, actions) in enumerate(chosen.items()):
        learned, fractions = learned_quantiles(method, states, actions)
        returns = restart.discounted_returns(
            begin[kind], env_id, hazard, states, actions, rollouts, discount, horizon,
            keys=(seed, CALIBRATION, number), done=bar.update if bar is not None else lambda count: None,
        )  # fmt: skip
        alive.append(returns.alive)
        largest = max(largest, float(np.abs(returns.values).max()))
        empirical = np.quantile(returns.values, fractions, axis=1, method="inverted_cdf").T
        for critic, values in enumerate(learned):
            observed = observed_frequency(values, returns.values, fractions)
            for k in range(len(rows)):
                same: dict[str, Any] = {"state": k, "action": kind, "seed": seed, "critic": critic}
                columns = {"fraction": fractions, "learned": values[k]}
                columns |= {"monte_carlo": empirical[k], "observed": observed[k]}
                quantiles.append(pd.DataFrame(columns).assign(**same))
                compared.append({**same, **compare(values[k], returns.values[k], fractions)})
    return (
        pd.concat(quantiles, ignore_index=True),
        pd.DataFrame(compared),
        {"alive": float(np.mean(alive)), "largest": largest},
    )


def calibrate_runs(
    runs: Sequence[Path],
    out: Path,
    states: int = 20,
    rollouts: int = 64,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the critics of runs on one task with returns; write OUT.csv, OUT_states.csv and OUT.json.

    Args:
        states: of the data, the same for all runs: `choose_states`.
        rollouts: from each state and action.
        seed: of the choice of states.

    Raises:
        RamacError: no run there, a damaged checkpoint, a method without critics, a run given twice, runs of
            different tasks or data, fewer than two rollouts.
    """
    if rollouts < 2:
        raise RamacError(f"rollouts is {rollouts}; expected at least 2 from each state")
    configs = _checked([Path(path) for path in runs])
    loaded = [stored.load_run(path, device) for path in runs]  # all of them, before the first takes its minutes
    for path, (config, stacks, _, _) in zip(runs, loaded, strict=True):
        if not (stacks[0].levels() and hasattr(config.settings, "discount")):  # both are needed: the return has a γ
            raise RamacError(f"{path}: {config.method.name} has no critics to ask, or no setting `discount`")
    first = configs[0]
    data = datasets.load(
        first.task.name, first.source, size=first.size, seed=first.data_seed, env_id=first.env_id, progress=progress
    )
    rows = choose_states(data, states, seed)
    total = sum(len(config.seeds) for config in configs) * len(ACTIONS) * states * rollouts
    tables, compared, described = [], [], []
    with tqdm(total=total, unit="rollout", unit_scale=True, desc="critics", disable=not progress) as bar:
        for config, stacks, facts, step in loaded:
            hazard = None if config.task.is_bandit else config.hazard
            row, discount, ends = row_of(config), critic_discount(config), []
            for stack in stacks:
                quantiles, by_state, end = calibrate_seed(
                    stack, facts["env_id"], hazard, data, rows, rollouts, discount, bar
                )
                tables.append(quantiles.assign(run=config.hash, method=row.method, options=row.options))
                compared.append(by_state.assign(run=config.hash, method=row.method, options=row.options))
                ends.append(end)
            described.append(
                {
                    **row._asdict(), "run": config.hash, "label": row.label, "env_id": facts["env_id"], "step": step,
                    "discount": discount, **_truncation(discount, ends), "config": config.to_json(),
                    "trained": facts.get("made"), "data": facts.get("data"),
                }
            )  # fmt: skip
    table, by_state = pd.concat(tables, ignore_index=True), pd.concat(compared, ignore_index=True)
    fixed = float(restart.fixed_by_observation(data.env_id, data.observations).mean())
    made = {
        "format": FORMAT, "made": provenance(get_device(device)) | {"code": code_version()}, "states": states,
        "rollouts": rollouts, "seed": seed, "rows": rows.tolist(), "transitions": len(data),
        "fixed_share": fixed, "runs": described,
    }  # fmt: skip
    _write(Path(out), table, by_state, made)
    return table, by_state


def _checked(paths: Sequence[Path]) -> list[RunConfig]:
    """Return the runs' configs; refuse runs that cannot be compared before anything is loaded."""
    if not paths:
        raise RamacError("no runs were given; expected the directory of at least one")
    configs = [RunDirectory(path).read_config() for path in paths]
    for path, config in zip(paths, configs, strict=True):
        if [c.hash for c in configs].count(config.hash) > 1:
            raise RamacError(f"{path}: run {config.hash} was given twice")
        here, there = ((c.task.name, c.source, c.size, c.data_seed, c.env_id) for c in (config, configs[0]))
        if here != there:
            raise RamacError(f"{path}: has the data {here}, {paths[0]} has {there}; expected runs on the same data")
    return configs


def _truncation(discount: float, ends: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return what is known of a run's rollouts' ends.

    ``truncation``: γ^T times the largest |return| seen, 0 where none was cut. What a cut rollout would have earned
    after step T adds no more than that to its return, unless the state there were worth more than any that was met.
    """
    horizon = restart.rollout_length(discount)
    largest = max(end["largest"] for end in ends)
    alive = float(np.mean([end["alive"] for end in ends]))
    return {"horizon": horizon, "alive": alive, "truncation": discount**horizon * largest if alive > 0 else 0.0}


QUANTILES = (
    "run", "method", "options", "seed", "critic", "state", "action", "fraction", "learned", "monte_carlo",
    "observed",
)  # fmt: skip


def _write(out: Path, table: pd.DataFrame, by_state: pd.DataFrame, made: dict[str, Any]) -> None:
    with atomic(beside(out, ".csv")) as temporary:
        table[list(QUANTILES)].to_csv(temporary, index=False, float_format="%.5g")
    with atomic(states_file(out)) as temporary:
        head = [column for column in QUANTILES if column in by_state]
        rest = [column for column in by_state if column not in head]
        by_state[head + rest].to_csv(temporary, index=False, float_format="%.6g")
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


def states_file(out: Path) -> Path:
    """Return where the table of states lies beside OUT.csv."""
    return beside(out, "_states.csv")


def load(out: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Return the table of quantiles, the table of states and OUT.json.

    Raises:
        RamacError: they are not there, or of a newer version.
    """
    out = Path(out)
    try:
        facts = json.loads(beside(out, ".json").read_text())
        tables = [pd.read_csv(f, keep_default_na=False, dtype=HASHES) for f in (beside(out, ".csv"), states_file(out))]
    except FileNotFoundError as error:
        raise RamacError(f"{error.filename}: not there; make it with `ramac analyse critics`") from None
    if facts["format"] > FORMAT:
        raise RamacError(f"{out}.json: written by a newer version (format {facts['format']}; this reads {FORMAT})")
    return tables[0], tables[1], facts
