"""Methods, hazards and tasks of one's own: from files in every process, from entry points, from a notebook in one."""

import importlib.metadata
import logging

import pandas as pd
import pytest
import torch
from campaign_helpers import SMALL, run

from ramac_lib.envs import tasks
from ramac_lib.envs.hazards import PRESETS, get_hazard
from ramac_lib.methods import METHODS, register
from ramac_lib.methods.clones import BCFlow
from ramac_lib.system import plugins, processes
from ramac_lib.system.errors import RamacError
from ramac_lib.system.version import code_version
from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import Engine
from ramac_lib.training.evaluators import Background, Rollouts

CLONE = """
from ramac_lib.methods import register
from ramac_lib.methods.clones import BCFlow

@register("{name}")
class Mine(BCFlow):
    pass
"""
NARROW = "hidden=8,batch_size=16"


@pytest.fixture
def registries():
    """Forget afterwards what a test registers."""
    loaded = dict(plugins.loaded)
    kept = [(registry, dict(registry)) for registry in (METHODS, tasks.TASKS, PRESETS)]
    yield
    for registry, before in [*kept, (plugins.loaded, loaded)]:
        registry.clear()
        registry.update(before)


@pytest.fixture
def own(registries):
    """A method that no other process knows."""

    @register("own-clone")
    class Own(BCFlow):
        pass

    return Own


@pytest.mark.slow
def test_a_campaigns_processes_know_a_plugins_method(registries, tmp_path):
    (tmp_path / "mine.py").write_text(CLONE.format(name="campaign-clone"))
    plugins.load([tmp_path / "mine.py"])
    changes = SMALL | {"rows": (f"campaign-clone:{NARROW}", f"bc-flow:{NARROW}")}
    there, failures = run(tmp_path / "there", changes, workers=1)
    assert failures == {}
    here, _ = run(tmp_path / "here", changes)
    pd.testing.assert_frame_equal(there, here)
    clone, flow = (there[there["method"] == name]["return"].to_list() for name in ("campaign-clone", "bc-flow"))
    assert clone == flow


@pytest.fixture
def folders(registries, tmp_path):
    """Two plugins of the same file name, loaded."""
    paths = [tmp_path / folder / "mine.py" for folder in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(CLONE.format(name=f"clone-{path.parent.name}"))
    plugins.load(paths)
    return paths


def test_files_of_the_same_name_are_other_modules_here_and_in_workers(folders):
    mine = [METHODS[f"clone-{name}"] for name in ("one", "two")]
    assert mine[0].__module__ != mine[1].__module__
    assert all(cls.__module__.startswith("ramac_plugin_mine_") for cls in mine)
    with processes.spawn(1) as pool:  # classes travel there and back by their names
        assert list(pool.map(type.mro, mine)) == [cls.mro() for cls in mine]


def test_files_of_the_same_name_do_not_replace_each_others_methods(folders):
    folders[1].with_name("again").mkdir()
    again = folders[1].with_name("again") / "mine.py"
    again.write_text(CLONE.format(name="clone-one"))
    with pytest.raises(RamacError, match="'clone-one' is registered twice"):
        plugins.load([again])
    assert list(plugins.loaded) == folders


def test_the_version_is_of_the_plugins_too(registries, tmp_path):
    before, path, versions = code_version(), tmp_path / "mine.py", []
    for text in ("A = 1", "A = 2", "A = 1"):
        path.write_text(text)
        plugins.load([path])
        versions.append(code_version())
        path.write_text("edited after it was loaded")
        assert code_version() == versions[-1]
        del plugins.loaded[path]
        assert code_version() == before
    assert len(versions[0]) == len(before) == 12
    assert versions[0] == versions[2]
    assert len({before, *versions}) == 3


@pytest.mark.slow
def test_what_the_evaluating_processes_do_not_know_is_played_here(own):
    config = make_config(own, "risky-bandit", (3, 5), 4, {"hidden": "8,8", "batch_size": "16"}, size=400)
    data = loop.data_of(config, progress=False)
    tables = []
    for evaluator in (Background(), Rollouts()):
        schedule = loop.Schedule(eval_every=2, episodes=2)
        trainer = loop.Trainer(config, data, Engine(torch.device("cpu")), schedule=schedule, evaluator=evaluator)
        trainer.run(False)
        tables.append(trainer.evaluations)
    assert list(tables[0].groupby("step").size()) == [4, 4]
    pd.testing.assert_frame_equal(*tables, rtol=1e-5)


def test_entry_points_are_loaded_when_a_name_is_unknown(registries, monkeypatch, caplog):
    points = [importlib.metadata.EntryPoint(name, f"{name}_of_nobody", plugins.GROUP) for name in ("good", "bad")]

    def load(point):
        if point.name == "bad":
            raise ImportError("no such module")
        register("entry-clone")(type("EntryClone", (BCFlow,), {}))
        tasks.register_task("entry-task", "Pendulum-v1", 20)
        PRESETS["entry-hazard"] = {}

    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", load)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == plugins.GROUP else [])
    plugins.pending.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert tasks.get_task("entry-task").horizon == 20
    assert METHODS["entry-clone"].name == "entry-clone"
    assert "the entry point bad (bad_of_nobody)" in caplog.text
    with pytest.raises(RamacError, match="the hazard 'entry-hazard' is not defined for entry-task"):
        get_hazard("entry-hazard", "entry-task")
    plugins.pending.cache_clear()
