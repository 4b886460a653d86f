"""Captions' values: what figures and tables are over, and no row that chance alone may have put there."""

import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib.analysis.evidence import Missing
from support.evidence import aggregates, captions

PAPER, HARD = (TASK, "paper"), (TASK, "calibrated")
ON_PAPER, ON_HARD = (f"{TASK} under {hazard}" for hazard in ("paper", "calibrated"))


def campaign(seeds, means, hazards=("paper",), extra=()):
    """Rows of these means on these hazards, and further runs of (row, hazard, seeds)."""
    cells = [(row, hazard, mean, seeds) for row, mean in means.items() for hazard in hazards]
    cells += [(row, hazard, 50.0, count) for row, hazard, count in extra]
    tables = [
        episodes(row, around(mean, 1.0, seeds=count, seed=k), hazard=hazard)
        for k, (row, hazard, mean, count) in enumerate(cells)
    ]
    return gathered(*tables, behaviour=[*policies(100.0, 50.0), *policies(100.0, 50.0, hazard="calibrated")])


MEANS = {"radac": 50.0, "cql": 20.0, "oraac": 80.0}


def test_few_runs_name_no_row():
    found = campaign(3, MEANS)
    assert captions.means(found) == ({ON_PAPER: 3}, [], [], 3, True)
    said = captions.improvements(found)
    assert (said.better, said.worse, said.undecided) == ([], [], [])
    assert (said.few, said.runs) == (["CQL", "ORAAC"], [3])


def test_enough_runs_name_rows():
    found = campaign(5, MEANS, ("paper", "calibrated"))
    assert captions.means(found) == ({ON_PAPER: 5, ON_HARD: 5}, [], [], 10, False)
    said = captions.improvements(found)
    assert said == ({(ON_PAPER, ON_HARD): ["CQL", "ORAAC"]}, [], ["CQL"], ["ORAAC"], [], [], [])
    assert aggregates.LEAST_RUNS == 10
    assert captions.improvements(campaign(3, MEANS, ("paper", "calibrated"))).runs == [6]


def test_equal_rows_are_undecided():
    returns = around(50.0, 1.0, seeds=10)
    found = gathered(*[episodes(row, returns) for row in ("radac", "cql")], behaviour=policies(100.0, 50.0))
    said = captions.improvements(found)
    assert (said.better, said.worse, said.undecided) == ([], [], ["CQL"])


def test_rows_with_enough_runs_are_named_beside_those_without():
    said = captions.improvements(campaign(10, MEANS, extra=[("bc-diffusion", "paper", 4)]))
    assert (said.better, said.worse, said.few, said.runs) == (["CQL"], ["ORAAC"], ["BC-diffusion"], [4])


def test_what_is_left_out_is_named():
    extra = [("codac", "calibrated", 3), ("radac:risk=neutral", "calibrated", 1), ("bc-diffusion", "paper", 3)]
    found = campaign(3, MEANS, ("paper", "calibrated"), extra)
    means, said = captions.means(found), captions.improvements(found)
    assert means.seeds == {ON_HARD: 3}
    assert means.settings_out == [ON_PAPER]
    assert sorted(means.rows_out) == ["BC-diffusion", "RADAC, neutral"]
    assert said.over == {
        (ON_PAPER, ON_HARD): ["CQL", "ORAAC"],
        (ON_HARD,): ["CODAC"],
        (ON_PAPER,): ["BC-diffusion"],
    }
    assert said.absent == ["RADAC, neutral"]


def test_one_aggregate_is_there_without_the_other():
    alone = campaign(3, {"cql": 20.0, "oraac": 80.0})
    assert captions.means(alone).runs == 3
    with pytest.raises(Missing, match="no row of RADAC"):
        captions.improvements(alone)
    apart = campaign(3, {"radac": 50.0}, ("paper", "calibrated"), [("cql", "paper", 3), ("codac", "calibrated", 3)])
    with pytest.raises(Missing, match="no task on which"):
        captions.means(apart)
    assert list(captions.improvements(apart).over.values()) == [["CQL"], ["CODAC"]]


def test_the_worst_of_ten_is_compared_only_where_there_are_errors():
    episodes_a_seed, ratio = captions.widening(campaign(3, MEANS), *PAPER)
    assert episodes_a_seed == 20
    assert ratio > 0
    assert captions.widening(campaign(1, MEANS), *PAPER) == (20, None)


def test_leaders_are_of_the_papers_methods():
    assert captions.leaders(campaign(3, MEANS | {"bc-diffusion": 99.0}), *PAPER) == {
        "mean": ("ORAAC", 0),
        "cvar": ("ORAAC", 0),
    }
    assert captions.leaders(campaign(3, {"bc-diffusion": 99.0}), *PAPER) == {}


def test_what_the_choice_among_candidates_changes_is_the_difference_to_the_row_without_it():
    first = episodes(captions.FIRST, around(300))
    found = captions.choosing(gathered(episodes("diffusion-ql", around(100)), first), TASK, "paper")
    assert [estimate.value for estimate in found["mean"]] == pytest.approx([300, 100, -200])
    with pytest.raises(Missing, match="candidates=1"):
        captions.choosing(gathered(episodes("diffusion-ql", around(100))), TASK, "paper")
    with pytest.raises(Missing, match="DiffusionQL"):
        captions.choosing(gathered(episodes("radac", around(100))), TASK, "paper")


def test_the_scale_is_the_smallest_of_the_rows():
    found = gathered(episodes("radac", around(1)), episodes("cql", around(1, seeds=2, count=10), step=400))
    size = captions.scale(found, *PAPER)
    assert size[:5] == ((400, 10_000), pytest.approx(0.5), 2, 10, 500)
    assert size.made == "bundled data; CPU, one thread, torch 2, 2026-01-01"


def test_published_rows_that_changed_have_both_numbers():
    assert captions.republished(TASK) == {"RADAC": ("131 / −167", "1,278 / 801")}
    assert captions.republished("walker2d-medium-expert") == {}
