"""Methods with a limit beside methods of the tail, as stored."""

import numpy as np
import pandas as pd
import pytest

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate
from ramac_lib.envs.maps import MAPS
from support.safety import frontier, rows


@pytest.fixture(scope="module")
def found():
    return rows.load()


def test_a_limit_is_kept_broken_or_neither_by_the_interval():
    assert rows.verdict(Estimate(0.1, 0.0, 0.19), 0.19) == "keeps"
    assert rows.verdict(Estimate(0.3, 0.2, 0.4), 0.19) == "breaks"
    assert rows.verdict(Estimate(0.1, -0.1, 0.3), 0.19) == "inconclusive"
    assert rows.verdict(Estimate(0.1, float("-inf"), float("inf")), 0.19) == "one seed"


def test_the_behaviours_mean_cost_is_the_datas():
    assert rows.behaviour_cost() == pytest.approx(1.91956, abs=1e-5)


def test_each_stored_row_is_told_with_what_makes_its_verdict(found):
    own, beside = found
    table = rows.table(own, beside, 0.192).set_index("method")
    assert set(own.rows(rows.TASK, rows.HAZARD)) == {*rows.ROWS, *rows.OPTIONS}
    assert rows.missing(own) == []
    assert set(table.loc[["IQL", "FISOR", "R2PAC", "RADAC", "RADAC, r − 3c"], "limit"]) == {
        "–"
    }  # no limit was asked of them
    assert set(table["limit"]) <= {"keeps", "breaks", "inconclusive", "–"}
    cdt = own.at("cdt", rows.TASK, rows.HAZARD)
    assert table.loc["CDT", "cost"].value == pytest.approx(cdt["steps_inside"].mean())
    assert table.loc["FISOR", "arrive"] == f"{own.at('fisor', rows.TASK, rows.HAZARD)['reached'].mean():.2f}"


def test_no_policy_is_above_the_exact_frontier(found):
    own, beside = found
    corners = frontier.corners(MAPS["obstacle"], MAPS["obstacle"].hazard("rare"))
    best = frontier.by_limit(corners, [corners[-1].cost])["mean"].iloc[0]
    for row, (where, name) in rows.places(own, beside).items():
        assert where.at(name, rows.TASK, rows.HAZARD)["mean"].max() < best + 0.05, row  # the grid's coarseness


def test_the_best_tail_is_of_a_row_that_arrives(found):
    own, beside = found
    _, tail, above = rows.best_tail(own, beside)
    others = [own.at(r, rows.TASK, rows.HAZARD) for r in rows.ROWS]
    arriving = [o["cvar"].mean() for o in others if o["reached"].mean() >= 0.9]
    assert tail.value == pytest.approx(max(arriving))
    assert above.value == pytest.approx(tail.value - beside.at("radac", rows.TASK, rows.HAZARD)["cvar"].mean())
    assert np.isfinite([above.low, above.high]).all()


def test_the_figure_has_the_frontier_and_a_mark_for_each_row(found):
    own, beside = found
    corners = frontier.corners(MAPS["obstacle"], MAPS["obstacle"].hazard("rare"))
    labels = rows.draw(own, beside, corners, 0.192).axes[0].get_legend_handles_labels()[1]
    assert labels[0] == "best mean under a limit, exactly"
    assert len(labels) == 1 + len(rows.places(own, beside))


def test_an_option_stands_below_its_methods_own_row(found):
    own, _ = found
    table = rows.options(own, 0.192)
    names = table["method"].tolist()
    for option in rows.OPTIONS:
        assert names.index(rows.style(option).label) > names.index(rows.style(option.partition(":")[0]).label)
    assert table.set_index("method").loc["R2PAC, region=limit", "limit"] != "–"
    assert (table.set_index("method").loc[["R2PAC", "R2PAC, penalty=paper"], "limit"] == "–").all()


def test_how_rows_were_made_is_counted_from_what_is_stored(found):
    own, beside = found
    assert rows.scale(own, rows.ROWS) == "5 seeds, 4,000 updates, 100 episodes a seed"
    assert rows.scale(beside, rows.BESIDE).startswith(f"{len(beside.at('radac', rows.TASK, rows.HAZARD))} seeds, ")
    with pytest.raises(Missing, match=r"^None of nobody is stored\.$"):
        rows.scale(own, ["nobody"])


def test_the_papers_absorbing_value_leads_into_the_danger(found):
    """As the theory has it where rewards lie below the value that stands for leaving the region."""
    own, _ = found
    more = rows.effect(own, "r2pac:penalty=paper", "steps_inside")
    inside = own.at("r2pac:penalty=paper", rows.TASK, rows.HAZARD)["steps_inside"]
    assert more.value == pytest.approx(inside.mean() - own.at("r2pac", rows.TASK, rows.HAZARD)["steps_inside"].mean())
    assert more.low > 0
    assert inside.min() > 4


def test_the_price_is_the_least_that_keeps_the_limit_or_the_one_of_least_cost():
    swept = pd.DataFrame({"steps_inside": [0.5, 0.1, 0.05]}, index=[1.0, 3.0, 10.0])
    assert rows.price_of(swept, 0.2) == 3.0
    assert rows.price_of(swept, 0.01) == 10.0
    stored_price = rows.price_of(rows.prices(), rows.SHARE * rows.behaviour_cost())
    assert f"radac-cost:cost_weight={stored_price}" == rows.PRICED


def test_without_stored_rows_one_sentence_says_so(tmp_path):
    with pytest.raises(Missing, match="No methods with a limit are stored yet"):
        rows.load(tmp_path)
    with pytest.raises(Missing, match="sweep of λ is not stored yet"):
        rows.prices(tmp_path)
