"""A campaign in a few small files, to go on with elsewhere.

Two streams, each a gzipped tar cut into parts: ``results.000 …`` (the tables, the grid, each run's config, logs and
float16 policies) and ``states.000 …`` (each run's full state). ``manifest.json`` has the parts' SHA-256. Without this
library, ``cat results.* | tar -xz`` reads them.
"""

import gzip
import hashlib
import io
import json
import math
import re
import shutil
import tarfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import new_folder, read
from ramac_lib.training.directory import RunDirectory

FORMAT = 1  # of the manifest
PART = 15_000_000  # bytes; what carries them may stop at 16 MB
HEADERS = 10_000_000  # bytes of tar, beside those of its members
STREAMS = ("results", "states")
STATE = "checkpoint.pt"


class _Parts(io.RawIOBase):
    """A stream written as files of `PART` bytes at most, with their hashes."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder, self.stem = folder, stem
        self.parts: list[dict[str, Any]] = []
        self._buffer = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._buffer += data
        while len(self._buffer) >= PART:
            self._emit(PART)
        return len(data)

    def finish(self) -> None:
        if self._buffer:
            self._emit(len(self._buffer))

    def _emit(self, size: int) -> None:
        block, name = bytes(self._buffer[:size]), f"{self.stem}.{len(self.parts):03d}"
        (self.folder / name).write_bytes(block)
        self.parts.append({"name": name, "bytes": size, "sha256": hashlib.sha256(block).hexdigest()})
        del self._buffer[:size]


def pack(folder: Path, out: Path, states: bool = True) -> list[Path]:
    """Gather a campaign's results, then its runs' full states, into files under 16 MB in `out`; return them.

    Args:
        states: take the full states too; without them the results are whole and finished runs can be evaluated, but
            unfinished ones cannot be gone on with.

    Raises:
        RamacError: no campaign there, one that is running, a damaged state, an `out` that is not empty.
    """
    store, out = CampaignDirectory(Path(folder)), Path(out)
    if not store.grid_file.exists():
        raise RamacError(f"{folder}: holds no campaign (no campaign.json)")
    store.lock()
    try:
        store.read()
        # What trackers were told, and Ray's copies of the states, are made of these.
        found = [*store.path.glob("*"), *(store.path / "cells").rglob("*")]
        files = sorted(p for p in found if p.is_file() and not p.name.startswith("."))
        for run in (store.path / "cells").glob("*"):
            RunDirectory(run).verify()  # what is damaged does not travel under a good hash
        chosen = {
            "results": [p for p in files if p.name != STATE],
            "states": [p for p in files if p.name == STATE] if states else [],
        }
        with new_folder(out) as fresh:
            parts = [part for stem in STREAMS if chosen[stem] for part in _write(store.path, chosen[stem], fresh, stem)]
            unpacked = {stem: sum(p.stat().st_size for p in files) for stem, files in chosen.items()}
            manifest = {"format": FORMAT, "parts": parts, "unpacked": unpacked}
            (fresh / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    finally:
        store.unlock()
    return [out / "manifest.json", *(out / part["name"] for part in parts)]


def _write(root: Path, files: Sequence[Path], out: Path, stem: str) -> list[dict[str, Any]]:
    parts = _Parts(out, stem)
    with (
        gzip.GzipFile(fileobj=parts, mode="wb", compresslevel=1, mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path in files:
            tar.add(path, path.relative_to(root).as_posix(), recursive=False)
    parts.finish()
    return parts.parts


def unpack(folder: Path, out: Path, states: bool = True) -> None:
    """Write the campaign that `pack` put into `folder` to `out`; nothing is written if a part is missing or damaged.

    Args:
        states: the full states too; without them their parts need not be there.

    Raises:
        RamacError: no manifest, a missing or damaged part (named), parts that hold more than the manifest says or than
            the disk has room for, an `out` that is not empty.
    """
    folder, out = Path(folder), Path(out)
    every, unpacked = _manifest(folder)
    parts = [p for p in every if states or not p["name"].startswith("states.")]
    for part in parts:
        _check(folder / part["name"], part)
    with new_folder(out) as fresh:
        needed = sum(size for stem, size in unpacked.items() if states or stem != "states")
        free = shutil.disk_usage(fresh).free
        if needed > free:
            raise RamacError(
                f"{folder}: needs {needed:,} bytes unpacked; {out.parent} has {free:,}; nothing was unpacked"
            )
        for stem in STREAMS:
            names = [folder / p["name"] for p in parts if p["name"].startswith(f"{stem}.")]
            if names:
                reader: Any = _Joined(names)
                try:
                    packed: Any = _Bounded(gzip.GzipFile(fileobj=reader), unpacked.get(stem), names[0])
                    with tarfile.open(fileobj=packed, mode="r|") as tar:
                        for member in tar:
                            if not member.isreg():
                                raise tarfile.TarError(f"{member.name[:80]!r} is no regular file")
                            packed.take(member.size)
                            tar.extract(member.replace(mtime=time.time(), deep=False), fresh, filter="data")
                except RamacError:
                    raise
                except (tarfile.TarError, EOFError, OverflowError, LookupError, ValueError, zlib.error,
                        gzip.BadGzipFile) as error:  # fmt: skip
                    raise RamacError(f"{names[0]}: is no packed campaign ({error}); nothing was unpacked") from error


class _Bounded:
    """A stream of which no more is read than what its manifest says that it holds, and room for tar's own headers.

    A header may declare any size, and is read before there is a member to look at.
    """

    def __init__(self, stream: Any, most: int | None, first: Path) -> None:
        self._stream, self._most, self._first = stream, most, first
        self._members = math.inf if most is None else most
        self._left = self._members + HEADERS

    def take(self, size: int) -> None:
        """Count a member; refuse it where all are together larger than the manifest says."""
        self._members -= size
        if min(self._members, self._left) < 0:
            raise RamacError(
                f"{self._first}: holds more than the {self._most:,} bytes of its manifest; nothing was unpacked"
            )

    def read(self, size: int) -> bytes:
        """Read from the stream, as `tarfile` does."""
        data: bytes = self._stream.read(size)
        self._left -= len(data)
        self.take(0)
        return data


def _manifest(folder: Path) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Return the parts, and how large what each stream holds is; nothing of the latter in packs of earlier versions."""
    path = folder / "manifest.json"
    try:
        data = json.loads(read(path))
        if data["format"] > FORMAT:
            raise RamacError(f"{path}: written by a newer version (format {data['format']}; this reads {FORMAT})")
        parts = [{"name": p["name"], "bytes": p["bytes"], "sha256": p["sha256"]} for p in data["parts"]]
        unpacked = {stem: int(data["unpacked"][stem]) for stem in STREAMS} if "unpacked" in data else {}
        if parts and all(re.fullmatch(rf"({'|'.join(STREAMS)})\.\d+", p["name"]) for p in parts):
            return parts, unpacked
        raise KeyError("name")
    except FileNotFoundError:
        raise RamacError(f"{folder}: holds no packed campaign (no manifest.json)") from None
    except RamacError:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise RamacError(f"{path}: is damaged; expected the list of a packed campaign's parts") from None


def _check(path: Path, part: dict[str, Any]) -> None:
    try:
        block = read(path)
    except FileNotFoundError:
        raise RamacError(f"{path}: this part is missing; nothing was unpacked") from None
    if len(block) != part["bytes"] or hashlib.sha256(block).hexdigest() != part["sha256"]:
        raise RamacError(f"{path}: this part is damaged (its SHA-256 is not the manifest's); nothing was unpacked")


class _Joined(io.RawIOBase):
    """Files read one after another as one stream."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._waiting = list(paths)
        self._file: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._file is None:
                if not self._waiting:
                    return 0
                self._file = self._waiting.pop(0).open("rb")
            if count := self._file.readinto(buffer):
                return count
            self._file.close()
            self._file = None
