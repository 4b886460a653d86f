"""The registry of methods: built in, from another distribution by entry point, from a plugin's file, from a notebook.

A method registers itself, with its name, its look in figures and what it needs of the data::

    @register("td3-bc", label="TD3+BC", colour="#CC3311")
    class TD3BC(Method): ...

Another distribution names the modules that do so in its entry points, group ``ramac_lib.methods``. A name in a file of
results or a config is looked up here and never imported.
"""

import functools
import importlib.metadata
import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

from ramac_lib.methods.shared.base import Method, Style
from ramac_lib.system.errors import RamacError, unknown

GROUP = "ramac_lib.methods"
METHODS: dict[str, type[Method]] = {}
"""Every method by name, in the order of registration, those of the paper first."""
_OFFERED: set[str] = set()  # names from entry points
COLUMNS = ("costs",)  # what a method may need of the data beside the six arrays

Class = TypeVar("Class", bound=type[Method])


def register(
    name: str,
    *,
    label: str = "",
    colour: str = "#999933",
    line: str = "-.",
    marker: str = "x",
    needs: Iterable[str] = (),
) -> Callable[[Class], Class]:
    """Return a decorator that makes a class known under a name; a class that is defined again replaces itself.

    Args:
        name: in lower case with dashes, as ``--method`` takes it.
        label, colour, line, marker: its look in figures (default: its name, olive).
        needs: columns of the data beside the six arrays: ``costs``.

    Raises:
        RamacError: another class has the name already, or an unknown column is needed.
    """
    wanted = tuple(needs)
    if missing := [column for column in wanted if column not in COLUMNS]:
        raise unknown("column that a method may need", missing[0], COLUMNS)

    def decorate(cls: Class) -> Class:
        there = METHODS.get(name)
        if there is not None and (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            raise RamacError(
                f"the method {name!r} is registered twice: by {there.__module__}.{there.__qualname__} "
                f"and by {cls.__module__}.{cls.__qualname__}"
            )
        cls.name, cls.style, cls.needs = name, Style(label or name, colour, line, marker), wanted
        METHODS[name] = cls
        return cls

    return decorate


def known_elsewhere(method: type[Method]) -> bool:
    """Return whether other processes that this one starts know a method: not one of a notebook or a script."""
    load_entry_points()
    return method.name in _OFFERED or method.__module__.startswith(("ramac_lib.", "ramac_plugin_"))


@functools.cache
def load_entry_points() -> None:
    """Import what other distributions offer, once; one that fails is named in a warning, the rest works."""
    for point in importlib.metadata.entry_points(group=GROUP):
        before = set(METHODS)
        try:
            point.load()
            _OFFERED.update(set(METHODS) - before)
        except Exception as error:  # whatever another distribution does wrong, ours goes on
            reason = (str(error).splitlines() or [""])[0]
            logging.getLogger(__name__).warning(
                f"the entry point {point.name} ({point.value}) of {GROUP} could not be loaded, so its methods are "
                f"missing: {type(error).__name__}: {reason}"
            )


def get_method(name: str | type[Method]) -> type[Method]:
    """Return the method of that name; a method's class is returned as it is.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if not isinstance(name, str):
        return name
    if name not in METHODS:
        load_entry_points()
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
