"""Forest plots: dots, intervals, shades and marks say what the table says, and its numbers can be saved."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from support.evidence import forest, shown
from support.evidence.tables import CONTROL, MAIN, POLICY


def line(row, group, mean, cvar, marks=("", ""), paper=(np.nan, np.nan)):
    facts = {"row": row, "label": row, "group": group, "length": 1.0, "seeds": 3, "episodes": 9}
    for name, value, mark in (("mean", mean, marks[0]), ("cvar", cvar, marks[1]), ("violations", 1.0, "")):
        facts |= {name: value, f"{name}_low": value - 2, f"{name}_high": value + 3, f"{name}_mark": mark}
    return facts | {"paper_mean": paper[0], "paper_cvar": paper[1]}


@pytest.fixture
def table():
    return pd.DataFrame(
        [
            line("radac", MAIN, 10.0, -1.0, ("best", ""), (12.0, 4.0)),
            line("cql", MAIN, 9.0, 5.0, ("tied", "best")),
            line("bc-diffusion", CONTROL, 3.0, 2.0),
            line("behaviour:stage=expert", POLICY, 20.0, 7.0).copy() | {"label": "behaviour, expert"},
        ]
    )


def test_a_caption_can_name_diamonds_and_arrows_where_there_are_some(table):
    assert forest.extras(table) == (True, False)
    wide = pd.concat(
        [table.drop(columns=["paper_mean", "paper_cvar"]), pd.DataFrame([line("codac", MAIN, 900.0, 3.0)])]
    )
    assert forest.extras(wide.drop(columns=["paper_mean", "paper_cvar"])) == (False, True)


def places(axes):
    """Return (x, y, marker) of each mark and (low, high, y) of each interval."""
    marks, spans = [], []
    for drawn in axes.lines:
        x, y = (np.asarray(values, dtype=float) for values in drawn.get_data())
        if len(x) == 1:
            marks.append((float(x[0]), float(y[0]), drawn.get_marker()))
        elif y[0] == y[1] and x[0] != 0:
            spans.append((float(x[0]), float(x[1]), float(y[0])))
    return marks, spans


def test_each_row_is_a_dot_on_its_interval_from_top_to_bottom(table):
    figure = forest.draw(table)
    marks, spans = places(figure.axes[0])
    assert spans == [(8, 13, 2), (7, 12, 1), (1, 6, 0)]
    assert [(x, y) for x, y, marker in marks if marker != "D"] == [(10, 2), (9, 1), (3, 0)]
    assert [(x, y) for x, y, marker in marks if marker == "D"] == [(12, 2)]  # the paper's
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["bc-diffusion", "cql", "radac"]
    plt.close(figure)


def test_tied_rows_are_shaded_and_behaviour_policies_are_lines(table):
    figure = forest.draw(table)
    shaded = [sorted(float(patch.get_y()) for patch in axes.patches) for axes in figure.axes]
    assert shaded == [[0.5, 1.5], [0.5]]
    for axes, value in zip(figure.axes, (20.0, 7.0), strict=True):
        assert [list(drawn.get_xdata()) for drawn in axes.lines if list(drawn.get_ydata()) == [0, 1]].count(
            [value, value]
        ) == 1
        assert [text.get_text() for text in axes.texts] == ["expert"]
    plt.close(figure)


def test_the_numbers_are_folded_and_can_be_saved(table):
    soup = BeautifulSoup(forest.show(table, shown.show_1, "one").data, "html.parser")
    assert soup.select_one("img")["alt"] == "Mean return and CVaR with 95 % intervals, a row a method (one)"
    fold = soup.select_one("details.numbers")
    assert not fold.has_attr("open")
    assert fold.select_one("td").text == "radac"
    link = fold.select_one("a[download]")
    assert link["download"] == "one.csv"
    saved = pd.read_csv(io.BytesIO(base64.b64decode(link["href"].partition(",")[2])))
    kept = ["row", "label", "mean", "mean_low", "mean_high", "cvar", "paper_mean"]
    pd.testing.assert_frame_equal(saved[kept], table[kept], check_dtype=False)


def test_a_table_of_methods_alone_has_no_line_between_groups(table):
    figure = forest.draw(table[table["group"] == MAIN].drop(columns=["paper_mean", "paper_cvar"]))
    assert not [drawn for drawn in figure.axes[0].lines if list(drawn.get_xdata()) == [0, 1]]
    plt.close(figure)


def test_what_lies_far_from_all_others_is_an_arrow_and_its_interval_too(table):
    several = pd.concat([table.assign(mean=table["mean"] + k, row=table["row"]) for k in range(3)], ignore_index=True)
    far = several.copy()
    far.loc[0, ["cvar", "cvar_low", "cvar_high"]] = [-4817.0, -8562.0, 1336.0]
    low, high = forest.bounds(far, "cvar")
    assert (low, high) == pytest.approx((-3 - 0.04 * 13, 10 + 0.04 * 13))
    figure = forest.draw(far)
    assert "−4817" in [text.get_text() for text in figure.axes[1].texts]
    assert forest.bounds(several, "cvar")[0] == pytest.approx(-3 - 0.04 * 13)  # nothing is far: all is drawn
    plt.close(figure)
