"""The rules on risk measures, on numbers whose verdict is known."""

import numpy as np
import pytest
from ablation_tables import row, sweeps
from campaign_tables import around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from support.ablations import measures
from support.ablations.measures import CLAIMS, OnBandit, OnRobot
from support.evidence.case import Case
from support.verdicts import HOLDS, NOT, PARTLY, UNDECIDED, UNSAID, judge

TASK = "walker2d-medium-replay"
WOBBLE = np.array([-2, -1, 0, 1, 2.0])


def case(**numbers):
    """A method on the bandit; measure → (CVaR, mean), each one a seed or one for all."""
    rows = [
        row(
            "" if m == "cvar" else f"risk={m}", list(np.broadcast_to(tail, 5)), mean=list(np.broadcast_to(mean, 5)),
            suite="knobs" if m == "cvar" else "measures",
        )
        for m, (tail, mean) in numbers.items()
    ]  # fmt: skip
    return OnBandit(sweeps(*rows)[0], "radac")


def verdict(k, **numbers):
    return judge(CLAIMS[k : k + 1], {"one": case(**numbers)})["verdict"].iloc[0]


SURE = 0.01 * WOBBLE


@pytest.mark.parametrize(
    ("wang", "said"),
    [
        ((0.0 + SURE, 1.2), HOLDS),  # weaker tail, higher mean
        ((0.0 + SURE, 1.0), PARTLY),  # weaker tail, the same mean
        ((0.0 + WOBBLE, 1.0 + WOBBLE), UNDECIDED),
        ((0.9 + SURE, 0.8), NOT),  # a higher tail, a lower mean
    ],
)
def test_wang_tilts_to_the_mean(wang, said):
    assert verdict(0, cvar=(0.5, 1.0), wang=wang) == said


@pytest.mark.parametrize(
    ("cpw", "said"),
    [
        ((0.25 + 3 * SURE, 1.1), HOLDS),
        ((0.25 + SURE / 30, 1.1), PARTLY),  # between, but steadier than the others
        ((-0.5 + SURE / 30, 2.0), NOT),
    ],
)
def test_cpw_sits_between_and_spreads(cpw, said):
    tight = 0.001 * WOBBLE
    assert verdict(1, cvar=(0.5 + tight, 1.0), wang=(0.0 + tight, 1.2), cpw=cpw) == said


@pytest.mark.parametrize(
    ("wang", "cpw", "said"),
    [
        ((0.0 + SURE, 1.0), (0.1 + SURE, 0.9), HOLDS),
        ((0.0 + SURE, 1.3), (0.1 + SURE, 0.9), PARTLY),  # beside Wang the tail is paid with the mean
        ((0.8 + SURE, 1.0), (0.0 + SURE, 1.3), NOT),
        ((0.5 + WOBBLE, 1.0), (0.5 - WOBBLE, 1.0), UNDECIDED),
    ],
)
def test_cvar_is_the_most_reliable(wang, cpw, said):
    assert verdict(2, cvar=(0.5, 1.0), wang=wang, cpw=cpw) == said


def test_a_measure_that_was_not_run_leaves_the_sentence_unsaid():
    table = judge(CLAIMS, {"one": case(cvar=(0.5, 1.0), wang=(0.0 + SURE, 1.2))})
    assert list(table["verdict"]) == [HOLDS, UNSAID, UNSAID]
    assert "no radac:risk=cpw in measures" in table["found"].iloc[1]


def test_the_ratio_of_variances_is_told_by_the_f_test():
    numbers = case(cvar=(WOBBLE, 1.0), wang=(3 * WOBBLE, 1.0), cpw=(4 * WOBBLE, 1.0), power=(np.ones(5), 1.0))
    assert measures.spread_ratio(numbers, "wang", "cvar", "cvar") == (pytest.approx(9), 0)  # F(4, 4) needs 9.60
    assert measures.spread_ratio(numbers, "cpw", "cvar", "cvar") == (pytest.approx(16), 1)
    assert measures.spread_ratio(numbers, "cvar", "cpw", "cvar") == (pytest.approx(1 / 16), -1)
    assert measures.spread_ratio(numbers, "power", "power", "cvar") == (1.0, 0)
    assert measures.spread_ratio(numbers, "cvar", "power", "cvar") == (float("inf"), 1)
    two = sweeps(row("", [1.0, 2.0], seeds=(0, 1)), row("risk=wang", [1.0, 2.0], seeds=(0, 1), suite="measures"))[0]
    with pytest.raises(Missing, match="needs 3 seeds, not 2"):
        measures.spread_ratio(OnBandit(two, "radac"), "cvar", "wang", "cvar")


def robot(seeds=3, step=10_000):
    tables = [
        episodes("radac" if m == "cvar" else f"radac:risk={m}", around(mean, seeds=seeds, seed=k), task=TASK, step=step)
        for k, (m, mean) in enumerate({"cvar": 300.0, "wang": 200.0, "cpw": 250.0}.items())
    ]
    return OnRobot(Case(gathered(*tables), TASK, "paper"), "radac")


def test_on_a_robot_numbers_are_the_campaigns():
    found = robot()
    assert found.estimate("wang", "mean").value == pytest.approx(200)
    assert found.minus("cvar", "wang", "mean").sign == 1
    assert found.seeds("cpw", "mean") == pytest.approx([250, 250, 250])
    tails = found.seeds("cvar", "cvar")
    assert (tails < 300).all()
    assert len(tails) == 3
    verdicts = judge(CLAIMS, {"one": found})["verdict"]
    assert verdicts.iloc[0] == PARTLY  # a weaker tail, but no higher mean
    assert verdicts.iloc[2] == HOLDS


@pytest.mark.parametrize(
    ("wrong", "said"), [({"seeds": 2}, "needs 3 seeds, not 2"), ({"step": 1000}, "needs 10,000 updates, not 1,000")]
)
def test_too_few_seeds_or_updates_say_nothing(wrong, said):
    table = judge(CLAIMS, {"one": robot(**wrong)})
    assert set(table["verdict"]) == {UNSAID}
    assert said in table["found"].iloc[0]


def test_between_is_told_only_where_both_ends_are():
    def numbers(ends):
        class Made:
            def minus(self, first, second, statistic):
                return Estimate(0, *{1: (1, 2), -1: (-2, -1), 0: (-1, 1)}[ends[second]])

        return Made()

    assert measures.between(numbers({"cvar": 1, "wang": -1}), "mean") == 1
    assert measures.between(numbers({"cvar": -1, "wang": 1}), "mean") == 1
    assert measures.between(numbers({"cvar": 1, "wang": 1}), "mean") == -1
    assert measures.between(numbers({"cvar": 0, "wang": 1}), "mean") == 0
