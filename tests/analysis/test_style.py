import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from support import page as support_page
from support import panels
from support.bandit import plots as toy_plots


def test_ordered_colours_grow_lighter():
    colours = panels.ordered_colours(6)
    assert len(set(colours)) == 6
    light = [np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.30, 0.59, 0.11)) for c in colours]
    assert (np.diff(light) > 0).all()


def test_a_histogram_by_group_stacks_shares_of_the_weights():
    axes = Figure().subplots()
    values, groups = np.array([0.0, 1.0, 1.0]), ["a", "a", "b"]
    colours = {"a": "#000000", "b": "#ffffff"}
    panels.histogram_by(axes, values, groups, colours, weights=np.array([1.0, 1.0, 2.0]), bins=2)
    heights = {}
    for bar in axes.patches:
        heights.setdefault(to_hex(bar.get_facecolor()), []).append((bar.get_y(), bar.get_height()))
    assert heights["#000000"] == [(0, 0.25), (0, 0.25)]
    assert heights["#ffffff"] == [(0.25, 0), (0.25, 0.5)]


def test_a_monitor_marks_violations_and_penalties_and_shows_an_open_range():
    axes = Figure().subplots()
    signal = np.array([0.0, 0.5, 2.0, 3.0])
    panels.monitor(axes, signal, signal > 1, -np.inf, 1.0, struck=signal > 2.5)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn["violation"] == [[2, 2], [3, 3]]
    assert drawn["penalty"] == [[3, 3]]
    low, high = axes.get_ylim()
    assert low < 0 < 3 < high
    assert np.isfinite([low, high]).all()


def test_an_estimate_reaches_over_its_intervals():
    axes = Figure().subplots()
    panels.estimate(axes, (1.0, 0.5, 2.0), (10.0, 9.0, 12.0), marker="o")
    ends = np.concatenate([np.concatenate(bars.get_segments()) for bars in axes.collections])
    np.testing.assert_allclose([ends[:, 0].min(), ends[:, 0].max()], [0.5, 2.0])
    np.testing.assert_allclose([ends[:, 1].min(), ends[:, 1].max()], [9.0, 12.0])


def test_tiles_hide_the_places_without_a_policy():
    rng = np.random.default_rng(0)
    named = {name: rng.uniform(-1, 1, (20, 2)) for name in "abcdef"}
    figure = toy_plots.tiles(named, ["#000000"] * 6, columns=4)
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == list("abcdef")
    assert len(figure.axes) == 8
    drawn = figure.axes[5].collections[0].get_offsets()
    np.testing.assert_allclose(drawn, named["f"])
    plt.close(figure)


def test_tiles_by_seed_have_a_row_a_method_and_a_column_a_seed():
    actions = np.random.default_rng(0).uniform(-1, 1, (2, 3, 10, 2))
    figure = toy_plots.tiles_by_seed(dict(zip("ab", actions, strict=True)), ["#111111", "#222222"], (4, 7, 8))
    assert [axes.get_title() for axes in figure.axes] == ["seed 4", "seed 7", "seed 8", "", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "", "", "b", "", ""]
    np.testing.assert_allclose(figure.axes[5].collections[0].get_offsets(), actions[1, 2])
    assert to_hex(figure.axes[5].collections[0].get_facecolor()[0]) == "#222222"
    plt.close(figure)


def masses(seeds):
    """Centre 0 … .9 over ten epochs, and .1 more with the second seed."""
    rows = [(e, s, 0.1 * e + 0.1 * k) for e in range(10) for k, s in enumerate(seeds)]
    table = pd.DataFrame(rows, columns=["epoch", "seed", "centre"])
    return table.assign(gap=0.0, ring=1 - table["centre"], outside=0.0)


def test_masses_are_means_over_seeds_with_a_standard_error():
    axes = Figure().subplots()
    toy_plots.draw_masses(axes, masses((0, 3)))
    centre = {line.get_label(): line.get_ydata() for line in axes.lines}["centre"]
    np.testing.assert_allclose(centre, 0.1 * np.arange(10) + 0.05)
    band = axes.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(1.0)  # .95 ± .05
    assert band[:, 1].min() == pytest.approx(0.0)


def test_a_wrapped_table_breaks_its_sentences_and_keeps_its_bytes():
    table = pd.DataFrame({"words": ["a sentence"], "mass": [0.123]})
    pages = [support_page.wrapped(table, "one", ["words"]).to_html() for _ in range(2)]
    assert pages[0] == pages[1]
    assert "0.12<" in pages[0]
    assert "#T_one_row0_col0 {\n  white-space: normal" in pages[0]
    assert "#T_one_row0_col1 {" not in pages[0]
    assert "#T_one th.col_heading.col0 {\n  text-align: left" in pages[0]
