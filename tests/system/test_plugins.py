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
from ramac_lib.system import plugins
from ramac_lib.system.errors import RamacError
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
    loaded = list(plugins.loaded)
    kept = [(registry, dict(registry)) for registry in (METHODS, tasks.TASKS, PRESETS)]
    yield
    plugins.loaded[:] = loaded
    for registry, before in kept:
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


@pytest.mark.slow
def test_what_the_evaluating_processes_do_not_know_is_played_here(own):
    config = make_config(own, "risky-bandit", (3, 5), 4, {"hidden": "8,8", "batch_size": "16"}, size=400)
    data = loop.load_data(config, progress=False)
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
    plugins.load_entry_points.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert tasks.get_task("entry-task").horizon == 20
    assert METHODS["entry-clone"].name == "entry-clone"
    assert "the entry point bad (bad_of_nobody)" in caplog.text
    with pytest.raises(RamacError, match="the hazard 'entry-hazard' is not defined for entry-task"):
        get_hazard("entry-hazard", "entry-task")
    plugins.load_entry_points.cache_clear()
