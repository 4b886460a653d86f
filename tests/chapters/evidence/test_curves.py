"""Learning curves: a panel a row with its own mean and tail, the others in grey, behaviour policies at the edge."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from campaign_tables import TASK, episodes, gathered
from matplotlib.colors import to_hex

from ramac_lib.analysis.style import style
from support.evidence import curves as drawn_by

PAPER = (TASK, "paper")


def shown(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_a_panel_a_row_methods_first_and_all_others_in_grey(curves):
    panels = shown(drawn_by.learning_curves(curves, *PAPER))
    assert [axes.get_title() for axes in panels] == ["CQL", "RADAC", "RADAC,\nneutral"]
    radac = panels[1]
    grey = [line for line in radac.lines if to_hex(line.get_color()) == drawn_by.OTHERS]
    assert [list(line.get_ydata()) for line in grey] == [[0, 0, 0], [2, 2, 2]]
    own = [line for line in radac.lines if line.get_color() == style("radac").colour]
    np.testing.assert_allclose(own[0].get_xydata(), [[100, 1], [200, 1], [300, 1]])
    np.testing.assert_allclose(own[1].get_ydata(), [0, -1, -2])
    assert [line.get_linestyle() for line in own] == ["-", "--"]


def test_the_axis_says_what_the_tail_is(curves):
    figure = drawn_by.learning_curves(curves, *PAPER)
    assert figure.get_supylabel() == "mean return (solid), worst of 2 episodes (dashed)"


def test_behaviour_policies_are_measured_on_as_many_episodes_as_an_evaluation():
    assert drawn_by.in_groups(np.array([5.0, 1.0, 4.0, 2.0, -9.0]), 2) == 1.5  # the worst of 5 and 1, of 4 and 2
    assert drawn_by.in_groups(np.arange(40.0), 20) == pytest.approx((0.5 + 20.5) / 2)
    assert np.isnan(drawn_by.in_groups(np.array([1.0]), 2))


def test_behaviour_policies_are_marked_at_the_edge_and_named_once(curves):
    panels = shown(drawn_by.learning_curves(curves, *PAPER))
    expert, medium = (curves.played(*PAPER).query(f"row == 'behaviour:stage={s}'") for s in ("expert", "medium"))
    for axes in panels:
        marks = [line for line in axes.lines if line.get_marker() == "<"]
        filled = [float(line.get_ydata()[0]) for line in marks if line.get_markerfacecolor() == "black"]
        hollow = [float(line.get_ydata()[0]) for line in marks if line.get_markerfacecolor() == "none"]
        assert filled == pytest.approx([40.0, 30.0])
        worst = [own["return"].to_numpy().reshape(-1, 2).min(axis=1).mean() for own in (expert, medium)]
        assert hollow == pytest.approx(worst)
    assert [[text.get_text() for text in axes.texts] for axes in panels] == [["expert", "medium"], [], []]


def test_a_variant_stands_for_its_method():
    rows = ("cql", "radac:eta=2", "radac:risk=neutral")
    tables = [episodes(row, [[1.0]], step=s, purpose="training") for row in rows for s in (1, 2)]
    figure = drawn_by.learning_curves(gathered(*tables, *[episodes(row, [[1.0]]) for row in rows]), *PAPER)
    assert [axes.get_title() for axes in shown(figure)] == ["CQL", "RADAC,\neta=2", "RADAC,\nneutral"]
    plt.close(figure)
