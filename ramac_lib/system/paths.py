"""Where the repository's data and the cache lie."""

import os
from pathlib import Path


def data_folder() -> Path:
    """Return the folder ``data``: the environment variable ``RAMAC_DATA``, or the repository's own."""
    return Path(os.environ.get("RAMAC_DATA") or Path(__file__).resolve().parents[2] / "data")


def cache_folder() -> Path:
    """Return the folder of what can be rebuilt: ``RAMAC_CACHE``, or ``cache`` in the folder ``data``."""
    return Path(os.environ.get("RAMAC_CACHE") or data_folder() / "cache")


def user_cache() -> Path:
    """Return the folder of what this machine's user can rebuild: ``RAMAC_CACHE``, or ``ramac`` in XDG's cache."""
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(os.environ.get("RAMAC_CACHE") or xdg / "ramac")
