"""Table 2 from made-up reports: rates by hand, the paper's mean and error, intervals, orders, what is missing."""

import json

import numpy as np
import pandas as pd
import pytest
from campaign_tables import episodes, gathered
from rate_tables import TASK, rated

from ramac_lib.analysis.evidence import Missing
from ramac_lib.training import results
from support.ood import claims, reports
from support.ood.reports import COLUMNS, Reports
from support.verdicts import HOLDS, NOT, UNSAID, judge

PAPER = (TASK, "paper")
FEW = np.random.default_rng(0).uniform(0, 0.02, (3, 10))


def made(*tables):
    return Reports("campaign", gathered(*tables))


def test_a_rate_is_of_actions_not_of_episodes():
    shares = [[0.5, 0.0]]
    found = made(rated("radac", shares, seeds=1, count=2, lengths=[[100, 300]])).rates(*PAPER)["radac"]
    assert found.seeds[0, 0] == pytest.approx(0.125)
    assert found.curves.shape == (1, 3, 5)
    np.testing.assert_allclose(found.curves[0, 0], [1, 0.75, 0.5, 0.25, 0])


def test_the_papers_mean_and_error_over_seeds():
    by_seed = np.array([0.01, 0.03, 0.08])[:, None] + np.zeros((3, 10))
    line = reports.table_2(made(rated("oraac", by_seed)), *PAPER).iloc[0]
    assert (line["label"], line["detector"], line["seeds"]) == ("ORAAC", "action alone", 3)
    assert line["rate"] == pytest.approx(4.0)
    assert line["se"] == pytest.approx(100 * np.std([0.01, 0.03, 0.08], ddof=1) / np.sqrt(3))
    assert line["low"] < 4.0 < line["high"]
    assert line["low"] >= 1.0
    assert line["high"] <= 8.0


def test_an_episode_without_a_rate_weighs_nothing():
    shares = np.full((3, 10), 0.2)
    shares[:, 0] = np.nan
    found = made(rated("radac", shares)).rates(*PAPER)["radac"]
    np.testing.assert_allclose(found.seeds[:, 0], 0.2)
    assert found.estimate(0).low == pytest.approx(0.2)


def test_a_row_without_any_rate_is_left_out_and_a_detector_without_one_is_nan():
    none = rated("radac", np.nan, np.nan, np.nan).assign(ood_curves=np.nan)
    there = made(none, rated("oraac", 0.1, np.nan))
    assert list(there.rates(*PAPER)) == ["oraac"]
    assert np.isnan(there.rates(*PAPER)["oraac"].estimate(1).value)
    with pytest.raises(Missing, match="needs RADAC"):
        there.row(*PAPER, "radac")


def test_the_order_is_that_of_the_papers_tables():
    there = made(rated("oraac:radius=0.05", 0.1), rated("radac", 0.1), rated("oraac", 0.2))
    assert list(there.rates(*PAPER)) == ["oraac", "radac", "oraac:radius=0.05"]


def test_silent_episodes_are_not_counted():
    loud, silent = rated("radac", 0.1), rated("radac", 0.9).assign(sampler_noise=0)
    assert made(loud.assign(sampler_noise=1), silent).rates(*PAPER)["radac"].estimate(0).value == pytest.approx(0.1)


# -- agreement, prediction, radius ----------------------------------------------------------------------------------


def test_detectors_that_order_rows_alike_or_the_other_way_round():
    names = ("radac", "oraac", "cql", "codac")
    there = made(*(rated(name, 0.1 * k, 0.5 - 0.1 * k, 0.2) for k, name in enumerate(names)))
    found = reports.agreement(there, *PAPER).set_index(["first", "second"])
    assert found.loc[("action alone", "state and action"), "value"] == pytest.approx(-1)
    assert found.loc[("action alone", "state and action"), "high"] == pytest.approx(-1)
    assert np.isnan(found.loc[("action alone", "neighbours"), "value"])
    with pytest.raises(Missing, match="2 rows have rates; a rank correlation needs three"):
        reports.agreement(made(rated("radac", 0.1), rated("cql", 0.2)), *PAPER)


def test_an_episodes_rate_beside_what_became_of_it_is_compared_within_seeds():
    """Seeds apart in both would correlate across them; within each, the rate rises as the return falls."""
    rates = np.linspace(0, 0.1, 10) + np.array([[0.0], [0.3], [0.6]])
    returns = -np.arange(10.0) + np.array([[0.0], [1000.0], [2000.0]])
    found = reports.predicts(made(rated("radac", rates, returns=returns, violations=3.0)), *PAPER)
    line = found[(found["row"] == "radac") & (found["detector"] == "action alone")].set_index("outcome")
    assert line.loc["return", "value"] == pytest.approx(-1)
    assert line.loc["return", "seeds"] == 3
    assert line.loc["violations a step", "seeds"] == 0  # they do not vary
    assert np.isnan(line.loc["violations a step", "value"])
    assert found["row"].iloc[-1] == "all"


def test_two_radii_of_one_method():
    there = made(rated("oraac", 0.3), rated("oraac:radius=0.05", 0.1), rated("cql", 0.0))
    found = reports.radii(there, *PAPER)
    own = found[found["detector"] == "action alone"]
    assert own["radius"].tolist() == [0.05, 0.25]
    np.testing.assert_allclose(own["rate"], [10, 30])
    np.testing.assert_allclose(own["minus_high"], -20)
    with pytest.raises(Missing, match="no anchored method was run with a second radius"):
        reports.radii(made(rated("oraac", 0.3)), *PAPER)


# -- sentence O1 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("anchored", "verdict"), [(0.1, HOLDS), (0.0, NOT)])
def test_o1_on_rates_that_are_told_apart(anchored, verdict):
    tables = [rated(name, anchored + FEW, anchored + FEW, anchored + FEW) for name in claims.ANCHORED]
    there = made(rated("radac", 0.05 + FEW, 0.05 + FEW, 0.05 + FEW), *tables)
    judged = judge(claims.CLAIMS, claims.cases(there, "paper"))
    assert judged["verdict"].tolist() == [verdict, verdict]
    assert claims.in_these_runs(there, claims.CLAIMS[0])["verdict"].tolist() == [verdict]


def test_o1_is_not_judged_from_short_runs_but_these_runs_are():
    tables = [rated(name, 0.1 + FEW, step=5_000) for name in claims.ANCHORED]
    there = made(rated("radac", FEW, step=5_000), *tables)
    judged = judge(claims.CLAIMS[:1], claims.cases(there, "paper")).iloc[0]
    assert judged["verdict"] == UNSAID
    assert "needs 10,000 updates and 3 seeds, not 5,000 and 3" in judged["found"]
    here = claims.in_these_runs(there, claims.CLAIMS[0]).iloc[0]
    assert (here["verdict"], here["updates"]) == (HOLDS, 5_000)
    assert "ORAAC +10.0 [" in here["found"]


def test_a_short_row_of_another_method_does_not_keep_o1_from_being_judged():
    tables = [rated(name, 0.1 + FEW, 0.1 + FEW, 0.1 + FEW) for name in claims.ANCHORED]
    there = made(rated("radac", FEW, FEW, FEW), *tables, rated("cql", 0.1, step=500, seeds=1))
    assert there.scale(*PAPER) == (500, 1, 10)
    assert judge(claims.CLAIMS, claims.cases(there, "paper"))["verdict"].tolist() == [HOLDS, HOLDS]


def test_o1_names_who_is_missing():
    there = made(rated("radac", FEW), rated("radac:eta=1", FEW), rated("oraac", FEW))
    with pytest.raises(Missing, match=r"of ORAAC, RADAC on .* \(hazard paper, .* 3 seeds\), not of ORAAC-Diffusion\.$"):
        claims.tested(there)
    assert claims.tested(made(*(rated(name, FEW) for name in ("radac", *claims.ANCHORED)))) == [PAPER]
    assert claims.in_these_runs(there, claims.CLAIMS[0])["found"].tolist() == ["needs ORAAC-Diffusion"]


# -- what is stored -------------------------------------------------------------------------------------------------


def stored(folder, name, *tables):
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    facts = {run: {"config": {"hazard": "paper"}, "made": {}} for run in table["run"].unique()}
    (folder / f"{name}.json").write_text(json.dumps(facts))


def test_without_rates_there_is_one_sentence(tmp_path):
    with pytest.raises(Missing, match="No stored run says how often it acted out of the data"):
        reports.load(tmp_path).settings()
    stored(tmp_path, "campaign", episodes("radac", np.ones((2, 3))))
    with pytest.raises(Missing, match="no campaign or decisions with the columns ood_…"):
        claims.cases(reports.load(tmp_path), "paper")


def test_the_campaign_comes_first_where_it_has_rates(tmp_path):
    stored(tmp_path, "decisions", rated("radac", 0.1))
    stored(tmp_path, "campaign", episodes("radac", np.ones((2, 3))))
    assert reports.load(tmp_path).name == "decisions"
    stored(tmp_path, "campaign", rated("radac", 0.2))
    found = reports.load(tmp_path)
    assert (found.name, found.settings()) == ("campaign", [PAPER])
    assert found.rates(*PAPER)["radac"].estimate(0).value == pytest.approx(0.2)
    assert set(results.OOD) <= set(found.evidence.table.columns)


def test_the_papers_rates_are_of_three_robots():
    table = reports.published()
    assert set(table["task"]) == {"halfcheetah", "walker2d", "hopper"}
    assert set(table["version"]) == {"icml", "earlier"}
    assert reports.robot(TASK) == "hopper"
    assert len(COLUMNS) == 3
