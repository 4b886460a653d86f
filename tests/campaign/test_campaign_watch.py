"""Who looks on: progress in a terminal, curves in TensorBoard, W&B and MLflow; none of them changes a bit."""

import json
import os
import shutil
import time

import pandas as pd
import pytest
from campaign_helpers import contents, run
from rich.console import Console

from ramac_lib import campaign
from ramac_lib.campaign import trackers, watching
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.system.errors import RamacError
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.results import at_noise


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A campaign that TensorBoard was told of."""
    out = tmp_path_factory.mktemp("watched") / "c"
    run(out, track=("tensorboard",))
    return out


def _cells(out):
    grid, _ = CampaignDirectory(out).read()
    return [(cell, RunDirectory(out / "cells" / cell.name)) for cell in grid.cells()]


def test_tracked_or_not_the_results_are_the_same(whole, tmp_path):
    run(tmp_path / "c")
    assert contents(tmp_path / "c") == contents(whole)
    assert not (tmp_path / "c" / "tensorboard").exists()


def test_scalars_are_the_tables_rows(whole):
    for cell, folder in _cells(whole):
        found = trackers.scalars_of(folder, 20)
        metrics, episodes = folder.read_table("metrics.csv"), at_noise(folder.read_table("evaluations.csv"))
        assert sorted(found) == sorted(step for step in metrics["step"].unique() if step > 20)
        row = metrics[(metrics["step"] == 40) & (metrics["seed"] == 1)].iloc[0]
        assert found[40]["bc_loss/seed 1"] == row["bc_loss"]
        at_60 = episodes[(episodes["step"] == 60) & (episodes["seed"] == 0)]
        for purpose, count in (("training", 2), ("report", 3)):
            own = at_60.loc[at_60["purpose"] == purpose, "return"]
            assert len(own) == count
            assert found[60][f"{purpose} return/seed 0"] == pytest.approx(own.mean())
        assert trackers.scalars_of(folder, 60) == {}, cell.name


def _events(folder):
    """Return (step, name) of the scalars in a folder of TensorBoard's."""
    from tensorboardX.proto import event_pb2
    from tensorboardX.record_writer import RecordWriter  # noqa: F401  (the format that is read here)

    found = []
    for path in sorted(folder.glob("events*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = event_pb2.Event.FromString(data[at + 12 : at + 12 + size])
            found += [(event.step, value.tag) for value in event.summary.value]
            at += 12 + size + 4
    return found


def test_tensorboard_is_told_each_row_once_also_over_rounds_and_a_resume(whole):
    run(whole, {}, resume=True, track=("tensorboard",))
    for cell, folder in _cells(whole):
        told = _events(whole / "tensorboard" / cell.name)
        named = [(step, name) for step, values in trackers.scalars_of(folder, -1).items() for name in values]
        assert len(told) == len(set(told)) == len(named)
        assert {step for step, _ in told} == {step for step, _ in named}
    assert set(json.loads((whole / ".tracked.json").read_text())["tensorboard"].values()) == {60}


def test_two_slices_within_a_second_are_both_in_tensorboard(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1e9)
    cell, _ = _cells(whole)[0]
    for step in (1, 2):
        trackers.tensorboard(tmp_path, cell, {step: {"loss": 0.5}})
    assert _events(tmp_path / "tensorboard" / cell.name) == [(1, "loss"), (2, "loss")]


@pytest.mark.slow
def test_weights_and_biases_offline(whole, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    cell, folder = _cells(whole)[0]
    (tmp_path / "o").mkdir()
    tracking = trackers.Tracking(tmp_path / "o", ("wandb",))
    tracking(cell, folder, 40)
    tracking(cell, folder, 60)
    assert json.loads((tmp_path / "o" / ".tracked.json").read_text()) == {"wandb": {cell.name: 60}}
    stored = list((tmp_path / "o" / "wandb").glob(f"offline-run-*-{cell.config.hash}/run-{cell.config.hash}.wandb"))
    assert stored
    assert b"report return" in b"".join(path.read_bytes() for path in stored)


@pytest.mark.slow
def test_mlflow_on_this_machine(whole, tmp_path, monkeypatch):
    client = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("alembic")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    cell, folder = _cells(whole)[1]
    tracking = trackers.Tracking(tmp_path, ("mlflow",))
    tracking(cell, folder, 40)
    tracking(cell, folder, 60)
    tracking(cell, folder, 60)
    store = client.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (found,) = store.search_runs([store.get_experiment_by_name("ramac").experiment_id])
    assert found.info.run_name == cell.name
    assert found.data.params["method"] == cell.config.method.name
    metrics = folder.read_table("metrics.csv")
    own = metrics[metrics["seed"] == 0]
    history = store.get_metric_history(found.info.run_id, "bc_loss/seed 0")
    assert [(m.step, m.value) for m in history] == list(zip(own["step"], own["bc_loss"], strict=True))


def test_a_tracker_that_fails_is_named_once_and_the_campaign_goes_on(whole, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", lambda *_: 1 / 0)
    run(tmp_path / "c", track=("tensorboard",))
    assert [r.message for r in caplog.records if "--track" in r.message] == [
        "--track tensorboard: ZeroDivisionError: division by zero; it is left out"
    ]
    assert contents(tmp_path / "c") == contents(whole)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorbord", r"^unknown tracker 'tensorbord'"),
        ("wandb", r"^--track wandb: is not installed; `pip install 'ramac-"),
    ],
)
def test_trackers_that_are_not_there_are_refused_before_anything_is_run(tmp_path, monkeypatch, name, words):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RamacError, match=words):
        run(tmp_path / "c", track=(name,))
    assert not (tmp_path / "c").exists()


def test_what_is_watched_is_where_the_cells_are(whole):
    cells, said = watching.read(whole)
    assert cells["step"].tolist() == cells["steps"].tolist() == [60, 60]
    assert cells["state"].tolist() == ["done", "done"]
    table = pd.read_csv(whole / "results.csv")
    first = table[(table["run"] == table["run"].iloc[0]) & (table["step"] == 60)]
    assert cells["return"].iloc[0] == pytest.approx(first["return"].mean())
    assert said["done"]
    console = Console(width=120, record=True, force_terminal=False)
    campaign.watch(whole, console)
    text = console.export_text()
    assert "100.0 % of all updates, 1 at a time, finished" in text
    assert text.count("done") == 2


def test_a_campaign_under_way_and_one_that_is_silent(whole, tmp_path):
    grid, code = CampaignDirectory(whole).read()
    CampaignDirectory(tmp_path).write(grid, code)
    names = [cell.name for cell in grid.cells()]
    progress = watching.Progress(tmp_path)
    progress({names[0]: 30, names[1]: 0}, {}, 2)
    progress({names[0]: 40, names[1]: 0}, {}, 2)  # within two seconds: not written
    cells, said = watching.read(tmp_path)
    assert cells[["step", "state"]].to_numpy().tolist() == [[30, ""], [0, "waits"]]
    assert "25.0 % of all updates, 2 at a time, running" in str(watching.drawn(tmp_path, cells, said).title)
    old = {**said, "time": time.time() - 100, "failures": {names[1]: "why"}}
    (tmp_path / ".progress.json").write_text(json.dumps(old))
    cells, said = watching.read(tmp_path)
    assert cells["state"].tolist() == ["", "failed"]
    assert "last heard of 100 s ago" in str(watching.drawn(tmp_path, cells, said).title)
    with pytest.raises(RamacError, match="holds no campaign"):
        watching.read(tmp_path / "nothing")


@pytest.mark.parametrize("name", [".tracked.json", ".progress.json"])
def test_files_of_those_who_look_on_may_be_damaged_or_no_files(whole, tmp_path, name):
    """What they say is made anew; of a pipe the end is not waited for."""
    out = tmp_path / "c"
    shutil.copytree(whole, out)
    said = '{"time": 1.0, "steps": {"risky-bandit.none.x": "y"}, "failures": {}, "workers": 1, "done": true}'
    for text in (
        "[]",
        "3",
        said,
        "[" * 100_000,
        '{"tensorboard": 3, "steps": 1}',
        '{"tensorboard": {"x": null}}',
        "{",
        "\0",
    ):
        (out / name).write_text(text)
        run(out, {}, resume=True, track=("tensorboard",))
        (out / name).write_text(text)
        assert len(watching.read(out)[0]) == 2
    (out / name).unlink()
    os.mkfifo(out / name)
    assert len(watching.read(out)[0]) == 2
    run(out, {}, resume=True, track=("tensorboard",))
    assert (out / name).is_file()
    assert contents(out) == contents(whole)


def test_what_is_packed_leaves_out_what_is_made_of_it(whole, tmp_path):
    campaign.pack(whole, tmp_path / "packed")
    campaign.unpack(tmp_path / "packed", tmp_path / "c")
    assert contents(tmp_path / "c") == contents(whole)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [
        "campaign.json",
        "cells",
        "results.csv",
        "results.json",
    ]
