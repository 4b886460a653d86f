"""The arithmetic of rounds against a clock that is only counted: equal steps, the budget, the reports."""

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ramac_lib.campaign import plan
from ramac_lib.campaign.plan import Cost, Round, State

STEPS, EVERY = 1000, 100


def state(name="a", step=0, cost=Cost(1.0, 0.01, 2.0, 5.0), **changes):  # noqa: B008
    return State(name, step, STEPS, EVERY, cost, **changes)


def test_seconds_by_hand():
    assert state().seconds(250, report=False) == pytest.approx(1 + 2.5 + 2 * 2)
    assert state().seconds(250, report=True) == pytest.approx(1 + 2.5 + 2 * 2 + 5)
    assert state(step=950).seconds(9999, report=False) == pytest.approx(1 + 0.5 + 2 + 5)  # its end: with the report
    assert state(step=300).seconds(250, report=False) == 0
    assert state(step=300).seconds(250, report=True) == pytest.approx(1 + 5)
    assert state(step=300, reported=300).seconds(250, report=True) == 0
    assert state(failed=True).seconds(250, report=True) == 0
    assert state().seconds(0, report=True) == 0  # nothing was learned: nothing to report


def test_moments_beside_the_regular_ones_cost_an_evaluation_each():
    more = state(evaluate_at=(120, 250))
    assert more.seconds(110, report=False) == pytest.approx(1 + 1.1 + 2)
    assert more.seconds(250, report=False) == pytest.approx(1 + 2.5 + 4 * 2)
    assert replace(more, step=120).seconds(250, report=False) == pytest.approx(1 + 1.3 + 2 * 2)


def test_makespan_by_hand():
    assert plan.makespan([3, 2, 2, 1], 2) == 4
    assert plan.makespan([3, 2, 2, 1], 1) == 8
    assert plan.makespan([], 3) == 0


def test_without_a_budget_rounds_go_from_evaluation_to_evaluation():
    cells = [state("a"), state("b")]
    seen = []
    while planned := plan.following(cells, None, 2):
        seen.append(planned)
        cells = [plan.advanced(c, planned.until) for c in cells]
    assert seen == [Round(k) for k in range(100, 1001, 100)]
    assert all(c.done for c in cells)


def test_those_behind_catch_up_first():
    assert plan.following([state("a", 400), state("b")], None, 2) == Round(100)
    failed = [state("a", 400), state("b", failed=True)]
    assert plan.following(failed, None, 2) == Round(500)


def test_a_finished_cell_without_its_report_gets_it():
    assert plan.following([state(step=STEPS)], None, 1) == Round(STEPS, last=True)
    assert plan.following([state(step=STEPS, reported=STEPS)], None, 1) is None


def test_no_time_no_round():
    assert plan.following([state(step=200, reported=200)], 0.0, 1) is None
    # A report takes 6 s; what careful planning leaves of the rest goes into updates.
    assert plan.following([state(step=200)], 6.1, 1) == Round(200, last=True)
    assert plan.following([state(step=200)], (6 + 0.3 + 0.001) / plan.CAREFUL, 1) == Round(230, last=True)
    # A report that was made leaves nothing to do if there is no time for another.
    assert plan.following([state(step=200, reported=200)], 6.0, 1) is None


def test_a_last_round_that_would_be_long_is_halved():
    cell = state(step=200, cost=Cost(1.0, 0.1, 0.0, 100.0))
    assert plan.following([cell], (101 + 9 + 0.01) / plan.CAREFUL, 1) == Round(245)
    assert plan.following([cell], (101 + 2.9 + 0.01) / plan.CAREFUL, 1) == Round(229, last=True)


def test_the_first_round_takes_a_fifth_of_the_time_at_most():
    assert plan.first([state()], None, 1).until == STEPS // 50
    assert plan.first([state()], 1000.0, 1).until == STEPS // 50
    short = plan.first([state(str(k)) for k in range(10)], 10 * 5 * (1 + 0.055), 1)
    assert short.until == 5


costs = st.builds(
    Cost, st.floats(0, 0.5), st.floats(0.001, 0.05), st.floats(0, 1), st.floats(0.1, 3)
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(costs, min_size=1, max_size=8), st.floats(1, 2000), st.integers(1, 3))
@example([Cost(0.0, 0.046875, 0.0, 0.25), Cost(0.0, 0.015625, 0.0, 1.0)], 3.0, 2)  # slow updates beside a slow report
def test_a_budget_is_kept_and_used_and_leaves_every_cell_equally_far(cell_costs, budget, workers):
    """Play a campaign whose cells take exactly what they are said to take."""
    cells = [state(str(k), cost=c) for k, c in enumerate(cell_costs)]
    reports = plan.makespan([c.setup + c.report for c in cell_costs], workers)
    clock, number = 0.0, 0
    while True:
        left = budget - clock
        planned = plan.first(cells, left, workers) if number == 0 else plan.following(cells, left, workers)
        number += 1
        if planned is None:
            break
        clock += plan.duration(cells, planned, workers)
        cells = [plan.advanced(c, planned.until) for c in cells]
        if planned.last:
            cells = [replace(c, reported=c.step) for c in cells]
            if budget - clock < 0.05 * budget:
                break
    assert len({c.step for c in cells}) == 1
    step = cells[0].step
    if step < STEPS and reports < 0.5 * budget and number > 1:
        assert all(c.reported == step for c in cells)
        # No more than the budget, and no more left of it than what another update and evaluation would have taken.
        assert clock <= budget
        one_more = plan.makespan([c.cost.update + c.cost.evaluation for c in cells], 1)
        assert clock + one_more >= 0.9 * budget
