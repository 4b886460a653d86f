"""Detectors of actions out of the data: grids by hand, brute force, copies of rows, invariances, refusals."""

import numpy as np
import pytest
from scipy.stats import norm

from ramac_lib.datasets import neighbours, ood
from ramac_lib.datasets.density_ratio import log_density_ratio
from ramac_lib.system.errors import RamacError

GRID = np.stack(np.meshgrid(*[np.arange(-4, 5) / 4] * 2), axis=-1).reshape(-1, 2)  # spacing 1/4
NOWHERE = np.zeros((1, 1))


def states(actions):
    return np.zeros((len(actions), 1))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def brute(points, queries, k=1):
    gaps = np.linalg.norm(points[None] - queries[:, None], axis=2)
    return np.sort(gaps, axis=1)[:, :k]


# -- scales and distances -------------------------------------------------------------------------------------------


def test_a_grid_by_hand():
    np.testing.assert_allclose(ood.leave_one_out(GRID), 0.25)
    detector = ood.ActionOnly(GRID)
    assert detector.scale == pytest.approx(0.25)
    asked = np.array([[0.0, 0.0], [0.125, 0.0], [1.0, 1.74], [1.0, 1.76]])
    np.testing.assert_allclose(detector.ratios(states(asked), asked), [0, 0.5, 0.74 / 0.25, 0.76 / 0.25])
    assert detector.flags(states(asked), asked).tolist() == [False, False, False, True]
    assert detector.flags(states(asked), asked, kappa=0.4).tolist() == [False, True, True, True]


def test_the_three_scales_by_hand():
    line = np.array([0.0, 1.0, 3.0, 6.0, 10.0])[:, None]  # left out: 1, 1, 2, 3, 4
    found = ood.leave_one_out(line)
    assert sorted(found) == [1, 1, 2, 3, 4]
    assert ood.robust_scale(found) == 2
    assert ood.robust_scale(found, "mad") == 1  # of 1, 1, 0, 1, 2
    assert ood.robust_scale(found, "q95") == pytest.approx(3.8)
    assert ood.ActionOnly(line, "q95").scale == pytest.approx(3.8)


def test_copies_of_a_row_change_nothing():
    """Actions clipped at the box: most of the data at one corner, its leave-one-out distances 0."""
    clipped = np.concatenate([GRID, np.ones((1000, 2)), -np.ones((50, 2))])
    alone, with_copies = ood.ActionOnly(GRID), ood.ActionOnly(clipped)
    assert with_copies.scale == alone.scale
    asked = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    np.testing.assert_array_equal(with_copies.ratios(states(asked), asked), alone.ratios(states(asked), asked))
    assert ood.leave_one_out(np.array([[0.0], [-0.0], [1.0]])).tolist() == [1, 1]


def test_of_many_rows_some_are_left_out_each_against_all(rng):
    points = rng.normal(size=(500, 3))
    every = np.sort(brute(points, points, 2)[:, 1])
    some = ood.leave_one_out(points, rows=100)
    assert len(some) == 100
    assert np.isin(some.round(9), every.round(9)).all()


@pytest.mark.parametrize("width", [3, 12])
def test_searches_find_what_brute_force_finds(rng, width):
    points, queries = rng.normal(size=(2, 2000, width)).astype(np.float32)
    queries = np.concatenate([points[:300] + 0.05 * queries[:300], points[:5]])
    tree, cells = neighbours.Tree(points), neighbours.Cells(points)
    expected = brute(points, queries, 3)
    np.testing.assert_allclose(tree.query(queries, 3)[0], expected, rtol=1e-6)
    distances, index = cells.query(queries, 3)
    assert (distances >= expected - 1e-6).all()  # what is found is a row
    np.testing.assert_allclose(np.linalg.norm(points[index] - queries[:, None], axis=2), distances, atol=1e-6)
    assert (np.diff(distances, axis=1) >= 0).all()
    assert (distances[:, 0] <= expected[:, 0] + 1e-6).mean() > 0.97
    assert (distances[-5:, 0] == 0).all()  # though products of float32 cancel


def test_cells_with_fewer_rows_than_asked_say_so():
    distances, index = neighbours.Cells(np.eye(3)).query(np.zeros((2, 3)), 5)
    np.testing.assert_allclose(distances[:, :3], 1)
    assert (distances[:, 3:] == np.inf).all()
    assert index.shape == (2, 5)


# -- given the state ------------------------------------------------------------------------------------------------


def opposed(rng, count=400):
    """The data go left at states below 0 and right above."""
    observations = rng.uniform(-1, 1, (count, 2))
    side = np.sign(observations[:, :1])
    return observations, np.clip(0.6 * side + rng.normal(0, 0.05, (count, 1)), -1, 1)


def test_only_the_state_tells_an_action_of_the_other_side(rng):
    observations, actions = opposed(rng)
    seen, other = np.array([[0.7, 0.0]]), np.array([[-0.6]])
    assert not ood.ActionOnly(actions).flags(seen, other)[0]
    for detector in (ood.StateAction(observations, actions), ood.Neighbours(observations, actions, k=5)):
        assert detector.flags(seen, other)[0]
        assert not detector.flags(seen, -other)[0]


def test_state_action_by_brute_force_and_whatever_the_units(rng):
    observations, actions = opposed(rng)
    asked = rng.uniform(-1, 1, (50, 2)), rng.uniform(-1, 1, (50, 1))
    rows = np.concatenate([observations, actions], axis=1)
    unit = rows.std(axis=0)
    expected = brute(rows / unit, np.concatenate(asked, axis=1) / unit)[:, 0]
    scale = np.median(brute(rows / unit, rows / unit, 2)[:, 1])
    detector = ood.StateAction(observations, actions)
    np.testing.assert_allclose(detector.ratios(*asked), expected / scale)
    moved = ood.StateAction(1000 * observations + 7, actions)
    np.testing.assert_allclose(moved.ratios(1000 * asked[0] + 7, asked[1]), expected / scale, rtol=1e-6)
    constant = ood.StateAction(np.c_[observations, np.full(400, 3.0)], actions)
    np.testing.assert_allclose(constant.ratios(np.c_[asked[0], np.full(50, 3.0)], asked[1]), expected / scale)


def test_neighbours_by_brute_force(rng):
    observations, actions = opposed(rng)
    asked = rng.uniform(-1, 1, (50, 2)), rng.uniform(-1, 1, (50, 1))

    def gaps(states, queries, k, skip):
        order = np.argsort(np.linalg.norm((states[None] - queries[0][:, None]) / states.std(axis=0), axis=2), axis=1)
        near = actions[order[:, skip : k + skip]]
        return np.linalg.norm(near - queries[1][:, None], axis=2).min(axis=1)

    detector = ood.Neighbours(observations, actions, k=7)
    np.testing.assert_allclose(detector.distances(*asked), gaps(observations, asked, 7, 0))
    assert detector.scale == pytest.approx(np.median(gaps(observations, (observations, actions), 7, 1)))


def test_with_one_state_neighbours_are_all_rows():
    asked = np.random.default_rng(0).uniform(-2, 2, (30, 2))
    there = states(GRID)
    np.testing.assert_array_equal(
        ood.Neighbours(there, GRID).ratios(states(asked), asked), ood.ActionOnly(GRID).ratios(states(asked), asked)
    )


def test_repeated_states_with_actions_of_their_own():
    """A row is left out though it lies behind others of its state, and actions that repeat do not make the scale 0."""
    observations, actions = np.repeat([[0.0], [1.0]], 50, axis=0), np.tile(np.linspace(-1, 1, 50), 2)[:, None]
    detector = ood.Neighbours(observations, actions, k=60)
    assert detector.scale == pytest.approx(2 / 49)
    clipped = np.where(np.arange(100) == 40, 0.5, -1.0)[:, None]
    copies = ood.Neighbours(np.arange(100.0)[:, None], clipped, k=15)
    assert copies.scale == 1.5


# -- the density ratio ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_ratio_of_two_normals(rng):
    observations = rng.normal(size=(4000, 1))
    true, drawn = observations + rng.normal(0, 1, (4000, 1)), observations + rng.normal(1, 1, (4000, 1))
    at_data, at_policy = log_density_ratio(observations, true, drawn, updates=600)
    for actions, found in ((true, at_data), (drawn, at_policy)):
        away = (actions - observations)[:, 0]
        exact = norm.logpdf(away) - norm.logpdf(away, 1)  # 1/2 - away
        within = np.abs(away - 0.5) < 1.5
        assert np.abs(found - exact)[within].mean() < 0.15
        assert np.corrcoef(found[within], exact[within])[0, 1] > 0.97
    np.testing.assert_array_equal(log_density_ratio(observations, true, drawn, updates=600)[0], at_data)


def test_the_ratio_of_equal_laws_is_near_zero(rng):
    observations = rng.normal(size=(2000, 2))
    found = log_density_ratio(observations, *rng.uniform(-1, 1, (2, 2000, 1)), updates=200)
    assert np.abs(np.concatenate(found)).mean() < 0.2


# -- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ood.ActionOnly(np.zeros((1, 2))), "all rows of the data are the same; expected at least two"),
        (lambda: ood.ActionOnly(np.ones((9, 2))), "all rows of the data are the same"),
        (lambda: ood.ActionOnly(np.array([[np.nan], [1.0]])), "actions hold nan; expected finite numbers"),
        (lambda: ood.ActionOnly(np.zeros((0, 2))), r"actions have shape \(0, 2\); expected \(N, d\)"),
        (lambda: ood.ActionOnly(GRID, "mad"), "the mad of 81 leave-one-out distances is 0; expected more than 0"),
        (lambda: ood.ActionOnly(GRID, "mean"), "unknown scale 'mean': choose one of median, mad, q95"),
        (lambda: ood.ActionOnly(GRID).flags(NOWHERE, GRID[:1], kappa=0), "kappa is 0; expected more than 0"),
        (lambda: ood.ActionOnly(GRID).flags(NOWHERE, GRID[:1], kappa=-1), "kappa is -1; expected more than 0"),
        (lambda: ood.ActionOnly(GRID).flags(NOWHERE, GRID[:1], kappa=np.nan), "kappa is nan; expected more than 0"),
        (lambda: ood.ActionOnly(GRID).ratios(NOWHERE, GRID[:1] * np.nan), "actions hold nan; expected finite"),
        (lambda: ood.StateAction(GRID[:1], GRID[:1]), "all rows of the data are the same"),
        (lambda: ood.Neighbours(GRID[:1], GRID[:1]), "all rows of the data are the same"),
        (lambda: ood.ActionOnly(GRID).ratios(NOWHERE, NOWHERE), r"shape \(1, 1\); expected \(N, 2\)"),
        (lambda: ood.ActionOnly(GRID).ratios(NOWHERE, GRID[:1] * np.inf), "actions hold -inf; expected finite"),
        (lambda: ood.StateAction(NOWHERE, GRID), "1 observations and 81 actions; expected as many"),
        (lambda: ood.Neighbours(GRID, GRID, k=81), "k is 81; expected 1 to 80"),
        (lambda: ood.Neighbours(GRID, GRID, k=0), "k is 0; expected 1 to 80"),
        (lambda: log_density_ratio(GRID, GRID, GRID[:, :1]), r"shape \(81, 3\); expected \(N, 4\)"),
        (lambda: log_density_ratio(GRID[:3], GRID[:3], GRID[:3]), "5 folds of 3 rows and 1000 updates"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(RamacError, match=words):
        make()
