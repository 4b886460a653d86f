"""Cells' states where every machine of a cluster can read them: a shared folder or an object store, through fsspec.

A cell's state is a numbered *version*, a list of its files with their SHA-256; the files lie beside the versions under
their hashes. A version is created only if no other of its number is there, so that of two who go on from the same
version (a machine that was taken for lost may still be alive) the first wins and the other takes that over. Whoever
reads takes the newest version whose files are all whole.

    URL/CELL/versions/00000007.json     {"config.json": "<sha256>", …, "checkpoint.pt": "<sha256>"}
    URL/CELL/files/<sha256>
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic
from ramac_lib.system.interrupts import Interrupted
from ramac_lib.training.directory import RunDirectory

# In this order a state is written: tables first, as whoever reads them drops rows beyond the checkpoint's step.
FILES = ("config.json", "metrics.csv", "evaluations.csv", "checkpoint.pt", "policy.pt")
KEPT = 2  # versions


class Superseded(Interrupted):
    """Another attempt has saved the version that this one was about to save."""


@dataclass(frozen=True)
class Version:
    """A cell's state.

    Args:
        number: from 1 on; 0 for a cell of which nothing was saved.
        files: SHA-256 by name.
    """

    number: int = 0
    files: Mapping[str, str] = field(default_factory=dict)


class StateStore:
    """The states of a campaign's cells.

    Args:
        url: a folder, or what fsspec takes, such as ``s3://bucket/folder``.

    Raises:
        RamacError: fsspec, or its package for such addresses, is missing.
    """

    def __init__(self, url: str) -> None:
        try:
            import fsspec

            self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise RamacError(
                f"--states {url}: {error}; `pip install 'ramac-lib[ray]'` brings fsspec, 'ramac-lib[s3]' S3"
            ) from error
        self.url = url
        protocol = self.fs.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)

    # -- versions ---------------------------------------------------------------------------------------------------

    def numbers(self, cell: str) -> list[int]:
        """Return the numbers of a cell's versions, the newest first."""
        try:
            paths = self.fs.ls(f"{self.root}/{cell}/versions", detail=False, refresh=True)
        except FileNotFoundError:
            return []
        names = [str(path).rpartition("/")[2] for path in paths]
        stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        return sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)

    def newest(self, cell: str, folder: Path) -> Version:
        """Write the newest whole version's files into a folder; return it, with 0 for its number if there is none."""
        for number in self.numbers(cell):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                files = dict(json.loads(self.fs.cat_file(self._version(cell, number))))
                contents = {name: self._content(cell, files[name]) for name in FILES if name in files}
                for name, content in contents.items():
                    with atomic(folder / name) as temporary:
                        temporary.write_bytes(content)
                return Version(number, files)
        return Version()

    def publish(self, cell: str, folder: Path, parent: Version) -> Version:
        """Save a cell's files as the version after `parent`; return it, or `parent` if they are those of `parent`.

        Raises:
            Superseded: another has saved a version after `parent`.
        """
        contents = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
        files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        if files == dict(parent.files):
            return parent
        there = self.numbers(cell)
        if there and there[0] > parent.number:
            raise Superseded(f"{cell}: version {there[0]} is there, this one went on from {parent.number}")
        for name, digest in files.items():
            if digest not in parent.files.values():
                self._write(f"{self.root}/{cell}/files/{digest}", contents[name])
        version = Version(parent.number + 1, files)
        try:
            self._create(self._version(cell, version.number), json.dumps(files, indent=1).encode())
        except FileExistsError:
            raise Superseded(f"{cell}: version {version.number} was saved by another") from None
        self._clear(cell, there, {*files.values(), *parent.files.values()})
        return version

    def remove(self, cell: str) -> None:
        """Remove a cell's states."""
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(f"{self.root}/{cell}", recursive=True)

    # -- files ------------------------------------------------------------------------------------------------------

    def _version(self, cell: str, number: int) -> str:
        return f"{self.root}/{cell}/versions/{number:08d}.json"

    def _content(self, cell: str, digest: str) -> bytes:
        content: bytes = self.fs.cat_file(f"{self.root}/{cell}/files/{digest}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError("damaged")
        return content

    def _write(self, path: str, content: bytes) -> None:
        if self._local:
            with atomic(Path(path)) as temporary:
                temporary.write_bytes(content)
        else:
            self.fs.pipe_file(path, content)

    def _create(self, path: str, content: bytes) -> None:
        """Write a file that is not there yet, whole or not at all; raise `FileExistsError` if it is."""
        if not self._local:
            self.fs.pipe_file(path, content, mode="create")
            return
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=Path(path).parent, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)  # which, unlike a rename, replaces nothing
        finally:
            os.unlink(temporary)

    def _clear(self, cell: str, there: list[int], kept: set[str]) -> None:
        """Remove versions from before the last `KEPT`, and the files that only they have."""
        for number in there[KEPT - 1 :]:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                path = self._version(cell, number)
                for digest in set(json.loads(self.fs.cat_file(path)).values()) - kept:
                    with contextlib.suppress(FileNotFoundError):
                        self.fs.rm_file(f"{self.root}/{cell}/files/{digest}")
                self.fs.rm_file(path)


@dataclass(frozen=True)
class Published(RunDirectory):
    """A cell's files on the machine that trains it, published whenever its state is saved."""

    store: Any = None
    cell: str = ""
    at: list[Version] = field(default_factory=list)  # the version that it stands at, alone

    @classmethod
    def of(cls, store: StateStore, cell: str, path: Path) -> "Published":
        """Return a cell's newest state, written into the empty folder `path`."""
        return cls(path, store, cell, [store.newest(cell, path)])

    def save_checkpoint(self, *args: Any, **options: Any) -> None:
        """Save, as `RunDirectory` does, and publish."""
        super().save_checkpoint(*args, **options)
        self.publish()

    def publish(self) -> None:
        """Save the files as they are for the other machines.

        Raises:
            Superseded: another attempt at this cell was faster.
        """
        self.at[0] = self.store.publish(self.cell, self.path, self.at[0])
