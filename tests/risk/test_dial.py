"""The dial: CVaR below 1, the mean at 1, the upper tail's mean above; nothing outside of (0, 2)."""

import numpy as np
import pytest

from ramac_lib import risk
from ramac_lib.risk.dial import NAMED
from ramac_lib.system.errors import RamacError

LAW = np.arange(1.0, 21.0)  # twenty equally likely outcomes, 1 … 20


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0.05, 1.0), (0.1, 1.5), ("averse", 1.5), (0.125, (1 + 2 + 0.5 * 3) / 2.5), (0.5, 5.5), (1, 10.5),
        ("neutral", 10.5), (1.5, 15.5), ("seeking", 19.5), (1.9, 19.5), (1.95, 20.0), ("1.5", 15.5),
    ],
)  # fmt: skip
def test_levels_of_a_known_law(level, expected):
    weights = risk.dial_weights(level, 20)
    assert weights.sum() == pytest.approx(1)
    assert weights @ LAW == pytest.approx(expected)


@pytest.mark.parametrize("level", [0.03, 0.1, 0.62, 1.0])
def test_seeking_is_averse_of_the_negative(level):
    np.testing.assert_allclose(risk.dial_weights(2 - level, 32), risk.dial_weights(level, 32)[::-1], atol=1e-12)
    if level <= 1:
        np.testing.assert_array_equal(risk.dial_weights(level, 32), risk.weights("cvar", 32, alpha=level))


def test_turning_the_dial_never_lowers_the_value():
    values = [risk.dial_weights(level, 20) @ LAW for level in np.linspace(0.01, 1.99, 100)]
    assert (np.diff(values) >= -1e-12).all()
    assert values[0] == 1
    assert values[-1] == 20


def test_names():
    assert {name: risk.check_level(name) for name in NAMED} == {"averse": 0.1, "neutral": 1.0, "seeking": 1.9}


@pytest.mark.parametrize("level", [0, 2, -0.1, 2.5, float("nan"), float("inf"), "bold", "2"])
def test_levels_out_of_range_are_refused(level):
    with pytest.raises(RamacError, match=rf"the risk level is {level}; expected a number in \(0, 2\), from averse"):
        risk.dial_weights(level, 20)
