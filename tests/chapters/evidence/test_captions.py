"""Captions say what their figures and tables are over, and name no row that chance alone may have put there."""

import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib.analysis.evidence import Missing
from support.evidence import aggregates, captions

PAPER, HARD = (TASK, "paper"), (TASK, "calibrated")


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


def test_few_runs_name_no_row_and_say_why():
    said = captions.over_settings(campaign(3, MEANS))
    assert "more likely" not in said
    assert "With 3 runs a row none is named better or worse: with fewer than 10 the interval" in said
    assert "The middle half of 3 runs is all of them, so these are plain means." in said
    assert f"over {TASK} under paper (3 seeds)." in said


def test_enough_runs_name_rows():
    said = captions.over_settings(campaign(5, MEANS, ("paper", "calibrated")))
    assert "better than CQL, to be worse than ORAAC (the interval leaves out ½), undecided with the other 0." in said
    assert "plain means" not in said
    assert "none" not in said
    assert aggregates.LEAST_RUNS == 10
    below = captions.over_settings(campaign(3, MEANS, ("paper", "calibrated")))
    assert "With 6 runs a row none is named" in below


def test_rows_with_enough_runs_are_named_beside_those_without():
    said = captions.over_settings(campaign(10, MEANS, extra=[("bc-diffusion", "paper", 4)]))
    assert "better than CQL, to be worse than ORAAC" in said
    assert "With 4 runs a row none of BC-diffusion is named better or worse" in said


def test_what_is_left_out_is_named():
    extra = [("codac", "calibrated", 3), ("radac:risk=neutral", "calibrated", 1), ("bc-diffusion", "paper", 3)]
    said = captions.over_settings(campaign(3, MEANS, ("paper", "calibrated"), extra))
    assert f"mean) over {TASK} under calibrated (3 seeds)." in said
    assert f"Left out: {TASK} under paper, where not every method" in said
    assert "Left out: BC-diffusion; RADAC, neutral (not there with all these seeds)." in said
    both = f"{TASK} under paper, {TASK} under calibrated (CQL, ORAAC)"
    assert f"(line: even) over {both}; {TASK} under calibrated (CODAC); {TASK} under paper (BC-diffusion)." in said
    assert "Left out: RADAC, neutral (without two seeds on a task where RADAC has two)." in said


def test_one_aggregate_has_its_caption_without_the_other():
    alone = captions.over_settings(campaign(3, {"cql": 20.0, "oraac": 80.0}))
    assert alone.startswith("Above")
    assert "Below" not in alone
    apart = campaign(3, {"radac": 50.0}, ("paper", "calibrated"), [("cql", "paper", 3), ("codac", "calibrated", 3)])
    assert captions.over_settings(apart).startswith("Below")
    with pytest.raises(Missing, match="no aggregates"):
        captions.over_settings(campaign(1, MEANS))


def test_the_worst_of_ten_is_compared_only_where_there_are_errors():
    several = captions.widening(campaign(3, MEANS), *PAPER)
    assert several.startswith(f"{TASK}, paper: 20 episodes a seed; the standard error of the worst of 10 is ")
    assert captions.widening(campaign(1, MEANS), *PAPER) == f"{TASK}, paper: 20 episodes a seed."


def test_leaders_are_of_the_papers_methods():
    said = captions.leaders(campaign(3, MEANS | {"bc-diffusion": 99.0}), *PAPER)
    assert said == (f"{TASK}, paper: ORAAC has the highest mean (0 tied with it), ORAAC the highest CVaR₀.₁ (0 tied).")
    none = captions.leaders(campaign(3, {"bc-diffusion": 99.0}), *PAPER)
    assert none == f"{TASK}, paper: none of the paper's methods is in the results."


def test_what_the_choice_among_candidates_changes_is_said_beside_the_row_without_it():
    first = episodes(captions.FIRST, around(300))
    said = captions.choosing(gathered(episodes("diffusion-ql", around(100)), first), TASK, "paper")
    assert "mean 300 [" in said
    assert "100 [" in said
    assert "(-200 [" in said
    with pytest.raises(Missing, match="candidates=1"):
        captions.choosing(gathered(episodes("diffusion-ql", around(100))), TASK, "paper")
    with pytest.raises(Missing, match="DiffusionQL"):
        captions.choosing(gathered(episodes("radac", around(100))), TASK, "paper")
