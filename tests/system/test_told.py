"""Whatever goes wrong is one sentence; with --debug its traceback."""

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool

import pytest
from cli_helpers import run

from ramac_lib.system.errors import RamacError, told


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        (RamacError("two\n lines"), "two lines", 1),
        (FileNotFoundError(2, "No such file or directory", "there"), "there: No such file or directory", 1),
        (OSError(28, "No space left on device"), "No space left on device", 1),
        (MemoryError(), "no memory is left; ", 1),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "no memory is left; ", 1),
        (BrokenProcessPool("x"), "a process that worked for this command was killed", 1),
        (UnicodeEncodeError("utf-8", "a\udcff", 1, 2, "surrogates not allowed"), "'a\\udcff' is no text in UTF-8; ", 1),
        (KeyError("x"), "unexpected KeyError: 'x'; `ramac --debug …` shows where", 70),
    ],
)
def test_an_error_is_one_sentence_and_a_code(error, sentence, code):
    text, found = told(error)
    assert text.startswith(sentence)
    assert found == code
    assert "\n" not in text


@pytest.mark.parametrize("name", ["MUJOCO_GL", "MPLBACKEND"])
def test_a_variable_that_another_package_does_not_understand_is_named(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "bogus")
    words = ["train", "--method", "bc-flow", "--task", "risky-bandit", "--size", "100", "--steps", "1", "--episodes"]
    words += ["1", "--device", "cpu", "--engine", "eager", "--out", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-m", "ramac_lib.cli", *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"ramac: the environment variable {name} is 'bogus': ")


def test_an_argument_of_other_bytes_than_utf_8_is_named():
    words = [sys.executable, "-m", "ramac_lib.cli", "data", "hopper-medium-expert", "--source"]
    done = subprocess.run([*words, b"dsrl:http://x/\xff.hdf5"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "ramac: 'http://x/\\udcff.hdf5' is no text in UTF-8; expected a name or a path that is\n"


def test_a_traceback_is_shown_when_it_is_asked_for(capsys, monkeypatch):
    def broken(*_, **__):
        raise KeyError("a bug")

    monkeypatch.setattr("ramac_lib.datasets.load", broken)
    code, _, err = run(capsys, "data", "risky-bandit")
    assert code == 70
    assert err.strip().splitlines() == [err.strip()]
    with pytest.raises(KeyError, match="a bug"):
        run(capsys, "--debug", "data", "risky-bandit")


@pytest.mark.parametrize(("columns", "encoding"), [("5", "utf-8"), ("0", "utf-8"), ("80", "ascii")])
def test_a_narrow_or_plain_terminal_is_no_reason_to_fail(columns, encoding, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for words, code in ((["train", "--help"], 0), (["train", "--steps", "many"], 2)):
        done = subprocess.run([sys.executable, "-m", "ramac_lib.cli", *words], capture_output=True, text=True)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
