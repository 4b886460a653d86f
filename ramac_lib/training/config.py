"""A run: what it is (its config and that config's hash), and its directory."""

import dataclasses
import hashlib
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.tasks import BANDIT, get_task
from ramac_lib.methods import Config, get_method
from ramac_lib.system.errors import RamacError, unknown


@dataclass(frozen=True)
class RunConfig:
    """All that decides a run's result. Device, logging and evaluation intervals do not, and are not part of it.

    Args:
        method, task: names, of `METHODS` and of `TASKS`.
        settings: the method's own config.
        seeds: one trained policy each, independent of the others.
        steps: length of the run, in updates.
        source: of the data (`ramac_lib.datasets.SOURCES`).
        size: transitions asked of the source; None for the source's default.
        data_seed: seed of the rollouts of bundled data and of the hazard's draws on the data.
        env_id: Gymnasium's id for data from a file of one's own; None where the source knows it.
        hazard: one of `ramac_lib.envs.hazards.PRESETS`.

    Raises:
        RamacError: an unknown name, no seed or one given twice, a step count that is not positive.
    """

    method: str
    task: str
    settings: Config
    seeds: tuple[int, ...]
    steps: int
    source: str = "bundled"
    size: int | None = None
    data_seed: int = 0
    hazard: str = "paper"
    env_id: str | None = None

    def __post_init__(self) -> None:
        get_method(self.method)
        get_task(self.task)
        get_hazard(self.hazard, self.task)
        if not self.seeds:
            raise RamacError("no seeds were given; at least one is needed")
        if len(set(self.seeds)) != len(self.seeds):
            raise RamacError(f"a seed is given twice: {' '.join(map(str, self.seeds))}")
        if min(self.seeds) < 0:
            raise RamacError(f"seed {min(self.seeds)} is negative; seeds are whole numbers from 0")
        if self.steps < 1:
            raise RamacError(f"steps is {self.steps}; expected a whole number of at least 1")

    def to_json(self) -> dict[str, Any]:
        """Return the config as plain data."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @property
    def hash(self) -> str:
        """The run's identity, 12 hexadecimal digits of the config's SHA-256."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def alpha(self) -> float | None:
        """The CVaR level that the method optimises; None for a method without one."""
        return getattr(self.settings, "alpha", None)


def make_config(
    method: str,
    task: str,
    seeds: Sequence[int],
    steps: int,
    options: Mapping[str, str] | None = None,
    released: bool = False,
    **others: Any,
) -> RunConfig:
    """Return a run's config: the method's settings for the task, the released code's if asked, then `options`.

    Args:
        seeds: whole numbers from 0.
        steps: length of the run, in updates.
        options: fields of the method's config as text, e.g. ``{"alpha": "0.05", "risk": "wang"}``.
        released: start from the released code's settings instead of the paper's.
        others: further fields of `RunConfig`, e.g. ``hazard="calibrated"``.

    Raises:
        RamacError: an unknown method, task or option, or an option's value of the wrong type.
    """
    settings = get_method(method).Config.for_task(get_task(task).name)
    if released:
        if not settings.RELEASED:
            raise RamacError(f"{method} was not in the released code, so it has no released settings")
        settings = dataclasses.replace(settings, **settings.RELEASED)
    others.setdefault("hazard", "none" if task == BANDIT else "paper")
    return RunConfig(method, task, with_options(settings, options or {}), tuple(seeds), steps, **others)


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
        RamacError: an unknown option (the known ones are listed) or a value of another type.
    """
    types = typing.get_type_hints(type(settings))
    changes = {}
    for name, text in options.items():
        if name not in {f.name for f in dataclasses.fields(settings)}:
            raise unknown(f"option of {type(settings).__name__.removesuffix('Config')}", name, sorted(types))
        changes[name] = _parse(name, text, types[name])
    return dataclasses.replace(settings, **changes)


def _parse(name: str, text: str, kind: Any) -> Any:
    choices = typing.get_args(kind) if type(None) in typing.get_args(kind) else (kind,)
    if type(None) in choices and text.lower() == "none":
        return None
    target = next(c for c in choices if c is not type(None))
    try:
        if target is bool:
            return {"true": True, "false": False}[text.lower()]
        if typing.get_origin(target) is tuple:
            return tuple(int(part) for part in text.strip("() ").split(",") if part.strip())
        return target(text)
    except (KeyError, ValueError):
        expected = getattr(target, "__name__", str(target))
        raise RamacError(f"option {name} is {text!r}; expected a value of type {expected}") from None


def config_from_json(data: Mapping[str, Any]) -> RunConfig:
    """Return the config that `to_json` wrote."""
    config_class: Any = get_method(data["method"]).Config
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in data["settings"].items()}
    return RunConfig(**{**data, "settings": config_class(**settings), "seeds": tuple(data["seeds"])})
