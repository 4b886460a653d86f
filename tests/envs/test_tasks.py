"""Tasks of one's own: what is registered and what is refused."""

import numpy as np
import pytest

from ramac_lib.cli import main
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.hdf5 import save_file
from ramac_lib.envs.hazards import Interval, get_hazard
from ramac_lib.envs.tasks import TASKS, get_task, register_task
from ramac_lib.system.errors import RamacError


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr("ramac_lib.envs.tasks.TASKS", dict(TASKS))


def test_a_task_is_known_by_its_name_and_may_be_registered_again():
    task = register_task("swing", "Pendulum-v1", 200)
    assert get_task("swing") == task == register_task("swing", "Pendulum-v1", 200)
    assert (task.env_id(4), task.env_id(5), task.horizon) == ("Pendulum-v1", "Pendulum-v1", 200)
    assert get_hazard(None, task) is get_hazard("none", task)
    assert get_hazard("none", task) == Interval(0, float("-inf"), float("inf"), 0.0, 0.0)


def test_a_task_without_a_hazard_of_the_papers_can_be_looked_at(capsys, tmp_path):
    register_task("swing", "Pendulum-v1", 200)
    states = np.zeros((9, 3), np.float32)
    flags = np.zeros(9, bool)
    data = Dataset(states, states[:, :1], states[:, 0], states, flags, flags, "Pendulum-v1")
    main(["data", "swing", "--source", str(save_file(data, tmp_path / "swings.hdf5"))])
    assert capsys.readouterr().out.splitlines()[-1] == "share of steps in violation (none hazard)  0.0000"


@pytest.mark.parametrize(
    ("name", "env_id", "horizon", "words"),
    [
        ("swing", "Pendulum-v1", 0, "the horizon of swing is 0"),
        ("swing", "Pendulumm-v1", 9, "the task swing has no environment: Environment `Pendulumm` doesn't exist"),
        ("my swing", "Pendulum-v1", 9, "the task's name 'my swing': expected letters, digits, dots, dashes"),
        ("hopper-medium-expert", "Pendulum-v1", 9, "registered twice: as Hopper-v5 and as Pendulum-v1"),
    ],
)
def test_what_cannot_be_a_task_is_refused(name, env_id, horizon, words):
    with pytest.raises(RamacError, match=words):
        register_task(name, env_id, horizon)
