"""Where transitions come from: bundled policies, D4RL, DSRL, Minari, or a file in D4RL's layout."""

import os
from pathlib import Path
from typing import Any

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.episodes import subsample, summary
from ramac_lib.envs.tasks import Task, get_task
from ramac_lib.system.errors import RamacError, unknown

NAMED = ("bundled", "d4rl", "dsrl", "minari")
WHICH = {"dsrl:": "dsrl:<DSRL's name, address or path>", "minari:": "minari:<dataset-id>"}
SOURCES = (*NAMED, *WHICH.values(), "<path of an .hdf5 file>")
"""What `load` takes as a source."""

__all__ = ["SOURCES", "Dataset", "export", "kind_of", "load", "subsample", "summary"]


def kind_of(source: str) -> str:
    """Return what a source is: one of `NAMED`, ``dsrl:`` or ``minari:`` (one data set of theirs), or ``file``.

    Raises:
        RamacError: none of them.
    """
    for prefix in WHICH:
        if source.startswith(prefix):
            return prefix
    if source in NAMED:
        return source
    if Path(source).suffix in (".hdf5", ".h5") or os.sep in source or Path(source).exists():
        return "file"
    raise unknown("source", source, SOURCES)


def load(
    task: str | Task,
    source: str = "bundled",
    *,
    size: int | None = None,
    seed: int = 0,
    env_id: str | None = None,
    progress: bool = True,
) -> Dataset:
    """Return a task's data from a source; each source's module is imported only when it is asked for.

    Args:
        task: one of `ramac_lib.envs.tasks.TASKS`, by name or itself.
        source: one of `SOURCES`; the Risky Bandit's and navigation's ``bundled`` data come from exact distributions.
        size: transitions wanted; for recorded data, whole episodes of at most so many, evenly spread.
        seed: of the rollouts, or of the episodes kept.
        env_id: Gymnasium's id, for ``d4rl``, ``dsrl`` and files only: other data know theirs.
        progress: show a bar while something takes long.

    Raises:
        RamacError: an unknown task or source, an environment of one's choice whose observations or actions are not of
            the data's shape, or what the source itself refuses.
    """
    chosen = get_task(task)
    if size is not None and size < 1:
        raise RamacError(f"size is {size}; expected at least 1")
    kind = kind_of(source)
    if chosen.gymnasium_id is not None and kind not in ("file", *WHICH):
        raise RamacError(f"the task {chosen} has no data in the source {source}; expected the path of an HDF5 file")
    if env_id is not None and kind not in ("d4rl", "dsrl", "dsrl:", "file"):
        raise RamacError(f"the source {source} knows its environment; expected no env_id beside it")

    if kind == "file":
        from ramac_lib.datasets import hdf5

        return subsample(_fits(hdf5.load_file(source, env_id, chosen), env_id), size, seed)
    if kind == "d4rl":
        from ramac_lib.datasets import d4rl

        return subsample(_fits(d4rl.load(chosen, env_id=env_id, progress=progress), env_id), size, seed)
    if kind in ("dsrl", "dsrl:"):
        from ramac_lib.datasets import dsrl

        which = source.removeprefix("dsrl").removeprefix(":")
        if kind == "dsrl:" and not which:
            raise unknown("source", source, SOURCES)
        return subsample(_fits(dsrl.load(chosen, which, env_id=env_id, progress=progress), env_id), size, seed)
    if kind == "minari":
        from ramac_lib.datasets import minari

        return minari.load_task(chosen, size=size, seed=seed, progress=progress)
    if kind == "minari:":
        from ramac_lib.datasets import minari

        return subsample(minari.load(source.removeprefix("minari:"), chosen, progress=progress), size, seed)
    wanted: dict[str, Any] = {} if size is None else {"size": size}
    if chosen.is_bandit:
        from ramac_lib.datasets import bandit

        return bandit.dataset(seed=seed, **wanted)
    if chosen.is_navigation:
        from ramac_lib.datasets import navigation

        return navigation.dataset(chosen, seed=seed, **wanted)
    if chosen.is_bullet:
        from ramac_lib.datasets import bullet

        return bullet.load(chosen, seed=seed, progress=progress, **wanted)
    from ramac_lib.datasets import bundled

    return bundled.load(chosen, seed=seed, progress=progress, **wanted)


def _fits(data: Dataset, env_id: str | None) -> Dataset:
    """Return data that an environment of one's choice fits."""
    if env_id is not None:
        from ramac_lib.envs.robots import check_columns

        check_columns(env_id, data.name, data.observations.shape[1:], data.actions.shape[1:])
    return data


def export(data: Dataset, out: str) -> tuple[str, Path]:
    """Write data where others' code finds them; return whose layout they have, and where they are.

    Args:
        out: an HDF5 file's path (DSRL's layout where there are costs, D4RL's else), or ``minari:<dataset-id>``.

    Raises:
        RamacError: neither of them, or what cannot be written.
    """
    if out.startswith("minari:"):
        from ramac_lib.datasets import minari

        return "Minari", minari.save(data, out.removeprefix("minari:"))
    if Path(out).suffix not in (".hdf5", ".h5"):
        raise RamacError(f"--export {out}: expected a path that ends in .hdf5, or minari:<dataset-id>")
    from ramac_lib.datasets import dsrl, hdf5

    return ("D4RL", hdf5.save_file(data, out)) if data.costs is None else ("DSRL", dsrl.save(data, out))
