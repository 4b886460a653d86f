"""The first page's numbers, on made-up campaigns of one task and of several."""

import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from support import front
from support.audit.episodes import average, flattery

OTHER = "walker2d-medium-expert"


def rows(own, rival, task=TASK, seeds=3, hazard="paper"):
    return [
        episodes("radac", around(own, seed=1, seeds=seeds), task=task, hazard=hazard),
        episodes("bc-diffusion", around(rival, seed=2, seeds=seeds), task=task, hazard=hazard),
    ]


def test_one_task_is_told_by_its_difference():
    found = front.beside(gathered(*rows(200, 100)))
    assert (found.updates, found.seeds, found.start, found.share) == (10_000, 3, 0, 0.005)
    assert front.in_words(found).startswith("higher, +10")
    assert front.in_words(found).endswith(f"on {TASK}")
    assert front.in_words(front.beside(gathered(*rows(100, 200)))).startswith("lower, −")
    assert front.in_words(front.beside(gathered(*rows(100, 100)))).startswith("inconclusive")


def test_several_tasks_are_told_by_counts():
    found = front.beside(gathered(*rows(200, 100), *rows(100, 200, OTHER)))
    assert [found.count(sign) for sign in (1, 0, -1)] == [1, 0, 1]
    assert front.in_words(found) == "higher on 1, inconclusive on 0, lower on 1 of 2 tasks"


def test_too_few_seeds_say_nothing():
    assert front.in_words(front.beside(gathered(*rows(200, 100, seeds=2)))).startswith("too short to say")


def test_what_is_not_there_is_missing():
    with pytest.raises(Missing, match="BC-diffusion were not reported on one task"):
        front.beside(gathered(rows(200, 100)[0]))
    with pytest.raises(Missing, match="hazard calibrated"):
        front.beside(gathered(*rows(200, 100)), "calibrated")
    with pytest.raises(Missing, match="hazard calibrated"):
        flattery(gathered(*rows(200, 100)), "calibrated")


def test_flattery_pools_the_policies_of_all_tasks():
    table, means = flattery(gathered(*rows(200, 100), *rows(100, 200, OTHER)))
    assert len(table) == 2 * 2 * 3
    assert means["best_mean"] == average(table, "best_mean")
    assert means["best_mean"].low > 0  # every policy's episodes differ, so that the best of many lies above their mean
    assert means["ten"].value > means["fifty"].value > 0
