"""What registers methods, hazards or tasks of one's own: files, and other distributions by their entry points."""

import functools
import importlib.metadata
import importlib.util
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ramac_lib.system.errors import RamacError

GROUP = "ramac_lib.plugins"  # of entry points: modules that register
loaded: list[Path] = []  # what worker processes have to load as well


def load(paths: Sequence[Path]) -> None:
    """Import each file once, under the name ``ramac_plugin_STEM``; a file runs whatever is in it.

    Raises:
        RamacError: a file is missing or fails to be imported.
    """
    for path in (Path(path).resolve() for path in paths):
        if path in loaded:
            continue
        name = f"ramac_plugin_{re.sub(r'[^0-9A-Za-z]', '_', path.stem)}"
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None or not path.is_file():
            raise RamacError(f"--plugin {path}: is not a Python file")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            if isinstance(error, RamacError):
                raise RamacError(f"--plugin {path}: {error}") from None
            reason = (str(error).splitlines() or [""])[0]
            raise RamacError(f"--plugin {path}: cannot be imported: {type(error).__name__}: {reason}") from error
        loaded.append(path)


@functools.cache
def load_entry_points() -> None:
    """Import what other distributions offer, once; one that fails is named in a warning, the rest works."""
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # whatever another distribution does wrong, ours goes on
            reason = (str(error).splitlines() or [""])[0]
            logging.getLogger(__name__).warning(
                f"the entry point {point.name} ({point.value}) of {GROUP} could not be loaded, so what it registers is "
                f"missing: {type(error).__name__}: {reason}"
            )
