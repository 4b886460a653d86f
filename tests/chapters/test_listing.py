"""Excerpts of source: what they hold, and that they cannot go stale unseen."""

import pytest

from ramac_lib.system.errors import RamacError
from support import listing


def sample(x):
    y = x + 1
    if y < 2:
        y = 3
    return y


def test_an_excerpt_is_cut_and_dedented():
    assert listing.excerpt(sample, "if y", "y = 3") == "if y < 2:\n    y = 3"
    assert listing.excerpt(sample, "return") == "return y"


def test_a_line_that_is_gone_is_an_error():
    with pytest.raises(RamacError, match="sample has no line with 'z = 4'"):
        listing.excerpt(sample, "z = 4")
    with pytest.raises(RamacError, match="no line with 'if y' after its line 4"):
        listing.excerpt(sample, "return y", "if y")


def test_words_and_code_stand_side_by_side():
    table = listing.beside([("take <b>one</b>", "y = x < 1")], heads=("a & b", "code"))
    assert table.count("<tr>") == 2
    assert "take <b>one</b>" in table
    assert "a &amp; b" in table
    assert "&lt;" in table  # the code's own angle is escaped
    assert 'class="' in table
