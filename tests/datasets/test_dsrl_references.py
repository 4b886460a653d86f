"""DSRL's reference returns against numbers worked out by hand, and thinning against counts."""

import numpy as np
import pytest

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.episodes import thin
from ramac_lib.datasets.references import REFERENCES, Reference, get_reference, normalised_cost, of_data
from ramac_lib.envs.tasks import TASKS, get_task
from ramac_lib.system.errors import RamacError


def test_the_table_has_dsrls_38_sets():
    assert len(REFERENCES) == 38
    assert len({row.file for row in REFERENCES.values()}) == 38
    shown = {name: (row.horizon, row.max_cost, row.file) for name, row in REFERENCES.items()}
    assert shown["BallRun"] == (100, 80, "SafetyBallRun-v0-80-940.hdf5")
    assert shown["CarCircle2"] == (500, 400, "SafetyCarCircle2Gymnasium-v0-400-940.hdf5")
    assert shown["Walker2dVelocity"] == (1000, 300, "SafetyWalker2dVelocityGymnasium-v1-300-2729.hdf5")
    assert shown["mediumdense"] == (1000, 50, "SafeMetaDrive-mediumdense-v0-50-1000.hdf5")


@pytest.mark.parametrize(
    ("name", "ret", "expected"),
    [
        ("BallRun", 26.339754104614258, 0),
        ("BallRun", 1327.445556640625, 1),
        ("BallRun", 0, -0.0202442),  # −26.33975 / 1301.10580
        ("HopperVelocity", 1000, 0.5137510),  # 962.948452 / 1874.345181
        ("CarCircle", 300, 0.5586173),  # 296.515580 / 530.821671 = .5586…
        ("PointGoal1", 30.071114857340543, 1),
    ],
)
def test_normalised_reward(name, ret, expected):
    assert get_reference(name).reward(ret) == pytest.approx(expected, abs=3e-5)
    np.testing.assert_allclose(get_reference(name).reward(np.array([ret, ret])), [expected] * 2, atol=3e-5)


def test_normalised_cost_has_an_epsilon_at_a_limit_of_zero_alone():
    assert normalised_cost(np.array([0, 5, 10, 25]), 10).tolist() == [0, 0.5, 1, 2.5]
    assert normalised_cost(np.array([0, 1, 3]), 0).tolist() == [1, 2, 4]
    assert normalised_cost(0.5, 0.25) == 2
    for kappa in (-1, np.nan, np.inf):
        with pytest.raises(RamacError, match=r"the cost limit is .*; expected a finite number ≥ 0"):
            normalised_cost(1, kappa)


def test_the_librarys_tasks_have_their_counterparts():
    found = {name: get_reference(task).name for name, task in TASKS.items() if task.reports_costs}
    assert found == {
        "hopper-velocity": "HopperVelocity", "walker2d-velocity": "Walker2dVelocity",
        "halfcheetah-velocity": "HalfCheetahVelocity", "ball-run": "BallRun", "ball-circle": "BallCircle",
        "car-run": "CarRun", "car-circle": "CarCircle", "drone-run": "DroneRun",
    }  # fmt: skip
    for name, there in found.items():
        if not name.endswith("velocity"):
            assert get_task(name).horizon == REFERENCES[there].horizon
    with pytest.raises(RamacError, match="unknown DSRL task 'risky-bandit'"):
        get_reference(get_task("risky-bandit"))
    with pytest.raises(RamacError, match="unknown DSRL data set 'ballrun'"):
        get_reference("ballrun")


def test_the_reference_of_ones_own_data_is_their_extremes():
    states, costs = np.zeros((6, 1), np.float32), np.array([0, 1, 1, 0, 0, 1], np.float32)
    ends = np.array([0, 1, 0, 0, 0, 1], bool)
    rewards = np.arange(6, dtype=np.float32)
    data = Dataset(states, states, rewards, states, ends & False, ends, "X-v0", "mine", costs=costs)
    assert of_data(data) == Reference("mine", 1.0, 14.0, 4, 2.0)
    assert of_data(data).reward(np.array([1, 7.5, 14])).tolist() == [0, 0.5, 1]
    with pytest.raises(RamacError, match=r"the reference returns of mine are 0.0 and 0.0; expected low < high"):
        of_data(data.with_(rewards=np.zeros(6, np.float32)))


def test_thinning_keeps_at_most_so_many_of_each_cell_in_their_order():
    """25 episodes at the origin, 3 in the far corner, one alone between: with 10 a cell 10, 3 and 1 stay."""
    costs = np.array([0.0] * 25 + [60.0] * 3 + [30.0])
    returns = np.array([0.0] * 25 + [50.0] * 3 + [25.0])
    kept = [thin(costs, returns, 10, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert [len(k) for k in kept] == [14] * 3
    assert kept[0].tolist() == sorted(kept[0]) == kept[1].tolist() != kept[2].tolist()
    assert (kept[0] < 25).sum() == 10
    assert set(range(25, 29)) <= set(kept[0])
    assert thin(costs, returns, 100, np.random.default_rng(0)).tolist() == list(range(29))


def test_cells_are_60_of_cost_by_50_of_return():
    """Costs 0 … 59 and 60: unit cells of which the last holds both 59 and 60; likewise returns 49 and 50."""
    costs, returns = np.arange(61.0), np.arange(51.0)
    assert len(thin(costs, np.zeros(61), 1, np.random.default_rng(0))) == 60
    assert len(thin(np.zeros(51), returns, 1, np.random.default_rng(0))) == 50
    assert len(thin(np.zeros(7), np.ones(7), 2, np.random.default_rng(0))) == 2


def test_each_of_a_cells_episodes_is_equally_likely_to_stay():
    rng = np.random.default_rng(3)
    stayed = sum(np.isin(np.arange(10), thin(np.zeros(10), np.zeros(10), 3, rng)) for _ in range(2000))
    assert np.abs(stayed / 2000 - 0.3).max() < 0.05  # 4.9 standard deviations of a share, .0102


def test_a_cell_that_keeps_nothing_is_refused():
    with pytest.raises(RamacError, match="a cell keeps 0 episodes; expected at least 1"):
        thin(np.zeros(3), np.zeros(3), 0, np.random.default_rng(0))
