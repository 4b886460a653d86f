"""What trained critics say at the edge of the obstacle, and whether that is where their policies go.

``python -m support.navigation.probes --folder CAMPAIGN`` asks the critics of a campaign's runs on the obstacle and adds
their answers to ``data/results/navigation_critics.csv``: a line a row, seed and action at the state `PROBE`, with
the mean and CVaR_0.1 of Z(s, a) as the method itself reads them (`Method.value`).
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import tyro

from ramac_lib import risk
from ramac_lib.envs.maps import MAPS, Map
from ramac_lib.envs.navigation import observe
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from ramac_lib.training import stored
from support.navigation import grids
from support.navigation.claims import TASK
from support.navigation.paths import name_of

OUT = data_folder() / "results" / "navigation_critics"
PROBE = (0.72, 0.72)  # on the straight way, a step before the danger
ACTIONS = {"through": (-0.8, -0.8), "left": (-0.8, 0.2), "right": (0.2, -0.8)}


def straight(world: Map, preset: str = "rare", alpha: float = 0.1, discount: float = 0.99) -> tuple[float, float]:
    """Return the exact mean and CVaR_α of the discounted return of going straight on from `PROBE`, in data's steps."""
    (area,) = world.dangers[preset]
    here, costs, risks = np.array(PROBE), [], []
    while not world.at_goal(here):
        costs.append(float(world.distance(here)) + 0.1)
        here = here + world.step * np.array(ACTIONS["through"])
        risks.append(area.probability * bool(area.contains(here)))
    law = grids.exact(costs, risks, -area.penalty, discount)
    return risk.risk_of_law(*law, "neutral"), risk.risk_of_law(*law, "cvar", alpha=alpha)


def ask(folder: Path) -> pd.DataFrame:
    """Return what the critics of one run say at `PROBE`, a line a seed and action; none of a run without any.

    Columns ``name seed step action mean cvar``; ``cvar`` is empty where the critics know the mean alone.
    """
    config, stacks, _, step = stored.load_run(folder, "cpu")
    lines = []
    seen = torch.as_tensor(observe(MAPS["obstacle"], np.array(PROBE, np.float32))).expand(1, 1, 4)
    for stack in stacks:
        if not stack.levels():
            return pd.DataFrame()
        for action, moved in ACTIONS.items():
            taken = torch.tensor(moved).expand(1, 1, 2)
            line = {"name": name_of(config), "seed": stack.seeds[0], "step": step, "action": action}
            levels = {"mean": 1.0, "cvar": 0.1}
            known = {k: level for k, level in levels.items() if level in stack.levels()}
            line |= {k: float(stack.value(seen, taken, level).detach()) for k, level in known.items()}
            lines.append(line)
    return pd.DataFrame(lines)


def load(out: Path = OUT) -> pd.DataFrame:
    """Return the stored answers; an empty table where there are none yet."""
    path = beside(out, ".csv")
    columns = ["name", "seed", "step", "action", "mean", "cvar"]
    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=columns)


def preferred(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return, by seed, by how much a row's critics put the CVaR of the better way round above that of going straight.

    Returns:
        Columns ``cvar`` of going straight, ``gain`` of the way round, ``round``: whether it is above zero; by seed.
        Empty for a row that was not asked, or whose critics know the mean alone.
    """
    own = table[table["name"] == name].dropna(subset="cvar").pivot(index="seed", columns="action", values="cvar")
    if own.empty:
        return pd.DataFrame(columns=["cvar", "gain", "round"])
    gain = own[["left", "right"]].max(axis=1) - own["through"]
    return pd.DataFrame({"cvar": own["through"], "gain": gain, "round": gain > 0})


def campaign(folder: Path, out: Path = OUT) -> None:
    """Ask the critics of a campaign's finished runs on the obstacle; replace what is stored of the same rows.

    Args:
        folder: the campaign's directory.
        out: where to, without a suffix.
    """
    runs = [file.parent for file in sorted(Path(folder).glob(f"cells/{TASK}.*/checkpoint.pt"))]
    if not runs:
        raise RamacError(f"{folder}: holds no trained runs on {TASK} (cells/*/checkpoint.pt)")
    asked = [table for table in map(ask, runs) if len(table)]
    kept = load(out)
    fresh = pd.concat(asked, ignore_index=True)
    kept = kept[~kept["name"].isin(fresh["name"])]
    with atomic(beside(out, ".csv")) as temporary:
        whole = pd.concat([kept, fresh], ignore_index=True) if len(kept) else fresh
        whole.to_csv(temporary, index=False, float_format="%.4f")
    with atomic(beside(out, ".json")) as temporary:
        temporary.write_text(json.dumps({"made": provenance(torch.device("cpu"))}) + "\n")


if __name__ == "__main__":
    tyro.cli(campaign)
