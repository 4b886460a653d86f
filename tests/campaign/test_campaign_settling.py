"""A slice that is done on another machine, and the campaign's directory: which of two states is taken, and which rows.

No cluster is here: the slice is done in this process.
"""

import json
import pickle
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from campaign_helpers import SMALL

from ramac_lib.campaign.backends import settling
from ramac_lib.campaign.backends.settling import TRIES, place, settle
from ramac_lib.campaign.backends.states import Published, StateStore, Superseded
from ramac_lib.campaign.grid import choose
from ramac_lib.campaign.slices import Job, attempt
from ramac_lib.system.errors import RamacError
from ramac_lib.system.version import code_version
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import get_engine
from ramac_lib.training.loop import Schedule
from ramac_lib.training.stored import evaluate_run

pytest.importorskip("fsspec")
OTHER = 3  # a horizon that is not the task's


@pytest.fixture
def store(tmp_path):
    return StateStore(str(tmp_path / "states"))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cells" / "a"


def _cell(**changes):
    return choose(None, {**SMALL, **changes}, None).cells()[0]


def _job(cell, folder, until, last=False):
    return Job(cell, folder, Schedule(10, 20, 2), until, 3, get_engine("cpu", "eager"), code_version(), last=last)


def _slice(store, tmp_path, cell, until, last=False):
    """Do a slice as on another machine, in a folder of its own."""
    scratch = tmp_path / f"elsewhere-{time.monotonic_ns()}"
    directory = Published.of(store, place(cell), scratch)
    result = attempt(_job(cell, scratch, until, last), lambda step: False, directory)
    assert result.failure is None
    directory.publish()
    return result


def _rows(folder):
    """Return how many rows there are of each kind and step."""
    rows = RunDirectory(folder).read_table("evaluations.csv")
    return rows.groupby(["purpose", "horizon", "step"]).size().to_dict()


# -- whose states they are ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{"steps": 40}, {"size": 500}, {"seeds": (0,)}, {"data_seed": 3}])
def test_a_campaign_of_other_settings_has_another_place(store, tmp_path, folder, changes):
    """With the same names of cells and the same address, neither takes what is the other's."""
    one, other = _cell(), _cell(**changes)
    assert one.name == other.name
    _slice(store, tmp_path, one, 20)
    settle(store, other, folder)
    assert not (folder / "config.json").exists()
    assert _slice(store, tmp_path, other, 40).step == 40
    settle(store, one, folder)
    settle(store, other, tmp_path / "b")
    assert RunDirectory(folder).read_config() == one.config
    assert RunDirectory(folder).read_head()[0] == 20
    assert RunDirectory(tmp_path / "b").read_config() == other.config


def test_a_state_of_another_config_is_never_copied(store, tmp_path, folder, monkeypatch):
    one, other = _cell(), _cell(steps=40)
    _slice(store, tmp_path, one, 20)
    monkeypatch.setattr(settling, "place", lambda cell: place(one))  # as someone's copy of folders would have it
    with pytest.raises(RamacError, match=r"^--states .*: .* holds a run of another config$"):
        settle(store, other, folder)
    assert not (folder / "config.json").exists()
    settle(store, one, folder)
    with pytest.raises(RamacError, match="holds a run of another config: steps is 60 there and 40 here"):
        settle(store, other, folder)


# -- damage and rivals --------------------------------------------------------------------------------------------


def _damage(store, cell):
    """Damage the newest version's checkpoint; return its number."""
    number, key = store.numbers(place(cell))[0], place(cell)
    digest = json.loads(store.fs.cat_file(f"{store.root}/{key}/versions/{number:08d}.json"))["checkpoint.pt"]
    store.fs.pipe_file(f"{store.root}/{key}/files/{digest}", b"x")
    return number


def test_the_campaigns_own_state_follows_a_damaged_one(store, tmp_path, folder):
    cell = _cell()
    _slice(store, tmp_path, cell, 40)
    settle(store, cell, folder)
    number = _damage(store, cell)
    settle(store, cell, folder)
    assert store.newest(place(cell), tmp_path / "to").number == number + 1
    assert RunDirectory(tmp_path / "to").read_head()[0] == RunDirectory(folder).read_head()[0] == 40


def _do(store, cell, folder, until):
    """Do a slice by the body of Ray's task."""
    pytest.importorskip("ray")
    from ramac_lib.campaign.backends.ray_tasks import do_slice

    desk = SimpleNamespace(tell=SimpleNamespace(remote=lambda *_: None))
    packed, when = pickle.dumps(_job(cell, folder, until)), (time.time(), time.monotonic())
    return do_slice(cell.name, packed, when, store.url, desk, 1, ())


def test_a_task_goes_on_after_a_damaged_version(store, tmp_path, folder):
    cell = _cell()
    assert _do(store, cell, folder, 40).step == 40
    number = _damage(store, cell)
    result = _do(store, cell, folder, 60)
    assert (result.step, result.failure) == (60, None)
    assert store.numbers(place(cell))[0] > number


def test_a_task_that_can_never_save_ends_as_a_failure(store, tmp_path, folder, monkeypatch):
    tries = []

    def superseded(*_):
        tries.append(1)
        raise Superseded("a")

    monkeypatch.setattr(StateStore, "publish", superseded)
    result = _do(store, _cell(), folder, 20)
    assert len(tries) == TRIES
    assert result.failure == f"--states {store.url}: no state could be saved after version 0"


def test_settling_takes_over_what_a_rival_saves_meanwhile(store, tmp_path, folder, monkeypatch):
    """A driver is not stopped by an attempt on a machine that was taken for lost."""
    cell, publish = _cell(), StateStore.publish
    _slice(store, tmp_path, cell, 20)
    settle(store, cell, folder)
    evaluate_run(folder, episodes=4, device="cpu", horizon=OTHER)
    rivals = []

    def late(self, *arguments):
        if not rivals:
            rivals.append(1)
            _slice(store, tmp_path, cell, 40)
        return publish(self, *arguments)

    monkeypatch.setattr(StateStore, "publish", late)
    settle(store, cell, folder)
    assert RunDirectory(folder).read_head()[0] == 40
    assert _rows(folder)["report", OTHER, 20] == 8
    monkeypatch.setattr(StateStore, "publish", lambda *_: (_ for _ in ()).throw(Superseded("a")))
    with pytest.raises(RamacError, match=f"was saved by another {TRIES} times$"):
        settle(store, cell, folder)


# -- rows of `ramac evaluate` -------------------------------------------------------------------------------------


def test_rows_of_evaluations_during_a_slice_stay_and_reach_the_other_machines(store, tmp_path, folder):
    cell = _cell()
    own = cell.config.task.horizon
    _slice(store, tmp_path, cell, 20)
    settle(store, cell, folder)
    assert _rows(folder) == {("training", own, 20): 4}
    evaluate_run(folder, episodes=6, device="cpu")  # with and without noise
    evaluate_run(folder, episodes=4, device="cpu", horizon=OTHER)
    _slice(store, tmp_path, cell, 40)
    settle(store, cell, folder)
    expected = {
        ("training", own, 20): 4, ("training", own, 40): 4, ("report", own, 20): 12, ("report", OTHER, 20): 8,
    }  # fmt: skip
    assert _rows(folder) == expected
    store.newest(place(cell), tmp_path / "to")
    assert _rows(tmp_path / "to") == expected
    for file in ("evaluations.csv", "checkpoint.pt"):
        assert (tmp_path / "to" / file).read_bytes() == (folder / file).read_bytes()


def test_a_later_report_of_the_campaign_replaces_an_earlier_one_alone(store, tmp_path, folder):
    """As beside a trainer of this machine: the own report of fewer updates goes, another horizon's stays."""
    cell = _cell()
    own = cell.config.task.horizon
    _slice(store, tmp_path, cell, 20, last=True)
    settle(store, cell, folder)
    evaluate_run(folder, episodes=4, device="cpu", horizon=OTHER)
    _slice(store, tmp_path, cell, 40, last=True)
    settle(store, cell, folder)
    assert _rows(folder) == {
        ("training", own, 20): 4, ("training", own, 40): 4, ("report", own, 40): 12, ("report", OTHER, 20): 8,
    }  # fmt: skip


def test_a_report_that_comes_alone_is_taken_though_the_directory_has_more_rows(store, tmp_path, folder):
    cell = _cell()
    own = cell.config.task.horizon
    _slice(store, tmp_path, cell, 40)
    settle(store, cell, folder)
    evaluate_run(folder, episodes=40, device="cpu", horizon=OTHER)
    _slice(store, tmp_path, cell, 40, last=True)
    settle(store, cell, folder)
    assert _rows(folder)["report", own, 40] == 12
    assert _rows(folder)["report", OTHER, 40] == 80


def test_without_evaluations_beside_it_the_files_are_the_others_to_the_bit(store, tmp_path, folder):
    cell = _cell()
    for until, last in ((20, True), (40, False), (60, True)):  # at 40 there is the report of 20
        _slice(store, tmp_path, cell, until, last)
        settle(store, cell, folder)
        number = store.newest(place(cell), tmp_path / "to").number
        settle(store, cell, folder)
        assert store.numbers(place(cell))[0] == number
        for file in (tmp_path / "to").iterdir():
            assert file.read_bytes() == (folder / file.name).read_bytes()


# -- the cluster's address ----------------------------------------------------------------------------------------


def test_without_an_address_a_cluster_is_started_and_none_is_looked_for(monkeypatch):
    """`ray.init()` alone joins whatever cluster was last started on the machine, or waits for one that is gone."""
    from ramac_lib.campaign.backends.ray_tasks import connected

    begun = []
    fake = SimpleNamespace(is_initialized=lambda: False, init=lambda **how: begun.append(how))
    monkeypatch.setitem(sys.modules, "ray", fake)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    connected(None)
    monkeypatch.setenv("RAY_ADDRESS", "1.2.3.4:5")
    connected(None)
    connected("auto")
    assert [how["address"] for how in begun] == ["local", "1.2.3.4:5", "auto"]


def test_a_job_is_pickled_with_the_place_that_its_sender_means(tmp_path, folder):
    job = pickle.loads(pickle.dumps(_job(_cell(), folder, 20)))
    assert place(job.cell) == place(_cell()) != place(replace(_cell(), config=replace(_cell().config, data_seed=9)))
