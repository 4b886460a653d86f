"""Tables from made-up campaigns, checked by hand; nothing there is a sentence, never a number."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib import risk
from ramac_lib.analysis import evidence, intervals, style
from ramac_lib.analysis import rows as analysis_rows
from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import Estimate, Sample
from ramac_lib.envs.tasks import ROBOTS
from ramac_lib.system.errors import RamacError
from support.evidence import aggregates, commands, shown, tables

PAPER = (TASK, "paper")


def test_keys_name_only_what_departs_from_the_methods_own():
    assert analysis_rows.key("radac", TASK, "cvar", 0.1, "") == "radac"
    assert analysis_rows.key("radac", TASK, "neutral", 0.1, "") == "radac:risk=neutral"
    assert analysis_rows.key("radac", TASK, "cvar", 0.25, "td_clip=None") == "radac:alpha=0.25,td_clip=None"
    assert analysis_rows.key("bc-diffusion", TASK, "", float("nan"), "") == "bc-diffusion"
    assert analysis_rows.key("behaviour", TASK, "", float("nan"), "stage=expert") == "behaviour:stage=expert"
    assert analysis_rows.key("of-tomorrow", TASK, "cvar", 0.1, "x=1;y=2") == "of-tomorrow:x=1,y=2"


def test_a_methods_row_is_its_own_settings_or_else_its_first():
    main, others = analysis_rows.split(
        ["radac:risk=neutral", "bc-diffusion", "radac", "flow-ql:a=2", "flow-ql:a=3", "cql"]
    )
    assert main == ["cql", "flow-ql:a=2", "radac"]
    assert others == ["radac:risk=neutral", "bc-diffusion", "flow-ql:a=3"]
    assert analysis_rows.find(["flow-ql:a=3", "flow-ql:a=2"], "flow-ql") == "flow-ql:a=3"
    assert analysis_rows.find(main, "codac") is None
    assert analysis_rows.find(["radac:risk=neutral", "radac:td_clip=None"], "radac") is None
    assert analysis_rows.find(["radac:risk=neutral", "radac:eta=1"], "radac") == "radac:eta=1"


def test_variants_of_radac_are_told_apart():
    looks = [style.style(row) for row in ("radac", "radac:risk=neutral", "radac:td_clip=None", "radac:alpha=0.5")]
    assert len({look.label for look in looks}) == len({(look.line, look.marker) for look in looks}) == 4
    assert looks[3].label == "RADAC, alpha=0.5"
    assert style.style("new").label == "new"


def test_a_campaign_of_ones_own_stands_beside_the_stored_one(tmp_path):
    stored = gathered(episodes("radac", around(500)), episodes("bc-diffusion", around(400)))
    mine = gathered(episodes("of-tomorrow", around(450, count=5, seeds=2)))
    mine.table.drop(columns="row").to_csv(tmp_path / "results.csv", index=False)
    (tmp_path / "results.json").write_text(json.dumps(mine.facts))
    both = stored.beside(tmp_path)
    before, after = (tables.table_1(found, *PAPER).set_index("row") for found in (stored, both))
    pd.testing.assert_frame_equal(after.drop(index="of-tomorrow"), before)
    row = after.loc["of-tomorrow"]
    assert (row["group"], row["seeds"], row["episodes"]) == (tables.CONTROL, 2, 10)
    assert row["mean"] == pytest.approx(450)
    assert both.facts.keys() == stored.facts.keys() | mine.facts.keys()


def test_a_sample_is_reproducible_and_agrees_with_the_librarys_interval():
    returns = around(5.0, 3.0, seeds=4, count=30) + 2 * np.arange(4)[:, None] - 3
    frame = episodes("radac", returns)
    sample, again = Sample(frame, "x"), Sample(frame, "x")
    assert sample.estimate("cvar") == again.estimate("cvar")
    assert sample.estimate("mean").value == pytest.approx(5.0)
    assert sample.estimate("cvar").value == pytest.approx(float(risk.cvar(returns.ravel(), 0.1)))
    for name, statistic in (("mean", np.mean), ("cvar", lambda x: float(risk.cvar(x, 0.1)))):
        reference = intervals.bootstrap_interval(list(returns), statistic)
        width = reference[1] - reference[0]
        np.testing.assert_allclose(sample.estimate(name)[1:], reference, atol=0.12 * width)


def test_seeds_that_differ_widen_the_interval_but_not_that_of_one_policy():
    returns = np.array([[0.0] * 20, [100.0] * 20])
    frame = episodes("radac", returns)
    low, high = Sample(frame, "x").estimate("mean")[1:]
    assert (low, high) == (0.0, 100.0)
    alone = Sample(frame, "x", one_policy=True).estimate("mean")
    assert 30 < alone.low < 50 < alone.high < 70


def test_a_sample_counts_violations_and_their_share_of_steps():
    sample = Sample(episodes("radac", [[1, 2], [3, 4]], violations=[[5, 15], [10, 10]], length=50), "x")
    assert sample.values["violations"] == 10
    assert sample.values["rate"] == 0.2


def test_a_sample_refuses_what_it_cannot_resample():
    with pytest.raises(RamacError, match="no episodes"):
        Sample(episodes("radac", np.empty((0, 0))), "x")
    ragged = pd.concat([episodes("radac", [[1, 2]]), episodes("radac", [[1], [1]]).query("seed == 1")])
    with pytest.raises(RamacError, match="1 and 2 episodes"):
        Sample(ragged, "x")


@pytest.mark.parametrize(
    ("estimate", "sign", "text"),
    [((2, 1, 3), 1, "2 [1, 3]"), ((-2, -3, -1), -1, "−2 [−3, −1]"), ((0.2, -0.1, 1.0), 0, "0 [0, 1]")],
)
def test_estimates(estimate, sign, text):
    assert Estimate(*estimate).sign == sign
    assert Estimate(*estimate).text() == text


@pytest.mark.parametrize(("value", "text"), [(-0.3, "0"), (0.4, "0"), (-1234.5, "−1,234"), (float("nan"), "–")])
def test_numbers_that_round_to_zero_have_no_sign(value, text):
    assert shown.plain(value) == text
    assert shown.with_error(value, float("nan")) == text


def test_table_1_marks_the_best_and_what_is_tied_with_it():
    found = gathered(
        episodes("cql", around(100)),
        episodes("radac", around(300, seed=1)),
        episodes("oraac", around(301, seed=2)),
        episodes("bc-diffusion", around(299, seed=3)),
        behaviour=policies(500, 50),
    )
    table = tables.table_1(found, *PAPER).set_index("row")
    assert list(table.index)[:4] == ["cql", "oraac", "radac", "bc-diffusion"]
    assert table["mean_mark"].to_dict() == {
        "cql": "", "oraac": "best", "radac": "tied", "bc-diffusion": "tied",
        "behaviour:stage=expert": "above", "behaviour:stage=medium": "",
    }  # fmt: skip
    assert table.loc["radac", "mean"] == pytest.approx(300)
    assert table.loc["radac", "paper_mean"] == 1277.74
    assert table.loc["oraac", "paper_cvar"] == 374.63
    assert np.isnan(table.loc["bc-diffusion", "paper_mean"])
    assert list(table["group"]) == ["method"] * 3 + ["control"] + ["behaviour policy"] * 2
    html = shown.show_1(table.reset_index(), "t").to_html()
    assert html.count("]\N{NO-BREAK SPACE}▲</td>") == 2  # the expert's mean and CVaR
    marked = [rule for rule in html.split("}") if "underline" in rule]
    assert len(marked) == 1
    assert re.findall("#T_t_row(.)_col", marked[0]) == ["1", "1"]  # ORAAC's mean and CVaR
    assert "#T_t_row3_col0" in next(rule for rule in html.split("}") if "border-top" in rule)


def test_the_published_numbers_stand_beside_the_papers_hazard_only():
    found = gathered(episodes("radac", around(1), hazard="calibrated"), episodes("cql", around(2), hazard="calibrated"))
    assert tables.table_1(found, TASK, "calibrated")["paper_mean"].isna().all()


def test_only_the_last_checkpoint_its_own_hazard_and_the_tasks_horizon_are_reported():
    found = gathered(
        episodes("radac", [[1.0]], step=5_000),
        episodes("radac", [[2.0]]),
        episodes("radac", [[3.0]], horizon=1000),
        episodes("radac", [[4.0]], hazard="none", trained="paper"),
        episodes("radac", [[5.0]], purpose="training"),
    )
    assert found.settings() == [PAPER]
    assert found.report(*PAPER)["return"].tolist() == [2.0]
    assert found.report(*PAPER, 1000)["return"].tolist() == [3.0]
    assert tables.table_4(found, *PAPER, "episodes")["mean"].tolist() == [3.0]


def test_table_3_by_hand_and_the_worst_of_ten():
    returns = np.tile(np.arange(20.0), (3, 1)) + np.array([[0.0], [1.0], [5.0]])
    table = tables.table_3(gathered(episodes("radac", returns)), *PAPER).iloc[0]
    assert table["mean"] == pytest.approx(9.5 + 2)
    assert table["mean_se"] == pytest.approx(np.std([0, 1, 5], ddof=1) / np.sqrt(3))
    assert table["cvar"] == pytest.approx(0.5 + 2)  # the two lowest of twenty
    assert table["protocol"] == pytest.approx(2)  # the lowest of the first ten
    assert table["pooled"] == pytest.approx(np.mean([0, 1, 1, 2, 2, 3]))
    alone = tables.table_3(gathered(episodes("radac", returns[:1])), *PAPER)
    assert np.isnan(alone["mean_se"][0])
    assert "±" not in shown.show_3(alone, "t").to_html()


def test_table_4_takes_the_evaluation_nearest_to_a_thousand():
    curve = [episodes("radac", [[float(s)]], step=s, purpose="training") for s in (600, 1090, 1800)]
    cql = [episodes("cql", [[float(s)]], step=s, purpose="training") for s in (900, 1100)]
    found = gathered(episodes("radac", [[9.0]]), *curve, *cql)
    table = tables.table_4(found, *PAPER, "steps").set_index("row")
    assert table["step"].to_dict() == {"cql": 1100, "radac": 1090}
    assert table["mean"].to_dict() == {"cql": 1100, "radac": 1090}
    with pytest.raises(Missing, match="--horizon 1000"):
        tables.table_4(found, *PAPER, "episodes")


def test_table_4_leaves_out_what_was_not_evaluated_near_a_thousand():
    near = episodes("radac", [[1.0]], step=901, purpose="training")
    far = [episodes("cql", [[1.0]], step=s, purpose="training") for s in (899, 1101)]
    report = [episodes(row, [[9.0]]) for row in ("cql", "radac")]
    assert tables.table_4(gathered(near, *far, *report), *PAPER, "steps")["row"].tolist() == ["radac"]
    with pytest.raises(Missing, match=r"near 1,000 gradient steps: .* `--evaluations` such that one falls on them"):
        tables.table_4(gathered(*far, *report), *PAPER, "steps")


def test_violations_are_shown_with_a_digit_and_their_interval():
    counts = around(20.26, 4.0)
    found = gathered(episodes("radac", around(100), violations=counts))
    expected = found.sample(*PAPER, "radac").estimate("violations")
    html = shown.show_1(tables.table_1(found, *PAPER), "t").to_html()
    assert f"20.3 [{expected.low:.1f}, {expected.high:.1f}]" in html


def test_the_published_radac_leads_every_task_in_mean_and_cvar():
    for task in ROBOTS:
        theirs = evidence.published(task)
        assert "RAFMAC" not in theirs.index
        assert theirs["mean"].idxmax() == theirs["cvar"].idxmax() == "RADAC"


def test_without_a_campaign_there_is_a_sentence(tmp_path):
    found = evidence.load(tmp_path)
    for ask in (found.settings, lambda: tables.table_1(found, *PAPER), lambda: found.curve(*PAPER)):
        with pytest.raises(Missing, match=r"no data/results/campaign\.csv yet"):
            ask()
    assert found.played(*PAPER).empty


def test_stored_evidence_is_read_back(tmp_path):
    table = episodes("radac", around(3))
    table.to_csv(tmp_path / "campaign.csv", index=False)
    facts = {table["run"][0]: {"config": {"hazard": "paper", "seeds": [0], "steps": 1, "source": "x", "size": None}}}
    (tmp_path / "campaign.json").write_text(json.dumps(facts))
    found = evidence.load(tmp_path)
    assert found.settings() == [PAPER]
    assert found.report(*PAPER)["row"].unique().tolist() == ["radac"]
    assert (found.updates(*PAPER), found.seeds(*PAPER)) == (10_000, 3)


def test_policies_behind_other_data_do_not_count():
    campaign = episodes("radac", around(3)).assign(source="d4rl")
    assert gathered(campaign, behaviour=policies(5.0)).played(*PAPER).empty
    assert len(gathered(episodes("radac", around(3)), behaviour=policies(5.0)).played(*PAPER)) == 80


def test_hopper_has_two_published_rows():
    assert evidence.published(TASK).loc["RADAC", "mean"] == 1277.74
    assert evidence.published(TASK, "page-2026-06-15").loc["RADAC", "cvar"] == -167.29


def test_seeds_of_two_runs_of_a_row_are_pooled():
    """A campaign that grew by seeds has another run of each row: tables and samples are those of one run."""
    whole = [episodes(row, around(mean, seeds=4, seed=k)) for k, (row, mean) in enumerate((("radac", 90), ("cql", 50)))]
    for step in (5_000, 10_000):
        whole += [episodes("radac", around(60, seeds=4), step=step, purpose="training")]
    apart = [t.assign(run=t["run"].where(t["seed"] < 2, t["run"].str.replace("|", "+2|", n=1))) for t in whole]
    one, two = (gathered(*part, behaviour=policies(100, 60)) for part in (whole, apart))
    assert len(two.facts) == 2 * len(one.facts)
    assert two.seeds(*PAPER) == 4
    for name in ("table_1", "table_3"):
        pd.testing.assert_frame_equal(getattr(tables, name)(two, *PAPER), getattr(tables, name)(one, *PAPER))
    pd.testing.assert_frame_equal(aggregates.iqm(two, [PAPER]), aggregates.iqm(one, [PAPER]))
    pd.testing.assert_frame_equal(aggregates.improvement(two, [PAPER]), aggregates.improvement(one, [PAPER]))
    assert two.early_sample(*PAPER, "radac", 5_000).seeds == 4
    assert "--seeds 0 1 2 3" in commands.command(two)


def test_seeds_that_were_added_and_are_not_as_far_do_not_count_yet():
    there, behind = episodes("radac", around(90, seeds=2)), episodes("radac", around(10, seeds=4), step=2_000)
    behind = behind[behind["seed"] >= 2].assign(run=f"radac+2|{TASK}|paper")
    assert gathered(there, behind).sample(*PAPER, "radac").seeds == 2
