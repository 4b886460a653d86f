"""Clock and keyboard: an alarm for what cannot be asked to stop, Ctrl-C that stops what can at a checkpoint."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any


class OutOfTime(Exception):
    """The alarm rang."""


@contextlib.contextmanager
def alarm(seconds: float | None) -> Iterator[None]:
    """Raise `OutOfTime` in the block after some seconds."""
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C call `stop`; a second one interrupts at once."""

    def handler(number: int, _: FrameType | None) -> None:
        stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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
