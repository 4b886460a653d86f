"""What a setting may be: its type as annotated, its range as declared; refused in one sentence, in one place."""

import dataclasses
import math
import numbers
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any

from ramac_lib.system.errors import RamacError, unknown

NAMES = {int: "a whole number", float: "a number", str: "a line of text", bool: "true or false", tuple: "a list"}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; more than `low` where `above` says so, less than `high` where `below` does.

    Of a list it is the range of each entry, and `entries` the least number of them.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    entries: int = 0

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        if self.high >= 2**53:  # as good as none, for who reads it
            return f"above {self.low:g}" if self.above else f"of at least {self.low:g}"
        return f"in {'(' if self.above else '['}{self.low:,g}, {self.high:,g}{')' if self.below else ']'}"


ANY = Range()
COUNT, FROM_0, POSITIVE, SHARE = Range(1), Range(0), Range(0, above=True), Range(0, 1)
INSIDE = Range(0, 1, above=True, below=True)  # neither none nor all
SEEDS = Range(0, 2**63 - 1)
Allowed = Range | tuple[str, ...]  # a range, or the words to choose from; of a list: of each of its entries


def check_value(name: str, value: Any, kind: Any = float, allowed: Allowed = ANY) -> Any:
    """Return a setting's value.

    Args:
        name: as the user knows it.
        kind: its annotation: int, float (finite), bool, str, a tuple, a Literal, or a union of them; others pass.
        allowed: its range.

    Raises:
        RamacError: it is of another type or outside its range.
    """
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, UnionType) else (kind,)
    if value is None and type(None) in kinds:
        return value
    wanted = next(k for k in kinds if k is not type(None))
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is tuple and isinstance(value, tuple):
        kinds = inner[:1] * len(value) if inner[1:] == (...,) else inner
        if len(value) != len(kinds):
            raise RamacError(f"{name} has {len(value)} entries; expected {len(kinds)}")
        if isinstance(allowed, Range) and len(value) < allowed.entries:
            raise RamacError(f"{name} has {len(value)} entries; expected at least {allowed.entries}")
        for entry, each in zip(value, kinds, strict=True):
            _check_one(name, "has", entry, each, allowed)
        return value
    if origin is typing.Literal:
        if value not in inner:
            raise unknown(f"value of {name}", value, inner)
        return value
    _check_one(name, "is", value, origin or wanted, allowed)
    return value


def _check_one(name: str, verb: str, value: Any, kind: Any, allowed: Allowed) -> None:
    if typing.get_origin(kind) is tuple:  # a list of lists
        check_value(name, value, kind, allowed)
    elif kind not in NAMES:
        return
    elif not _fits(value, kind) or (isinstance(allowed, Range) and kind is not str and value not in allowed):
        known = f" {allowed}" if isinstance(allowed, Range) and allowed != ANY else ""
        raise RamacError(f"{name} {verb} {value!r}; expected {NAMES[kind]}{known}")
    elif isinstance(allowed, tuple) and value not in allowed:
        raise unknown(f"value of {name}", value, allowed)


def _fits(value: Any, kind: type) -> bool:
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is float:
        return isinstance(value, numbers.Real) and math.isfinite(value)
    if kind is str:
        return isinstance(value, str) and "\0" not in value
    return kind is int and isinstance(value, numbers.Integral)


def check_fields(settings: Any, table: Mapping[str, Allowed] | None = None) -> None:
    """Check every field of a dataclass: its type, and its range where its metadata (``range``) or `table` has one.

    Raises:
        RamacError: the first field that is wrong.
    """
    check_values(type(settings), {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}, table)


def check_values(kind: type, values: Mapping[str, Any], table: Mapping[str, Allowed] | None = None) -> None:
    """Check values that are to become a dataclass's fields, as `check_fields`; those it does not have are refused.

    Raises:
        RamacError: the first value that is wrong.
    """
    fields = {f.name: f for f in dataclasses.fields(kind)}
    try:
        hints = typing.get_type_hints(kind)
    except NameError:  # annotations as text, of names that only the place knows where the class was made
        hints = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown(f"field of {kind.__name__}", name, sorted(fields))
        check_value(
            name, value, hints.get(name, object), fields[name].metadata.get("range", (table or {}).get(name, ANY))
        )
