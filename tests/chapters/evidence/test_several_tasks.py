"""Over tasks: signs counted, effects in shares of the best behaviour policy, what is missing or short left out."""

import pytest
from campaign_tables import around, episodes, gathered, policies

from ramac_lib.analysis.evidence import Missing
from ramac_lib.envs.tasks import get_task
from support.evidence.together import (
    ANY_METHOD,
    BEST_BEHAVIOUR,
    BEST_METHOD,
    completion,
    rank_agreement,
    together,
)

TASKS = ("hopper-medium-expert", "walker2d-medium-replay", "halfcheetah-medium-replay")


def campaign(means, step=10_000, unit=200.0):
    """`means`: by task, of each row."""
    tables = [
        episodes(row, around(mean, seed=k), task=task, step=step, horizon=get_task(task).horizon)
        for task, rows in means.items()
        for k, (row, mean) in enumerate(rows.items())
    ]
    return gathered(*tables, behaviour=[t for task in means for t in policies(unit, 100.0, task=task)])


def test_signs_are_counted_and_differences_are_shares_of_the_best_behaviour():
    found = campaign({
        TASKS[0]: {"radac": 300, "bc-diffusion": 200, "cql": 250, "oraac": 150},
        TASKS[1]: {"radac": 100, "bc-diffusion": 100, "cql": 250, "oraac": 150},
        TASKS[2]: {"radac": 100, "bc-diffusion": 180, "cql": 50, "oraac": 100},
    })  # fmt: skip
    beside = together(found, "paper", "radac", "bc-diffusion", "mean")
    assert (beside.above, beside.tied, beside.below, beside.short) == ([TASKS[0]], [TASKS[1]], [TASKS[2]], [])
    assert beside.effect.value == pytest.approx((100 + 0 - 80) / 3 / 200)
    assert beside.effect.low < beside.effect.value < beside.effect.high
    best = together(found, "paper", "radac", BEST_METHOD, "mean")
    assert (best.above, best.tied, best.below) == ([TASKS[0]], [TASKS[2]], [TASKS[1]])
    played = together(found, "paper", "radac", BEST_BEHAVIOUR, "mean")
    assert (played.above, played.below, played.tasks) == ([TASKS[0]], [TASKS[1], TASKS[2]], 3)
    assert together(found, "paper", ANY_METHOD, BEST_BEHAVIOUR, "mean").above == [TASKS[0], TASKS[1]]


def test_tasks_without_both_rows_count_nowhere_and_short_runs_have_no_sign():
    found = campaign({TASKS[0]: {"radac": 300, "cql": 100}, TASKS[1]: {"cql": 100}})
    assert together(found, "paper", "radac", "cql", "cvar").tasks == 1
    with pytest.raises(Missing, match="No task has both RADAC and ORAAC"):
        together(found, "paper", "radac", "oraac", "cvar")
    with pytest.raises(Missing, match="nothing under the hazard calibrated"):
        together(found, "calibrated", "radac", "cql", "cvar")
    short = together(campaign({TASKS[0]: {"radac": 300, "cql": 100}}, step=9_999), "paper", "radac", "cql", "mean")
    assert (short.tasks, short.short, short.effect) == (0, [TASKS[0]], None)


def test_the_order_by_mean_and_the_order_by_tail():
    rows = {"radac": 400, "cql": 300, "oraac": 200, "codac": 100}
    assert rank_agreement(campaign({TASKS[0]: rows}), "paper") == {TASKS[0]: pytest.approx(1)}
    with pytest.raises(Missing, match="four of the paper's methods"):
        rank_agreement(campaign({TASKS[0]: {"radac": 1, "cql": 2}}), "paper")


def test_completion_is_told_where_it_was_stored():
    table = episodes("radac", around(100))
    table["completed"] = [1] * 45 + [0] * 15
    other = episodes("cql", around(100), task=TASKS[1])
    assert completion(gathered(table, other), "paper", ("radac", "cql")) == {TASKS[0]: {"RADAC": 0.75}}
    with pytest.raises(Missing, match="do not say which episodes"):
        completion(gathered(other), "paper", ("cql",))
