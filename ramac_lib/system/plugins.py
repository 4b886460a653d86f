"""What registers methods, hazards or tasks of one's own: files, and other distributions by their entry points."""

import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ramac_lib.system.errors import RamacError

GROUP = "ramac_lib.plugins"  # of entry points: modules that register
loaded: dict[Path, str] = {}  # what worker processes have to load as well → SHA-256 of what was read


def load(paths: Sequence[Path]) -> None:
    """Import each file once, under the name ``ramac_plugin_STEM_HASH-OF-PATH``; it runs whatever is in it.

    Raises:
        RamacError: a file is missing or fails to be imported.
    """
    for path in (Path(path).resolve() for path in paths):
        if path in loaded:
            continue
        where = hashlib.sha256(str(path).encode()).hexdigest()[:8]  # files of the same name are told apart
        name = f"ramac_plugin_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}_{where}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise RamacError(f"--plugin {path}: is not a Python file")
        content = hashlib.sha256(path.read_bytes()).hexdigest()  # now: it may be edited later
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            if isinstance(error, RamacError):
                raise RamacError(f"--plugin {path}: {error}") from None
            reason = (str(error).splitlines() or [""])[0]
            raise RamacError(f"--plugin {path}: cannot be imported: {type(error).__name__}: {reason}") from error
        loaded[path] = content


@functools.cache
def pending() -> Iterator[importlib.metadata.EntryPoint]:
    """Return the entry points that are still to be loaded."""
    return iter(importlib.metadata.entry_points(group=GROUP))


def load_entry_points() -> None:
    """Import what other distributions offer, once; one that fails is named in a warning, the rest works."""
    for point in pending():  # one iterator for all calls, as a point may list what is registered and so come here again
        try:
            point.load()
        except Exception as error:  # whatever another distribution does wrong, ours goes on
            reason = (str(error).splitlines() or [""])[0]
            logging.getLogger(__name__).warning(
                f"the entry point {point.name} ({point.value}) of {GROUP} could not be loaded, so what it registers is "
                f"missing: {type(error).__name__}: {reason}"
            )
