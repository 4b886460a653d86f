"""Tasks of one's own: what is registered and what is refused."""

import pytest

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
    assert get_hazard("none", task) == Interval(0, float("-inf"), float("inf"), 0.0, 0.0)


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
