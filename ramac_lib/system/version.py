"""Which code made a result: a hash of the sources that decide it."""

import datetime
import functools
import hashlib
import importlib.metadata
import platform
from pathlib import Path
from typing import TYPE_CHECKING

from ramac_lib.system.plugins import loaded

if TYPE_CHECKING:
    import torch

# What a trained policy and its episodes come from; command line, book, plots, tables and campaigns decide nothing.
DECIDES = ("risk", "networks", "envs", "datasets", "methods", "training", "system/machine.py")


def code_version(folder: Path | None = None) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of a package's sources (default: ours) and of the plugins' files."""
    own = of_the_sources(folder)
    return hashlib.sha256("".join([own, *sorted(loaded.values())]).encode()).hexdigest()[:12] if loaded else own


@functools.cache
def of_the_sources(folder: Path | None) -> str:
    """Return the version of the package's own sources."""
    root = folder or Path(__file__).parents[1]
    digest = hashlib.sha256()
    for name in DECIDES:
        path = root / name
        files = sorted(file for kind in ("*.py", "*.cpp") for file in path.rglob(kind)) if path.is_dir() else [path]
        for file in files:
            if file.exists():
                digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def provenance(device: "torch.device") -> dict[str, str]:
    """Return what stands beside a measured number: date, device, versions."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    packages = ("torch", "numpy", "gymnasium", "mujoco")
    return {
        "date": datetime.date.today().isoformat(),
        "device": name,
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }
