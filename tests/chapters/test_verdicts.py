"""Verdicts on made-up parts: what holds, over which cases, and what cannot be said."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from ramac_lib.analysis.evidence import Missing
from support.verdicts import (
    ALL,
    HOLDS,
    MOST,
    NOT,
    ORDER,
    PARTLY,
    SOME,
    UNDECIDED,
    UNSAID,
    Claim,
    counted,
    judge,
    over_tasks,
    rules,
    said,
    show,
)


def read(case):
    """A judge of cases that are the parts themselves."""
    if not case:
        raise Missing("needs parts")
    return case, f"{len(case)} parts"


CLAIM = Claim("fig. 1", "a sentence", "a rule", read)


@pytest.mark.parametrize(
    ("signs", "expected"),
    [([1, 1], HOLDS), ([1, 0], PARTLY), ([1, -1], PARTLY), ([0, -1], NOT), ([0, 0], UNDECIDED), ([0], UNDECIDED)],
)
def test_verdict_of_parts(signs, expected):
    assert said(signs) == expected
    assert judge([CLAIM], {"alone": signs})["verdict"].to_list() == [expected]


@pytest.mark.parametrize(
    ("verdicts", "over", "expected"),
    [
        ([HOLDS, HOLDS], ALL, HOLDS),
        ([HOLDS, UNDECIDED], ALL, PARTLY),
        ([HOLDS, NOT], ALL, PARTLY),
        ([UNDECIDED, NOT], ALL, NOT),
        ([UNDECIDED, UNDECIDED], ALL, UNDECIDED),
        ([HOLDS, HOLDS, NOT], MOST, HOLDS),
        ([HOLDS, NOT, NOT], MOST, NOT),
        ([HOLDS, HOLDS, NOT, NOT], MOST, PARTLY),
        ([UNDECIDED, UNDECIDED, NOT, NOT], MOST, UNDECIDED),
        ([HOLDS, NOT, NOT], SOME, HOLDS),
        ([UNDECIDED, NOT, NOT], SOME, UNDECIDED),
        ([NOT, NOT], SOME, NOT),
    ],
)
def test_verdict_over_tasks(verdicts, over, expected):
    assert over_tasks(verdicts, over) == expected
    signs = {HOLDS: [1], NOT: [-1], UNDECIDED: [0]}
    cases = {f"task {k}": signs[verdict] for k, verdict in enumerate(verdicts)}
    assert judge([Claim("w", "s", "r", read, over=over)], cases)["verdict"].to_list() == [expected]


def test_a_line_says_where_a_sentence_was_judged_and_what_was_found():
    cases = {"a": [1, 1], "b": [0], "c": None, "d": []}
    line = judge([CLAIM], cases).iloc[0].to_dict()
    assert line == {
        "": "1",
        "where": "fig. 1",
        "sentence": "a sentence",
        "tasks": "2 of 4",
        "found": "holds on 1, inconclusive on 1; a: 2 parts; b: 1 parts",
        "verdict": PARTLY,
    }
    one = judge([Claim("w", "s", "r", read, ("a",))], cases).iloc[0]
    assert one[["tasks", "found", "verdict"]].to_list() == ["1 of 1", "2 parts", HOLDS]


def test_what_is_missing_cannot_be_said():
    cases = {"a": [1], "b": None, "c": None, "d": []}
    elsewhere, lacking = (Claim("w", "s", "r", read, tasks) for tasks in (("b", "c"), ("d", "b")))
    found = judge([elsewhere, lacking], cases)
    assert found["verdict"].to_list() == [UNSAID, UNSAID]
    assert found["found"].to_list() == ["needs b or c", "needs parts"]
    assert found["tasks"].to_list() == ["0 of 2", "0 of 2"]


def test_every_verdict_is_counted():
    claims = [Claim("w", "s", "r", lambda case, signs=signs: (signs, "")) for signs in ([1], [1, 0], [-1], [0], [1])]
    told = judge([*claims, Claim("w", "s", "r", read, ("b",))], {"a": [1], "b": None})
    assert sorted(set(told["verdict"])) == sorted(ORDER)
    assert counted(told) == (
        "Of 6 sentences: holds 2, holds in part 1, does not hold 1, inconclusive 1, cannot be said at this scale 1"
    )


def test_a_verdict_that_none_got_is_not_counted():
    told = pd.DataFrame({"verdict": ["not stored", NOT, HOLDS, HOLDS]})
    assert counted(told) == "Of 4 sentences: holds 2, does not hold 1, not stored 1"


def test_rules_name_their_tasks():
    table = rules([CLAIM, Claim("w", "s", "r", read, ("a", "b"), MOST)])
    assert table["on"].to_list() == ["all tasks", "most of a, b"]
    assert table["it holds where"].to_list() == ["a rule", "r"]


def test_a_page_shows_first_what_has_a_verdict_and_folds_the_rest():
    cases = {"open": [0], "true": [1], "none": [], "false": [-1]}
    claims = [Claim("w", name, "r", read, (name,)) for name in cases]
    soup = BeautifulSoup(show(judge(claims, cases), "one").data, "html.parser")
    shown, folded = soup.find_all("table", recursive=False), soup.find_all("details")
    assert [[cell.text for cell in row.find_all("td")][1] for row in shown[0].find_all("tr")[1:]] == ["true", "false"]
    assert [part.summary.text for part in folded] == [f"{UNDECIDED}: 1 sentence", f"{UNSAID}: 1 sentence"]
    assert [part.find_all("td")[1].text for part in folded] == ["open", "none"]
    assert len({table["id"] for table in soup.find_all("table")}) == 3
    none = BeautifulSoup(show(judge(claims[:1], cases), "two").data, "html.parser")
    assert (len(none.find_all("table")), len(none.find_all("details"))) == (1, 1)
