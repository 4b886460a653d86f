"""A sample of `make attack`: bad inputs end in a sentence, kills and full disks lose nothing."""

import sys
import tempfile
import time
from pathlib import Path

import pytest

SECONDS = 20  # of each half

sys.path.append(str(Path(__file__).parents[2] / "tools" / "attack"))

import bad_inputs  # noqa: E402
import fuzz  # noqa: E402
import kills  # noqa: E402
import world as attacked  # noqa: E402

from ramac_lib.system.errors import RamacError  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="forks and limits")]


@pytest.fixture(scope="module")
def world():
    made = attacked.World()
    yield made
    made.close()


@pytest.mark.parametrize("kind", bad_inputs.ATTACKS)
def test_bad_inputs_end_in_a_sentence(world, monkeypatch, kind):
    record, end = attacked.Record(), time.monotonic() + SECONDS / len(bad_inputs.ATTACKS)
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr(bad_inputs, "ATTACKS", {kind: (bad_inputs.ATTACKS[kind][0], 1)})
    bad_inputs.attack(world, record, 12, 1, lambda: time.monotonic() > end)
    assert record.faults == []
    assert record.tried[kind] >= 1


def test_kills_and_full_disks_lose_nothing(world, monkeypatch):
    record, end = attacked.Record(), time.monotonic() + SECONDS
    monkeypatch.chdir(world.folder)
    kills.attack(world, record, 12, 1, lambda: time.monotonic() > end)
    assert record.faults == []
    assert record.tried["sweep"] + record.tried["kills"] >= 1
    assert record.tried["ends"] >= 1


@pytest.mark.parametrize(
    ("code", "error", "fault"),
    [
        (0, "", None),
        (1, "a bar\nramac: a is 1; expected 2", None),
        (2, "usage", None),
        (70, "ramac: unexpected KeyError: 'x'", "exit code 70"),
        (1, "Traceback (most recent call last):\n  …\nKeyError", "a traceback"),
        (1, "killed", "no sentence"),
        (1, "", "no sentence"),
        (124, "it did not end", "exit code 124"),
    ],
)
def test_the_judge_knows_a_sentence_from_a_fault(code, error, fault):
    found = attacked.Verdict(code, error).fault
    assert found is None if fault is None else found.startswith(fault)


def test_a_kill_that_loses_a_row_is_noticed(world, monkeypatch):
    """The judge of kills, where what goes on is not what was."""
    real = kills.results
    monkeypatch.chdir(world.folder)
    monkeypatch.setattr(
        kills, "results", lambda folder: {**real(folder), **({} if folder.parent.name == "whole" else {"lost": 1})}
    )
    record = attacked.Record()
    kills.attack(world, record, 1, 2, lambda: False)
    assert any("other results than undisturbed" in fault for fault in record.faults)


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ramac_lib.envs.behaviour.policy_path", None)  # put back at the end
        patch.setattr(tempfile, "tempdir", None)
        patch.setenv("TMPDIR", "")
        yield fuzz.readers(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("name", fuzz.READERS)
def test_what_the_fuzzer_begins_with_is_read_and_what_it_makes_is_refused(readers, name):
    read, begin = readers[name]
    assert set(readers) == set(fuzz.READERS)
    content = begin()
    read(content)
    refused = 0
    for wrong in (b"", b"8", b"\xff", b"[" * 100_000, content[: len(content) // 2], content.replace(b"1", b"1e999")):
        try:
            read(wrong)
        except RamacError:
            refused += 1
    assert refused >= 3
    read(content)
