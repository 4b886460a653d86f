"""A setting is held to its type and to its range, whoever declares them."""

import math
from dataclasses import dataclass, field, fields
from typing import Literal, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ramac_lib.methods import METHODS
from ramac_lib.methods.shared.ranges import RANGES
from ramac_lib.system.errors import RamacError
from ramac_lib.system.ranges import COUNT, INSIDE, POSITIVE, SHARE, Range, check_fields, check_value, check_values


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5
    own: float = field(default=3.0, metadata={"range": Range(2, 4)})
    sizes: tuple[int, ...] = (1, 2)
    some: tuple[int, ...] = field(default=(1,), metadata={"range": Range(1, entries=1)})
    part: float = field(default=0.5, metadata={"range": INSIDE})
    pair: tuple[int, str] = (1, "a")
    clip: float | None = None
    how: Literal["a", "b"] = "a"
    on: bool = True
    name: str = "x"
    anything: object = None


TABLE = {"rate": SHARE, "own": SHARE, "sizes": COUNT, "clip": POSITIVE}


def test_what_is_allowed_passes():
    check_fields(Settings(), TABLE)
    check_fields(Settings(rate=1, own=2, sizes=(), clip=1e-9, anything=[object()]), TABLE)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rate": 1.5}, "rate is 1.5; expected a number in [0, 1]"),
        ({"rate": math.nan}, "rate is nan; expected a number in [0, 1]"),
        ({"rate": True}, "rate is True; expected a number in [0, 1]"),
        ({"own": 0.5}, "own is 0.5; expected a number in [2, 4]"),  # its own declaration comes first
        ({"sizes": (1, 0)}, "sizes has 0; expected a whole number of at least 1"),
        ({"sizes": (1.5,)}, "sizes has 1.5; expected a whole number of at least 1"),
        ({"sizes": 3}, "sizes is 3; expected a list"),
        ({"some": ()}, "some has 0 entries; expected at least 1"),
        ({"some": (0,)}, "some has 0; expected a whole number of at least 1"),
        ({"part": 1.0}, "part is 1.0; expected a number in (0, 1)"),
        ({"part": 0.0}, "part is 0.0; expected a number in (0, 1)"),
        ({"pair": (1,)}, "pair has 1 entries; expected 2"),
        ({"pair": (1, 2)}, "pair has 2; expected a line of text"),
        ({"clip": 0}, "clip is 0; expected a number above 0"),
        ({"clip": math.inf}, "clip is inf; expected a number above 0"),
        ({"how": "c"}, "unknown value of how 'c': choose one of a, b"),
        ({"on": 1}, "on is 1; expected true or false"),
        ({"name": None}, "name is None; expected a line of text"),
        ({"name": "a\0b"}, r"name is 'a\x00b'; expected a line of text"),
    ],
)
def test_what_is_wrong_is_named(change, sentence):
    with pytest.raises(RamacError) as caught:
        check_fields(Settings(**change), TABLE)
    assert str(caught.value).startswith(sentence)


def test_a_field_that_is_not_there_is_refused():
    with pytest.raises(RamacError, match="unknown field of Settings 'speed'"):
        check_values(Settings, {"speed": 1})


def test_annotations_that_cannot_be_looked_up_are_no_reason_to_fail():
    @dataclass(frozen=True)
    class Elsewhere:
        rate: "Unknown" = 0.5

    check_fields(Elsewhere(), TABLE)


@given(st.floats(), st.floats(allow_nan=False), st.floats(allow_nan=False), st.booleans(), st.booleans())
def test_a_value_passes_if_and_only_if_it_is_finite_and_in_the_range(value, low, high, above, below):
    allowed = Range(low, high, above, below)
    ends = ([low] if above else []) + ([high] if below else [])
    inside = math.isfinite(value) and low <= value <= high and value not in ends
    if inside:
        assert check_value("x", value, float, allowed) == value
    else:
        with pytest.raises(RamacError):
            check_value("x", value, float, allowed)


def test_every_setting_of_every_method_has_a_range():
    """A method of the library declares each, words too; one from outside may leave it to the type."""
    bare = {
        one.name
        for method in METHODS.values()
        if method.__module__.startswith("ramac_lib.")
        for one in fields(method.Config)
        if one.type is not bool and get_origin(one.type) is not Literal  # which says its own words
        if "range" not in one.metadata and one.name not in RANGES
    }
    assert bare <= {"risk_parameter"}  # what it may be depends on the measure: `ramac_lib.risk` refuses


def test_every_default_is_in_its_range():
    for method in METHODS.values():
        for task in ("hopper-medium-expert", "risky-bandit", "navigation-gates-mixed"):
            check_fields(method.Config.for_task(task), RANGES)
            if method.Config.RELEASED:
                check_fields(method.Config.released(task), RANGES)
