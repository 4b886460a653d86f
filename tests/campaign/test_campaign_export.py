"""A campaign's results as one compressed file a task and hazard."""

import gzip
import json
import multiprocessing
import os

import pandas as pd
import pytest
from campaign_helpers import FLOW, SMALL, run
from cli_helpers import run as command

from ramac_lib import campaign
from ramac_lib.analysis import evidence
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.system.errors import RamacError
from ramac_lib.training import results, stored

NAMES = ("hopper-medium-expert.paper", "hopper-medium-expert.none")


@pytest.fixture(scope="module")
def made(tmp_path_factory, hopper_file):
    """A campaign under two hazards, one of its runs evaluated under another hazard, and what it exports."""
    folder = tmp_path_factory.mktemp("export")
    changes = {**SMALL, "rows": (FLOW,), "hazards": ("paper", "none"), "tasks": ("hopper-medium-expert",)}
    changes |= {"source": str(hopper_file), "steps": 6, "evaluations": 2}
    run(folder / "c", changes)
    cell = CampaignDirectory(folder / "c").read()[0].cells()[0]
    stored.evaluate_run(folder / "c" / "cells" / cell.name, 2, horizon=9, hazard="none", device="cpu")
    run(folder / "c", {}, resume=True)
    return folder / "c", campaign.export(folder / "c", folder / "data" / "campaign")


def test_a_file_a_task_and_hazard_holds_its_runs_whatever_they_were_evaluated_under(made):
    _, files = made
    assert [f.name for f in files] == [f"{name}{end}" for name in NAMES for end in (".csv.gz", ".json")]
    table = pd.read_csv(files[0], keep_default_na=False)
    assert set(table["hazard"]) == {"paper", "none"}
    assert set(table["run"]) == set(json.loads(files[1].read_text()))
    assert table["run"].nunique() == 1


def test_what_is_read_back_is_what_the_campaign_has(made):
    out, files = made
    table, facts = results.load("campaign", files[0].parents[1])
    expected, made_by = results.load("results", out)
    pd.testing.assert_frame_equal(table, expected)
    assert facts == made_by
    found = evidence.load(files[0].parents[1])
    assert found.settings() == [("hopper-medium-expert", "paper"), ("hopper-medium-expert", "none")]


def test_the_same_results_are_the_same_bytes(made, tmp_path):
    out, files = made
    again = campaign.export(out, tmp_path / "again")
    assert [f.read_bytes() for f in again] == [f.read_bytes() for f in files]
    with gzip.open(files[0], "rt") as text:  # every number as the campaign wrote it
        assert set(text) <= set((out / "results.csv").read_text().splitlines(keepends=True))


def test_rows_made_elsewhere_come_to_those_that_are_stored(tmp_path):
    """Two campaigns, a row each, export into one folder: it has what one campaign of both rows would have."""
    rows = (FLOW, "bc-cvae:hidden=8")
    for i, row in enumerate(rows):
        run(tmp_path / f"c{i}", {**SMALL, "rows": (row,)})
        files = campaign.export(tmp_path / f"c{i}", tmp_path / "apart" / "x")
    run(tmp_path / "both", {**SMALL, "rows": rows})
    campaign.export(tmp_path / "both", tmp_path / "together" / "x")
    (apart, facts), (together, expected) = (results.load("x", tmp_path / k) for k in ("apart", "together"))
    pd.testing.assert_frame_equal(apart, together)
    assert set(facts) == set(expected) == set(apart["run"])
    before = [f.read_bytes() for f in files]
    campaign.export(tmp_path / "c1", tmp_path / "apart" / "x")
    assert [f.read_bytes() for f in files] == before
    files[1].write_text("{}")
    with pytest.raises(RamacError, match=r"none\.json: run [0-9a-f]+ is missing, whose rows are in risky-bandit"):
        campaign.export(tmp_path / "c1", tmp_path / "apart" / "x")


def test_two_exports_at_once_lose_no_run(tmp_path):
    """Sixteen processes, two campaigns, one folder."""
    rows = (FLOW, "bc-cvae:hidden=8")
    for i, row in enumerate(rows):
        run(tmp_path / f"c{i}", {**SMALL, "rows": (row,)})
    for k in range(4):
        out = tmp_path / f"x{k}"
        context = multiprocessing.get_context("fork")
        both = [context.Process(target=campaign.export, args=(tmp_path / f"c{i}", out)) for i in (0, 1, 0, 1)]
        for process in both:
            process.start()
        for process in both:
            process.join()
        assert [process.exitcode for process in both] == [0] * 4
        assert results.read_part(out / "risky-bandit.none.csv.gz")[0]["run"].nunique() == 2


@pytest.mark.parametrize("moves", [0, 1])
def test_an_export_that_is_killed_is_made_again(tmp_path, monkeypatch, moves):
    """Before its first file is in its place, and between its two; beside another campaign's runs that are there."""
    for i, row in enumerate((FLOW, "bc-cvae:hidden=8")):
        run(tmp_path / f"c{i}", {**SMALL, "rows": (row,)})
    campaign.export(tmp_path / "c0", tmp_path / "x")
    left, replace = [moves], os.replace

    def killed(*paths):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        replace(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            campaign.export(tmp_path / "c1", tmp_path / "x")
    assert results.read_part(tmp_path / "x" / "risky-bandit.none.csv.gz")[0]["run"].nunique() == 1
    campaign.export(tmp_path / "c1", tmp_path / "x")
    table, facts = results.read_part(tmp_path / "x" / "risky-bandit.none.csv.gz")
    assert set(facts) == set(table["run"])
    assert len(facts) == 2


@pytest.mark.parametrize(
    ("name", "text"), [("results.json", "{"), ("results.csv", "," * 200), ("results.json", "[" * 10**5)]
)
def test_a_damaged_table_is_said_and_how_to_mend_it(tmp_path, name, text):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW,)})
    before = (tmp_path / "c" / name).read_text() if name == "results.csv" else ""
    (tmp_path / "c" / name).write_text(before + text)
    with pytest.raises(RamacError, match=r"is damaged; `ramac campaign --resume` makes both anew from the runs$"):
        campaign.export(tmp_path / "c", tmp_path / "x")
    run(tmp_path / "c", {}, resume=True)
    assert len(campaign.export(tmp_path / "c", tmp_path / "x")) == 2
    (tmp_path / "file").touch()
    with pytest.raises(RamacError, match=r"file/x: cannot be written"):
        campaign.export(tmp_path / "c", tmp_path / "file" / "x")


def test_only_what_is_whole_is_written(tmp_path, capsys):
    out = tmp_path / "c"
    run(out, {**SMALL, "rows": (FLOW,)})
    store = CampaignDirectory(out)
    grid, code = store.read()
    store.write(grid.grown(grid.but({"rows": ("bc-cvae:hidden=8",)})), code)  # begun, and not gone on with
    exit_code, _, error = command(capsys, "campaign", "--out", out, "--export", tmp_path / "x")
    assert exit_code == 1
    assert error.strip() == f"ramac: {out}: no task is whole yet; risky-bandit.none has 1 of 2 runs"
    assert not (tmp_path / "x").exists()
    store.write(grid, code)
    exit_code, shown, _ = command(capsys, "campaign", "--out", out, "--export", tmp_path / "x")
    assert exit_code == 0
    assert "1 tasks and hazards are whole" in shown
    names = sorted(f.name for f in (tmp_path / "x").glob("[!.]*"))
    assert names == ["risky-bandit.none.csv.gz", "risky-bandit.none.json"]


def test_what_is_no_campaign_or_no_table_is_refused_in_a_sentence(made, tmp_path):
    with pytest.raises(RamacError, match="holds no campaign"):
        campaign.export(tmp_path, tmp_path / "x")
    _, files = made
    folder = tmp_path / "campaign"
    folder.mkdir()
    with pytest.raises(RamacError, match=r"campaign: holds no results"):
        results.load("campaign", tmp_path)
    (folder / files[0].name).write_bytes(files[0].read_bytes()[:200])
    with pytest.raises(RamacError, match=r"paper\.csv\.gz: is damaged"):
        results.load("campaign", tmp_path)
    (folder / files[0].name).write_bytes(files[0].read_bytes())
    with pytest.raises(RamacError, match=r"paper\.json: not there"):
        results.load("campaign", tmp_path)
    (tmp_path / "campaign.csv").touch()
    with pytest.raises(RamacError, match=r"both campaign\.csv and campaign/"):
        results.load("campaign", tmp_path)
