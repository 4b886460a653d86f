"""The parts around the updates: known amounts, rates that are amount over seconds. Times themselves are no test."""

import json

import gymnasium
import h5py
import numpy as np
import pytest
import torch

from ramac_lib.bench import parts, updates
from ramac_lib.datasets import hdf5
from ramac_lib.system.errors import RamacError

CPU = torch.device("cpu")
TINY = parts.Amounts(rollout=2000, relabel=100, load=100, episodes=5, horizon=7, repeats=1)


def nothing():
    return None


@pytest.mark.parametrize(("seconds", "met"), [(2.0, True), (2.6, False)])
def test_a_rate_is_judged_from_below(seconds, met):
    row = parts.Part("x", nothing, 20_000, "transitions", goal_rate=8000).row(seconds)
    assert tuple(row) == parts.COLUMNS
    assert row["rate"] == 20_000 / seconds
    assert (row["goal_rate"], row["goal_seconds"], row["met"]) == (8000, None, met)


@pytest.mark.parametrize(("seconds", "met"), [(10.0, True), (10.1, False)])
def test_seconds_are_judged_from_above(seconds, met):
    row = parts.Part("x", nothing, 50, "episodes", goal_seconds=10.0).row(seconds)
    assert (row["rate"], row["met"]) == (50 / seconds, met)


def test_no_goal_no_verdict():
    assert parts.Part("x", nothing, 1, "calls").row(1.0)["met"] is None


def test_the_hopper_never_ends_by_falling():
    falls, stays = (gymnasium.make(name, max_episode_steps=200) for name in ("Hopper-v5", parts.endless_hopper()))
    limp = np.zeros(3, dtype=np.float32)
    lengths = []
    for env in (falls, stays):
        env.reset(seed=0)
        lengths.append(next(step for step in range(1, 300) if any(env.step(limp)[2:4])))
        env.close()
    assert lengths[0] < lengths[1] == 200


@pytest.mark.parametrize("method", parts.EVALUATED)
def test_every_episode_has_full_length(method):
    runs = parts.evaluate(method, TINY, CPU)()
    assert [run.seed for run in runs] == list(parts.SEEDS)
    assert {run.length for run in runs} == {TINY.horizon}


def test_compressed_files_hold_the_same(tmp_path):
    data = updates.synthetic_data("hopper-medium-expert", 50)
    path = parts.compress(data, tmp_path / "gzip.hdf5")
    with h5py.File(path) as file:
        assert file["observations"].compression == "gzip"
    assert hdf5.load_file(path).sha256() == data.sha256()


@pytest.mark.slow
def test_table_and_file(tmp_path):
    path, threads = tmp_path / "speed" / "parts.json", torch.get_num_threads()
    table, machine = parts.measure(TINY, device="cpu", threads=1, workers=1, json_path=path, progress=False)
    assert tuple(table.columns) == parts.COLUMNS
    assert list(table["part"]) == [
        *(f"roll out {task}" for task in parts.ROLLED),
        "relabel with a hazard",
        *(f"evaluate {method} on Hopper" for method in parts.EVALUATED),
        "step navigation",
        "build navigation's data",
        "evaluate bc-diffusion on navigation",
        "ramac --help",
        "load HDF5",
        "load HDF5, gzip",
    ]
    assert list(table["amount"]) == [2000, 2000, 2000, 100, 5, 5, 1_000_000, 100_000, 1000, 1, 100, 100]
    np.testing.assert_allclose(table["rate"] * table["seconds"], table["amount"])
    assert (table["met"].isna() == (table["goal_rate"].isna() & table["goal_seconds"].isna())).all()
    written = json.loads(path.read_text())
    assert [row["part"] for row in written["rows"]] == list(table["part"])
    assert written["machine"] == machine
    assert (machine["threads"], machine["amounts"]["horizon"]) == (1, 7)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda _: parts.Amounts(relabel=0), "relabel is 0; expected a positive"),
        (lambda _: parts.Amounts(episodes=12), "multiple of the 5 seeds"),
        (lambda _: parts.measure(threads=0), "--threads 0: expected a positive"),
        (lambda _: parts.measure(device="tpu"), "unknown device 'tpu'"),
        (lambda folder: parts.measure(json_path=folder), "is a folder"),
    ],
)
def test_refusals_come_before_any_measurement(call, words, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "parts", lambda *_: pytest.fail("measured"))
    with pytest.raises(RamacError, match=words) as refused:
        call(tmp_path)
    assert "\n" not in str(refused.value)


def test_command_line(capsys, monkeypatch):
    from ramac_lib.cli import main

    def one(amounts, folder, device, *_):
        yield parts.Part("nothing at all", nothing, 3, "calls", goal_seconds=60.0)

    monkeypatch.setattr(parts, "parts", one)
    main(["bench", "--parts", "--device", "cpu"])
    out = capsys.readouterr().out
    assert all(word in out for word in ("nothing at all", "cores", "True"))
