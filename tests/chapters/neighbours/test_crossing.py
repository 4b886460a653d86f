"""The neighbours on risky navigation: tables and the dial from made-up results, and what is stored."""

import pandas as pd
import pytest
from navigation_helpers import measured

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.style import style
from support.forest import text
from support.neighbours import crossing

ROWS = {
    "dac": {"mean": -8.0, "cvar": -20.0, "reached": 1.0},
    "rs-diffuser": {"mean": -9.0, "cvar": -9.5, "reached": 1.0},
}
BESIDE = {
    "radac": {"mean": -8.8, "cvar": -12.0, "through": 0.1, "reached": 1.0},
    "radac:risk=neutral": {"mean": -8.0, "cvar": -25.0, "through": 1.0, "reached": 1.0},
}


def test_rows_stand_beside_those_of_chapter_3b_and_what_is_missing_is_named():
    own, beside = measured(ROWS), measured(BESIDE)
    table = crossing.table(own, beside).set_index("method")
    assert list(table.index) == [style(row).label for row in (*ROWS, *BESIDE)]
    assert text(table.loc["RADAC", crossing.TAIL]).startswith("−12.00 [−12.")
    assert table.loc["DAC", "seeds"] == 5
    quiet = crossing.table(own, beside, (measured({"dac": {**ROWS["dac"], "cvar": -19.0}}), beside)).set_index("method")
    noise = f"{crossing.TAIL}, noise 0"
    assert text(quiet.loc["DAC", noise]).startswith("−19.00 [")
    assert pd.isna(quiet.loc["RS-Diffuser", noise])
    assert crossing.missing(own, beside) == [
        style(row).label for row in (*crossing.ROWS, *crossing.BESIDE) if row not in {*ROWS, *BESIDE}
    ]
    above = crossing.compared(own, beside)
    assert {row: round(one.value, 6) for row, one in above.items()} == {"dac": -8.0, "rs-diffuser": 2.5}
    assert above["dac"].high < 0 < above["rs-diffuser"].low
    labels = crossing.draw(own, beside).axes[0].get_legend_handles_labels()[1]
    assert labels == ["exact plans", *table.index]
    assert crossing.lower(own, beside) == []
    ways = measured({"dac": {"mean": -8.0, "cvar": -8.0, "left": 0.3, "right": 0.199, "spread": 0.002}})
    assert crossing.round_it(ways, "dac") == (2, 5)  # shares from .495 to .503
    low = measured({**BESIDE, "diffusion-ql": {"mean": -68.0, "cvar": -68.4}})
    assert crossing.lower(own, low) == ["DiffusionQL"]
    assert crossing.draw(own, low).axes[0].get_xlim()[0] > -20


def test_the_dial_has_the_planner_the_radac_of_each_level_and_the_exact_plans():
    at = measured({"rs-diffuser": {"mean": -9.0, "cvar": -9.5, "through": 0.2, "reached": 1.0}}).reports.set_index(
        "seed"
    )
    found = crossing.dial({0.1: at, 1.9: at.assign(through=0.9)}, measured(BESIDE))
    by = found.set_index(["who", "level"])
    assert list(found[found["who"] == "rs-diffuser"]["level"]) == [0.1, 1.9]
    assert list(found[found["who"] == "radac"]["level"]) == [0.1, 1.0]
    assert by.loc[("radac", 1.0), "through"].value == pytest.approx(1.0)
    assert by.loc[("rs-diffuser", 1.9), "through"].value == pytest.approx(0.9)
    # The grid's optima: by the middle for the mean, round the danger for CVaR_0.1 (chapter 3b).
    assert by.loc[("exact", 1.0), "through"].value == 1
    assert by.loc[("exact", 0.1), "through"].value == 0
    assert by.loc[("exact", 0.1), "cvar"].value == pytest.approx(-8.43, abs=0.01)
    left, right = crossing.draw_dial(found).axes
    assert [text.get_text() for text in right.texts] == ["best mean", "best CVaR", "0.1", "1", "0.1", "1.9"]
    assert left.get_ylim() == (-0.05, 1.05)


def test_without_stored_rows_one_sentence_says_so(tmp_path):
    with pytest.raises(Missing, match=r"^No neighbours are stored yet"):
        crossing.load(tmp_path)
    with pytest.raises(Missing, match=r"^RS-Diffuser's dial is not stored yet"):
        crossing.turned(tmp_path)


def test_what_was_trained_longer_is_compared_with_what_was_not(monkeypatch, tmp_path):
    own = measured({"cped": {"mean": -9.0, "cvar": -28.0}})
    assert crossing.longer(own, tmp_path).empty
    more = measured({"cped": {"mean": -8.5, "cvar": -27.0}})
    monkeypatch.setattr(crossing.stored, "load", lambda name, folder: more)
    trends = pd.DataFrame.from_dict({"cped": {"settled": True}}, orient="index")
    monkeypatch.setattr(crossing.stored, "settled", lambda found, rows, task, hazard: trends)
    (row,) = crossing.longer(own).itertuples()
    assert (row.Index, row.settled) == ("cped", True)
    assert row.mean_moved.value == pytest.approx(0.5)
    assert row.cvar_moved.value == pytest.approx(1.0)
    assert row.cvar.value == pytest.approx(-27.0)


def test_the_seeds_that_the_chapters_sentences_name():
    """Chapter 8 says "all ten seeds" of the rows of navigation."""
    own, beside = crossing.load()
    for row, found in crossing.places(own, beside).items():
        assert sorted(found.at(row, crossing.TASK, crossing.RARE).index) == list(range(10)), row
    assert crossing.round_it(own, "dac-cvar") == (10, 10)
    assert crossing.longer(own)["settled"].all()
