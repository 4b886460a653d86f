"""Calibration curves and sentences about critics, by hand."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ramac_lib import risk
from ramac_lib.analysis.style import Style
from support.networks.critic_plots import curve, miscalibration, quantile_panels, sentences


def test_sentences_say_on_which_side_an_interval_lies():
    table = pd.DataFrame({
        "run": ["a", "b"], "action": "policy",
        "bias": [5.0, 0.0], "bias_low": [2.0, -3.0], "bias_high": [8.0, 3.0],
        "tail_bias": [-9.0, 30.0], "tail_bias_low": [-12.0, 20.0], "tail_bias_high": [-1.0, 40.0],
        "spread": [1.5, 0.02], "spread_low": [1.2, -0.001], "spread_high": [2.0, 0.1],
    })  # fmt: skip
    one, two = sentences(pd.concat([table, table.assign(action="data")]), {"a": "A", "b": "B"})
    assert one == (
        "A: mean too high (+5 [+2, +8]), worst tenth too low (−9 [−12, −1]), "
        "spread too wide (1.50 [1.20, 2.00] of the rollouts')."
    )
    assert "B: mean inconclusive" in two
    assert "worst tenth too high" in two
    assert "too narrow (0.02 [0.00, 0.10] of" in two
    assert sentences(table, {"b": "B"}) == [two]


def test_a_curve_averages_critics_states_and_seeds():
    rows = [
        {"seed": seed, "state": state, "critic": critic, "fraction": t, "observed": t * (0.5 + critic)}
        for seed in range(2) for state in range(3) for critic in range(2) for t in (0.25, 0.75)
    ]  # fmt: skip
    points = curve(pd.DataFrame(rows))
    assert points["fraction"].tolist() == [0.25, 0.75]
    np.testing.assert_allclose(points[["observed", "low", "high"]], [[0.25] * 3, [0.75] * 3])
    assert miscalibration(pd.DataFrame(rows)) == pytest.approx(0)


def test_a_critic_that_knows_the_mean_alone_is_a_quarter_off_the_diagonal():
    table = pd.DataFrame({"seed": 0, "state": 0, "fraction": risk.grid(32), "observed": 0.5})
    assert miscalibration(table) == pytest.approx(0.25, abs=0.01)


def test_every_learned_quantile_is_joined_to_its_own_rollouts():
    rows = [
        {"run": run, "state": state, "seed": 0, "action": "policy", "critic": critic, "fraction": t,
         "learned": 10 * t + critic, "monte_carlo": 8 * t + state}
        for run in "ab" for state in (0, 4) for critic in (0, 1) for t in (0.25, 0.75)
    ]  # fmt: skip
    figure = quantile_panels(pd.DataFrame(rows), {"a": Style("A"), "b": Style("B")}, [0, 4], seed=0)
    assert [axes.get_title() for axes in figure.axes] == ["state 0", "state 4", "", ""]
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [["A"], [], ["B"], []]
    line, dots = figure.axes[1].lines
    np.testing.assert_allclose(line.get_ydata(), [3, 8])  # the mean of two critics
    np.testing.assert_allclose(dots.get_ydata(), [6, 10])
    strokes = figure.axes[1].collections[0].get_segments()
    np.testing.assert_allclose(strokes, [[[0.25, 3], [0.25, 6]], [[0.75, 8], [0.75, 10]]])
    plt.close(figure)
