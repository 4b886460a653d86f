"""The one exception that the command line turns into a single sentence."""

import os
import re
from concurrent.futures import BrokenExecutor

# Of other packages, which refuse what they do not know as they are imported; and what that refusal says.
_VARIABLES = {"MUJOCO_GL": "MUJOCO_GL", "MPLBACKEND": "Key backend"}


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
        return " ".join((f"{error.filename}: {error.strerror}" if error.filename else error.strerror).split()), 1
    if isinstance(error, MemoryError) or "allocate memory" in text or "out of memory" in text:
        return "no memory is left; smaller networks, batches or data, or fewer workers, need less", 1
    if isinstance(error, UnicodeEncodeError) and "surrogates" in text:  # as Python reads an argument's other bytes
        return f"{ascii(error.object)[:200]} is no text in UTF-8; expected a name or a path that is", 1
    if isinstance(error, BrokenExecutor):
        return str(killed("worked for this command", "run it again")), 1
    for name, word in _VARIABLES.items():
        if name in os.environ and word in text:
            return f"the environment variable {name} is {os.environ[name]!r}: {text[:200]}", 1
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
