"""Where policies go: cells passed, runs played and stored, moments of training."""

import numpy as np
import pytest

from ramac_lib.campaign.launch import run as run_campaign
from ramac_lib.envs import play
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.maps import MAPS
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from support.navigation import paths
from support.navigation.optimum import Grid, neutral
from support.navigation.plans import Executor

TASK = get_task(paths.TASK)


def test_cells_are_counted_once_an_episode_and_none_is_jumped_over():
    straight = np.stack([np.linspace(0.05, 0.95, 10), np.full(10, 0.05)], axis=1)
    shares = paths.visits([straight, straight[::-1], np.array([[0.05, 0.05], [0.05, 0.05]])], cells=10)
    assert shares[0, 0] == 1
    np.testing.assert_allclose(shares[1:, 0], 2 / 3)
    assert shares[:, 1:].sum() == 0
    assert paths.visits([np.array([[1.0, 1.0], [1.0, 1.0]])], cells=10)[9, 9] == 1  # the edge belongs to the last cell
    with pytest.raises(RamacError, match="no paths"):
        paths.visits([])


def test_an_episodes_way_has_its_last_step():
    plan = neutral(Grid(MAPS["obstacle"], get_hazard("rare", TASK)))
    runs = play.rollouts(Executor(plan), TASK.env_id(), None, 50, (0,), 1, steps=True)
    (way,) = paths.ways(runs)
    np.testing.assert_allclose(way, plan.path(), atol=1e-6)


def test_a_campaigns_policies_are_played_and_kept_by_row(tmp_path):
    rows = ("bc-gaussian", "bc-gaussian:hidden=8,8")
    changes = {"tasks": (paths.TASK,), "rows": rows, "hazards": ("rare",), "seeds": (0, 1), "steps": 2}
    changes |= {"evaluations": 1, "episodes": 1, "report_episodes": 1, "size": 500}
    run_campaign(tmp_path / "c", None, changes, workers=0, device="cpu", progress=False)
    made = paths.make(tmp_path / "c", tmp_path / "ways")
    names = {f"{paths.TASK}|rare|bc-gaussian", f"{paths.TASK}|rare|bc-gaussian:hidden=(8, 8)"}
    assert set(made) == set(paths.load(tmp_path / "ways")) == names
    for shares in made.values():
        assert shares.shape == (paths.CELLS, paths.CELLS)
        assert shares.max() == 1000  # all begin in one cell
    with pytest.raises(RamacError, match="holds no trained policies"):
        paths.make(tmp_path / "none", tmp_path / "ways")


def test_moments_of_training_are_stored(tmp_path):
    assert paths.moments(tmp_path / "none") == ({}, {})
    paths.train((0,), 16, "bc-gaussian", tmp_path / "m")
    shares, facts = paths.moments(tmp_path / "m")
    assert list(shares) == sorted(shares)
    assert max(shares) == 16
    assert facts["seeds"] == [0]
    assert all(0 < own.max() <= 1 for own in shares.values())
