import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ramac_lib import plots


def test_ordered_colours_grow_lighter():
    colours = plots.ordered_colours(6)
    assert len(set(colours)) == 6
    light = [np.dot([int(c[i : i + 2], 16) for i in (1, 3, 5)], (0.30, 0.59, 0.11)) for c in colours]
    assert (np.diff(light) > 0).all()


def test_a_histogram_by_group_stacks_shares_of_the_weights():
    axes = Figure().subplots()
    values, groups = np.array([0.0, 1.0, 1.0]), ["a", "a", "b"]
    colours = {"a": "#000000", "b": "#ffffff"}
    plots.histogram_by(axes, values, groups, colours, weights=np.array([1.0, 1.0, 2.0]), bins=2)
    heights = {}
    for bar in axes.patches:
        heights.setdefault(to_hex(bar.get_facecolor()), []).append((bar.get_y(), bar.get_height()))
    assert heights["#000000"] == [(0, 0.25), (0, 0.25)]
    assert heights["#ffffff"] == [(0.25, 0), (0.25, 0.5)]


def test_a_monitor_marks_violations_and_penalties_and_shows_an_open_range():
    axes = Figure().subplots()
    signal = np.array([0.0, 0.5, 2.0, 3.0])
    plots.monitor(axes, signal, signal > 1, -np.inf, 1.0, struck=signal > 2.5)
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn["violation"] == [[2, 2], [3, 3]]
    assert drawn["penalty"] == [[3, 3]]
    low, high = axes.get_ylim()
    assert low < 0 < 3 < high
    assert np.isfinite([low, high]).all()


def test_an_estimate_reaches_over_its_intervals():
    axes = Figure().subplots()
    plots.estimate(axes, (1.0, 0.5, 2.0), (10.0, 9.0, 12.0), marker="o")
    ends = np.concatenate([np.concatenate(bars.get_segments()) for bars in axes.collections])
    np.testing.assert_allclose([ends[:, 0].min(), ends[:, 0].max()], [0.5, 2.0])
    np.testing.assert_allclose([ends[:, 1].min(), ends[:, 1].max()], [9.0, 12.0])
