"""Trained policies by name: stored small, with their hashes, and loaded again from a folder or a release's address.

A checkpoint is one archive, NAME.zip, of a finished run's ``config.json`` and ``policy.pt`` (the deployed policies in
float16); ``checkpoints.json`` beside it says of every name its size, its SHA-256 and what run it is.
"""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

from ramac_lib.datasets.download import fetch
from ramac_lib.methods import Method
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.files import atomic, read
from ramac_lib.system.paths import data_folder, user_cache
from ramac_lib.training.config import RunConfig
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.stored import load_run

INDEX = "checkpoints.json"
FILES = ("config.json", "policy.pt")
FORMAT = 1  # of the index
LARGEST = 100_000_000  # bytes of an archive
_NAME = re.compile(r"[\w.,=+-]+")


def store_checkpoints(runs: Iterable[Path], out: Path) -> list[Path]:
    """Write finished runs as checkpoints into a folder; those that are there already stay beside them.

    The same policies give the same bytes.

    Args:
        runs: directories of runs; a checkpoint's name is its directory's.

    Returns:
        The archives and, last, the index.

    Raises:
        RamacError: no run there, one that is not at its end or whose policies are not its last, two of one name.
    """
    made: dict[str, tuple[bytes, dict[str, Any]]] = {}
    for run in map(Path, runs):
        name = run.resolve().name
        if name in made:
            raise RamacError(f"{run}: a second run of the name {name}; expected each name once")
        made[name] = _packed(run)
    if not made:
        raise RamacError("no runs were given; expected at least one run's directory")
    out = Path(out)
    known = read_index(out) if (out / INDEX).exists() else {}
    for name, (archive, about) in made.items():
        with atomic(out / f"{name}.zip") as temporary:
            temporary.write_bytes(archive)
        known[name] = about
    with atomic(out / INDEX) as temporary:
        body = {"format": FORMAT, "checkpoints": dict(sorted(known.items()))}
        temporary.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
    return [*(out / f"{name}.zip" for name in made), out / INDEX]


def load_checkpoint(
    name: str, source: Path | str | None = None, device: str = "auto"
) -> tuple[RunConfig, list[Method], dict[str, Any], int]:
    """Return a stored checkpoint's config, its stacks of trained seeds, ready to act, its facts, and its step.

    Args:
        name: as in the index, e.g. ``hopper-medium-replay.paper.radac``.
        source: a folder with an index, or its address (default: ``data/checkpoints``, then this version's release).
        device: auto, cpu or cuda.

    Raises:
        RamacError: no index, an unknown name, a file whose SHA-256 is not the index's, a download that failed.
    """
    place = str(_default(name) if source is None else source).rstrip("/")
    cache = user_cache() / "checkpoints"
    remote = place.startswith(("http://", "https://"))
    if remote:
        at = cache / hashlib.sha256(place.encode()).hexdigest()[:16] / INDEX
        index = _parsed(fetch(f"{place}/{INDEX}", at, ceiling=LARGEST, progress=False))
    else:
        index = read_index(Path(place))
    if name not in index:
        raise unknown("checkpoint", name, index)
    about = index[name]
    folder = cache / str(about["sha256"])
    if not all((folder / file).exists() for file in FILES):
        archive = Path(place) / f"{name}.zip"
        if remote:
            archive = folder / "archive.zip"
            fetch(f"{place}/{name}.zip", archive, size=int(about["bytes"]), check=lambda path: _check(path, about))
        _check(archive, about)
        _unpack(archive, folder)
    return load_run(folder, device, to_act=True)


def read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what an index says of each name: ``bytes``, ``sha256``, ``method``, ``task``, ``hazard``, ``steps``, ….

    Raises:
        RamacError: there is none, it is damaged, or it is of a newer version.
    """
    return _parsed(Path(folder) / INDEX)


def _parsed(path: Path) -> dict[str, dict[str, Any]]:
    try:
        data = json.loads(read(path))
        if data["format"] > FORMAT:
            raise RamacError(f"{path}: written by a newer version (format {data['format']}; this reads {FORMAT})")
        found: dict[str, dict[str, Any]] = data["checkpoints"]
        for name, about in found.items():
            if not _NAME.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", about["sha256"]):
                raise ValueError(name)
            int(about["bytes"])
        return found
    except FileNotFoundError:
        raise RamacError(f"{path.parent}: holds no checkpoints (no {INDEX})") from None
    except RamacError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError):
        raise RamacError(f"{path}: is damaged; expected the list of checkpoints") from None


def _default(name: str) -> Path | str:
    folder = data_folder() / "checkpoints"
    if (folder / INDEX).exists() and name in read_index(folder):
        return folder
    urls = dict(line.split(", ", 1) for line in metadata("ramac-lib").get_all("Project-URL") or ())
    if "Repository" in urls:
        return f"{urls['Repository'].rstrip('/')}/releases/download/v{version('ramac-lib')}"
    return folder


def _packed(run: Path) -> tuple[bytes, dict[str, Any]]:
    directory = RunDirectory(run)
    config, policies = directory.read_config(), directory.load_policies()
    if policies["step"] < config.steps or (directory.checkpoint_file.exists() and directory.copies_lag()):
        raise RamacError(f"{run}: the run is at step {policies['step']} of {config.steps}; expected one at its end")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for file in FILES:
            entry = zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, read(run / file))
    content = archive.getvalue()
    about = {
        "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "method": config.method.name,
        "task": str(config.task), "hazard": config.hazard.name, "seeds": list(config.seeds), "steps": config.steps,
        "run": config.hash,
    }  # fmt: skip
    return content, about


def _check(path: Path, about: Mapping[str, Any]) -> None:
    try:
        content = read(path)
    except FileNotFoundError:
        raise RamacError(f"{path}: is missing; the index names it") from None
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise RamacError(f"{path}: is damaged (its SHA-256 is not the index's)")


def _unpack(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        for file in FILES:
            if file not in packed.namelist() or packed.getinfo(file).file_size > 10 * LARGEST:
                raise RamacError(f"{archive}: is no checkpoint; expected {' and '.join(FILES)}")
            with atomic(folder / file) as temporary:
                temporary.write_bytes(packed.read(file))
