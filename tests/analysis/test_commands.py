"""The commands end well, or in one sentence."""

import pytest
from cli_helpers import run


def test_record(capsys, runs, tmp_path):
    code, out, _ = run(
        capsys,
        "analyse",
        "record",
        *runs,
        "--out",
        tmp_path / "s0.5",
        "--episodes",
        2,
        "--no-behaviour",
        "--device",
        "cpu",
    )
    assert code == 0
    assert "DiffusionQL" in out
    assert {f.name for f in tmp_path.iterdir()} == {"s0.5.npz", "s0.5.json"}


def test_critics(capsys, runs, tmp_path):
    call = ("--states", 2, "--rollouts", 2, "--device", "cpu")
    code, out, _ = run(capsys, "analyse", "critics", runs[0], "--out", tmp_path / "c0.5", *call)
    assert code == 0
    assert "bias" in out
    assert {f.name for f in tmp_path.iterdir()} == {"c0.5.csv", "c0.5_states.csv", "c0.5.json"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("analyse", "record", "nowhere", "--out", "x"), "nowhere: holds no run"),
        (("analyse", "critics", "nowhere", "--out", "x"), "nowhere: holds no run"),
    ],
)
def test_bad_arguments_end_in_one_sentence(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 1
    assert err.strip().splitlines() == [f"ramac: {words} (no config.json)"]
    assert not list(tmp_path.iterdir())
