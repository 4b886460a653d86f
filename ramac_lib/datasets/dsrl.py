"""DSRL's files (Liu et al. 2024): by task, DSRL's name, address or path; and data of one's own written like them.

Its authors publish neither sizes nor hashes of the files. `hdf5.check_layout` and the contract are what a file is held
to, and a run's config keeps the hash of the data that it was trained on.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Int

from ramac_lib.datasets import download, hdf5
from ramac_lib.datasets.contract import KEYS, Dataset
from ramac_lib.datasets.references import REFERENCES, dsrl_name, get_reference
from ramac_lib.envs.tasks import Task
from ramac_lib.system.errors import RamacError

SEVEN = (*KEYS, "costs")
BASE_URL = (
    "https://huggingface.co/datasets/YYY-45/DSRL/resolve/main"  # where DSRL's own loader looks since November 2025
)
MIRROR_VARIABLE = "RAMAC_DSRL_URL"
FOLDER_VARIABLE = "DSRL_DATASET_DIR"


def folder() -> Path:
    """Return where the ``dsrl`` package keeps its files, so that an earlier download is found."""
    return Path(os.environ.get(FOLDER_VARIABLE) or "~/.dsrl/datasets").expanduser()


def load(task: Task, where: str = "", *, env_id: str | None = None, progress: bool = True) -> Dataset:
    """Return data in DSRL's layout, with costs, downloaded unless they are there already.

    Actions are clipped to [−1, 1], as their environments do with them (``recipe["clipped_actions"]`` counts the rows
    where that changed something). Where the state jumps without a flag, a time-out is marked, as with D4RL's files.

    Args:
        task: the task that the data are for.
        where: nothing for DSRL's own data of the task; DSRL's name of other data (``PointGoal1``); the address of a
            file, kept under its own name in ``DSRL_DATASET_DIR``, else in ``~/.dsrl/datasets``; or the path of one.
        env_id: Gymnasium's id, by default the file's own or the task's.

    Raises:
        RamacError: no such data, download refused or cut, a file that lacks one of the seven arrays or is damaged,
            costs that are negative or NaN.
    """
    path = locate(where or dsrl_name(task), progress)
    data = hdf5.load_file(path, env_id, task, mark_breaks=True, clip_actions=True, required=SEVEN)
    return data.with_(name=f"dsrl {task} ({path})", recipe={**data.recipe, "source": "dsrl", "task": task.name})


def locate(where: str, progress: bool = True) -> Path:
    """Return the path of a file by DSRL's name of the data, by address or by path, downloaded where need be.

    Raises:
        RamacError: as `load`; a path that is not there is refused where it is read.
    """
    if where in REFERENCES:
        return download.fetch_named(get_reference(where).file, folder(), BASE_URL, MIRROR_VARIABLE, _check, progress)
    if not where.startswith(("http://", "https://")):
        return Path(where)
    name = Path(urlsplit(where).path).name
    if Path(name).suffix not in (".hdf5", ".h5"):
        raise RamacError(
            f"{download.without_secrets(where)} names no HDF5 file; expected an address that ends in .hdf5"
        )
    # Apart from DSRL's own files, and from others of that name elsewhere.
    path = folder() / "addresses" / hashlib.sha256(where.encode()).hexdigest()[:16] / name
    return path if path.exists() else download.fetch(where, path, check=_check, progress=progress)


def _check(path: Path) -> None:
    hdf5.check_layout(path, SEVEN)


def file_name(data: Dataset, environment: str) -> str:
    """Return ``{environment}-{largest cost}-{episodes}.hdf5``, as DSRL names its files."""
    return f"{environment}-{data.episode_costs().max():.0f}-{len(data.episode_bounds())}.hdf5"


def save(
    data: Dataset,
    path: str | os.PathLike[str],
    policies: Int[np.ndarray, " N"] | None = None,
    table: Sequence[Any] | None = None,
) -> Path:
    """Write data in DSRL's layout: its seven arrays, compressed, and what made them.

    DSRL's own loader reads the file: float32 arrays, flags as DSRL has them, N rows each. Beside them lie, for other
    readers, an integer array ``policy`` and the attributes ``env_id``, ``source``, ``seed``, ``policies`` and, as in
    `hdf5.save_file`, ``recipe`` and ``sha256``.

    Args:
        data: with costs.
        policies: of each transition, the number of the policy that made it; by default what the recipe says.
        table: what each policy is, as plain data, in the order of their numbers; by default what the recipe says.

    Raises:
        RamacError: data without costs, another number of policies than of transitions, a path that cannot be written.
    """
    if data.costs is None:
        raise RamacError(f"{data.name} has no costs; DSRL's layout needs the arrays {', '.join(SEVEN)}")
    made = policies_of(data) if policies is None else np.asarray(policies)
    if made.shape != (len(data),) or made.dtype.kind not in "iu":
        raise RamacError(
            f"{data.name}: policies are {made.dtype} of shape {made.shape}; expected {len(data)} whole numbers"
        )
    attributes = {
        "source": str(data.recipe.get("source", "")),
        "seed": int(data.recipe.get("seed", -1)),
        "policies": json.dumps(list(data.recipe.get("policies", ()) if table is None else table)),
    }
    return hdf5.save_file(data, path, {"policy": made.astype(np.int64)}, attributes, compression="gzip")


def policies_of(data: Dataset) -> Int[np.ndarray, " N"]:
    """Return the number of the policy behind each transition, −1 where the recipe does not say.

    The recipe of data of several policies, one after the other, counts the ``episodes`` of each.
    """
    bounds, counts = data.episode_bounds(), data.recipe.get("episodes", ())
    if sum(counts) != len(bounds):
        return np.full(len(data), -1)
    return np.repeat(np.repeat(np.arange(len(counts)), counts), [b - a for a, b in bounds])
