"""A run's files are believed only as far as they prove what they are."""

import json
import logging
import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import MARK, sealed
from ramac_lib.training import loop, stored
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory

SMALL = {"hidden": "8", "batch_size": "16"}
FACTS = {"env_id": "RiskyBandit-v0", "dims": [1, 2], "data": {"sha256": "0" * 64}}


@pytest.fixture
def config():
    return make_config("bc-flow", "risky-bandit", (0, 1), 20, SMALL, size=200)


@pytest.fixture
def run(config, tmp_path):
    """A run's directory with a state of two seeds."""
    directory = RunDirectory(tmp_path / "run")
    directory.open(config, FACTS, resume=False)
    states = {seed: {"networks": {"w": torch.arange(500.0) + seed}} for seed in config.seeds}
    directory.save_checkpoint(10, states, "cpu eager float32", policies=states)
    return directory


def test_a_state_is_read_as_it_was_written(run):
    assert run.load_checkpoint()["step"] == run.load_policies()["step"] == run.read_head()[0] == 10
    assert torch.equal(run.load_checkpoint()["seeds"][1]["networks"]["w"], torch.arange(500.0) + 1)


@pytest.mark.parametrize("name", ["checkpoint.pt", "policy.pt"])
def test_a_flipped_bit_is_noticed_wherever_it_is(run, name):
    path = run.path / name
    content, rng = path.read_bytes(), np.random.default_rng(0)
    load = run.load_checkpoint if name == "checkpoint.pt" else run.load_policies
    for at in (*rng.integers(0, len(content), 40), len(content) - 1, len(content) - 70, len(content) - 80):
        wrong = bytearray(content)
        wrong[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(wrong)
        with pytest.raises(RamacError, match=f"{name}: the checkpoint is damaged"):
            load()
    path.write_bytes(content)
    load()


@pytest.mark.parametrize(
    "change",
    [
        {"step": -5},
        {"step": 21},
        {"step": "ten"},
        {"step": 2.5},
        {"step": None},
        {"seeds": {0: {}}},
        {"seeds": None},
        {"format": float("inf")},
        {"engine": None},
        {"engine": ["cpu"]},
        {"codes": 5},
    ],
)
def test_a_state_that_no_run_reaches_is_refused(run, change):
    """Also with a right checksum, and where only the head is asked for."""
    torch.save({**run.load_checkpoint(), **change}, run.checkpoint_file)
    run.checkpoint_file.write_bytes(sealed(run.checkpoint_file.read_bytes()))
    for read in (run.load_checkpoint, run.read_head):
        with pytest.raises(RamacError, match="the checkpoint is damaged"):
            read()


def test_states_of_an_earlier_version_are_taken_with_one_warning(run, caplog):
    facts = json.loads(run.config_file.read_text())
    del facts["sealed"]
    run.config_file.write_text(json.dumps(facts))
    for load, path in ((run.load_checkpoint, run.checkpoint_file), (run.load_policies, run.policy_file)):
        torch.save(load(), path)
    with caplog.at_level(logging.WARNING):
        assert run.load_checkpoint()["step"] == run.load_policies()["step"] == 10
    (record,) = caplog.records
    assert "begun by an earlier version" in record.message


@pytest.mark.parametrize("word", [b"networks", b"batches", b"optimizers", b"noise", b"velocity"])
def test_a_state_of_an_earlier_version_that_is_damaged_inside_is_one_sentence(config, tmp_path, word):
    how = {"schedule": loop.Schedule(episodes=0), "device": "cpu", "engine": "eager", "progress": False}
    config = replace(config, steps=2)
    run = loop.train(config, tmp_path / "run", **how).directory
    facts, content = json.loads(run.config_file.read_text()), run.checkpoint_file.read_bytes()
    run.config_file.write_text(json.dumps({key: value for key, value in facts.items() if key != "sealed"}))
    assert word in content
    run.checkpoint_file.write_bytes(content.replace(word, word[:-1] + b"?").replace(MARK, b"?" * len(MARK)))
    with pytest.raises(RamacError, match=r"checkpoint\.pt: the checkpoint is damaged"):
        loop.train(config, run.path, resume=True, **how)
    if word in (b"networks", b"velocity"):  # of the rest an evaluation has no need
        with pytest.raises(RamacError, match=r"checkpoint\.pt: the checkpoint is damaged"):
            stored.load_run(run.path, "cpu")


@pytest.mark.parametrize("state", [{}, None, {"networks": {}}])
def test_a_sealed_state_that_is_no_runs_is_one_sentence(config, tmp_path, state):
    """A checksum is no signature."""
    how = {"schedule": loop.Schedule(episodes=0), "device": "cpu", "engine": "eager", "progress": False}
    config = replace(config, steps=2)
    run = loop.train(config, tmp_path / "run", **how).directory
    torch.save({**run.load_checkpoint(), "seeds": dict.fromkeys(config.seeds, state)}, run.checkpoint_file)
    run.checkpoint_file.write_bytes(sealed(run.checkpoint_file.read_bytes()))
    for use in (lambda: loop.train(config, run.path, resume=True, **how), lambda: stored.load_run(run.path, "cpu")):
        with pytest.raises(RamacError, match=r"the checkpoint does not fit the run's networks \((Key|Type)Error\)"):
            use()


def test_a_state_without_a_checksum_is_refused_where_the_run_has_them(run):
    torch.save(run.load_checkpoint(), run.checkpoint_file)
    with pytest.raises(RamacError, match="damaged"):
        run.load_checkpoint()


def edit(run, change):
    facts = json.loads(run.config_file.read_text())
    change(facts)
    run.config_file.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f["config"].update(steps=30), "was edited: its config's hash is"),
        (lambda f: f["config"]["settings"].update(lr_actor=0.5), "was edited"),
        (lambda f: f.update(hash="0" * 12), "was edited"),
        (lambda f: f["config"].update(steps="ten"), "steps is 'ten'; expected a whole number of at least 1"),
        (lambda f: f["config"].update(seeds=7), "a run's seeds is 7; expected a list"),
        (lambda f: f["config"].update(seeds=[0, "x"]), "seeds has 'x'; expected a whole number"),
        (lambda f: f["config"].update(method=["bc-flow"]), "a run's method is ..bc-flow..; expected a name"),
        (lambda f: f["config"].update(env_id="os:Hopper-v5"), "names a module, which is never imported"),
        (lambda f: f["config"].update(source=3), "source is 3; expected a line of text"),
        (lambda f: f["config"].update(speed=3), "unknown field of RunConfig 'speed'"),
        (lambda f: f["config"]["settings"].update(hidden=[0]), r"hidden has 0; expected .* in \[1, 65,536\]"),
        (lambda f: f["config"]["settings"].update(lr_actor=float("nan")), "lr_actor is nan"),
        (lambda f: f["config"].pop("steps"), "lacks a field"),
        (lambda f: f.pop("env_id"), "is damaged"),
        (lambda f: f.update(dims="wide"), "is damaged"),
        (lambda f: f.update(dims=[0, -1]), "is damaged"),
        (lambda f: f.update(config=[]), "is damaged|expected"),
    ],
)  # fmt: skip
def test_an_edited_config_is_refused_in_a_sentence_that_names_the_file(run, change, words):
    edit(run, change)
    with pytest.raises(RamacError, match=rf"config\.json: (.|\n)*({words})"):
        run.read_config()


def test_a_config_nested_without_end_is_damaged(run):
    run.config_file.write_text("[" * 100_000)
    with pytest.raises(RamacError, match="is damaged"):
        run.read_config()


@pytest.mark.parametrize("column", ["purpose", "horizon", "step"])
def test_a_table_that_lacks_a_column_is_damaged(run, column):
    (run.path / "evaluations.csv").write_text("run,seed,step,purpose,horizon,hazard,risk,episode,return\n")
    assert run.read_table("evaluations.csv").empty
    (run.path / "evaluations.csv").write_text(
        "run,seed,step,purpose,horizon,hazard,risk,episode,return\n".replace(column, column[:-1] + "x")
    )
    with pytest.raises(RamacError, match=r"evaluations\.csv: is damaged; expected the table that a run writes"):
        run.read_table("evaluations.csv")


def test_a_pipe_in_the_place_of_a_state_is_not_waited_for(run):
    run.checkpoint_file.unlink()
    os.mkfifo(run.checkpoint_file)
    for load in (run.load_checkpoint, run.read_head, run.begun):
        with pytest.raises(RamacError, match="the checkpoint is damaged"):
            load()


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(run):
    for path, read in (
        (run.config_file, run.read_facts),
        (run.path / "evaluations.csv", lambda: run.read_table("evaluations.csv")),
    ):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
        with pytest.raises(RamacError, match="is not a regular file"):
            read()
        path.unlink()


def test_a_damaged_table_is_one_sentence(run):
    for content in (b"a,b\n1,2,3,4\n5", b"\xff\xfe\x00", b"step\nx\n", b"other\n1\n"):
        (run.path / "metrics.csv").write_bytes(content)
        with pytest.raises(RamacError, match=r"metrics\.csv: is damaged"):
            run.read_table("metrics.csv", 5)


def test_what_a_killed_process_left_is_no_obstacle_and_goes(config, tmp_path):
    """Killed before config.json was in its place, and later."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json.abc.part").write_text("{")
    how = {"device": "cpu", "engine": "eager", "progress": False, "schedule": loop.Schedule(episodes=0)}
    loop.train(config, folder, **how)
    assert not list(folder.glob(".*.part"))
    (folder / ".checkpoint.pt.abc.part").write_text("half")
    loop.train(config, folder, resume=True, **how)
    assert not list(folder.glob(".*.part"))
