"""The registry of methods: built in, from another distribution by entry point, from a plugin's file, from a notebook.

A method registers itself, with its name, its look in figures and what it needs of the data::

    @register("td3-bc", label="TD3+BC", colour="#CC3311")
    class TD3BC(Method): ...

Another distribution names the modules that do so in its entry points, group ``ramac_lib.plugins``. A name in a file of
results or a config is looked up here and never imported.
"""

from collections import UserDict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ramac_lib.methods.shared.base import Method, Style
from ramac_lib.system.errors import RamacError, check_name, unknown
from ramac_lib.system.plugins import load_entry_points


class Methods(UserDict[str, type[Method]]):
    """Methods by name; those of other distributions are loaded when it is listed or asked for one that it lacks."""

    def __iter__(self) -> Iterator[str]:
        load_entry_points()
        return super().__iter__()

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.data or name in list(self)

    def without(self, *groups: str) -> list[str]:
        """Return the names of all methods but some groups'; without `BESIDE`, what the paper's tables show."""
        return [name for name in self if self.data[name].group not in groups]


METHODS = Methods()
"""Every method by name, in the order of registration, those of the paper first."""
NEIGHBOURS = "neighbours"  # the group of methods that the paper does not compare with and its tables do not show
SAFETY = "safety"  # of those that keep a limit of cost, and their controls; the paper has none of them
BESIDE = (NEIGHBOURS, SAFETY)
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
    group: str = "",
) -> Callable[[Class], Class]:
    """Return a decorator that makes a class known under a name; a class that is defined again replaces itself.

    Args:
        name: in lower case with dashes, as ``--method`` takes it.
        label, colour, line, marker: its look in figures (default: its name, olive).
        needs: columns of the data beside the six arrays: ``costs``.
        group: a set of methods that a table may leave out, as ``neighbours`` or ``safety`` (default: none).

    Raises:
        RamacError: another class has the name, the class has another, it is no name, or an unknown column is needed.
    """
    check_name("the method's name", name)
    if group:
        check_name("the method's group", group)
    wanted = tuple(needs)
    if missing := [column for column in wanted if column not in COLUMNS]:
        raise unknown("column that a method may need", missing[0], COLUMNS)

    def decorate(cls: Class) -> Class:
        there = METHODS.data.get(name)  # a look that loads nothing: entry points may be what registers
        if there is not None and (there.__module__, there.__qualname__) != (cls.__module__, cls.__qualname__):
            raise RamacError(
                f"the method {name!r} is registered twice: by {there.__module__}.{there.__qualname__} "
                f"and by {cls.__module__}.{cls.__qualname__}"
            )
        if cls.name != name and METHODS.data.get(cls.name) is cls:
            raise RamacError(f"{cls.__qualname__} is the method {cls.name!r}; {name!r} needs a class of its own")
        cls.name, cls.style, cls.needs = name, Style(label or name, colour, line, marker), wanted
        cls.group = group
        METHODS[name] = cls
        return cls

    return decorate


def get_method(name: str | type[Method]) -> type[Method]:
    """Return the method of that name; a method's class is returned as it is.

    Raises:
        RamacError: the name is unknown; the known ones are listed.
    """
    if not isinstance(name, str):
        return name
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return METHODS[name]
