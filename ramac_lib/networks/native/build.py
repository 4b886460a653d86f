"""The native kernel's library: built on first use by the machine's compiler, kept in the user's cache, read by ctypes.

Nothing of PyTorch's headers goes into it, so that a build takes two seconds and outlives PyTorch's versions.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic
from ramac_lib.system.paths import user_cache

SOURCE = Path(__file__).with_name("quantile_head.cpp")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-ffp-contract=fast", "-Wno-psabi")
PATIENCE = 120.0  # seconds for a compiler


@dataclass(frozen=True)
class Variant:
    """One translation of the source: floats in a vector, rows of accumulators, the compiler's flags."""

    width: int
    rows: int
    flags: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the compiler is told beside the source and the result."""
        return (*FLAGS, *self.flags, f"-DWIDTH={self.width}", f"-DROWS={self.rows}")


# From the widest on. As many rows as leave no accumulator without a register: there are 16, with AVX-512 and on ARM 32.
VARIANTS = {
    "avx512": Variant(16, 8, ("-mavx512f", "-mavx512vl", "-mavx512dq", "-mavx2", "-mfma", "-mprefer-vector-width=512")),
    "avx2": Variant(8, 4, ("-mavx2", "-mfma")),
    "portable": Variant(4, 8 if platform.machine() in ("aarch64", "arm64") else 4),
}


class Unavailable(Exception):
    """There is no native kernel here; its text says why, as the end of a sentence."""


def library(name: str) -> ctypes.CDLL:
    """Return a variant's library, built if it is not in the cache.

    Args:
        name: one of `VARIANTS`; the processor must have its instructions.

    Raises:
        Unavailable: no compiler, one that fails, or a cache that cannot be written.
    """
    arguments = VARIANTS[name].arguments
    told = "\0".join((*arguments, platform.machine(), torch.__version__)).encode()
    key = hashlib.sha256(SOURCE.read_bytes() + b"\0" + told).hexdigest()[:16]
    path = user_cache() / "native" / f"{SOURCE.stem}-{name}-{key}.so"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):  # of processes that start together, one builds
                if not path.exists():
                    _compile(arguments, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise Unavailable(f"{path} cannot be built or read ({error.strerror or error})") from error


def _compile(arguments: tuple[str, ...], path: Path) -> None:
    compiler = next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), *COMPILERS)))), None)
    if compiler is None:
        raise Unavailable(f"no C++ compiler ({', '.join(COMPILERS)}) was found")
    try:
        with atomic(path) as temporary:
            command = [compiler, *arguments, str(SOURCE), "-o", str(temporary)]
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line] or error.stderr.splitlines() or ["?"]
        raise Unavailable(f"{compiler} failed ({lines[0].strip()})") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{compiler} took longer than {PATIENCE:.0f} s") from error
    except RamacError as error:
        raise Unavailable(str(error)) from error


def supported() -> list[str]:
    """Return the variants that this processor has instructions for, the widest first.

    Raises:
        Unavailable: as `library`.
    """
    width = library("portable").ramac_width()
    return [name for name, variant in VARIANTS.items() if variant.width <= width]


@functools.cache
def kernel() -> tuple[str, ctypes.CDLL | None]:
    """Return the name and the library of the widest variant that can be had here; or why there is none, and None."""
    reason = ""
    try:
        for name in supported():
            try:
                return name, library(name)
            except Unavailable as error:  # a compiler that is older than the processor
                reason = reason or str(error)
    except Unavailable as error:
        reason = str(error)
    return reason, None


def why_not() -> str | None:
    """Return why there is no native kernel here, as the end of a sentence; None where there is one."""
    name, found = kernel()
    return name if found is None else None


def gains() -> bool:
    """Return whether there is a native kernel that was measured to be faster than PyTorch: one with wide vectors."""
    name, found = kernel()
    return found is not None and VARIANTS[name].width > VARIANTS["portable"].width
