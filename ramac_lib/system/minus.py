"""Minus signs of numbers that are read; what is parsed again, as CSV, commands and code, keeps the hyphen."""

import re

MINUS = "\N{MINUS SIGN}"
# A hyphen that begins a number; ranges (0-1), versions (-v2), dates, words (RADAC-2) and exponents (1e-05) have others.
_HYPHEN = re.compile(r"(?<![\w.)\]}’'\"%-])-(?=\.?\d|∞)")


def minus(text: str) -> str:
    """Return a text whose negative numbers begin with U+2212 in place of a hyphen."""
    return _HYPHEN.sub(MINUS, text)


def number(value: float, digits: int = 0, signed: bool = False, thousands: bool = False) -> str:
    """Return a number as a page writes it: with a true minus sign, and none where it rounds to zero.

    Args:
        signed: a positive number has a plus sign.
        thousands: separated by commas.
    """
    return minus(f"{value:{'+' if signed else ''}z{',' if thousands else ''}.{digits}f}")
