"""Names of files made of a name that a user gave; who is blamed where one cannot be written."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from ramac_lib.system.errors import RamacError
from ramac_lib.system.files import atomic, beside, new_folder, writing


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("g/eta0.5", "g/eta0.5.csv"),
        ("g/eta", "g/eta.csv"),
        ("g/eta.csv", "g/eta.csv"),
        ("g/eta0.5.json", "g/eta0.5.csv"),  # one of the files that a command writes beside each other
        ("v1.2/eta", "v1.2/eta.csv"),
    ],
)
def test_a_dot_in_a_name_is_part_of_it(given, expected):
    assert beside(Path(given), ".csv") == Path(expected)


@pytest.mark.parametrize("given", ["", ".", "..", "/", "results/..", ".csv"])
def test_a_path_without_a_name_is_refused(given):
    with pytest.raises(RamacError, match="has no name that files could have"):
        beside(Path(given), ".csv")


def test_a_suffix_may_be_more_than_a_suffix():
    assert beside(Path("critics.csv"), "_states.csv") == Path("critics_states.csv")


def test_a_file_that_the_block_cannot_read_is_named_and_not_the_one_it_writes(tmp_path):
    out, missing = tmp_path / "out.csv", tmp_path / "in.csv"
    with pytest.raises(FileNotFoundError) as caught, atomic(out) as part:
        part.write_text(missing.read_text())
    assert caught.value.filename == str(missing)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [None, 7, "out", "out/inside", ".out.x.part", ".out.x/inside", "."])
def test_an_error_of_the_path_itself_its_folder_or_its_parts_is_the_paths(tmp_path, name):
    where = str(tmp_path / name) if isinstance(name, str) else name
    with pytest.raises(RamacError, match=r"out: cannot be written \(Permission denied\)"), writing(tmp_path / "out"):
        raise OSError(errno.EACCES, "Permission denied", where)
    with pytest.raises(RamacError, match="out: no space is left on the device"), writing(tmp_path / "out"):
        raise OSError(errno.ENOSPC, "No space left on device", where)


@pytest.mark.parametrize("name", ["other", "outer", ".outer.x.part", "deep/out"])
def test_an_error_of_another_file_stays_what_it_is(tmp_path, name):
    with pytest.raises(PermissionError) as caught, writing(tmp_path / "out"):
        raise OSError(errno.EACCES, "Permission denied", str(tmp_path / name))
    assert caught.value.filename == str(tmp_path / name)


def _die_while_writing(path: Path) -> None:
    with new_folder(path) as fresh:
        (fresh / "half").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_folder_is_whole_or_not_there_and_what_a_killed_one_left_goes(tmp_path):
    out = tmp_path / "out"
    died = multiprocessing.get_context("spawn").Process(target=_die_while_writing, args=(out,))
    died.start()
    died.join()
    assert died.exitcode == -signal.SIGKILL
    assert not out.exists()
    with new_folder(out) as fresh:
        assert list(fresh.iterdir()) == []
        (fresh / "inside").mkdir()
        (fresh / "inside" / "file").write_text("whole")
    assert os.listdir(tmp_path) == ["out"]
    assert (out / "inside" / "file").read_text() == "whole"


def test_a_folder_is_written_by_one_process_at_a_time(tmp_path):
    with new_folder(tmp_path / "out") as fresh:
        (fresh / "mine").write_text("mine")
        with pytest.raises(RamacError, match="another process is writing it"), new_folder(tmp_path / "out"):
            pass
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine"]


def test_a_folder_whose_writing_fails_is_not_there_and_one_with_content_is_refused(tmp_path):
    def fill():
        with new_folder(tmp_path / "out") as fresh:
            (fresh / "half").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device", str(fresh / "half"))

    with pytest.raises(RamacError, match="out: no space is left"):
        fill()
    assert os.listdir(tmp_path) == []
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    with pytest.raises(RamacError, match="out: is not an empty folder"), new_folder(tmp_path / "out"):
        pass
    assert [p.name for p in tmp_path.rglob("*")] == ["out", "mine"]


def test_a_folder_without_a_name_is_refused_and_a_link_to_an_empty_one_is_filled(tmp_path, monkeypatch):
    with pytest.raises(RamacError, match="/ has no name that a folder could have"), new_folder(Path("/")):
        pass
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "here")
    with new_folder(tmp_path / "link") as fresh:
        (fresh / "file").write_text("whole")
    assert (tmp_path / "here" / "file").read_text() == "whole"
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "there")
    with new_folder(Path()) as fresh:
        (fresh / "file").write_text("whole")
    assert (tmp_path / "there" / "file").read_text() == "whole"
