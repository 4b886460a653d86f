"""Aggregates by hand, the Pareto front against its definition, figures that hold what they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from campaign_tables import TASK, around, episodes, gathered, policies
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.colors import to_hex
from scipy.stats import mannwhitneyu

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.style import style
from support.evidence import aggregates, figures
from support.evidence.aggregates import front

PAPER = (TASK, "paper")
numbers = arrays(float, st.tuples(st.integers(1, 12), st.just(2)), elements=st.integers(-3, 3).map(float))


def dominates(p, q):
    return p[0] <= q[0] and p[1] >= q[1] and (p[0] < q[0] or p[1] > q[1])


@given(numbers)
def test_the_front_is_what_no_other_point_dominates(points):
    kept = front(points[:, 0], points[:, 1])
    assert kept.any()
    for k, q in enumerate(points):
        assert kept[k] == (not any(dominates(p, q) for p in points))


def test_equal_points_stay_on_the_front_together():
    assert front(np.array([1, 1, 2]), np.array([5, 5, 5])).tolist() == [True, True, False]


@given(st.lists(st.integers(0, 6), min_size=2, max_size=6), st.lists(st.integers(0, 6), min_size=2, max_size=6))
def test_the_probability_of_improvement_is_mann_whitneys(x, y):
    found = aggregates.probability_of_improvement(np.array(x, float), np.array(y, float))
    assert found == pytest.approx(mannwhitneyu(x, y).statistic / len(x) / len(y))


def test_the_probability_averages_over_settings_and_keeps_batches():
    wins, loses = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    assert aggregates.probability_of_improvement(wins, loses, loses, wins) == 0.5
    batch = aggregates.probability_of_improvement(np.stack([wins, loses]), np.stack([loses, wins]))
    assert batch.tolist() == [1, 0]


def test_the_interquartile_mean_drops_a_quarter_on_each_side():
    assert aggregates.interquartile_mean(np.array([0.0, 1.0]), np.array([2.0, 1000.0])) == 1.5


def two_settings(**means):
    """Each method's mean on two hazards; the best behaviour policies earn 100 and 200."""
    hazards = ("paper", "calibrated")
    tables = [
        episodes(row, around(mean, 1.0, seed=k), hazard=hazard)
        for k, (row, pair) in enumerate(means.items())
        for hazard, mean in zip(hazards, pair, strict=True)
    ]
    played = [*policies(100.0, 50.0), *policies(200.0, 20.0, hazard="calibrated")]
    return gathered(*tables, behaviour=played), [(TASK, hazard) for hazard in hazards]


def test_scores_are_shares_of_the_best_behaviour_policys_mean():
    evidence, settings = two_settings(radac=(50.0, 100.0), cql=(25.0, 20.0))
    table = aggregates.iqm(evidence, settings).set_index("row")
    assert table.loc["radac", "mean"] == pytest.approx(0.5)
    assert table.loc["cql", "mean"] == pytest.approx((0.25 + 0.1) / 2)
    assert table.loc["radac", "cvar"] < 0.5
    assert (table["mean_low"] <= table["mean"]).all()
    assert (table["mean"] <= table["mean_high"]).all()


def test_improvement_of_radac_over_each_other():
    evidence, settings = two_settings(radac=(50.0, 100.0), cql=(25.0, 200.0), codac=(10.0, 10.0))
    table = aggregates.improvement(evidence, settings).set_index("row")
    assert table["mean"].to_dict() == {"cql": 0.5, "codac": 1.0}
    assert table["settings"].map(len).tolist() == table["runs"].floordiv(3).tolist() == [2, 2]
    again = aggregates.improvement(evidence, settings).set_index("row")
    assert table.equals(again)


def test_aggregates_say_what_they_lack():
    evidence, settings = two_settings(cql=(1.0, 1.0))
    with pytest.raises(Missing, match="no row of RADAC"):
        aggregates.improvement(evidence, settings)
    with pytest.raises(Missing, match="ramac analyse behaviour --tasks"):
        aggregates.iqm(gathered(episodes("radac", around(1))), [PAPER])
    with pytest.raises(Missing, match="positive mean"):
        aggregates.iqm(gathered(episodes("radac", around(1)), behaviour=policies(-5.0)), [PAPER])
    alone = gathered(episodes("radac", around(1, seeds=1)), behaviour=policies(5.0))
    with pytest.raises(Missing, match="two seeds"):
        aggregates.iqm(alone, [PAPER])


HARD = "calibrated"


def campaign(*cells):
    """Runs of (row, hazard, mean, seeds); the best behaviour policies earn 100."""
    tables = [
        episodes(row, around(mean, 1.0, seeds=seeds, seed=k), hazard=hazard)
        for k, (row, hazard, mean, seeds) in enumerate(cells)
    ]
    played = [*policies(100.0, 50.0), *policies(100.0, 20.0, hazard=HARD)]
    evidence = gathered(*tables, behaviour=played)
    return evidence, evidence.settings()


BOTH = [(row, hazard, mean, 3) for row, mean in (("radac", 50.0), ("cql", 25.0)) for hazard in ("paper", HARD)]


def test_a_row_on_one_setting_leaves_the_aggregates_of_the_others_as_they_were():
    extra = ("diffusion-ql:candidates=1", "paper", 80.0, 3)
    variant = ("radac:risk=neutral", "paper", 10.0, 3)
    table = aggregates.iqm(*campaign(*BOTH)).set_index("row")
    found = aggregates.iqm(*campaign(*BOTH, variant)).set_index("row")
    assert found.equals(table)
    assert aggregates.improvement(*campaign(*BOTH, variant)).set_index("row")["runs"].tolist() == [6, 3]
    # A method's only row counts as the method, which the other setting then lacks.
    shared = aggregates.shared(aggregates.scores(*campaign(*BOTH, extra)))
    assert (list(shared.seeds), shared.settings_out) == ([f"{TASK} under paper"], [f"{TASK} under {HARD}"])
    assert shared.rows == ["cql", "diffusion-ql:candidates=1", "radac"]


def test_settings_may_have_other_numbers_of_seeds():
    cells = [("radac", "paper", 50.0, 3), ("cql", "paper", 25.0, 3), ("radac", HARD, 50.0, 2), ("cql", HARD, 25.0, 2)]
    evidence, settings = campaign(*cells)
    shared = aggregates.shared(aggregates.scores(evidence, settings))
    assert list(shared.seeds.values()) == [{0, 1, 2}, {0, 1}]
    table = aggregates.iqm(evidence, settings).set_index("row")
    assert table["runs"].tolist() == [shared.runs] * 2 == [5, 5]
    assert table.loc["radac", "mean"] == pytest.approx(0.5)
    assert table.loc["radac", "mean_low"] <= 0.5 <= table.loc["radac", "mean_high"]
    assert aggregates.improvement(evidence, settings)["mean"].tolist() == [1.0]


def test_seeds_are_those_that_the_papers_methods_share_and_a_row_without_them_is_left_out():
    cells = [("radac", "paper", 50.0, 5), ("cql", "paper", 25.0, 3), ("radac:risk=neutral", "paper", 10.0, 2)]
    evidence, settings = campaign(*cells, ("bc-diffusion", "paper", 10.0, 4))
    shared = aggregates.shared(aggregates.scores(evidence, settings))
    assert shared.seeds == {f"{TASK} under paper": {0, 1, 2}}
    assert shared.rows == ["cql", "radac", "bc-diffusion"]
    assert shared.rows_out == ["radac:risk=neutral"]
    table = aggregates.improvement(evidence, settings).set_index("row")
    assert table["runs"].to_dict() == {"cql": 3, "radac:risk=neutral": 2, "bc-diffusion": 4}


def test_a_rival_is_compared_where_both_are():
    cells = [("radac", "paper", 50.0, 3), ("radac", HARD, 50.0, 3), ("cql", HARD, 60.0, 2), ("codac", "paper", 1.0, 1)]
    evidence, settings = campaign(*cells)
    table = aggregates.improvement(evidence, settings).set_index("row")
    assert table["settings"].to_dict() == {"cql": (f"{TASK} under {HARD}",)}  # one seed of CODAC cannot be resampled
    assert table.loc["cql", "mean"] == 0.0
    with pytest.raises(Missing, match="There is no task on which CQL, CODAC, RADAC are all there"):
        aggregates.iqm(evidence, settings)
    with pytest.raises(Missing, match="No other row has two seeds on a task on which RADAC"):
        aggregates.improvement(*campaign(("radac", "paper", 50.0, 3), ("cql", HARD, 60.0, 3)))


@pytest.mark.parametrize("runs", range(1, 9))
def test_the_middle_half_of_three_runs_is_all_of_them(runs):
    scores = np.arange(runs, dtype=float) ** 2
    assert aggregates.trims(runs) == (aggregates.interquartile_mean(scores) != scores.mean()) == (runs >= 4)


def test_figure_8_has_a_panel_a_row_with_its_moments(curves):
    figure = figures.figure_8(curves, *PAPER)
    titles = [axes.get_title() for axes in figure.axes if axes.get_visible()]
    assert titles[:3] == ["CQL", "RADAC", "RADAC,\nneutral"]
    radac = figure.axes[1]
    line = next(drawn for drawn in radac.lines if drawn.get_color() == style("radac").colour)
    np.testing.assert_allclose(line.get_xydata(), [[11, 1], [12, 1], [13, 1]])
    assert len(radac.collections[0].get_offsets()) == 6  # the others'
    front_drawn = radac.lines[0].get_xydata()
    assert front_drawn.tolist() == [[1, 0], [11, 1], [21, 2]]
    assert sum(drawn.get_marker() == "*" for drawn in radac.lines) == 2
    figure.canvas.draw()


def test_aggregates_are_drawn_from_top_to_bottom():
    evidence, settings = two_settings(radac=(50.0, 100.0), cql=(25.0, 200.0), codac=(10.0, 10.0))
    table = aggregates.improvement(evidence, settings)
    figure = figures.draw_aggregates(table, ["mean", "CVaR"], 0.5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["CODAC", "CQL"]
    drawn = {to_hex(line.get_color()): line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "X"}
    assert drawn == {to_hex(style("codac").colour): [1.0, 0.0]}
    plt.close(figure)
