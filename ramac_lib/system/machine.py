"""What a run asks of the machine: the device, and memory that is not given back between updates."""

import ctypes
import sys
from typing import Any

import torch

from ramac_lib.system.errors import RamacError, unknown

DEVICES = ("auto", "cpu", "cuda")
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # glibc's malloc.h


def get_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Raises:
        RamacError: an unknown name, or CUDA was asked for and there is none.
    """
    if name not in DEVICES:
        raise unknown("device", name, DEVICES)
    if name == "cuda" and not torch.cuda.is_available():
        raise RamacError("--device cuda: PyTorch finds no usable GPU on this machine; use --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def prepare(device: torch.device) -> None:
    """Set what PyTorch and glibc keep for a whole process that computes on this device.

    Every method does so when it is made, so that whatever process trains or acts with it makes the same products, as
    fast, and its returns have the same digits.
    """
    if device.type == "cpu":
        keep_freed_memory()
        use_fast_products()


def use_fast_products() -> None:
    """Let oneDNN make float32 matrix products on a CPU, where that changes no result beyond rounding.

    PyTorch asks MKL unless reduced precision is allowed; on AMD's processors oneDNN is about twice as fast at the same
    float32 error. Where the processor has AMX the permission would really round to bfloat16, so there it is not given.
    """
    if torch.backends.mkldnn.is_available() and not torch.cpu._is_amx_tile_supported():
        matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
        matmul.fp32_precision = "bf16"


def keep_freed_memory() -> None:
    """Let glibc keep freed blocks, so that an update's activations do not fault in fresh pages every time.

    On a CPU an update allocates and frees some hundred MB; by default each block above 32 MB at most goes back to the
    kernel and is zeroed again. Elsewhere than on glibc this does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        libc.mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)
        libc.mallopt(_M_TOP_PAD, 1 << 26)
    except (OSError, AttributeError):
        return
