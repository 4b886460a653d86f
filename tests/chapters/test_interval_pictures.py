"""Numbers with intervals as pictures: what a panel has, what the numbers and the file below it say."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.system.errors import RamacError
from support import forest

INFINITE = float("inf")


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "method": ["RADAC", "RAFMAC", "CQL"],
            "tail": [Estimate(-1.5, -2.0, -1.0), Estimate(0.5, -INFINITE, INFINITE), Estimate(-80.0, -90.0, -70.0)],
            "gap": [None, Estimate(1.0, -0.25, 2.25), Estimate(-0.001, -0.002, 0.001)],
            "share": ["1.00", "0.97", "0.00"],
        },
        index=["radac", "rafmac", "cql"],
    )


def drawn(axes):
    """Return (x, marker) of each mark by its row, and (low, high) of each interval by its row."""
    marks, spans = {}, {}
    for line in axes.lines:
        x, y = (np.asarray(values, float) for values in line.get_data())
        if len(x) == 1:
            marks.setdefault(y[0], []).append((round(x[0], 6), line.get_marker()))
        elif y[0] == y[1]:
            spans[y[0]] = (round(x[0], 6), round(x[1], 6), line.get_color())
    return marks, spans


def test_a_panel_has_a_row_a_line_with_the_first_on_top(table):
    figure = forest.draw(table, ["tail", "gap"], "method", {"gap": {"": 0.0}}, {"tail": (-1.8, 1.0)})
    tail, gap = figure.axes
    assert [label.get_text() for label in tail.get_yticklabels()] == ["CQL", "RAFMAC", "RADAC"]
    marks, spans = drawn(tail)
    assert spans == {2: (-1.8, -1.0, style("radac").colour)}  # a single seed has a dot alone
    assert sorted(marks[2]) == [(-1.8, "<"), (-1.5, "o")]  # its interval goes on
    assert marks[1] == [(0.5, "o")]
    assert marks[0] == [(-1.8, "<")]  # beyond the axis, with its number
    assert [text.get_text() for text in tail.texts] == ["−80"]
    assert [tuple(line.get_xdata()) for line in gap.lines if list(line.get_ydata()) == [0, 1]] == [(0.0, 0.0)]
    plt.close(figure)


def test_on_a_narrow_screen_panels_stand_below_each_other(table):
    figure = forest.draw(table, ["tail", "gap"], "method", narrow=True)
    tail, gap = (axes.get_position() for axes in figure.axes)
    assert gap.y1 <= tail.y0
    assert all([t.get_text() for t in axes.get_yticklabels()] == ["CQL", "RAFMAC", "RADAC"] for axes in figure.axes)
    plt.close(figure)
    page = BeautifulSoup(forest.show(table, "both", ["tail"], label="method").data, "html.parser")
    assert page.select_one("picture > source")["srcset"] != page.select_one("picture > img")["src"]


def test_numbers_are_written_with_signs_and_dashes(table):
    text = forest.written(table, {"tail": 1, "gap": 2}, signed=["gap"])
    assert list(text["tail"]) == ["−1.5 [−2.0, −1.0]", "0.5", "−80.0 [−90.0, −70.0]"]
    assert list(text["gap"]) == ["–", "+1.00 [−0.25, +2.25]", "+0.00 [+0.00, +0.00]"]
    assert list(text["share"]) == ["1.00", "0.97", "0.00"]


def test_the_file_has_every_number_in_full(table):
    page = forest.show(table, "numbers", ["tail"], label="method").data
    data = re.search(r'download="numbers.csv" href="data:text/csv;base64,([^"]+)"', page)
    read = pd.read_csv(io.BytesIO(base64.b64decode(data[1])))
    assert list(read.columns) == [
        "row", "method", "tail", "tail low", "tail high", "gap", "gap low", "gap high", "share"
    ]  # fmt: skip
    assert read["gap low"].isna().tolist() == [True, False, False]
    assert read.loc[2, "gap low"] == -0.002
    assert read["tail high"].tolist() == [-1.0, INFINITE, -70.0]
    assert page.index("<img") < page.index("<details")


def test_a_column_that_is_not_there_is_refused(table):
    with pytest.raises(RamacError, match="unknown column 'mean': choose one of method, tail"):
        forest.show(table, "x", ["mean"], label="method")
