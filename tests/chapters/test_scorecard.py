"""The first page's count of sentences."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from support import scorecard
from support.verdicts import ORDER


def test_counts_and_sentences():
    verdicts = ["holds", "holds", "does not hold"]
    one = pd.DataFrame({"sentence": ["s1", "s2", "s3"], "found": "1 [0, 2]", "verdict": verdicts})
    other = pd.DataFrame({"sentence": ["s1"], "found": "2", "verdict": ["cannot be said at this scale"]})
    tables = {"a": one, "b": other}
    assert scorecard.counts(tables).to_numpy().tolist() == [[2, 0, 1, 0, 0], [0, 0, 0, 0, 1]]
    assert list(scorecard.counts(tables).columns) == list(ORDER)
    assert scorecard.sentences(tables, "holds") == "- *a*: “s1” (1 [0, 2])\n- *a*: “s2” (1 [0, 2])"
    assert scorecard.sentences(tables, "holds in part") == ""


def test_every_stored_sentence_is_counted_once(tmp_path):
    assert scorecard.judged(tmp_path) == {}
    stored = data_folder() / "results"
    for kind in ("csv", "json", "npz"):
        shutil.copy(stored / f"bandit.{kind}", tmp_path)
    tables = scorecard.judged(tmp_path)
    assert list(tables) == ["Risky Bandit"]
    assert scorecard.counts(tables).sum(axis=1).tolist() == [len(tables["Risky Bandit"])]


def test_a_file_that_is_no_campaign_is_refused(tmp_path: Path):
    (tmp_path / "campaign.csv").write_text("a,b\n1,2\n")
    with pytest.raises(RamacError):
        scorecard.judged(tmp_path)
