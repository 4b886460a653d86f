"""Values as words, and places that show what can be made."""

import matplotlib.pyplot as plt
import pytest
from campaign_tables import TASK, around, episodes, gathered
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Missing
from support.evidence import places
from support.evidence.words import listed, many, paragraph, span


def test_counts_lists_and_spans():
    assert (many(1, "seed"), many(2000, "seed")) == ("1 seed", "2,000 seeds")
    assert listed(["CQL", "ORAAC"]) == "CQL, ORAAC"
    assert listed(["CQL", "RADAC, neutral"]) == "CQL; RADAC, neutral"
    assert listed([]) == "none"
    assert (span(400, 10_000), span(400, 400)) == ("400 to 10,000", "400")


def test_a_paragraph_is_one_line_of_what_there_is_to_say():
    text = """
        It is 5\N{NO-BREAK SPACE}% of
        the whole.
    """
    assert paragraph(text, [], None, "", "All.") == "It is 5\N{NO-BREAK SPACE}% of the whole. All."


@pytest.fixture
def seen(monkeypatch):
    shown = []
    monkeypatch.setattr(places, "display", shown.append)
    return shown


def absent(*_):
    raise Missing("It is not there.")


def test_what_is_missing_is_said_in_its_place_and_has_no_caption(seen):
    places.say(absent)
    places.note(absent)
    assert [thing.data for thing in seen] == ["*It is not there.*"]
    places.each(gathered(), "name", absent, caption=absent)
    assert len(seen) == 2
    assert seen[1].data.startswith("*There is no data/results/campaign.csv yet")


def test_a_figure_is_shown_and_closed(seen):
    before = plt.get_fignums()
    places.say(plt.figure)
    assert isinstance(seen[0], Figure)
    assert plt.get_fignums() == before


def test_each_task_and_hazard_has_its_caption_and_more_than_one_their_labels(seen):
    found = gathered(*[episodes("radac", around(1), hazard=hazard) for hazard in ("paper", "none")])

    def table(task, hazard):
        return f"table {hazard}"

    def caption(task, hazard):
        return f"caption {hazard}"

    places.each(found, "one", table, {"none"}, caption)
    assert [thing.data for thing in seen] == ["table none", "caption none"]
    seen.clear()
    places.each(found, "one", table, {"none"})
    assert [thing.data for thing in seen] == [f"*{TASK}, hazard none*", "table none"]
    seen.clear()
    places.each(found, "two", table, caption=caption)
    (tabs,) = seen
    labels = [f"{TASK}, {hazard}</label>" for hazard in ("paper", "none")]
    order = [tabs.data.index(text) for text in (labels[0], "caption paper", labels[1], "table none", "caption none")]
    assert order == sorted(order)


def test_what_can_be_told_is_told_and_else_the_first_reason():
    found = gathered(*[episodes("radac", around(1), hazard=hazard) for hazard in ("paper", "none")])
    assert places.told(found, lambda task, hazard: absent() if hazard == "paper" else hazard) == ["none"]
    with pytest.raises(Missing, match="not there"):
        places.told(found, absent)
    with pytest.raises(Missing, match=r"campaign\.csv"):
        places.told(gathered(), absent)
