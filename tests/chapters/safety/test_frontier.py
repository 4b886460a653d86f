"""The exact frontier of mean return against mean cost on risky navigation, and what a mean cost does not see."""

import numpy as np
import pytest

from ramac_lib import risk
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.maps import MAPS
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from support.safety import frontier


@pytest.fixture(scope="module")
def found():
    return frontier.corners(MAPS["obstacle"], MAPS["obstacle"].hazard("rare"))


def test_the_corners_are_the_detour_and_the_straight_way(found):
    """12 steps round the disc cost 8.432; 8 steps through it, 4 inside, 5.439 and 4 · .03 · 20 in the mean."""
    assert [c.cost for c in found] == [0.0, 4.0]
    assert [c.mean for c in found] == pytest.approx([-8.43192, -5.43862 - 2.4], abs=1e-5)


def test_a_mixture_has_both_laws_and_its_tail_by_hand(found):
    half = frontier.under_limit(found, 0.4)  # a tenth of the straight way's cost: drawn in one episode of ten
    assert half.cost == pytest.approx(0.4)
    assert half.mean == pytest.approx(0.9 * found[0].mean + 0.1 * found[1].mean)
    values, masses = half.law
    assert masses.sum() == pytest.approx(1)
    struck = 1 - 0.97**4  # of straight episodes; the rest of the lowest tenth are detours, the worst of what is left
    losses = sum(k * m for k, m in zip(range(1, 5), _binomial(4, 0.03)[1:], strict=True)) * 20
    worst = 0.1 * (struck * -5.43862 - losses) + (0.1 - 0.1 * struck) * -8.43192
    assert risk.risk_of_law(values, masses, "cvar", alpha=0.1) == pytest.approx(worst / 0.1, abs=1e-4)


def _binomial(n: int, p: float) -> list[float]:
    return [
        np.prod(range(n - k + 1, n + 1)) / np.prod(range(1, k + 1)) * p**k * (1 - p) ** (n - k) for k in range(n + 1)
    ]


def test_the_tail_falls_as_the_limit_rises_while_the_mean_rises(found):
    table = frontier.by_limit(found, np.linspace(0, 6, 13))
    assert (np.diff(table["mean"]) >= -1e-9).all()
    assert (np.diff(table["cvar"]) <= 1e-9).all()
    assert table["cost"].max() == 4.0  # a loose limit does not bind


def test_what_the_mean_cost_does_not_see_the_tail_does():
    table = frontier.same_mean((0.01, 0.1, 1.0)).set_index("probability")
    assert table["cvar_safe"].nunique() == 1
    assert (table["penalty"] * table.index).tolist() == pytest.approx([-0.6] * 3)
    assert table["cvar_limited"].is_monotonic_increasing
    assert (
        table.loc[1.0, "cvar_neutral"] > table.loc[1.0, "cvar_safe"]
    )  # a sure penalty has no tail: straight on is best
    assert table.loc[0.01, "cvar_neutral"] < table.loc[0.01, "cvar_limited"] < table.loc[0.01, "cvar_safe"]


def test_a_count_of_steps_cannot_tell_two_gates_of_unequal_risk():
    found = frontier.corners(MAPS["gates"], MAPS["gates"].hazard("rare"))
    assert [c.cost for c in found] == [1.0]  # either gate costs one step; the limit leaves the riskier one
    averse = -6.019  # CVaR_0.1 of the far gate, the best one's (chapter 3b)
    assert risk.risk_of_law(*found[0].law, "cvar", alpha=0.1) < averse - 5


def test_what_cannot_be_asked_is_refused(found):
    with pytest.raises(RamacError, match="a limit on the cost is -1; expected a number ≥ 0"):
        frontier.under_limit(found, -1)
    with pytest.raises(RamacError, match="expected numbers ≥ 0"):
        frontier.corners(MAPS["obstacle"], MAPS["obstacle"].hazard("rare"), (-0.1,))
    with pytest.raises(RamacError, match="has no areas"):
        frontier.corners(MAPS["obstacle"], get_hazard("none", get_task("navigation-obstacle-mixed")))
    gates = frontier.corners(MAPS["gates"], MAPS["gates"].hazard("rare"))
    with pytest.raises(RamacError, match=r"no plan costs 0\.5 or less; the safest costs 1"):
        frontier.under_limit(gates, 0.5)


def test_the_figure_shows_each_curve(found):
    limits, tails = frontier.by_limit(found, [0, 1, 4]), frontier.same_mean((0.1, 1.0))
    left, right = frontier.draw(limits, tails, 0.4).axes
    assert [line.get_label() for line in left.lines][:2] == ["mean", "CVaR$_{0.1}$"]
    assert len(right.lines) == 3
