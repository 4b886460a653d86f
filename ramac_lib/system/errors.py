"""The one exception that the command line turns into a single sentence."""

import re
from concurrent.futures import BrokenExecutor


class RamacError(ValueError):
    """What a user can mend: bad input, a damaged file, a missing device. Its text is one clear sentence."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: a notebook, too, shows the sentence alone."""
        return [f"{type(self).__name__}: {self}"]


def told(error: BaseException) -> tuple[str, int]:
    """Return an error in one sentence, and an exit code: 1 for what the user can mend, 70 for what only we can."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, RamacError):
        return text, 1
    if isinstance(error, OSError) and error.strerror:
        return (f"{error.filename}: {error.strerror}" if error.filename else error.strerror), 1
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return "no memory is left; smaller networks, batches or data, or fewer workers, need less", 1
    if isinstance(error, BrokenExecutor):
        return str(killed("worked for this command", "run it again")), 1
    return f"unexpected {type(error).__name__}: {text[:300]}; `ramac --debug …` shows where, please report it", 70


def unknown(kind: str, name: object, known: object) -> RamacError:
    """Return the error for a name that is not among the known ones, which it lists."""
    return RamacError(f"unknown {kind} {str(name)!r}: choose one of {', '.join(map(str, known))}")  # type: ignore[call-overload]


def killed(doing: str, remedy: str, state: str = "") -> RamacError:
    """Return the error for a process of a pool that died under its work.

    Args:
        doing: what it did, after "a process that".
        remedy: what helps.
        state: what was still to do then.
    """
    return RamacError(f"a process that {doing} was killed (no memory left?){state}; {remedy}")


def check_name(kind: str, name: str) -> str:
    """Return a name that can be part of a folder's name; refuse another with a `RamacError`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise RamacError(f"{kind} {name!r}: expected letters, digits, dots, dashes, _ and +")
    return name
