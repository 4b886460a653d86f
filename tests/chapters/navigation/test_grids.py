"""What a perfect critic of N fractions says of a way."""

import numpy as np
import pytest

from ramac_lib import risk
from ramac_lib.system.errors import RamacError
from support.navigation import grids, tables


def test_a_sure_way_is_known_exactly_whatever_the_grid():
    found = grids.settled([1.0, 2.0, 3.0], [0.0, 0.0, 0.0], 20.0, 5, discount=0.5)
    np.testing.assert_allclose(found, -(1 + 0.5 * 2 + 0.25 * 3))


def test_by_hand_one_step_of_three_percent():
    """τ_1 is 1/32 with 16 fractions, above .03: unseen. 32 have 1/64 and give it a bin of 1/32, 20 a bin of 1/20."""
    seen = {n: (grids.settled([1.0], [0.03], 20.0, n) == -21).sum() for n in (16, 20, 32)}
    assert seen == {16: 0, 20: 1, 32: 1}
    # A second such step before it: of 20 fractions two are struck, .1 where .0591 is true; of 32 two, .0625.
    twice = {n: (grids.settled([1.0, 1.0], [0.03, 0.03], 20.0, n) < -20).sum() for n in (16, 20, 32)}
    assert twice == {16: 0, 20: 2, 32: 2}


def test_fine_grids_come_to_the_exact_distribution():
    costs, risks = [1.0, 0.8, 0.6, 0.4], [0.1, 0.05, 0.2, 0.0]
    fine = grids.settled(costs, risks, 10.0, 4096)
    law = grids.exact(costs, risks, 10.0)
    assert law[1].sum() == pytest.approx(1)
    assert fine.mean() == pytest.approx(risk.risk_of_law(*law, "neutral"), abs=0.02)
    weights = risk.weights("cvar", 4096)
    assert fine @ weights == pytest.approx(risk.risk_of_law(*law, "cvar"), abs=0.05)


def test_quantiles_of_a_distribution_by_hand():
    values, masses = np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.5, 0.25])
    np.testing.assert_array_equal(grids.quantiles_of(values, masses, 4), [1, 1, 2, 3])


def test_ways_must_be_whole():
    with pytest.raises(RamacError, match="2 costs and 1 risks"):
        grids.settled([1.0, 1.0], [0.0], 1.0, 8)
    with pytest.raises(RamacError, match="0 costs"):
        grids.settled([], [], 1.0, 8)


def test_the_fewest_fractions_are_those_of_the_settings():
    from ramac_lib.methods import get_method

    assert tables.fewest() == get_method("radac").Config.for_task("navigation-obstacle-mixed").n_fractions == 32
    table = tables.ranks()
    assert table.loc["16", "ranks rightly on"] == "gates"
    assert table.loc["20", "through: mean"] < table.loc["20", "round: mean"]  # the mean is wrong, not the tail
    assert table.loc["exact", "through: mean"] > table.loc["exact", "round: mean"]
