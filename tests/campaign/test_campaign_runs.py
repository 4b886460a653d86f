"""Whole campaigns, small: what they leave, budgets, failures, who may use a directory."""

import dataclasses
import fcntl
import os
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from campaign_helpers import DIFFUSION, FLOW, RADAC, SMALL, contents, run
from cli_helpers import run as command

from ramac_lib import campaign
from ramac_lib.analysis import evidence
from ramac_lib.campaign import launch, scheduler, slices
from ramac_lib.campaign.backends.processes import Processes
from ramac_lib.campaign.directory import SCHEMA, CampaignDirectory
from ramac_lib.campaign.grid import PROFILES
from ramac_lib.datasets.hdf5 import save_file
from ramac_lib.envs.hazards import PRESETS, Hazard, register_hazard
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import cores
from ramac_lib.system.version import DECIDES, code_version, of_the_sources
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine
from ramac_lib.training.loop import Interrupted
from ramac_lib.training.results import COLUMNS, LATER, at_noise
from ramac_lib.training.results import load as load_results
from ramac_lib.training.stored import evaluate_run
from support.evidence.tables import EARLY

FLOW_CELL = "risky-bandit.none.bc-flow_hidden-8_batch_size-16"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A campaign that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "c"
    run(out)
    return out


def test_a_campaign_leaves_one_tidy_table(whole):
    table = pd.read_csv(whole / "results.csv")
    assert tuple(table.columns) == SCHEMA == (*COLUMNS, "code")
    counts = table.groupby(["method", "purpose", "step"]).size()
    for method in ("bc-flow", "radac"):
        assert [counts[method, "training", step] for step in (20, 40, 60)] == [4, 4, 4]
        assert counts[method, "report", 60] == 12
    assert len(table) == 2 * (12 + 12)
    assert table.groupby(["purpose", "sampler_noise"]).size().to_dict() == {
        ("report", 0): 12, ("report", 1): 12, ("training", 1): 24,
    }  # fmt: skip
    assert not table.duplicated(["run", "seed", "step", "purpose", "sampler_noise", "episode"]).any()
    assert set(table["code"]) == {code_version()}
    facts = RunDirectory(whole / "cells" / FLOW_CELL).read_facts()
    import json

    results = json.loads((whole / "results.json").read_text())
    assert results[facts["hash"]]["updates"] == 60
    assert results[facts["hash"]]["data"]["sha256"] == facts["data"]["sha256"]
    assert not list(whole.rglob("*.part"))


def test_the_same_with_processes_and_resumed_to_itself(whole, tmp_path):
    run(tmp_path / "c", workers=2)
    assert contents(tmp_path / "c") == contents(whole)
    run(tmp_path / "c", {}, resume=True)
    assert contents(tmp_path / "c") == contents(whole)


def test_rounds_of_any_size_give_the_same_bits(whole, tmp_path, monkeypatch):
    """Slices end anywhere, also between two rows of the log, with reports on the way."""
    monkeypatch.setattr(scheduler, "LATE", 10.0)

    def odd(states, remaining, workers):
        behind = min((s.step for s in states if not s.done), default=None)
        if behind is None:
            return None
        return scheduler.Round(min(60, behind + 7), last=behind > 20)

    original, stops = scheduler.plan.following, []
    monkeypatch.setattr(scheduler.plan, "following", lambda *a: stops.append(1) or odd(*a))
    run(tmp_path / "c")
    while min(s.step for s in _states(tmp_path / "c")) < 60:  # a last round ends a command
        run(tmp_path / "c", {}, resume=True)
    monkeypatch.setattr(scheduler.plan, "following", original)
    assert len(stops) > 5
    assert contents(tmp_path / "c") == contents(whole)


def test_further_moments_of_evaluation_change_nothing_else(whole, tmp_path):
    run(tmp_path / "c", {**SMALL, "evaluate_at": (7, 20, 33, 99)})
    table = pd.read_csv(tmp_path / "c" / "results.csv")
    named = table["step"].isin([7, 33])
    assert table[named].groupby(["method", "step"]).size().tolist() == [4, 4, 4, 4]
    pd.testing.assert_frame_equal(table[~named].reset_index(drop=True), pd.read_csv(whole / "results.csv"))
    for cell in (whole / "cells").iterdir():
        assert RunDirectory(tmp_path / "c" / "cells" / cell.name).load_policies()["step"] == 60


def test_every_profile_has_an_evaluation_at_1000_updates_where_it_is_as_long():
    for name, grid in PROFILES.items():
        moments = {*range(grid.eval_every, grid.steps + 1, grid.eval_every), *grid.evaluate_at}
        assert (EARLY in moments) == (grid.steps >= EARLY), name


def _states(out):
    grid, _ = CampaignDirectory(out).read()
    return [CampaignDirectory(out).state(cell, grid, lambda begun: begun) for cell in grid.cells()]


def test_rows_may_be_added_and_those_behind_catch_up(whole, tmp_path):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    run(tmp_path / "c", {"rows": (RADAC,)}, resume=True)
    assert contents(tmp_path / "c") == contents(whole)


@pytest.mark.slow
def test_a_budget_ends_every_cell_at_the_same_step_with_reports(tmp_path):
    """Real time, which a busy machine may take away in one go; the arithmetic is tested in test_campaign_plan."""
    long = {**SMALL, "steps": 100_000, "evaluations": 100_000 // 50, "rows": (FLOW, DIFFUSION)}
    for budget in (6.0, 12.0, 24.0):
        began = time.monotonic()
        run(tmp_path / f"{budget}", long, budget=budget)
        took, states = time.monotonic() - began, _states(tmp_path / f"{budget}")
        if took < 1.1 * budget and all(s.reported == s.step for s in states):
            break
    assert took < 2 * budget
    assert all(0 < s.step < 100_000 for s in states)
    assert all(s.reported == s.step for s in states)
    # A slice that a busy machine slows down is cut at its deadline: by a few of some hundred or thousand updates.
    assert abs(states[0].step - states[1].step) <= max(50, 0.1 * states[0].step)


def test_a_budget_too_small_for_one_cell_runs_nothing(tmp_path, monkeypatch):
    """An episode of each seed is said to take 1000 s, so the report of twice three takes 6000, or a quarter more."""
    run(tmp_path / "c")
    before = contents(tmp_path / "c")
    monkeypatch.setattr(slices, "time_episode", lambda trainer: 1000.0)
    expected = rf"^a budget of 60 s is too small for one cell: {re.escape(FLOW_CELL)} needs about 75\d\d s"
    with pytest.raises(RamacError, match=expected):
        run(tmp_path / "runs" / "new", budget=60)
    with pytest.raises(RamacError, match=expected):
        run(tmp_path / "c", {"rows": (DIFFUSION,)}, resume=True, budget=60)
    assert contents(tmp_path / "c") == before
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_data_that_take_longer_than_the_budget(tmp_path, monkeypatch):
    monkeypatch.setattr(scheduler.datasets, "load", lambda *_, **__: time.sleep(30))
    began = time.monotonic()
    with pytest.raises(RamacError, match="ended while the data of risky-bandit were built; nothing was run"):
        run(tmp_path / "c", budget=0.3)
    assert time.monotonic() - began < 10
    assert not list(tmp_path.iterdir())


def _poisoned(monkeypatch, error, at):
    """Let an update of the flow's cell raise an error, or let the loss of its second seed be a number."""
    cls = get_method("bc-flow")
    original = cls.bc_loss

    def bc_loss(self, batch):
        loss = original(self, batch)
        if self.updates == at:
            if isinstance(error, Exception):
                raise error
            return loss * torch.tensor([1.0 if seed != 1 else error for seed in self.seeds])
        return loss

    monkeypatch.setattr(cls, "bc_loss", bc_loss)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), "out of GPU memory"),
        (float("nan"), "bc_loss of seed 1 is not finite at update 36; .* is kept"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
    ],
)
def test_a_cell_that_fails_is_named_and_the_others_go_on(whole, tmp_path, monkeypatch, error, words):
    _poisoned(monkeypatch, error, at=35)
    table, failures = run(tmp_path / "c")
    assert list(failures) == [FLOW_CELL]
    assert re.search(words, failures[FLOW_CELL])
    reports = table[table["purpose"] == "report"]
    assert set(reports["method"]) == {"radac"}
    # What it had saved before stays, and it goes on from there once the reason is gone.
    assert set(table[table["method"] == "bc-flow"]["step"]) == {20}
    monkeypatch.undo()
    _, failures = run(tmp_path / "c", {}, resume=True)
    assert not failures
    assert contents(tmp_path / "c") == contents(whole)


def test_the_command_line_ends_in_one_sentence_and_code_1(tmp_path, monkeypatch, capsys):
    from ramac_lib.cli import main

    _poisoned(monkeypatch, torch.cuda.OutOfMemoryError("CUDA out of memory."), at=35)
    call = [
        "campaign", "--tasks", "risky-bandit", "--methods", FLOW, RADAC, "--seeds", "0", "1", "--steps", "60", "--size",
        "400", "--device", "cpu", "--workers", "0", "--out", str(tmp_path / "c"),
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(call)
    assert stop.value.code == 1
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(f"ramac: 1 cells failed: {FLOW_CELL}; go on")
    monkeypatch.undo()
    with pytest.raises(SystemExit):
        main(call)
    assert "begun before; pass --resume" in capsys.readouterr().err
    main(["campaign", "--resume", "--workers", "0", "--device", "cpu", "--out", str(tmp_path / "c")])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--profile", "huge"), ("unknown profile 'huge'", "quick, laptop, gpu, paper")),
        (("--methods", "radac:speed=9"), ("unknown option of RADAC 'speed'", "eta")),
        (("--tasks", "ant"), ("unknown task 'ant'", "risky-bandit")),
        (("--workers", "-1"), ("workers is -1",)),
        (("--budget-seconds", "0"), ("the budget in seconds is 0.0",)),
        (("--budget-seconds", "nan"), ("the budget in seconds is nan",)),
        (("--budget-seconds", "inf"), ("the budget in seconds is inf",)),
        (("--workers", "99999"), ("workers is 99999",)),
        (("--device", "tpu"), ("unknown device 'tpu'",)),
        (("--pack", "a", "--unpack", "b"), ("expected one of them",)),
        (("--pack", "a"), ("holds no campaign",)),
        (("--unpack", "a"), ("holds no packed campaign",)),
    ],
)
def test_bad_arguments_end_in_one_sentence_and_leave_nothing(capsys, tmp_path, monkeypatch, arguments, words):
    from ramac_lib.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["campaign", *arguments])
    assert stop.value.code == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("ramac: ")
    assert all(word in line for word in words), line
    assert not list(tmp_path.iterdir())


def test_other_evaluations_of_a_cell_stay_beside_its_report(tmp_path):
    from ramac_lib.training import stored

    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    stored.evaluate_run(tmp_path / "c" / "cells" / FLOW_CELL, episodes=4, horizon=7, device="cpu")
    table, _ = run(tmp_path / "c", {}, resume=True)
    counts = at_noise(table[table["purpose"] == "report"]).groupby("horizon").size()
    assert counts.to_dict() == {1: 6, 7: 4}
    assert set(table["code"]) == {code_version()}


def test_a_campaign_begun_on_another_device_is_refused_at_once(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "name", property(lambda _: "cuda graph float32"))
        patch.setattr(scheduler.plan, "following", _one_round())
        run(tmp_path / "c")
    kept = contents(tmp_path / "c")
    words = r"begun as cuda graph float32, at step 20 of 60; .* resume the campaign with --device cuda"
    with pytest.raises(RamacError, match=words):
        run(tmp_path / "c", {}, resume=True)
    assert contents(tmp_path / "c") == kept


def test_a_finished_campaign_of_another_device_can_be_added_to(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "name", property(lambda _: "cuda graph float32"))
        run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    table, failures = run(tmp_path / "c", {"rows": (RADAC,)}, resume=True)
    assert not failures
    assert at_noise(table[table["purpose"] == "report"]).groupby("method").size().tolist() == [6, 6]


def _one_round():
    planned = iter([scheduler.Round(20, last=True)])
    return lambda *_: next(planned, None)


def test_two_campaigns_in_one_directory(tmp_path, monkeypatch):
    (tmp_path / "c").mkdir()
    monkeypatch.setattr("ramac_lib.campaign.directory.PATIENCE", 0.2)
    handle = os.open(tmp_path / "c" / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(RamacError, match="another campaign is running in this directory"):
        run(tmp_path / "c")
    assert [p.name for p in (tmp_path / "c").iterdir()] == [".lock"]
    os.close(handle)
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})


def test_a_table_of_another_schema_is_refused(tmp_path):
    (tmp_path / "c").mkdir()
    for header, words in (("a,b", "another schema .columns a, "), (",".join(COLUMNS), "another schema .columns code")):
        (tmp_path / "c" / "results.csv").write_text(f"{header}\n1,2\n")
        for resume in (False, True):
            with pytest.raises(RamacError, match=words):
                run(tmp_path / "c", resume=resume)
        assert (tmp_path / "c" / "results.csv").read_text() == f"{header}\n1,2\n"


def test_a_campaign_of_before_the_later_columns_is_gone_on_with(tmp_path):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    tables = [tmp_path / "c" / "results.csv", tmp_path / "c" / "cells" / FLOW_CELL / "evaluations.csv"]
    for file in tables:
        old = at_noise(pd.read_csv(file, dtype=str, keep_default_na=False)).drop(columns=list(LATER))
        old.to_csv(file, index=False)
    table, failures = run(tmp_path / "c", {"rows": (RADAC,)}, resume=True)
    assert not failures
    assert tuple(table.columns) == SCHEMA
    before, after = (table[table["method"] == method] for method in ("bc-flow", "radac"))
    assert len(before) == 12 + 6
    assert (before["sampler_noise"] == 1).all()
    assert before["completed"].isna().all()
    assert after.loc[after["purpose"] == "report", "ood_action"].notna().all()


@pytest.mark.parametrize("text", ["not json", "{}", '{"format": 99}', "[" * 100_000])
def test_a_damaged_campaign_is_refused(tmp_path, text):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "campaign.json").write_text(text)
    with pytest.raises(RamacError, match=r"campaign.json: (is damaged|written by a newer version)"):
        run(tmp_path / "c", resume=True)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("draft")
    with pytest.raises(RamacError, match="not empty and holds no campaign"):
        run(tmp_path)


def test_another_code_warns_and_keeps_its_rows_apart(tmp_path, monkeypatch, caplog):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    old = code_version()
    monkeypatch.setattr(scheduler, "code_version", lambda: "0" * 12)
    table, _ = run(tmp_path / "c", {"rows": (RADAC,)}, resume=True)
    assert f"({old} then, 000000000000 now)" in caplog.text
    assert set(zip(table["method"], table["code"], strict=True)) == {("bc-flow", old), ("radac", "0" * 12)}


def test_a_cell_that_two_versions_trained_names_both(tmp_path, monkeypatch):
    _poisoned(monkeypatch, ZeroDivisionError(), at=35)
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    monkeypatch.undo()
    monkeypatch.setattr(scheduler, "code_version", lambda: "0" * 12)
    table, _ = run(tmp_path / "c", {}, resume=True)
    assert set(table[table["step"] == 20]["code"]) == {code_version()}
    assert set(table[table["step"] == 60]["code"]) == {f"{code_version()}+{'0' * 12}"}


def test_the_version_is_of_the_sources_that_decide(tmp_path):
    from pathlib import Path
    from shutil import copytree

    import ramac_lib

    copy = tmp_path / "ramac_lib"
    copytree(Path(ramac_lib.__file__).parent, copy)
    assert code_version(copy) == code_version()
    (copy / "cli.py").write_text("")
    of_the_sources.cache_clear()
    assert code_version(copy) == code_version()
    for name in ("networks/quantile_loss.py", "networks/native/quantile_head.cpp", "methods/radac.py"):
        before = code_version(copy)
        (copy / name).write_text((copy / name).read_text() + "\n")
        of_the_sources.cache_clear()
        assert code_version(copy) != before
    assert all((copy / name).exists() for name in DECIDES)


def test_bundled_data_that_came_out_otherwise_warn(tmp_path, caplog):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    folder = tmp_path / "c" / "cells" / FLOW_CELL
    config = folder / "config.json"
    sha = RunDirectory(folder).read_facts()["data"]["sha256"]
    config.write_text(config.read_text().replace(sha, "f" * 64))
    slices._kept.clear()
    run(tmp_path / "c", {"rows": (RADAC,)}, resume=True)
    assert "hash" not in caplog.text  # a finished cell needs no data
    (folder / "checkpoint.pt").unlink()
    (folder / "policy.pt").unlink()
    checkpoint = _half(tmp_path / "half")
    (tmp_path / "half" / "config.json").write_text(config.read_text())
    del checkpoint
    for name in ("checkpoint.pt", "policy.pt"):
        (folder / name).write_bytes((tmp_path / "half" / name).read_bytes())
    run(tmp_path / "c", {}, resume=True)
    assert caplog.text.count("the run was begun with ffffffffffff") == 1


def _half(folder):
    """Train the flow's cell for 30 of its 60 updates."""
    from ramac_lib.campaign.grid import Grid
    from ramac_lib.training.loop import Schedule

    (cell,) = Grid(**{**SMALL, "rows": (FLOW,), "hazards": ("none",)}).cells()
    job = slices.Job(cell, folder, Schedule(1, 20, 2), 30, 3, Engine(torch.device("cpu")), "")
    return slices.run_slice(job, lambda step: False)


@pytest.mark.parametrize(
    ("name", "time"),
    [("results.csv", 3), ("checkpoint.pt", 1), ("checkpoint.pt", 3), ("policy.pt", 1), ("policy.pt", 5)],
)
def test_no_space_left_at_some_point_and_on_to_the_same_bits(whole, tmp_path, monkeypatch, name, time):
    replace, writes = os.replace, []

    def full(source, target):
        if str(target).endswith(name):
            writes.append(target)
            if len(writes) == time:
                raise OSError(28, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    if name == "results.csv":
        with pytest.raises(RamacError, match="no space is left on the device; nothing there was changed"):
            run(tmp_path / "c")
    else:  # it concerned one cell
        _, failures = run(tmp_path / "c")
        assert [("no space is left" in text) for text in failures.values()] == [True]
    monkeypatch.undo()
    run(tmp_path / "c", {}, resume=True)
    assert contents(tmp_path / "c") == contents(whole)


def test_ctrl_c_stops_at_checkpoints(whole, tmp_path, monkeypatch):
    advance, calls = scheduler.loop.Trainer._advance, []

    def press(self, stack, stop):
        calls.append(stop)
        if len(calls) == 30:
            signal.raise_signal(signal.SIGINT)
        return advance(self, stack, stop)

    monkeypatch.setattr(scheduler.loop.Trainer, "_advance", press)
    with pytest.raises(Interrupted, match="stopped after"):
        run(tmp_path / "c")
    monkeypatch.undo()
    run(tmp_path / "c", {}, resume=True)
    assert contents(tmp_path / "c") == contents(whole)


@pytest.mark.slow
def test_a_process_that_dies_is_tried_once_more_then_reported(whole, tmp_path, monkeypatch):
    """Each slice of the flow's cell loses its process; the other cell's is left alone."""
    kills = []
    original = Processes.run

    def run_and_kill(self, jobs, prepare, on_step):
        def prepare_and_kill(job, waiting):
            if job.cell.name == FLOW_CELL and len(kills) < limit:
                victim = next(w for w in self.workers if w.job is not None and w.job.cell.name == FLOW_CELL)
                kills.append(victim.process.pid)
                os.kill(victim.process.pid, signal.SIGKILL)
            return prepare(job, waiting)

        return original(self, jobs, prepare_and_kill, on_step)

    monkeypatch.setattr(Processes, "run", run_and_kill)
    limit = 1
    _, failures = run(tmp_path / "once", workers=2)
    assert len(kills) == 1
    assert not failures
    assert contents(tmp_path / "once") == contents(whole)
    kills.clear()
    limit = 2
    _, failures = run(tmp_path / "twice", workers=2)
    assert failures == {FLOW_CELL: "its process died twice (signal 9)"}
    assert set(pd.read_csv(tmp_path / "twice" / "results.csv")["method"]) == {"radac"}
    run(tmp_path / "twice", {}, resume=True)
    assert contents(tmp_path / "twice") == contents(whole)


def test_the_face_is_small():
    offered = ["PROFILES", "SCHEMA", "Backend", "Cell", "Grid", "dry_run", "export", "pack", "run", "unpack", "watch"]
    assert campaign.__all__ == offered


def test_data_are_loaded_anew_when_their_file_or_hazard_has_changed(hopper, hopper_file, tmp_path, monkeypatch):
    """As in a notebook, where a file is written again and a hazard is defined again under its name."""
    file, engine = Path(shutil.copy(hopper_file, tmp_path / "own.hdf5")), Engine(torch.device("cpu"))
    monkeypatch.setitem(PRESETS, "always", {})

    def define(fine):
        class Always(Hazard):
            def risk(self, observations, actions, next_observations):
                return np.ones(len(next_observations), bool), 1.0, fine

        register_hazard("always", "hopper-medium-expert", Always())
        return make_config("bc-flow", "hopper-medium-expert", (0,), 5, source=str(file), hazard="always")

    first, facts = slices.load(define(-1.0), engine)
    second, _ = slices.load(config := define(-3.0), engine)
    np.testing.assert_allclose(second.rewards, first.rewards - 2, atol=1e-5)
    assert slices.load(config, engine)[0] is second
    save_file(dataclasses.replace(hopper, rewards=hopper.rewards + 1), file)
    third, others = slices.load(config, engine)
    np.testing.assert_allclose(third.rewards, second.rewards + 1, atol=1e-5)
    assert others["data"]["sha256"] != facts["data"]["sha256"]


def test_the_cores_are_counted_where_a_system_binds_no_process_to_some(monkeypatch, tmp_path):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert cores() == 3
    with pytest.raises(RamacError, match="the budget in seconds is -1"):
        launch.run(tmp_path / "c", budget=-1, device="cpu")


def test_an_evaluation_of_another_horizon_is_not_taken_for_the_report(tmp_path):
    """`ramac evaluate` of a cell that stands at its end and has no report yet."""
    changes = {**SMALL, "rows": (FLOW,)}
    store = CampaignDirectory(tmp_path / "c")
    run(store.path, changes)
    (cell,) = store.read()[0].cells()
    runs = store.run_directory(cell)
    table = runs.read_table("evaluations.csv")
    runs.write_table("evaluations.csv", table[table["purpose"] != "report"])
    evaluate_run(runs.path, 2, horizon=7, device="cpu")
    table, _ = run(store.path, {}, resume=True)
    table = at_noise(table)
    assert table[table["purpose"] == "report"].groupby("horizon").size().to_dict() == {1: 6, 7: 2}


def test_a_campaign_grows_by_seeds(whole, tmp_path):
    """What is finished keeps its bits; the rows of both runs of a row are one row's."""
    out = Path(shutil.copytree(whole, tmp_path / "c"))
    before = contents(out)
    table, failures = run(out, {"seeds": (0, 3)}, resume=True)
    assert not failures
    after = contents(out)
    del before["results.csv"], after["results.csv"]
    assert after.items() >= before.items()
    deployed = at_noise(table)
    counts = deployed[deployed["purpose"] == "report"].groupby(["method", "seed"]).size().to_dict()
    assert counts == {(method, seed): 3 for method in ("bc-flow", "radac") for seed in (0, 1, 3)}
    assert table[table["seed"] == 3]["run"].nunique() == 2
    now, then = ((folder / "results.csv").read_text().splitlines() for folder in (out, whole))
    assert [line for line in now if line in set(then)] == then
    episodes, facts = load_results("results", out)
    found = evidence.make(episodes, facts, episodes.head(0))
    (flow,) = {row for row in found.table["row"] if row.startswith("bc-flow")}
    sample = found.sample("risky-bandit", "none", str(flow))
    assert (sample.seeds, sample.episodes) == (3, 9)


def test_a_campaign_takes_the_environments_id(hopper_file, tmp_path, capsys):
    """Of a file whose attribute names another, as `ramac data` and `ramac train` do."""
    options = (
        *("--tasks", "hopper-medium-expert", "--methods", FLOW, "--seeds", 0, "--steps", 4, "--source", hopper_file),
        *("--env-id", "Hopper-v4", "--episodes", 0, "--report-episodes", 1, "--workers", 0, "--device", "cpu"),
    )
    code, _, error = command(capsys, "campaign", *options, "--out", tmp_path / "c")
    assert code == 0, error
    assert set(pd.read_csv(tmp_path / "c" / "results.csv")["env_id"]) == {"Hopper-v4"}
