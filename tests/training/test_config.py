"""A config is of what the registries know, by this name; options are read as their fields' types."""

import dataclasses
import pickle
import re
from typing import Any, ClassVar, Literal

import pytest

from ramac_lib.envs import tasks
from ramac_lib.envs.hazards import PRESETS, Interval, register_hazard
from ramac_lib.methods import METHODS, Config, Method, get_method, register
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import config_from_json, make_config, plain_settings, with_options

RADAC = get_method("radac")


@dataclasses.dataclass(frozen=True)
class OwnConfig(Config):
    """One field of each kind."""

    KINDS: ClassVar[tuple[str, ...]] = ()

    mode: Literal["fast", "slow", 3] = "fast"
    maybe: Literal["a"] | None = None
    factors: tuple[float, ...] = ()
    names: tuple[str, ...] | None = None
    pair: tuple[int, str] = (1, "a")
    either: int | str = 1
    table: Any = None


def test_an_unregistered_method_has_no_config():
    class Mine(RADAC):
        pass

    class Bare(Method):
        pass

    for cls, name in ((Mine, "'radac'"), (Bare, "''")):
        with pytest.raises(RamacError, match=f"{cls.__name__}'> is not what {name} is the name of; register it"):
            make_config(cls, "risky-bandit", (0,), 10)


def test_a_class_that_was_registered_again_is_no_longer_the_method():
    classes = [type("Mine", (RADAC,), {"__module__": "cell", "__qualname__": "Mine"}) for _ in range(2)]
    try:
        for cls in classes:
            register("own-radac")(cls)
        with pytest.raises(RamacError, match="not what 'own-radac' is the name of"):
            make_config(classes[0], "risky-bandit", (0,), 10)
        config = make_config(classes[1], "risky-bandit", (0,), 10)
    finally:
        METHODS.pop("own-radac", None)
    assert config.to_json()["method"] == "own-radac"
    assert config.hash != make_config("radac", "risky-bandit", (0,), 10).hash


@pytest.mark.parametrize("changes", [{"horizon": 7}, {"name": "another"}])
def test_an_unregistered_task_has_no_config(changes):
    task = dataclasses.replace(tasks.get_task("hopper-medium-expert"), **changes)
    with pytest.raises(RamacError, match=f"is not what '{task.name}' is the name of; register it under one of"):
        make_config("radac", task, (0,), 10, hazard="none")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("mode", "slow", "slow"), ("mode", "3", 3), ("maybe", "a", "a"), ("maybe", "none", None),
        ("factors", "0.5, 1e-3", (0.5, 1e-3)), ("factors", "()", ()), ("names", "a, b", ("a", "b")),
        ("names", "None", None), ("pair", "(2,b)", (2, "b")),
    ],
)  # fmt: skip
def test_options_of_every_kind_are_read(name, text, expected):
    read = getattr(with_options(OwnConfig(), {name: text}), name)
    assert (read, type(read)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("factors", "a,b", "tuple[float, ...]"), ("pair", "1", "tuple[int, str]"), ("table", "x", "Any"),
        ("either", "1", "int | str"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_in_a_sentence(name, text, expected):
    with pytest.raises(RamacError, match=re.escape(f"option {name} is '{text}'; expected a value of type {expected}")):
        with_options(OwnConfig(), {name: text})


@pytest.mark.parametrize(("name", "text", "known"), [("mode", "medium", "fast, slow, 3"), ("maybe", "b", "a")])
def test_a_word_that_is_none_of_a_settings_is_refused_with_those_it_has(name, text, known):
    with pytest.raises(RamacError, match=f"unknown value of {name} '{text}': choose one of {known}$"):
        with_options(OwnConfig(), {name: text})


def test_only_fields_are_offered_as_options():
    with pytest.raises(RamacError, match="unknown option of Own 'KINDS': choose one of batch_size, either") as error:
        with_options(OwnConfig(), {"KINDS": "a"})
    assert "RELEASED" not in str(error.value)


TASK = "hopper-medium-expert"
HURRY = Interval(5, -1.0, 3.5, -20.0, 0.1)


def test_a_hazard_is_taken_by_name_or_itself(monkeypatch):
    monkeypatch.setitem(PRESETS, "hurry", {})
    hurry = register_hazard("hurry", TASK, HURRY)
    named, itself = (make_config("radac", TASK, (0,), 10, hazard=hazard) for hazard in ("hurry", hurry))
    assert named == itself
    assert named.hash == itself.hash
    assert pickle.loads(pickle.dumps(itself)).hazard is hurry


def test_a_hazard_that_runs_could_not_name_is_refused(monkeypatch):
    monkeypatch.setitem(PRESETS, "hurry", {})
    hurry = register_hazard("hurry", TASK, HURRY)
    for hazard, named in ((HURRY, r"Interval\(.*\)"), (dataclasses.replace(hurry, low=-2.0), "hurry")):
        with pytest.raises(RamacError, match=f"the hazard {named} of {TASK} is not a registered one; register it"):
            make_config("radac", TASK, (0,), 10, hazard=hazard)
    with pytest.raises(RamacError, match="'hurry' is not defined for walker2d-medium-expert"):
        make_config("radac", "walker2d-medium-expert", (0,), 10, hazard=hurry)


@dataclasses.dataclass(frozen=True)
class GrownConfig(Config):
    """A config whose last field came later, and whose default has changed since."""

    kept: float = 0.5
    added: str = dataclasses.field(default="new", metadata={"before": "old"})


def test_a_setting_that_came_later_leaves_earlier_runs_as_they_were():
    """At what earlier runs did it is not written down; a stored config without it has that, whatever the default is."""
    mine = type("Grown", (RADAC,), {"Config": GrownConfig, "__module__": "cell"})
    try:
        register("grown")(mine)
        new, old = (make_config("grown", TASK, (0,), 10, {"added": added}, hazard="none") for added in ("new", "old"))
        assert new == make_config("grown", TASK, (0,), 10, hazard="none")
        assert plain_settings(GrownConfig(added="old")) == dataclasses.asdict(Config()) | {"kept": 0.5}
        assert new.to_json()["settings"] == old.to_json()["settings"] | {"added": "new"}
        assert new.hash != old.hash
        assert [config_from_json(config.to_json()) for config in (new, old)] == [new, old]
    finally:
        METHODS.pop("grown", None)


def test_flow_qls_stored_runs_keep_their_hash():
    """The hash in data/results/hazard_free.json, from before there were these three settings."""
    before = {"init": "fan_in", "time_embedding": "sinusoidal", "joint_update": "false"}
    config = make_config("flow-ql", TASK, (0, 1), 5000, before, hazard="none")
    assert not before.keys() & config.to_json()["settings"].keys()
    assert config.hash == "6ddbdf7c4058"
    assert config_from_json(config.to_json()) == config
