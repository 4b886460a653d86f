"""The state of each sentence: what may be called true, false or not yet decided on the first page."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from support import front, scorecard
from support.evidence.claims import CLAIMS
from support.evidence.scale import LEAST_AFTER
from support.verdicts import ALL, FALSE, HOLDS, IN_PART, MOST, NOT, OPEN, PARTLY, SOME, TRUE, UNDECIDED, Claim, state
from support.verdicts import states as states_of


@pytest.mark.parametrize(
    ("verdicts", "of", "over", "expected"),
    [
        ([HOLDS] * 6, 6, ALL, TRUE),
        ([NOT] * 6, 6, ALL, FALSE),
        ([HOLDS] * 3 + [NOT] * 3, 6, ALL, IN_PART),
        ([PARTLY] * 6, 6, ALL, IN_PART),
        ([HOLDS] * 5, 6, ALL, OPEN),  # one task is missing
        ([NOT], 6, ALL, OPEN),  # one task of six is no "all"
        ([], 6, ALL, OPEN),
        ([UNDECIDED] * 6, 6, ALL, OPEN),
        ([HOLDS] * 4, 6, MOST, TRUE),  # most of six, whatever the other two say
        ([NOT] * 4, 6, MOST, FALSE),
        ([HOLDS] * 3, 6, MOST, OPEN),  # most of those judged, not of all
        ([HOLDS] * 3 + [NOT] * 3, 6, MOST, IN_PART),
        ([UNDECIDED] * 4 + [NOT] * 2, 6, MOST, OPEN),
        ([HOLDS], 6, SOME, TRUE),
        ([NOT] * 5, 6, SOME, OPEN),  # it may hold on the sixth
        ([NOT] * 6, 6, SOME, FALSE),
        ([NOT], 1, ALL, FALSE),  # a sentence about one task
    ],
)
def test_a_state_needs_as_many_tasks_as_the_sentence_speaks_of(verdicts, of, over, expected):
    assert state(verdicts, of, over) == expected


def test_only_deciding_cases_count():
    claim = Claim("x", "s", "r", lambda sign: ([sign], "found"), ("a", "b"))
    cases = {"a": 1, "b": 1, "c": -1}
    assert states_of([claim], cases)[["decided", "state"]].to_numpy().tolist() == [["2 of 2", TRUE]]
    assert states_of([claim], cases, ["a"])[["decided", "state"]].to_numpy().tolist() == [["1 of 2", OPEN]]
    assert states_of([claim], {"a": 1, "b": None})["state"].tolist() == [OPEN]


def campaign(step, warmup):
    """RADAC far below CQL, of runs with a risk term that starts after a share of them."""
    tables = [
        episodes("radac", around(100, seed=1), step=step),
        episodes("cql", around(300, seed=2), step=step),
        episodes("bc-diffusion", around(300, seed=3), step=step),
    ]
    found = gathered(*tables)
    for run, facts in found.facts.items():
        settings = {"eta_warmup": warmup, "short_run_rate": False} if run.startswith("radac") else {}
        facts["config"]["settings"] = settings
    return found


@pytest.mark.parametrize(
    ("step", "warmup", "tasks"), [(10_000, 0.25, []), (2 * LEAST_AFTER, 0.5, [TASK]), (LEAST_AFTER, 0.0, [TASK])]
)
def test_runs_decide_by_updates_after_their_risk_term_has_started(step, warmup, tasks):
    assert scorecard.deciding(campaign(step, warmup), "paper") == tasks


def test_one_bad_task_of_six_decides_no_sentence_about_robots():
    table = scorecard.robots(campaign(2 * LEAST_AFTER, 0.1), "paper").set_index("sentence")
    assert table.loc["RADAC improves on cloning the data", ["decided", "state"]].tolist() == ["1 of 6", OPEN]
    assert set(table["state"]) == {OPEN}


def test_counts_headlines_and_a_single_state():
    sentence = scorecard.HEADLINES["robots"][0]
    one = pd.DataFrame({"sentence": [sentence, "other"], "decided": "6 of 6", "state": [FALSE, TRUE]})
    tables = {"robots, hazard paper": one, "robots, hazard calibrated": one.assign(state=OPEN)}
    assert scorecard.counts(tables).to_numpy().tolist() == [[1, 0, 1, 0], [0, 0, 0, 2]]
    assert list(scorecard.counts(tables).columns) == list(scorecard.ORDER)
    heads = scorecard.headlines(tables)
    assert heads.to_numpy().tolist() == [["robots, hazard paper", sentence, "6 of 6", FALSE]]
    assert front.state_of(tables, sentence) == FALSE
    assert front.state_of({}, sentence) == OPEN


def test_headlines_are_sentences_of_the_chapters():
    from support.bandit.claims import CLAIMS as TOY

    assert set(scorecard.HEADLINES["robots"]) <= {claim.sentence for claim in CLAIMS}
    assert set(scorecard.HEADLINES[scorecard.TOY]) <= {claim.sentence for claim in TOY}
    assert front.HEADLINE in scorecard.HEADLINES["robots"]


def test_every_stored_sentence_is_counted_once(tmp_path):
    assert scorecard.stated(tmp_path) == {}
    assert scorecard.headlines({}).empty
    stored = data_folder() / "results"
    for kind in ("csv", "json", "npz"):
        shutil.copy(stored / f"bandit.{kind}", tmp_path)
    tables = scorecard.stated(tmp_path)
    assert list(tables) == [scorecard.TOY]
    assert scorecard.counts(tables).sum(axis=1).tolist() == [len(tables[scorecard.TOY])]


def test_a_file_that_is_no_campaign_is_refused(tmp_path: Path):
    (tmp_path / "campaign.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RamacError):
        scorecard.stated(tmp_path)
