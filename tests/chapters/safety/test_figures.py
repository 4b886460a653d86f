"""What the figures of limits of cost say."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from support.safety import figures


def lines(axis):
    """Each labelled line's points."""
    return {line.get_label(): line.get_xydata() for line in axis.get_lines()}


def test_where_the_penalty_separates_and_where_the_bound_stands():
    figure = figures.draw_penalty()
    crossings, bounds = [], []
    for axis in figure.axes:
        drawn = lines(axis)
        safe, unsafe = drawn["without cost"], drawn["above the limit"]
        below = safe[:, 1] > unsafe[:, 1]
        crossings.append(safe[below, 0].min() if below.any() else None)
        bounds.append(drawn["bound of eq. 26"][0, 0])
    assert crossings == [None, 2, 40]  # C is even here: the exact ones are none, 1 and 39
    assert bounds == [20, 40, 40]
    plt.close(figure)


def test_chunks_look_as_good_as_the_best_policy_if_the_data_react():
    figure = figures.draw_chunks()
    drawn = lines(figure.axes[0])
    assert drawn["chunks, by the data"][[0, -1], 1] == pytest.approx([2.3684, 4.7368], abs=1e-4)
    assert np.allclose(drawn["chunks, when played"][:, 1], 45 / 19)
    plt.close(figure)


def test_one_next_state_at_a_time_promises_more_and_gives_less():
    figure = figures.draw_stationary()
    drawn = lines(figure.axes[0])
    assert (drawn["one s' at a time: estimate"][:, 1] > drawn["mean over s': estimate"][:, 1] - 1e-6).all()
    assert (drawn["one s' at a time: played"][:, 1] < drawn["one s' at a time: estimate"][:, 1]).all()
    assert np.allclose(drawn["mean over s': played"][:, 1], drawn["mean over s': estimate"][:, 1], atol=1e-5)
    assert drawn["one s' at a time: estimate"][0, 1] > drawn["linear programme"][0][1]
    plt.close(figure)
