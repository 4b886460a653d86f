"""Where RADAC stands: signs of differences only of runs long enough, and the names of what is not there."""

import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import TABLE_1
from support.evidence.case import LEAST_SEEDS, LEAST_UPDATES
from support.evidence.standing import lacking, standing

PAPER = (TASK, "paper")
NEUTRAL, CLONE = "radac:risk=neutral", "bc-diffusion"


def campaign(means, step=LEAST_UPDATES, seeds=LEAST_SEEDS):
    tables = [episodes(row, around(m, seeds=seeds, seed=k), step=step) for k, (row, m) in enumerate(means.items())]
    return gathered(*tables, behaviour=policies(300.0, 100.0))


MEANS = {"radac": 200, "cql": 100, "oraac": 300, NEUTRAL: 100, CLONE: 200}


def test_signs_are_those_of_the_differences():
    radac = standing(campaign(MEANS), *PAPER)
    assert radac.numbers["mean"].value == pytest.approx(200)
    assert {name: (other.label, other.sign) for name, other in radac.best.items()} == {
        "cvar": ("ORAAC", -1),
        "mean": ("ORAAC", -1),
    }
    assert [(twin.label, twin.sign) for twin in radac.twins] == [("RADAC, neutral", 1), ("BC-diffusion", 0)]
    assert (radac.updates, radac.short) == (LEAST_UPDATES, None)


@pytest.mark.parametrize(("step", "seeds"), [(LEAST_UPDATES - 1, LEAST_SEEDS), (LEAST_UPDATES, LEAST_SEEDS - 1)])
def test_runs_too_short_have_numbers_and_no_signs(step, seeds):
    radac = standing(campaign(MEANS, step, seeds), *PAPER)
    assert radac.short == (step, seeds)
    assert {other.sign for other in (*radac.best.values(), *radac.twins)} == {None}
    assert radac.best["mean"].number.value == pytest.approx(300)


def test_without_others_there_is_no_best_and_without_radac_nothing():
    assert standing(campaign({"radac": 1, CLONE: 2}), *PAPER).best == {}
    with pytest.raises(Missing, match="RADAC is not in the results"):
        standing(campaign({"cql": 1}), *PAPER)
    with pytest.raises(Missing):
        standing(gathered(), *PAPER)


def test_what_a_report_lacks_is_named_in_the_tables_order():
    whole = dict.fromkeys((*TABLE_1, NEUTRAL, CLONE), 1.0)
    assert lacking(campaign(whole), *PAPER) == []
    part = {row: mean for row, mean in whole.items() if row not in ("cql", CLONE)}
    assert lacking(campaign(part), *PAPER) == ["CQL", "BC-diffusion"]
    assert lacking(gathered(*[episodes(row, [[1.0]]) for row in whole]), *PAPER) == ["the behaviour policies"]
