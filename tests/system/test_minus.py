"""Minus signs: negative numbers have them, other hyphens stay, and files keep what parses."""

import pytest

from ramac_lib.system.minus import minus, number


@pytest.mark.parametrize(
    ("hyphen", "sign"),
    [
        ("-3.20", "−3.20"),
        ("[-4.31, -4.19]", "[−4.31, −4.19]"),
        ("α = -.1, (-1) and |-2|", "α = −.1, (−1) and |−2|"),
        ("-36 / -324", "−36 / −324"),
        ("-1e-05", "−1e-05"),
        ("±-0", "±−0"),
        ("[-∞, 10]", "[−∞, 10]"),
    ],
)
def test_a_negative_number_has_a_minus_sign(hyphen, sign):
    assert minus(hyphen) == sign
    assert minus(sign) == sign


@pytest.mark.parametrize(
    "text",
    ["0-1", "hopper-medium-v2", "2026-12-01", "1e-05", "RADAC-2", "--seeds 3", "a - 1", "m-e", "d.x)-2", "CVaR0.1-3"],
)
def test_other_hyphens_stay(text):
    assert minus(text) == text


def test_numbers_are_written_as_pages_write_them():
    assert [number(x, 1) for x in (-1.25, -0.04, 0.04, 2.0)] == ["−1.2", "0.0", "0.0", "2.0"]
    assert [number(x, 0, signed=True) for x in (-3.0, 3.0, -0.1)] == ["−3", "+3", "+0"]
    assert number(-12345.6, thousands=True) == "−12,346"
    assert number(float("nan")) == "nan"
    assert number(float("-inf")) == "-inf"  # no digits, no number
