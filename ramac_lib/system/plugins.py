"""Python files of one's own, imported so that what they register can be named like what the library brings."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from ramac_lib.system.errors import RamacError

loaded: list[Path] = []  # for processes that are to load them too


def load(paths: Sequence[Path]) -> None:
    """Import each file, once a process, as the module ``ramac_plugin_<its name>``.

    Raises:
        RamacError: a file is missing, or its import fails.
    """
    for path in map(Path.resolve, map(Path, paths)):
        if path in loaded:
            continue
        name = f"ramac_plugin_{path.stem}"
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise RamacError(f"{path}: expected a plugin, a Python file")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise RamacError(f"{path}: cannot be loaded as a plugin ({' '.join(repr(error).split())})") from error
        loaded.append(path)
