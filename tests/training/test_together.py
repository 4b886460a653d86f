"""Several at one run's directory: rows of reports are never lost, two trainers are refused, a kill leaves no lock."""

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context

import pandas as pd
import pytest

from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop, stored
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.results import at_noise

SCHEDULE = loop.Schedule(eval_every=4, log_every=2, episodes=2, chunk=2)
SMALL = {"hidden": "8,8", "batch_size": "16"}
QUIET = {"device": "cpu", "progress": False, "schedule": SCHEDULE}


def config(steps=12):
    return make_config("bc-flow", "risky-bandit", (0, 1), steps, SMALL)


def reports(folder):
    """Return episodes of the policies as deployed, by step and horizon."""
    table = at_noise(RunDirectory(folder).read_table("evaluations.csv"))
    return table[table["purpose"] == "report"].groupby(["step", "horizon"]).size().to_dict()


def trainer_of(folder):
    run, data = config(), loop.data_of(config(), progress=False)
    trainer = loop.Trainer(run, data, loop.get_engine("cpu"), RunDirectory(folder), SCHEDULE)
    if trainer.directory.open(run, loop.get_facts(data, trainer.engine), resume=True):
        trainer.restore()
    return trainer


def test_rows_that_are_added_while_a_run_is_trained_stay(tmp_path):
    trainer = trainer_of(tmp_path / "r")

    def tick(step):
        if step in (6, 10):
            stored.evaluate_run(tmp_path / "r", 6, horizon=step, device="cpu")

    trainer.run(False, tick=tick)
    assert reports(tmp_path / "r") == {(4, 6): 6, (8, 10): 6}
    trainer.report(3)
    assert reports(tmp_path / "r") == {(4, 6): 6, (8, 10): 6, (12, 1): 6}
    loop.train(config(), tmp_path / "s", **QUIET)
    tables = [RunDirectory(tmp_path / name).read_table("evaluations.csv") for name in "rs"]
    curves = [table[table["purpose"] == "training"].drop(columns="ood_curves") for table in tables]  # text of reports
    pd.testing.assert_frame_equal(*curves)


def test_a_trainer_keeps_the_newer_report_and_replaces_its_own(tmp_path):
    """`ramac evaluate` made the report anew, with more episodes; a report of more updates replaces that in turn."""
    trainer = trainer_of(tmp_path / "r")
    trainer.run(False, 4)
    trainer.report(2)
    stored.evaluate_run(tmp_path / "r", 10, device="cpu")
    trainer.run(False, 8)
    assert reports(tmp_path / "r") == {(4, 1): 10}
    assert trainer.reported() == 4
    trainer.report(2)
    assert reports(tmp_path / "r") == {(8, 1): 4}


def evaluate_many(folder, barrier, first):
    barrier.wait(120)
    for horizon in range(first, first + 5):
        stored.evaluate_run(folder, 2, horizon=horizon, device="cpu")


@pytest.mark.slow
def test_six_evaluations_at_once_lose_no_row(tmp_path):
    loop.train(config(), tmp_path / "r", **QUIET)
    context = get_context("forkserver")
    context.set_forkserver_preload(["ramac_lib.training.stored", "ramac_lib.envs.bandit"])
    barrier = context.Barrier(6)
    processes = [context.Process(target=evaluate_many, args=(tmp_path / "r", barrier, 10 * (k + 1))) for k in range(6)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0] * 6
    assert reports(tmp_path / "r") == {(12, 10 * k + i): 2 for k in range(1, 7) for i in range(5)}


def test_two_trainers_of_one_run_are_refused(tmp_path):
    loop.train(config(), tmp_path / "r", **QUIET)
    (tmp_path / "new").mkdir()
    for folder, how in (("r", {"resume": True}), ("new", {})):
        refused = pytest.raises(RamacError, match=rf"{folder}: this run is being trained by another process")
        with RunDirectory(tmp_path / folder).training(), refused:
            loop.train(config(), tmp_path / folder, **how, **QUIET)
    loop.train(config(), tmp_path / "new", **QUIET)  # what was left of the refusal is no one's run
    assert len(reports(tmp_path / "r")) == 0


def test_a_directory_in_which_nothing_can_be_written_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RamacError, match=r"file.*cannot be written"), RunDirectory(tmp_path / "file").training():
        pass


@pytest.mark.slow
def test_a_killed_trainer_leaves_no_lock(tmp_path, monkeypatch):
    folder = tmp_path / "r"
    command = [
        *(sys.executable, "-m", "ramac_lib.cli", "train", "--method", "bc-flow", "--task", "risky-bandit"),
        *("--steps", "1000000", "--eval-every", "100", "--episodes", "0", "--device", "cpu", "--out", str(folder)),
        *("--set", "hidden=8,8", "batch_size=16"),
    ]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not (folder / "policy.pt").exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        second = subprocess.run([*command, "--resume"], capture_output=True, text=True, timeout=120, check=False)
        assert second.returncode == 1
        assert second.stderr.strip() == f"ramac: {folder}: this run is being trained by another process"
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    run = RunDirectory(folder).read_config()
    step = RunDirectory(folder).read_head()[0]

    class Stop(Exception):
        pass

    def stop(self, update, until):
        assert self.step >= step
        raise Stop

    monkeypatch.setattr(loop.Trainer, "_advance", stop)
    with pytest.raises(Stop):
        loop.train(run, folder, resume=True, device="cpu", progress=False, schedule=loop.Schedule(episodes=0))
