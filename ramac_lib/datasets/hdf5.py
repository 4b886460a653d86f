"""One file in D4RL's HDF5 layout: read with every fault named, written atomically."""

import functools
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Shaped

from ramac_lib.datasets.contract import FLAGS, KEYS, Dataset, unmarked_breaks
from ramac_lib.envs.tasks import Task, check_env_id
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic
from ramac_lib.system.processes import survives

# Columns of observations and actions, the same in Gymnasium's -v4 and -v5.
DIMENSIONS = {"hopper": (11, 3), "walker2d": (17, 6), "halfcheetah": (17, 6)}
DIMENSIONS |= {"ball-run": (7, 2), "ball-circle": (8, 2), "car-run": (7, 2), "car-circle": (8, 2), "drone-run": (17, 4)}
# More unmarked breaks than this share of the rows are no lost time-outs but a wrong key or a shuffled file.
LARGEST_SHARE_OF_BREAKS = 0.01
LARGEST_RATIO = 1_032  # of an array to its bytes in the file: what deflate can do at best
PATIENCE = 30  # seconds of a processor in which HDF5 lists a file's arrays and reads its attributes, or never
UNWRITTEN = 1 << 20  # bytes of an array that was never written: HDF5 keeps none, all of it is its fill value


def load_file(
    path: str | os.PathLike[str],
    env_id: str | None = None,
    task: Task | None = None,
    *,
    mark_breaks: bool = False,
    clip_actions: bool = False,
    required: Sequence[str] = KEYS,
) -> Dataset:
    """Read a file in D4RL's layout: six arrays, and ``costs`` where it has them, converted to float32 and bool.

    The file's own ``next_observations`` are used: the next row's observation is, after a fall, another episode's.

    Args:
        path: the file; flags may be stored as bool, 0/1 integers or floats, vectors of N also as (N, 1).
        env_id: Gymnasium's id; by default the file's ``env_id`` attribute, else the task's ``-v4`` as for D4RL.
        task: the task that the data are meant for; its environment and numbers of columns must fit.
        mark_breaks: mark rows where the state jumps without a flag as time-outs instead of refusing the file
            (D4RL's notes say that its replay data do not always mark them); the recipe counts them.
        clip_actions: clip actions to [-1, 1] instead of refusing others; the recipe counts the rows with some.
        required: the arrays that it must have; ``costs`` is read wherever it is there.

    Raises:
        RamacError: no such file, not HDF5, truncated, a missing key, wrong shapes, NaN, actions outside
            [-1, 1], no transitions, an unknown environment: one sentence naming file, key and expectation.
    """
    path = Path(path)
    _survive(path, lambda file: _look(file, path, required))
    with _open(path) as file:
        try:
            keys, stored = _look(file, path, required)
            arrays: dict[str, Any] = {key: _read(file, path, key) for key in keys}
        except (OSError, RuntimeError, KeyError, TypeError) as error:  # whichever h5py makes of HDF5's own
            raise RamacError(f"{path} is damaged: expected readable HDF5 data ({_reason(error)})") from error
        except MemoryError:
            raise RamacError(f"{path}: its arrays do not fit into this machine's memory") from None
    name = str(path)
    env = _environment(name, env_id, stored["env_id"], task)
    breaks = _mark_breaks(arrays) if mark_breaks else 0
    clipped = _clip_actions(arrays) if clip_actions else 0
    data = Dataset(**arrays, env_id=env, name=name)
    if task is not None and env_id is None:
        _check_columns(data, task)
    digest = data.sha256()
    counts = {"marked_breaks": breaks, "clipped_actions": clipped}
    recipe: dict[str, Any] = {"source": "file", "sha256": digest, **{key: n for key, n in counts.items() if n}}
    # A recipe describes the arrays that it was stored with; edited arrays have lost theirs.
    if stored["recipe"] is not None and isinstance(stored["sha256"], str) and stored["sha256"] == digest:
        try:
            recipe = dict(json.loads(stored["recipe"]))
        except (ValueError, TypeError, RecursionError):
            raise RamacError(f"{path}: its attribute recipe is damaged; expected JSON") from None
    return data.with_(recipe=recipe)


def save_file(
    data: Dataset,
    path: str | os.PathLike[str],
    arrays: Mapping[str, Shaped[np.ndarray, "N *rest"]] | None = None,
    attributes: Mapping[str, Any] | None = None,
    compression: str | None = None,
) -> Path:
    """Write the arrays in D4RL's layout, with env_id, recipe and hash as attributes.

    The file appears whole or not at all.

    Args:
        arrays: more of them, of any shape, as a rule with one entry a transition, ``(N,)``.
        attributes: more of the file's own.
        compression: of the arrays, ``gzip``; None for none.

    Raises:
        RamacError: the file cannot be written (no space left, no permission).
    """
    path = Path(path)
    # HDF5 itself ends the process with a segmentation fault when the disk fills up, so Python does the writing.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for key, array in {**data.arrays(), **(arrays or {})}.items():
            file.create_dataset(key, data=array, compression=compression)
        for key, value in (attributes or {}).items():
            file.attrs[key] = value
        file.attrs["env_id"] = data.env_id
        file.attrs["recipe"] = json.dumps(dict(data.recipe), sort_keys=True)
        file.attrs["sha256"] = data.sha256()
    with atomic(path) as temporary:
        temporary.write_bytes(image.getbuffer())
    return path


def check_layout(path: Path, required: Sequence[str] = KEYS) -> None:
    """Check that the file opens as HDF5 and holds the arrays with as many rows each, without reading them.

    Raises:
        RamacError: it does not.
    """
    _survive(path, lambda file: _inspect(file, path, required))
    with _open(path) as file:
        _inspect(file, path, required)


def _look(file: h5py.File, path: Path, required: Sequence[str]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the arrays to read, all of them inspected, and the attributes."""
    keys = tuple(dict.fromkeys((*KEYS, *required, *(["costs"] if "costs" in file else []))))
    _inspect(file, path, keys)
    return keys, {key: file.attrs.get(key) for key in ("env_id", "recipe", "sha256")}


def _survive(path: Path, look: Callable[[h5py.File], object]) -> None:
    """Let a copy of this process look at a file first: HDF5 itself crashes on some damage, or never comes to an end.

    Raises:
        RamacError: the copy did.
    """

    def try_it() -> None:
        with _open(path) as file:
            look(file)

    if path.is_file() and not survives(try_it, PATIENCE):
        raise RamacError(f"{path} is damaged: expected a whole HDF5 file (HDF5 itself fails on this one)")


def check_inside(path: Path) -> None:
    """Check that all of a file is in the file itself, for libraries that would follow what leads out of it.

    Raises:
        RamacError: a link or an array leads out of it, or it is no whole HDF5 file.
    """

    def leads_out(file: h5py.File, name: str, link: Any) -> str | None:  # visits go on while there is nothing to say
        if not isinstance(link, h5py.HardLink):
            return f"{name} is a link to elsewhere"
        item = file[name]
        out = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
        return f"{name} is stored in other files" if out else None

    def walk(file: h5py.File) -> None:
        if found := file.visititems_links(functools.partial(leads_out, file)):
            raise RamacError(f"{path}: {found}; expected an array in the file itself")

    _survive(path, walk)
    with _open(path) as file:
        try:
            walk(file)
        except (OSError, RuntimeError, KeyError) as error:  # as above
            raise RamacError(f"{path} is damaged: expected readable HDF5 data ({_reason(error)})") from error


def _inspect(file: h5py.File, path: Path, keys: Sequence[str]) -> None:
    """Look at what the arrays declare before any is read: their rows agree, and the file can hold them.

    Raises:
        RamacError: they do not, or an array lies elsewhere (`_array`).
    """
    arrays = {key: _array(file, path, key, keys) for key in keys}
    rows = {key: array.shape[:1] for key, array in arrays.items()}
    if len(set(rows.values())) != 1:
        counts = ", ".join(f"{key} {shape}" for key, shape in rows.items())
        raise RamacError(f"{path}: expected as many rows in each array, found {counts}")
    size = path.stat().st_size
    declared = {key: array.size * array.dtype.itemsize for key, array in arrays.items()}
    held = {key: min(size, array.id.get_storage_size()) for key, array in arrays.items()}
    for key in keys:
        if declared[key] > LARGEST_RATIO * held[key] + UNWRITTEN:
            raise RamacError(
                f"{path}: {key} declares {declared[key]:,} bytes; expected no more than its {held[key]:,} can hold"
            )
    if (total := sum(declared.values())) > (memory := os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")):
        raise RamacError(f"{path}: its arrays have {total:,} bytes; this machine's memory {memory:,}")


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise RamacError(f"{path}: no such file; expected an HDF5 file in D4RL's layout")
    if not path.is_file():  # of a pipe the end would be waited for
        what = "a folder" if path.is_dir() else "no regular file"
        raise RamacError(f"{path} is {what}; expected an HDF5 file in D4RL's layout")
    try:
        return h5py.File(path, "r")
    except PermissionError as error:
        raise RamacError(f"{path} cannot be read: permission denied") from error
    except OSError as error:
        if not h5py.is_hdf5(path):
            raise RamacError(f"{path} is not an HDF5 file; expected D4RL's layout") from error
        state = "truncated" if "truncated" in str(error) else "damaged"
        raise RamacError(f"{path} is {state}: expected a whole HDF5 file ({_reason(error)})") from error


def _array(file: h5py.File, path: Path, key: str, keys: Sequence[str] = KEYS) -> h5py.Dataset:
    """Return an array of numbers that lies in the file itself: what a link or a mapping names is never followed."""
    if not isinstance(file.get(key, getlink=True), h5py.HardLink | None):
        raise RamacError(f"{path}: {key} is a link to elsewhere; expected an array in the file itself")
    item = file.get(key)
    if not isinstance(item, h5py.Dataset):
        raise RamacError(f"{path} lacks the key {key!r}; expected the arrays {', '.join(keys)}")
    if item.dtype.kind not in "fiub" or item.ndim == 0:
        raise RamacError(f"{path}: {key} is {item.dtype} of shape {item.shape}; expected an array of numbers")
    if item.external or item.is_virtual:
        raise RamacError(f"{path}: {key} is stored in other files; expected an array in the file itself")
    return item


def _read(file: h5py.File, path: Path, key: str) -> np.ndarray:
    array = _array(file, path, key)[()]
    if key in (*FLAGS, "rewards", "costs") and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]  # D4RL itself accepts columns here
    if key in FLAGS:
        if array.dtype != np.bool_ and not np.isin(array, (0, 1)).all():
            raise RamacError(f"{path}: {key} holds other values than 0 and 1; expected flags")
        return array.astype(np.bool_, copy=False)
    with np.errstate(over="ignore"):  # becomes infinite, which the contract refuses
        return array.astype(np.float32, copy=False)


def _environment(name: str, given: str | None, stored: object, task: Task | None) -> str:
    if given is not None:
        return check_env_id(given)
    expected = None if task is None else task.env_id(4)
    if stored is not None:
        found = (
            stored.decode(errors="replace") if isinstance(stored, bytes) else str(stored)
        )  # fixed or variable length
        if expected is not None and found.rsplit("-v", 1)[0] != expected.rsplit("-v", 1)[0]:
            raise RamacError(f"{name}: env_id is {found}; expected one of {task}, such as {expected}")
        try:
            return check_env_id(found)
        except RamacError as error:
            raise RamacError(f"{name}: {error}") from None
    if expected is None:
        raise RamacError(f"{name} has no attribute env_id; expected a task or an environment's id beside it")
    return expected


def _mark_breaks(arrays: dict[str, np.ndarray]) -> int:
    """Set the flag ``timeouts`` where the state jumps without one, in place; return how many were set."""
    observations, following = arrays["observations"], arrays["next_observations"]
    flags = [arrays[key] for key in FLAGS]
    if (
        observations.ndim != 2
        or following.shape != observations.shape
        or any(flag.shape != observations.shape[:1] for flag in flags)
    ):
        return 0  # left to the contract to refuse
    with np.errstate(invalid="ignore"):
        rows = unmarked_breaks(observations, following, *flags)
    if len(rows) > LARGEST_SHARE_OF_BREAKS * len(observations):
        return 0
    arrays["timeouts"][rows] = True
    return len(rows)


def _clip_actions(arrays: dict[str, np.ndarray]) -> int:
    """Clip actions to [-1, 1], in place; return how many rows had others. NaN is left to the contract to refuse."""
    actions = arrays["actions"]
    beyond = np.abs(actions) > 1
    np.copyto(actions, np.sign(actions), where=beyond)
    return int(beyond.reshape(len(actions), -1).any(axis=1).sum())


def _check_columns(data: Dataset, task: Task) -> None:
    columns = DIMENSIONS.get(task.env)
    if columns is None:
        return
    for key, expected in zip(("observations", "actions"), columns, strict=True):
        if (width := getattr(data, key).shape[1]) != expected:
            raise RamacError(f"{data.name}: {key} has {width} columns; expected {expected}, as in {task}")


def _reason(error: BaseException) -> str:
    """Return the reason on one line: the system's where there is one, else HDF5's."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())[:160]
