"""Files that are either whole or not there."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ramac_lib.system.errors import RamacError

WRITTEN = (".csv", ".json", ".npz")  # what a command writes beside each other under one name


def beside(out: Path, suffix: str) -> Path:
    """Return the path of the file of that suffix under the name `out`; ``eta0.5`` is a name, ``eta.csv`` is ``eta``."""
    name = Path(out).name
    for written in WRITTEN:
        name = name.removesuffix(written)
    return Path(out).with_name(name + suffix)


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it into place when the block ends well, remove it when not.

    Raises:
        RamacError: no space is left, or the folder cannot be written; what was at `path` is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RamacError(f"{path}: no space is left on the device; nothing there was changed") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.EPERM):
            raise RamacError(f"{path}: cannot be written ({error.strerror})") from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
