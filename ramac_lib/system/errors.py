"""The one exception that the command line turns into a single sentence."""

import re


class RamacError(ValueError):
    """What a user can mend: bad input, a damaged file, a missing device. Its text is one clear sentence."""

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: a notebook, too, shows the sentence alone."""
        return [f"{type(self).__name__}: {self}"]


def unknown(kind: str, name: object, known: object) -> RamacError:
    """Return the error for a name that is not among the known ones, which it lists."""
    return RamacError(f"unknown {kind} {str(name)!r}: choose one of {', '.join(map(str, known))}")  # type: ignore[call-overload]


def check_name(kind: str, name: str) -> str:
    """Return a name that can be part of a folder's name; refuse another with a `RamacError`."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]*", name):
        raise RamacError(f"{kind} {name!r}: expected letters, digits, dots, dashes, _ and +")
    return name
