"""Files that are either whole or not there."""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ramac_lib.system.errors import RamacError

PART = ".part"
WRITTEN = (".csv", ".json", ".npz")  # what a command writes beside each other under one name


def beside(out: Path, suffix: str) -> Path:
    """Return the path of the file of that suffix under the name `out`; ``eta0.5`` is a name, ``eta.csv`` is ``eta``.

    Raises:
        RamacError: `out` has no name, such as ``.`` or the empty path.
    """
    name = Path(out).name
    for written in WRITTEN:
        name = name.removesuffix(written)
    if name in ("", ".."):
        raise RamacError(f"{str(out)!r} has no name that files could have; expected one such as results/eta")
    return Path(out).with_name(name + suffix)


def read(path: Path) -> bytes:
    """Return a file's bytes; a missing one is a `FileNotFoundError`.

    Raises:
        RamacError: it is no regular file (a pipe would be waited for), or cannot be read.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise RamacError(f"{path}: is not a regular file")
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RamacError(f"{path}: cannot be read ({error.strerror})") from error


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Put into words why the block, which writes `path`, cannot; an error that names another file stays what it is.

    Raises:
        RamacError: no space is left, or the folder cannot be written.
    """
    try:
        yield
    except OSError as error:
        named = [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes | os.PathLike)]
        if named and not any(_belongs(Path(os.fsdecode(name)).absolute(), path) for name in named):
            raise
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise RamacError(f"{path}: no space is left on the device; nothing there was changed") from error
        raise RamacError(f"{path}: cannot be written ({error.strerror or error})") from error


def _belongs(named: Path, path: Path) -> bool:
    """Return whether a file is the path's own: itself, what it lies in or what lies in it, its temporary one beside."""
    path = Path(path).absolute()
    own = (one for one in (named, *named.parents) if one.parent == path.parent)
    return named in path.parents or any(one == path or one.name.startswith(f".{path.name}.") for one in own)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block ends well, remove it when not.

    Raises:
        RamacError: as `writing`; what was at `path` is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            _to_disk(temporary)
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            os.replace(temporary, path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a folder beside `path` that becomes `path` when the block ends well, and is removed when not.

    What a killed one left is removed by the next that writes the same `path`.

    Raises:
        RamacError: `path` is there and not an empty folder, or another process writes it; else as `writing`.
    """
    path = Path(os.path.realpath(path))  # a link stays, and what it leads to is written
    if not path.name:
        raise RamacError(f"{path} has no name that a folder could have; expected one such as runs/packed")
    fresh = path.with_name(f".{path.name}{PART}")
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire()
        except Timeout:
            raise RamacError(f"{path}: another process is writing it") from None
    try:
        with writing(path):
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise RamacError(f"{path}: is not an empty folder; expected a new one")
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            yield fresh
            for written in (*fresh.rglob("*"), fresh):
                if written.is_file():
                    _to_disk(written)
            os.replace(fresh, path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)  # whoever took it meanwhile finds the folder written
        lock.release()


def _to_disk(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def is_left(path: Path) -> bool:
    """Return whether a file is what `atomic` leaves when its process is killed."""
    return path.name.startswith(".") and path.name.endswith(PART)


MARK = b"ramac sha256 "  # of a zip archive's comment, which readers of zip archives let be


def sealed(archive: bytes) -> bytes:
    """Return a zip archive without a comment with the SHA-256 of its bytes as its comment."""
    length = len(MARK) + 64
    body = archive[:-2] + length.to_bytes(2, "little")
    return body + MARK + hashlib.sha256(body).hexdigest().encode()


def is_sealed(content: bytes) -> bool | None:
    """Return whether an archive is what `sealed` returned, to the bit; None for one that was never sealed."""
    body, comment = content[: -len(MARK) - 64], content[-len(MARK) - 64 :]
    if not comment.startswith(MARK):
        return None
    return comment[len(MARK) :] == hashlib.sha256(body).hexdigest().encode()
