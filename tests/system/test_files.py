"""Names of files made of a name that a user gave."""

from pathlib import Path

import pytest

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import beside


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("g/eta0.5", "g/eta0.5.csv"),
        ("g/eta", "g/eta.csv"),
        ("g/eta.csv", "g/eta.csv"),
        ("g/eta0.5.json", "g/eta0.5.csv"),  # one of the files that a command writes beside each other
        ("v1.2/eta", "v1.2/eta.csv"),
    ],
)
def test_a_dot_in_a_name_is_part_of_it(given, expected):
    assert beside(Path(given), ".csv") == Path(expected)


@pytest.mark.parametrize("given", ["", ".", "..", "/", "results/..", ".csv"])
def test_a_path_without_a_name_is_refused(given):
    with pytest.raises(RamacError, match="has no name that files could have"):
        beside(Path(given), ".csv")


def test_a_suffix_may_be_more_than_a_suffix():
    assert beside(Path("critics.csv"), "_states.csv") == Path("critics_states.csv")
