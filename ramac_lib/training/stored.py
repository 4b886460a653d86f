"""What a run left: its networks, loaded to act or to be asked, and further evaluations of them."""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods import Method
from ramac_lib.risk import check_level
from ramac_lib.system.errors import RamacError
from ramac_lib.system.machine import get_device
from ramac_lib.system.version import code_version
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.evaluators import Asked, roll_out
from ramac_lib.training.loop import data_of
from ramac_lib.training.results import at_noise


def load_run(
    path: Path, device: str = "auto", to_act: bool = False
) -> tuple[RunConfig, list[Method], dict[str, Any], int]:
    """Return a run's config, its stacks of trained seeds, its facts (config.json) and the checkpoint's step.

    Args:
        to_act: only the deployed policies are needed: where the full state was left behind, their float16 copies do.

    Raises:
        RamacError: no run there, or a damaged or newer checkpoint.
    """
    directory = RunDirectory(Path(path))
    config, facts = directory.read_config(), directory.read_facts()
    copies = to_act and not directory.checkpoint_file.exists() and directory.policy_file.exists()
    checkpoint = directory.load_policies() if copies else directory.load_checkpoint()
    target = get_device(device)
    observation_dim, action_dim = facts["dims"]
    stacks = []
    for seed in config.seeds:
        stack = config.method(config.settings, observation_dim, action_dim, (seed,), config.steps, target)
        with directory.taking(directory.policy_file if copies else directory.checkpoint_file):
            (stack.load_acting if copies else stack.load_networks)([checkpoint["seeds"][seed]])
        stacks.append(stack)
    return config, stacks, facts, checkpoint["step"]


def evaluate_run(
    path: Path,
    episodes: int = 50,
    horizon: int | None = None,
    hazard: str | None = None,
    device: str = "auto",
    level: int | None = 1,
    risk_level: float | str | None = None,
) -> pd.DataFrame:
    """Roll out a run's last checkpoint, `episodes` in all; add them to its evaluations.csv and return them.

    As many again are played and added with the policies' sampler noise switched off. Where
    the run's data cannot be had any more, a warning says so, and nothing is said of actions out of them.

    Args:
        path: the run's directory.
        episodes: shared evenly by the seeds.
        horizon: steps at which an episode is cut (default: the task's).
        hazard: name of the live one (default: the one that the run was trained with).
        device: auto, cpu or cuda.
        level: of sampler noise, of the rows returned (`results.at_noise`): as deployed unless told; None for all.
        risk_level: of a method whose risk is chosen when acting, a number of its dial's range, or averse, neutral or
            seeking (`ramac_lib.risk.dial`). These rows are no report of the run: their ``purpose`` is ``dial``, their
            ``alpha`` the level. The default is the run's own, in a report.

    Returns:
        One row an episode, with the columns `ramac_lib.training.results.COLUMNS`; returns are sums of rewards.

    Raises:
        RamacError: no run there, a damaged checkpoint, an unknown hazard, fewer episodes than seeds, a risk level of a
            method without a dial or outside its range.
    """
    chosen = None if risk_level is None else check_level(risk_level)
    config, stacks, facts, step = load_run(path, device, to_act=True)
    each = episodes // len(config.seeds)
    horizon = config.task.horizon if horizon is None else horizon
    if each < 1 or horizon < 1:
        raise RamacError(
            f"{episodes} episodes of {horizon} steps for {len(config.seeds)} seeds; "
            "expected at least one episode a seed, of at least one step"
        )
    name = hazard or config.hazard.name
    directory = RunDirectory(Path(path))
    data = _data(config, directory)
    table = roll_out(stacks, Asked(config, facts["env_id"], step, "report", each, horizon, name, chosen, data))
    with directory.tables():  # others may evaluate the same run, or train it
        before = directory.read_table("evaluations.csv")
        if "code" in before:  # a campaign's run
            codes = dict.fromkeys([*str(before["code"].iloc[-1]).split("+"), code_version()])
            table = table.assign(code="+".join(codes))
        if len(before):
            same = (before["purpose"] == table["purpose"].iloc[0]) & (before["step"] == step)
            same &= True if chosen is None else before["alpha"] == chosen
            same &= (before["hazard"] == name) & (before["horizon"] == horizon)
            before = before[~same]
        directory.write_table("evaluations.csv", pd.concat([before, table], ignore_index=True))
    return table if level is None else at_noise(table, level)


def _data(config: RunConfig, directory: RunDirectory) -> Dataset | None:
    """Return the data that a run was trained on, None where they are gone or are others now."""
    try:
        data = data_of(config, progress=False)
        directory.check_data(config, {"data": {"sha256": data.sha256()}})
    except RamacError as error:
        logging.getLogger(__name__).warning(f"{error}; rates of actions out of the data are left empty")
        return None
    return data
