"""What the figures of chapter 3b say, not their pixels."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.envs.maps import MAPS
from support.navigation import figures, optima

WORLD = MAPS["obstacle"]
TABLE, PATHS = optima.load()
SHARES = np.eye(4)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_overview_has_the_data_the_plans_and_their_worth():
    figure = figures.overview(WORLD, "rare", SHARES, TABLE, PATHS)
    data, plans, worth = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["the data", "the optima, computed", "what they are worth"]
    lines = {line.get_label(): line.get_xydata() for line in plans.lines if not line.get_label().startswith("_")}
    assert set(lines) == {"neutral", "static", "nested"}
    middle = [np.hypot(*(lines[name] - 0.5).T).min() for name in ("neutral", "static", "nested")]
    assert middle[0] < 0.1
    assert min(middle[1:]) > 0.29
    stars = worth.collections[0].get_offsets()
    assert [-7.8386, -26.4972] in stars.round(4).tolist()
    assert [-8.4319, -8.4319] in stars.round(4).tolist()
    assert len(data.images) == 1


@pytest.mark.parametrize("name", MAPS)
def test_every_map_is_drawn_with_its_dangers_and_walls(name):
    world = MAPS[name]
    _, axis = plt.subplots()
    figures.draw_map(axis, world, labels=True)
    assert len(axis.patches) == 2 * len(world.areas) + len(world.walls) + 1


def test_shares_stand_where_they_were_counted():
    """x first in the array, x to the right in the picture."""
    _, axis = plt.subplots()
    shares = np.zeros((4, 4))
    shares[3, 0] = 1
    figures.draw_shares(axis, shares, "#D55E00")
    image = axis.images[0]
    assert np.asarray(image.get_array())[0, 3] == 1
    assert image.get_extent() == [0, 1, 0, 1]


def test_tiles_are_named_and_the_rest_hidden():
    figure = figures.tiles(WORLD, {str(k): SHARES for k in range(6)}, ["#000000"] * 6)
    assert [axis.get_title() for axis in figure.axes if axis.get_visible()] == [str(k) for k in range(6)]
    figure = figures.moments(WORLD, {250: SHARES, 5000: SHARES}, "#000000")
    assert [axis.get_title() for axis in figure.axes[:2]] == ["250 updates", "5,000 updates"]


def test_the_frontier_has_every_row_at_its_numbers():
    wide, alone = Estimate(-9.0, -10.0, -8.0), Estimate(-26.0, -np.inf, np.inf)
    figure = figures.frontier(
        TABLE, WORLD, "rare", {"radac": (wide, wide), "cql": (wide, alone)}, {"data": (-12.0, -27)}
    )
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert {"RADAC", "CQL", "data", "exact plans"} == set(labels)


def test_the_dial_sets_the_exact_plan_beside_the_trained_policy():
    exact = TABLE[
        (TABLE["map"] == "obstacle") & (TABLE["preset"] == "rare") & TABLE["criterion"].isin(("static", "neutral"))
    ]
    trained = {alpha: SHARES for alpha in (0.1, 0.9, 1.0)}
    through = {alpha: Estimate(alpha, 0.0, 1.0) for alpha in trained}
    figure = figures.dial(WORLD, exact, PATHS, trained, through)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["$\\alpha$ = 0.1", "$\\alpha$ = 0.9", "the mean", ""]
    ends = {title: axis.lines[-1].get_xydata() for title, axis in zip(titles, figure.axes, strict=True)}
    assert np.hypot(*(ends["$\\alpha$ = 0.1"] - 0.5).T).min() > 0.29  # round
    assert np.hypot(*(ends["the mean"] - 0.5).T).min() < 0.1  # through


def test_curves_are_means_over_seeds_with_their_intervals():
    curve = pd.DataFrame([
        {"step": step, "seed": seed, "through": seed / 2, "cvar": -step - seed} for step in (1, 2) for seed in (0, 1)
    ])  # fmt: skip
    figure = figures.over_training({"radac": curve}, {"cvar": -8.43})
    through, cvar = figure.axes
    np.testing.assert_allclose(through.lines[0].get_ydata(), 0.25)
    np.testing.assert_allclose(cvar.lines[0].get_ydata(), [-1.5, -2.5])
    assert cvar.lines[1].get_ydata()[0] == -8.43
    assert len(cvar.collections) == 1


def test_a_seed_stands_where_its_critic_and_its_policy_put_it():
    figure = figures.critics_and_routes({"radac": ([-1.0, 4.0], [1.0, 0.1])})
    (axis,) = figure.axes
    assert axis.collections[0].get_offsets().tolist() == [[-1.0, 1.0], [4.0, 0.1]]
    assert axis.lines[0].get_xdata()[0] == 0
