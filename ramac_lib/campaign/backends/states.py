"""Cells' states where every machine of a cluster can read them: a shared folder or an object store, through fsspec.

A cell's state is a numbered *version*, a list of its files with their SHA-256; the files lie beside the versions under
their hashes. A version is created only if no other of its number is there, so that of two who go on from the same
version (a machine that was taken for lost may still be alive) the first wins and the other takes that over. Whoever
reads takes the newest version whose files are all whole; who goes on from it counts on from the newest that is there.
A cell's place has its config's hash in its name, so that campaigns with other settings may share a URL.

    URL/CELL.HASH/versions/00000007.json     {"config.json": "<sha256>", …, "checkpoint.pt": "<sha256>"}
    URL/CELL.HASH/files/<sha256>
"""

import contextlib
import hashlib
import json
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic
from ramac_lib.system.interrupts import Interrupted
from ramac_lib.training.directory import RunDirectory

# In this order a state is written: tables first, as whoever reads them drops rows beyond the checkpoint's step.
FILES = ("config.json", "metrics.csv", "evaluations.csv", "checkpoint.pt", "policy.pt")


class Superseded(Interrupted):
    """Another attempt has saved the version that this one was about to save."""


@dataclass(frozen=True)
class Version:
    """A cell's state.

    Args:
        number: from 1 on; 0 for a cell of which nothing was saved.
        files: SHA-256 by name.
        last: the highest number that was there, of a version that may be damaged.
    """

    number: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    last: int = field(default=0, compare=False)


class _Damaged(Exception):
    """A version, or a file that it names, is not there or not what was written."""


class StateStore:
    """The states of a campaign's cells; whatever keeps one from being read or written is told in one sentence.

    Args:
        url: a folder, or what fsspec takes, such as ``s3://bucket/folder``.

    Raises:
        RamacError: fsspec, or its package for such addresses, is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            import fsspec

            if "://" not in url:  # a path, which fsspec would take apart at ``::``
                self.fs, self.root = fsspec.filesystem("file"), os.path.abspath(os.path.expanduser(url))
            else:
                with self._told():
                    self.fs, self.root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            if isinstance(error, RamacError):
                raise
            raise RamacError(
                f"--states {url}: {error}; `pip install 'ramac-lib[ray]'` brings fsspec, 'ramac-lib[s3]' S3"
            ) from error
        protocol = self.fs.protocol
        self._local = "file" in ((protocol,) if isinstance(protocol, str) else protocol)
        self.name = os.path.realpath(self.root) if self._local else str(self.fs.unstrip_protocol(self.root))
        if self._local:
            self.url = self.root  # the same from any folder

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Put into words what the system, or a package that speaks to the store, raises in the block."""
        try:
            yield
        except (RamacError, ImportError, Interrupted, _Damaged):
            raise
        except Exception as error:
            if not isinstance(error, OSError) and type(error).__module__ == "builtins":
                raise  # no matter of the store's
            text = (isinstance(error, OSError) and error.strerror) or str(error)
            raise RamacError(f"--states {self.url}: {(text.splitlines() or [type(error).__name__])[0]}") from error

    def check(self) -> None:
        """Write to an object store and remove it again; of a folder there is nothing to find out before it is used.

        Raises:
            RamacError: no such bucket, no credentials, nobody there, not allowed.
        """
        if not self._local:
            path = f"{self.root}/.check-{uuid.uuid4().hex}"
            with self._told():
                self.fs.pipe_file(path, b"ramac")
                self.fs.rm_file(path)

    # -- versions ---------------------------------------------------------------------------------------------------

    def numbers(self, cell: str) -> list[int]:
        """Return the numbers of a cell's versions, the newest first."""
        try:
            with self._told():
                paths = self.fs.ls(f"{self.root}/{cell}/versions", detail=False, refresh=True)
        except RamacError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return []
            raise
        names = [str(path).rpartition("/")[2] for path in paths]
        stems = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        return sorted((int(stem) for stem in stems if stem.isdigit()), reverse=True)

    def newest(self, cell: str, folder: Path) -> Version:
        """Write the newest whole version's files into a folder; return it, with 0 for its number if there is none.

        Raises:
            RamacError: the store does not answer or does not allow it, or the folder cannot be written.
        """
        there = self.numbers(cell)
        for number in there:
            try:
                files = self._files(cell, number)
                contents = {name: self._content(cell, files[name]) for name in FILES if name in files}
            except _Damaged:
                continue
            for name, content in contents.items():
                with atomic(folder / name) as temporary:
                    temporary.write_bytes(content)
            return Version(number, files, there[0])
        return Version(last=max(there, default=0))

    def publish(self, cell: str, folder: Path, parent: Version) -> Version:
        """Save a cell's files as the version after `parent`; return it, or `parent` if they are those of `parent`.

        Raises:
            Superseded: another has saved a version after `parent`, and after those seen damaged when it was read.
            RamacError: the store does not answer or does not allow it.
        """
        contents = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
        files = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
        if files == dict(parent.files):
            return parent
        there, last = self.numbers(cell), max(parent.number, parent.last)
        if there and there[0] > last:
            raise Superseded(f"{cell}: version {there[0]} is there, this one went on from {last}")
        version = Version(last + 1, files, last + 1)
        with self._told():
            for name, digest in files.items():
                if digest not in parent.files.values():
                    self._write(f"{self.root}/{cell}/files/{digest}", contents[name])
            try:
                self._create(self._version(cell, version.number), json.dumps(files, indent=1).encode())
            except FileExistsError:
                raise Superseded(f"{cell}: version {version.number} was saved by another") from None
        self._clear(cell, {*there} - {parent.number}, {*files.values(), *parent.files.values()})
        return version

    def remove(self, cell: str) -> None:
        """Remove a cell's states."""
        with self._told(), contextlib.suppress(FileNotFoundError):
            self.fs.rm(f"{self.root}/{cell}", recursive=True)

    # -- files ------------------------------------------------------------------------------------------------------

    def _version(self, cell: str, number: int) -> str:
        return f"{self.root}/{cell}/versions/{number:08d}.json"

    def _read(self, path: str) -> bytes:
        with self._told():
            try:
                content: bytes = self.fs.cat_file(path)
            except FileNotFoundError:
                raise _Damaged from None
        return content

    def _files(self, cell: str, number: int) -> dict[str, str]:
        """Return a version's files."""
        content = self._read(self._version(cell, number))
        try:
            return {name: str(digest) for name, digest in json.loads(content).items()}
        except (ValueError, AttributeError):
            raise _Damaged from None

    def _content(self, cell: str, digest: str) -> bytes:
        content = self._read(f"{self.root}/{cell}/files/{digest}")
        if hashlib.sha256(content).hexdigest() != digest:
            raise _Damaged
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

    def _clear(self, cell: str, numbers: set[int], kept: set[str]) -> None:
        """Remove versions, and the files that only they have; what cannot be removed now is in nobody's way."""
        for number in numbers:
            files: dict[str, str] = {}
            with contextlib.suppress(_Damaged, RamacError):
                files = self._files(cell, number)
            paths = [f"{self.root}/{cell}/files/{digest}" for digest in set(files.values()) - kept]
            for path in (*paths, self._version(cell, number)):
                with contextlib.suppress(RamacError), self._told():
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
