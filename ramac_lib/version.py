"""Which code made a result: a hash of the sources that decide it."""

import functools
import hashlib
from pathlib import Path

# What a trained policy and its episodes come from; command line, book, plots, tables and campaigns decide nothing.
DECIDES = (
    "bandit.py", "behaviour.py", "critics.py", "datasets", "engine.py", "evaluation.py", "hazards.py", "losses.py",
    "machine.py", "methods", "networks.py", "noise.py", "optim.py", "overlap.py", "policies", "replay.py", "reports.py",
    "risk", "rollouts.py", "runs.py", "schedules.py", "tasks.py", "training.py",
)  # fmt: skip


@functools.cache
def code_version(folder: Path | None = None) -> str:
    """Return 12 hexadecimal digits of the SHA-256 of the sources that decide a run's result.

    Args:
        folder: of the package (default: the one this module is in).
    """
    root = folder or Path(__file__).parent
    digest = hashlib.sha256()
    for name in DECIDES:
        path = root / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            if file.exists():
                digest.update(f"{file.relative_to(root).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
