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

from ramac_lib.evidence import aggregates, figures
from ramac_lib.evidence.pareto import front
from ramac_lib.evidence.store import Missing
from ramac_lib.plots import style

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
    assert table["settings"].tolist() == [2, 2]
    again = aggregates.improvement(evidence, settings).set_index("row")
    assert table.equals(again)


def test_aggregates_say_what_they_lack():
    evidence, settings = two_settings(cql=(1.0, 1.0))
    with pytest.raises(Missing, match="no row of RADAC"):
        aggregates.improvement(evidence, settings)
    with pytest.raises(Missing, match="ramac behaviour --tasks"):
        aggregates.iqm(gathered(episodes("radac", around(1))), [PAPER])
    with pytest.raises(Missing, match="positive mean"):
        aggregates.iqm(gathered(episodes("radac", around(1)), behaviour=policies(-5.0)), [PAPER])
    alone = gathered(episodes("radac", around(1, seeds=1)), behaviour=policies(5.0))
    with pytest.raises(Missing, match="two seeds"):
        aggregates.iqm(alone, [PAPER])


@pytest.fixture
def curves():
    tables = [
        episodes(row, [[k + s, k - s]] * 2, violations=10 * k + s, step=100 * s, purpose="training")
        for k, row in enumerate(("cql", "radac", "radac:risk=neutral"))
        for s in (1, 2, 3)
    ]
    report = [episodes(row, [[1.0]] * 2) for row in ("cql", "radac", "radac:risk=neutral")]
    yield gathered(*tables, *report, behaviour=policies(40.0, 30.0))
    plt.close("all")


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


def test_learning_curves_split_methods_and_controls(curves):
    figure = figures.learning_curves(curves, *PAPER)
    top, bottom = figure.axes[0], figure.axes[2]
    assert [line.get_label() for line in top.lines][:2] == ["CQL", "RADAC"]
    assert [line.get_label() for line in bottom.lines][:2] == ["RADAC", "RADAC, neutral"]
    np.testing.assert_allclose(top.lines[1].get_xydata(), [[100, 1], [200, 1], [300, 1]])
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), [0, -1, -2])
    assert figure.axes[1].get_ylabel() == "worst of 2 episodes"


def test_aggregates_are_drawn_from_top_to_bottom():
    evidence, settings = two_settings(radac=(50.0, 100.0), cql=(25.0, 200.0), codac=(10.0, 10.0))
    table = aggregates.improvement(evidence, settings)
    figure = figures.draw_aggregates(table, ["mean", "CVaR"], 0.5)
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["CODAC", "CQL"]
    drawn = {to_hex(line.get_color()): line.get_xydata()[0].tolist() for line in axes.lines if line.get_marker() == "X"}
    assert drawn == {to_hex(style("codac").colour): [1.0, 0.0]}
    plt.close(figure)
