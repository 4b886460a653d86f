"""Ctrl-C: a run that is interrupted stops at a checkpoint."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """Ctrl-C: the run stopped at a checkpoint and can be resumed."""


@contextlib.contextmanager
def interruptible() -> Iterator[Any]:
    """Turn the first Ctrl-C into a flag; a second one interrupts at once."""
    pressed: list[int] = []

    def handler(number: int, _: FrameType | None) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # Ctrl-C is another process's business
        yield lambda: False
        return
    try:
        before = signal.signal(signal.SIGINT, handler)
    except ValueError:  # not in the main thread
        yield lambda: False
        return
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
