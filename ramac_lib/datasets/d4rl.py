"""D4RL's MuJoCo files, version 2: by their URLs, without the ``d4rl`` package."""

import os
from pathlib import Path

from ramac_lib.datasets import download, hdf5
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import ROBOTS, Task
from ramac_lib.system.errors import unknown

# Its authors publish neither sizes nor hashes of the files, and the host is asked without TLS: `check_layout` and the
# contract are what a file is held to, and a run's config keeps the hash of the data that it was trained on.
BASE_URL = "http://rail.eecs.berkeley.edu/datasets/offline_rl/gym_mujoco_v2"
# A mirror's folder that holds the files under their own names.
MIRROR_VARIABLE = "RAMAC_D4RL_URL"
FOLDER_VARIABLE = "D4RL_DATASET_DIR"


def file_name(task: Task) -> str:
    """Return D4RL's name of the task's file, e.g. ``hopper_medium_expert-v2.hdf5``.

    Raises:
        RamacError: D4RL has no such task.
    """
    if task.name not in ROBOTS:
        raise unknown("D4RL task", task, ROBOTS)
    return f"{task.name.replace('-', '_')}-v2.hdf5"


def folder() -> Path:
    """Return where the ``d4rl`` package keeps its files, so that an earlier download is found."""
    return Path(os.environ.get(FOLDER_VARIABLE) or "~/.d4rl/datasets").expanduser()


def load(
    task: Task,
    *,
    directory: str | os.PathLike[str] | None = None,
    base_url: str | None = None,
    env_id: str | None = None,
    progress: bool = True,
) -> Dataset:
    """Return the task's D4RL v2 data (Fu et al. 2020), downloaded unless they are there already.

    The file's own ``next_observations`` are used. The ``d4rl`` package's ``qlearning_dataset`` takes the next row's
    observation instead, which after a fall is the next episode's first, and drops the last row of a timed-out
    episode. Where the state jumps without a flag, a time-out is marked (``recipe["marked_breaks"]`` counts them).

    Args:
        directory: of the file; by default ``D4RL_DATASET_DIR``, else ``~/.d4rl/datasets``.
        base_url: of a mirror; by default ``RAMAC_D4RL_URL``, else D4RL's own host.
        env_id: by default Gymnasium's ``-v4``, the nearest to the environments of the data.

    Raises:
        RamacError: no such task, download refused or cut, a damaged file.
    """
    name = file_name(task)
    where, host = Path(directory or folder()), base_url or os.environ.get(MIRROR_VARIABLE) or BASE_URL
    path = download.fetch_named(name, where, host, MIRROR_VARIABLE, hdf5.check_layout, progress)
    data = hdf5.load_file(path, env_id, task, mark_breaks=True)
    return data.with_(name=f"d4rl {task} ({path})", recipe={**data.recipe, "source": "d4rl", "task": task.name})
