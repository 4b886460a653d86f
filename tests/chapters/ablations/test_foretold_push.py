"""The push of a perfect critic, by hand, and what is foretold from it."""

import pandas as pd
import pytest
from ablation_tables import row, sweeps

from ramac_lib.analysis.evidence import Missing
from support.ablations import push

OWN = {"eta": 0.3, "bc_weight": 1.0, "alpha": 0.1, "n_fractions": 20, "grid_rule": "exact", "td_clip": None}
OWN |= {"risk": "cvar", "risk_parameter": None}


@pytest.mark.parametrize(
    ("change", "by_hand"),
    [
        ({}, 0.3 * (1 + 3.2)),
        ({"eta": 0.1}, 0.1 * 4.2),
        ({"bc_weight": 3.0}, 0.1 * 4.2),
        ({"alpha": 0.05}, 0.3 * 9.2),
        ({"alpha": 1.0}, 0.3 * (1 - 1.3)),  # the mean prefers the ring
        ({"td_clip": 4.0}, 0.3 * (1 + 1.1)),  # the trap's −8.2 reads −4
        ({"td_clip": 1.0}, 0.3 * 1.0),  # half −1, half 1
        ({"n_fractions": 8}, 0.3 * (1 - 1.8)),  # no fraction lies below the trap's probability
        ({"n_fractions": 16, "grid_rule": "floor"}, 0.3 * 9.2),
        ({"risk": "neutral"}, 0.3 * (1 - 1.3)),
    ],
)
def test_the_push_by_hand(change, by_hand):
    assert push.push(OWN | change) == pytest.approx(by_hand)


def test_rows_that_change_something_else_are_left_out():
    table, facts = sweeps(
        row("", 0.9, settings=OWN),
        row("eta=1", 0.99, settings=OWN | {"eta": 1.0}),
        row("batch_size=64", 0.5, settings=OWN),
        row("eta=1,alpha=1", -3.0, suite="map", settings=OWN | {"eta": 1.0, "alpha": 1.0}),
        row("risk=wang", 0.3, suite="measures", settings=OWN | {"risk": "wang"}),
    )
    found = push.points(table, facts)
    assert list(found["variant"]) == ["", "eta=1", "eta=1,alpha=1", "risk=wang"]
    assert found["push"].tolist()[:3] == pytest.approx([1.26, 4.2, -0.3])


def test_the_line_goes_through_the_knobs_and_is_flat_beyond():
    knobs = [("knobs", "a", 1.0, 0.0), ("knobs", "b", 100.0, 1.0), ("knobs", "c", -1.0, -3.0)]
    others = [("map", "d", 10.0, 0.6), ("map", "e", 1000.0, 1.0), ("measures", "f", -2.0, -3.5)]
    found = push.check(pd.DataFrame(knobs + others, columns=["suite", "variant", "push", "cvar"]))
    assert found["foretold"].tolist() == pytest.approx([0.5, 1.0, -3.0])
    assert found["error"].tolist() == pytest.approx([0.1, 0.0, 0.5])
    assert found["plain"].tolist() == pytest.approx([0.6 + 2 / 3, 1 + 2 / 3, 3.5 - 2 / 3])


def test_without_rows_there_is_nothing_to_foretell():
    empty = pd.DataFrame(columns=["suite", "variant", "push", "cvar"])
    with pytest.raises(Missing, match="too few rows"):
        push.check(empty)
