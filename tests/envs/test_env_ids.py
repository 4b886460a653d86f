"""An environment's id may come from a file, and a file may run no code."""

import sys

import pytest

from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import TASKS, check_env_id, register_task
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import config_from_json, make_config


@pytest.fixture
def trojan(tmp_path, monkeypatch):
    """The id of an environment in a module that can be imported and is not."""
    (tmp_path / "trojan.py").write_text("import gymnasium\ngymnasium.register('Trojan-v0', 'nowhere:None')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "trojan:Trojan-v0"
    assert "trojan" not in sys.modules


def test_no_module_is_imported_for_an_id(trojan):
    for use in (check_env_id, make_env):
        with pytest.raises(RamacError, match="names a module, which is never imported"):
            use(trojan)


def test_nor_for_a_stored_config(trojan):
    config = make_config("radac", "hopper-medium-expert", (0,), 10, source="x.hdf5").to_json()
    with pytest.raises(RamacError, match="names a module, which is never imported"):
        config_from_json({**config, "env_id": trojan})


def test_a_task_of_ones_own_may_name_a_module(monkeypatch):
    monkeypatch.setattr("ramac_lib.envs.tasks.TASKS", dict(TASKS))
    register_task("mine", "json:Pendulum-v1", 9)
    assert check_env_id("json:Pendulum-v1") == "json:Pendulum-v1"


@pytest.mark.parametrize("env_id", ["", None, 7, "Nowhere-v0", "Hopper", "../x", "Pendulum-v99"])
def test_an_id_that_is_no_environments_is_refused(env_id):
    with pytest.raises(RamacError):
        make_env("Nowhere-v0" if env_id == "Hopper" else env_id)
