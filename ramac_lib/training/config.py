"""What a run is: its config, and that config's hash."""

import dataclasses
import hashlib
import inspect
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ramac_lib.envs.hazards import Hazard, get_hazard
from ramac_lib.envs.tasks import TASKS, Task, check_env_id, get_task
from ramac_lib.methods import METHODS, Config, Method, get_method
from ramac_lib.methods.shared.ranges import RANGES
from ramac_lib.system.errors import RamacError, unknown
from ramac_lib.system.ranges import COUNT, SEEDS, check_fields, check_values


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run's result. Device, logging and evaluation intervals do not, and are not part of it.

    Args:
        method: its class, a registered one.
        settings: the method's own config.
        seeds: one trained policy each, independent of the others.
        steps: length of the run, in updates.
        hazard: one of the task's, by name; the Risky Bandit has none.
        source: of the data (`ramac_lib.datasets.SOURCES`).
        size: transitions asked of the source; None for the source's default.
        data_seed: seed of the rollouts of bundled data and of the hazard's draws on the data.
        env_id: Gymnasium's id for data from a file of one's own; None where the source knows it.

    Raises:
        RamacError: a method or task that is not registered, no seed or one twice, an unknown hazard, a value of another
            type or outside its declared range (here and in the settings), an `env_id` that would import a module.
    """

    method: type[Method]
    task: Task
    settings: Config
    seeds: tuple[int, ...] = field(metadata={"range": SEEDS})
    steps: int = field(metadata={"range": COUNT})
    hazard: Hazard
    source: str = "bundled"
    size: int | None = field(default=None, metadata={"range": COUNT})
    data_seed: int = field(default=0, metadata={"range": SEEDS})
    env_id: str | None = None

    def __post_init__(self) -> None:
        for own, known in ((self.method, METHODS.get(self.method.name)), (self.task, TASKS.get(self.task.name))):
            if known != own:  # a stored config has their names only
                raise RamacError(f"{own!r} is not what {own.name!r} is the name of; register it under one of its own")
        if not (called := self.hazard.name) or get_hazard(called, self.task) != self.hazard:
            raise RamacError(f"the hazard {called or self.hazard} of {self.task} is not a registered one; register it")
        if not self.seeds:
            raise RamacError("no seeds were given; at least one is needed")
        if len(set(self.seeds)) != len(self.seeds):
            raise RamacError(f"a seed is given twice: {' '.join(map(str, self.seeds))}")
        check_fields(self)
        check_fields(self.settings, RANGES)  # which a config from outside may not have done itself
        if self.env_id is not None:
            check_env_id(self.env_id)

    def to_json(self) -> dict[str, Any]:
        """Return the config as plain data, method, task and hazard by name."""
        plain = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        plain |= {key: getattr(self, key).name for key in ("method", "task", "hazard")}
        return json.loads(json.dumps(plain | {"settings": plain_settings(self.settings)}))

    def __reduce__(self) -> Any:
        return config_from_json, (self.to_json(),)  # another process looks the names up in its own registries

    @property
    def hash(self) -> str:
        """The run's identity, 12 hexadecimal digits of the config's SHA-256."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def alpha(self) -> float | None:
        """The CVaR level that the method optimises; None for a method without one."""
        return getattr(self.settings, "alpha", None)


def plain_settings(settings: Config) -> dict[str, Any]:
    """Return a method's settings as plain data, those at their ``before`` left out.

    A field that is added to a method's config says in its metadata what every earlier run did, ``field(default=…,
    metadata={"before": value})``. With that value it is not written down, so earlier runs keep their hashes, and
    `config_from_json` takes a field that is missing to have it, whatever has become the default.
    """
    left_out = before(type(settings))
    every = dataclasses.asdict(settings)
    return {name: value for name, value in every.items() if name not in left_out or value != left_out[name]}


def before(kind: type[Config]) -> dict[str, Any]:
    """Return the settings that are younger than stored runs, with the values that those were made with."""
    return {f.name: f.metadata["before"] for f in dataclasses.fields(kind) if "before" in f.metadata}


def make_config(
    method: str | type[Method],
    task: str | Task,
    seeds: Sequence[int],
    steps: int,
    options: Mapping[str, str] | None = None,
    released: bool = False,
    *,
    hazard: str | Hazard | None = None,
    **others: Any,
) -> RunConfig:
    """Return a run's config: the method's settings for the task, the released code's if asked, then `options`.

    Args:
        method, task: by name, or themselves.
        seeds: whole numbers from 0.
        steps: length of the run, in updates.
        options: fields of the method's config as text, e.g. ``{"alpha": "0.05", "risk": "wang"}``.
        released: start from the released code's settings instead of the paper's.
        hazard: by name or itself, a registered one (default: the paper's; none where the task has no such).
        others: further fields of `RunConfig`.

    Raises:
        RamacError: an unknown method, task, hazard or option, or an option's value of the wrong type.
    """
    cls, chosen = get_method(method), get_task(task)
    if released and not cls.Config.RELEASED:
        raise RamacError(f"{cls.name} was not in the released code, so it has no released settings")
    settings = (cls.Config.released if released else cls.Config.for_task)(chosen.name)
    live = hazard if isinstance(hazard, Hazard) else get_hazard(hazard, chosen)
    return RunConfig(cls, chosen, with_options(settings, options or {}), tuple(seeds), steps, live, **others)


def parse_options(pairs: Sequence[str]) -> dict[str, str]:
    """Return ``name=value`` pairs as a dict.

    Raises:
        RamacError: a pair without ``=``, or a name given twice.
    """
    options: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise RamacError(f"--set {pair!r}: expected option=value")
        if name in options:
            raise RamacError(f"--set gives option {name} twice")
        options[name] = value
    return options


def with_options(settings: Config, options: Mapping[str, str]) -> Config:
    """Return the settings with `options` (name → text) parsed to each field's type.

    Raises:
        RamacError: an unknown option (the known ones are listed), a value of another type or outside its range.
    """
    hints = typing.get_type_hints(type(settings))
    known = sorted(field.name for field in dataclasses.fields(settings))
    changes = {}
    for name, text in options.items():
        if name not in known:
            raise unknown(f"option of {type(settings).__name__.removesuffix('Config')}", name, known)
        try:
            changes[name] = _read(text, hints[name])
        except (KeyError, TypeError, ValueError):
            expected = inspect.formatannotation(hints[name])
            raise RamacError(f"option {name} is {text!r}; expected a value of type {expected}") from None
    check_values(type(settings), changes, RANGES)  # before a config is made of them, which may compute with them
    return dataclasses.replace(settings, **changes)


def _read(text: str, kind: Any) -> Any:
    """Return the text as that type, or raise a KeyError, TypeError or ValueError."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if type(None) in arguments:
        return None if text.lower() == "none" else _read(text, next(a for a in arguments if a is not type(None)))
    if kind is bool:
        return {"true": True, "false": False}[text.lower()]
    if origin is typing.Literal:
        return {str(choice): choice for choice in arguments}.get(text, text)  # what is none of them is refused below
    if origin is tuple:
        parts = [part.strip() for part in text.strip("() ").split(",") if part.strip()]
        kinds = arguments[:1] * len(parts) if arguments[1:] == (...,) else arguments
        return tuple(_read(part, kind) for part, kind in zip(parts, kinds, strict=True))
    return kind(text)


def config_from_json(data: Mapping[str, Any]) -> RunConfig:
    """Return the config that `to_json` wrote.

    Raises:
        RamacError: a method, task or hazard that is not known here (one of a plugin needs ``--plugin``), a field that
            is missing, unknown, of another type or outside its range.
    """
    names = ("method", "task", "hazard", "settings", "seeds")
    kinds = {"settings": (Mapping, "a mapping"), "seeds": (list, "a list")}
    for name in names:
        kind, meaning = kinds.get(name, (str, "a name"))
        if not isinstance(data.get(name), kind):
            raise RamacError(f"a run's {name} is {data.get(name)!r}; expected {meaning}")
    try:
        method, task = get_method(data["method"]), get_task(data["task"])
        hazard = get_hazard(data["hazard"], task)
    except RamacError as error:
        raise RamacError(f"{error}; one of your own is known where its file is loaded, with --plugin FILE") from None
    config_class: Any = method.Config
    stored = {
        k: tuple(v) if isinstance(v, list) else v for k, v in {**before(config_class), **data["settings"]}.items()
    }
    check_values(config_class, stored, RANGES)
    others = {k: v for k, v in data.items() if k not in names}
    check_values(RunConfig, others)
    try:
        return RunConfig(method, task, config_class(**stored), tuple(data["seeds"]), hazard=hazard, **others)
    except TypeError as error:  # a field without a default is missing
        raise RamacError(f"a run's config lacks a field: {error}") from None
