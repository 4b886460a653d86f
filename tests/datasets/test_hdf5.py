"""A file in D4RL's layout is read in every variant that D4RL has, and each fault of one is named."""

import os
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from ramac_lib.datasets import hdf5
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

KEYS = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")


def test_reads_float64_and_bool(hopper_file, hopper_arrays):
    data = hdf5.load_file(hopper_file, "Hopper-v4")
    assert hopper_arrays["observations"].dtype == np.float64
    for key in KEYS:
        np.testing.assert_array_equal(getattr(data, key), hopper_arrays[key].astype(getattr(data, key).dtype))
    assert data.env_id == "Hopper-v4"
    assert data.recipe == {"source": "file", "sha256": data.sha256()}


def test_uses_the_files_own_next_observations(hopper_file):
    data = hdf5.load_file(hopper_file, "Hopper-v4")
    ends = np.flatnonzero(data.terminals[:-1])
    assert (np.abs(data.next_observations[ends] - data.observations[ends + 1]).max(axis=1) > 0.05).all()


@pytest.mark.parametrize("flag", [np.uint8, np.float32, np.float64, np.int64])
def test_reads_d4rls_variants_to_the_same_bits(hopper_arrays, hopper, tmp_path, flag, write):
    variant = {
        **{key: hopper_arrays[key].astype(np.float32) for key in KEYS[:4]},
        **{key: hopper_arrays[key].astype(flag)[:, None] for key in KEYS[4:]},
    }
    variant["rewards"] = variant["rewards"][:, None]
    assert hdf5.load_file(write(tmp_path / "v.hdf5", variant), "Hopper-v4").sha256() == hopper.sha256()


def test_round_trip_keeps_hash_environment_and_recipe(hopper, tmp_path):
    saved = hopper.with_(recipe={"source": "bundled", "size": 400, "seeds": [1, 2]}, env_id="Hopper-v5")
    path = hdf5.save_file(saved, tmp_path / "new" / "cache.hdf5")
    data = hdf5.load_file(path)
    assert data.sha256() == saved.sha256()
    assert data.env_id == "Hopper-v5"
    assert data.recipe == saved.recipe
    assert os.listdir(path.parent) == ["cache.hdf5"]


def test_edited_arrays_lose_the_stored_recipe(hopper, tmp_path):
    path = hdf5.save_file(hopper.with_(recipe={"source": "bundled"}), tmp_path / "cache.hdf5")
    with h5py.File(path, "r+") as file:
        file["rewards"][0] = 123.0
    data = hdf5.load_file(path)
    assert data.recipe == {"source": "file", "sha256": data.sha256()}


@pytest.mark.parametrize("key", KEYS)
def test_refuses_a_missing_key(hopper_arrays, tmp_path, key, write):
    path = write(tmp_path / "f.hdf5", {other: hopper_arrays[other] for other in KEYS if other != key})
    with pytest.raises(RamacError, match=f"f.hdf5 lacks the key '{key}'; expected the arrays observations"):
        hdf5.load_file(path, "Hopper-v4")


def changed(key, change):
    def apply(arrays):
        arrays[key] = change(arrays[key].copy())

    return apply


def at(row, value):
    def put(array):
        array[row] = value
        return array

    return put


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (changed("rewards", at(17, np.nan)), "rewards is NaN or infinite at row 17"),
        (changed("observations", at(3, 1e300)), "observations is NaN or infinite at row 3"),
        (changed("actions", at(0, 3.0)), r"actions reaches 3; expected values in \[-1, 1\]"),
        (changed("actions", lambda a: a[:-1]), r"as many rows in each array, found .*actions \(399,\)"),
        (changed("observations", lambda a: a[:, 0]), r"observations has shape \(400,\); expected 2 dimension"),
        (changed("next_observations", lambda a: a[:, :5]), r"next_observations has shape \(400, 5\)"),
        (changed("terminals", lambda a: a.astype(float) / 2), "terminals holds other values than 0 and 1"),
        (changed("timeouts", lambda a: np.full(400, b"no")), "timeouts is .S2 of shape"),
        (changed("timeouts", lambda a: a & False), "at row .* expected terminals or timeouts to mark"),
        (lambda arrays: arrays.update({k: a[:0] for k, a in arrays.items()}), "holds no transitions"),
        (lambda arrays: arrays.update(rewards=np.float64(3)), r"rewards is float64 of shape \(\); expected"),
    ],
)
def test_refuses_wrong_content_and_names_file_and_key(hopper_arrays, tmp_path, fault, message):
    arrays = dict(hopper_arrays)
    fault(arrays)
    path = tmp_path / "f.hdf5"
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file[key] = array
    with pytest.raises(RamacError, match=f"f.hdf5.*{message}") as caught:
        hdf5.load_file(path, "Hopper-v4")
    assert "\n" not in str(caught.value)


def test_refuses_a_group_in_an_arrays_place(hopper_arrays, tmp_path, write):
    path = write(tmp_path / "f.hdf5", {key: hopper_arrays[key] for key in KEYS[1:]})
    with h5py.File(path, "r+") as file:
        file.create_group("observations")
    with pytest.raises(RamacError, match="lacks the key 'observations'"):
        hdf5.load_file(path, "Hopper-v4")


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "is truncated: expected a whole HDF5 file"),
        (lambda whole: whole[:8], "is damaged"),
        (lambda whole: b"", "is not an HDF5 file"),
        (lambda whole: b"<html>404</html>", "is not an HDF5 file"),
    ],
)
def test_refuses_a_cut_or_foreign_file(hopper_file, cut, message):
    hopper_file.write_bytes(cut(hopper_file.read_bytes()))
    for read in (hdf5.check_layout, hdf5.load_file):
        with pytest.raises(RamacError, match=f"hopper.hdf5 {message}") as caught:
            read(hopper_file)
        assert "\n" not in str(caught.value)


def test_refuses_a_damaged_chunk(hopper_file):
    with h5py.File(hopper_file) as file:
        chunk = file["observations"].id.get_chunk_info(0)
    content = bytearray(hopper_file.read_bytes())
    content[chunk.byte_offset + 10 : chunk.byte_offset + 200] = bytes(190)
    hopper_file.write_bytes(content)
    with pytest.raises(RamacError, match=r"hopper.hdf5 is damaged"):
        hdf5.load_file(hopper_file, "Hopper-v4")


def test_refuses_no_file_and_a_folder(tmp_path):
    with pytest.raises(RamacError, match=r"none.hdf5: no such file"):
        hdf5.load_file(tmp_path / "none.hdf5")
    with pytest.raises(RamacError, match="is a folder"):
        hdf5.load_file(tmp_path)


def test_the_environment_is_given_stored_or_the_tasks(hopper, hopper_file, tmp_path):
    assert hdf5.load_file(hopper_file, task=get_task("hopper-medium-replay")).env_id == "Hopper-v4"
    assert hdf5.load_file(hopper_file, "My-v0", get_task("hopper-medium-replay")).env_id == "My-v0"
    stored = hdf5.save_file(hopper.with_(env_id="Hopper-v5"), tmp_path / "s.hdf5")
    assert hdf5.load_file(stored, task=get_task("hopper-medium-expert")).env_id == "Hopper-v5"
    with pytest.raises(RamacError, match=r"s.hdf5: env_id is Hopper-v5; expected one of walker2d-medium-expert"):
        hdf5.load_file(stored, task=get_task("walker2d-medium-expert"))
    with pytest.raises(RamacError, match="has no attribute env_id; expected a task"):
        hdf5.load_file(hopper_file)


def test_an_environment_stored_as_bytes(hopper_file):
    with h5py.File(hopper_file, "r+") as file:
        file.attrs["env_id"] = np.bytes_("Hopper-v3")
    assert hdf5.load_file(hopper_file, task=get_task("hopper-medium-expert")).env_id == "Hopper-v3"


def test_refuses_another_tasks_columns(hopper_file):
    with pytest.raises(RamacError, match="observations has 11 columns; expected 17, as in walker2d-medium-expert"):
        hdf5.load_file(hopper_file, task=get_task("walker2d-medium-expert"))


def test_marks_a_few_unmarked_breaks_when_asked(hopper_arrays, hopper, tmp_path, write):
    timeouts = hopper_arrays["timeouts"].copy()
    lost = np.flatnonzero(timeouts)[2]
    timeouts[lost] = False
    path = write(tmp_path / "f.hdf5", {**hopper_arrays, "timeouts": timeouts})
    with pytest.raises(RamacError, match=f"at row {lost} is not"):
        hdf5.load_file(path, "Hopper-v4")
    data = hdf5.load_file(path, "Hopper-v4", mark_breaks=True)
    assert data.sha256() == hopper.sha256()
    assert data.recipe["marked_breaks"] == 1


def test_does_not_mark_many(hopper_arrays, tmp_path, write):
    arrays = {**hopper_arrays, "next_observations": hopper_arrays["observations"]}
    with pytest.raises(RamacError, match="next_observations at row 0 is not the next row's"):
        hdf5.load_file(write(tmp_path / "f.hdf5", arrays), "Hopper-v4", mark_breaks=True)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(hopper, tmp_path):
    path = hdf5.save_file(hopper, tmp_path / "cache.hdf5")
    before = path.read_bytes()
    script = (
        "import resource, sys\n"
        "from ramac_lib.datasets import hdf5\n"
        "from ramac_lib.system.errors import RamacError\n"
        "data = hdf5.load_file(sys.argv[1])\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))\n"
        "try:\n    hdf5.save_file(data, sys.argv[1])\n"
        "except RamacError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{path}: no space is left")
    assert done.stdout.count("\n") == 1
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["cache.hdf5"]


def test_no_permission_to_write_is_one_sentence(hopper, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RamacError, match=r"cannot be written \(File exists\)"):
        hdf5.save_file(hopper, tmp_path / "file" / "cache.hdf5")


@pytest.mark.parametrize("kind", ["external storage", "external link", "soft link", "virtual"])
def test_what_lies_in_another_file_is_never_read(hopper_arrays, tmp_path, write, kind):
    secret = write(tmp_path / "secret.hdf5", hopper_arrays)
    path = write(tmp_path / "f.hdf5", {k: v for k, v in hopper_arrays.items() if k != "rewards"})
    rows = len(hopper_arrays["rewards"])
    with h5py.File(path, "a") as file:
        if kind == "external storage":
            file.create_dataset("rewards", (rows,), np.uint8, external=[(str(secret), 0, rows)])
        elif kind == "external link":
            file["rewards"] = h5py.ExternalLink(str(secret), "/rewards")
        elif kind == "soft link":  # whose path may lead through an external one
            file["there"] = h5py.ExternalLink(str(secret), "/")
            file["rewards"] = h5py.SoftLink("/there/rewards")
        else:
            layout = h5py.VirtualLayout((rows,), np.float64)
            layout[:] = h5py.VirtualSource(str(secret), "rewards", (rows,))
            file.create_virtual_dataset("rewards", layout)
    for read in (lambda: hdf5.load_file(path, "Hopper-v4"), lambda: hdf5.check_layout(path)):
        with pytest.raises(RamacError, match=r"rewards is (a link|stored in other files).* in the file itself"):
            read()


def test_a_virtual_array_of_this_very_file_is_not_taken_either(hopper_arrays, tmp_path, write):
    path = write(tmp_path / "f.hdf5", hopper_arrays)
    with h5py.File(path, "a") as file:
        rows = len(file["rewards"])
        layout = h5py.VirtualLayout((rows,), np.float64)
        layout[:] = h5py.VirtualSource(".", "rewards", (rows,))
        file.create_virtual_dataset("costs", layout)
    with pytest.raises(RamacError, match="costs is stored in other files"):
        hdf5.load_file(path, "Hopper-v4")


def test_rows_that_no_file_of_that_size_holds_are_refused_before_memory_is_asked_for(tmp_path):
    path = tmp_path / "f.hdf5"
    with h5py.File(path, "w") as file:
        for key, columns in zip(KEYS, ((11,), (3,), (), (11,), (), ()), strict=True):
            file.create_dataset(key, (10**12, *columns), np.float32, chunks=(1024, *columns), compression="gzip")
    with pytest.raises(RamacError, match=r"declares [\d,]+ bytes; expected no more than its 0 can hold"):
        hdf5.load_file(path, "Hopper-v4")


def test_bytes_of_one_array_do_not_vouch_for_another(hopper_arrays, tmp_path, write):
    path = write(tmp_path / "f.hdf5", {key: value for key, value in hopper_arrays.items() if key != "observations"})
    rows = len(hopper_arrays["rewards"])
    with h5py.File(path, "a") as file:
        file["ballast"] = np.zeros(3_000_000, np.uint8)
        file.create_dataset("observations", (rows, 10**9 // rows), np.float32, chunks=(1, 1024))
    with pytest.raises(RamacError, match=r"observations declares [\d,]+ bytes; expected no more than its 0 can hold"):
        hdf5.load_file(path, "Hopper-v4")


def test_more_than_the_memory_there_is_is_refused_before_it_is_asked_for(hopper_arrays, tmp_path, write, monkeypatch):
    path = write(tmp_path / "f.hdf5", hopper_arrays)
    monkeypatch.setattr(hdf5.os, "sysconf", lambda _: 10)
    with pytest.raises(RamacError, match=r"its arrays have [\d,]+ bytes; this machine's memory 100$"):
        hdf5.load_file(path, "Hopper-v4")


def test_a_small_array_that_was_never_written_is_read_as_its_fill_value(hopper_arrays, tmp_path, write):
    path = write(tmp_path / "f.hdf5", {key: value for key, value in hopper_arrays.items() if key != "rewards"})
    with h5py.File(path, "a") as file:
        file.create_dataset("rewards", (len(hopper_arrays["terminals"]),), np.float32, fillvalue=0.5)
    assert set(hdf5.load_file(path, "Hopper-v4").rewards) == {0.5}


def test_numbers_of_rows_are_compared_before_any_is_read(hopper_arrays, tmp_path, write, monkeypatch):
    path = write(tmp_path / "f.hdf5", {**hopper_arrays, "timeouts": hopper_arrays["timeouts"][:-1]})
    monkeypatch.setattr(hdf5, "_read", lambda *_: pytest.fail("an array was read"))
    with pytest.raises(RamacError, match="expected as many rows in each array"):
        hdf5.load_file(path, "Hopper-v4")


def test_an_environment_named_by_a_file_imports_nothing(hopper_arrays, tmp_path, write, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trojan.py").write_text("raise SystemExit('imported')")
    path = write(tmp_path / "f.hdf5", hopper_arrays)
    with h5py.File(path, "a") as file:
        file.attrs["env_id"] = "trojan:Hopper-v4"
    for task in (None, get_task("hopper-medium-expert")):
        with pytest.raises(RamacError, match="trojan:Hopper-v4"):
            hdf5.load_file(path, task=task)


@pytest.mark.slow
def test_loads_two_million_transitions_in_five_seconds(tmp_path):
    n, rows, rng = 2_000_000, 2000, np.random.default_rng(0)
    states = rng.standard_normal((rows, 17), dtype=np.float32)
    timeouts = np.zeros(rows, bool)
    timeouts[999::1000] = True
    path = tmp_path / "cheetah.hdf5"
    with h5py.File(path, "w") as file:  # one chunk of rows, compressed once and stored a thousand times
        for key, array in {
            "observations": states,
            "next_observations": np.roll(states, -1, axis=0),
            "actions": np.tanh(rng.standard_normal((rows, 6), dtype=np.float32)),
            "rewards": rng.standard_normal(rows, dtype=np.float32),
            "terminals": np.zeros(rows, bool),
            "timeouts": timeouts,
        }.items():
            column = file.create_dataset(
                key, (n, *array.shape[1:]), array.dtype, chunks=array.shape, compression="gzip", compression_opts=1
            )
            chunk = zlib.compress(array.tobytes(), 1)
            for row in range(0, n, rows):
                column.id.write_direct_chunk((row, *[0] * (array.ndim - 1)), chunk)
    start = time.process_time()  # one thread; other work on the machine must not fail the test
    data = hdf5.load_file(path, task=get_task("halfcheetah-medium-expert"))
    seconds = time.process_time() - start
    assert len(data) == n
    assert seconds < 5


@pytest.fixture
def endless(hopper_arrays, tmp_path, write, monkeypatch):
    """A file with one wrong byte, the size of what is free in the heap of its attributes: HDF5 2.0 reads for ever."""
    monkeypatch.setattr(hdf5, "PATIENCE", 1)
    path = write(tmp_path / "f.hdf5", hopper_arrays)
    with h5py.File(path, "a") as file:
        file.attrs["env_id"] = "Hopper-v4"
    content = bytearray(path.read_bytes())
    free = content.index(b"Hopper-v4") + 16 + 8
    assert content[free : free + 8] == (4048).to_bytes(8, "little")
    content[free + 1] = 0
    path.write_bytes(content)
    return path


def test_a_file_that_hdf5_never_comes_to_an_end_with_is_refused(endless):
    with pytest.raises(RamacError, match=r"f\.hdf5 is damaged: .*HDF5 itself fails on this one"):
        hdf5.load_file(endless)


def test_a_file_on_which_hdf5_crashes_is_refused(hopper_arrays, tmp_path, write, monkeypatch):
    path = write(tmp_path / "f.hdf5", hopper_arrays)
    monkeypatch.setattr(hdf5, "_look", lambda *_: os.kill(os.getpid(), signal.SIGSEGV))
    with pytest.raises(RamacError, match="HDF5 itself fails on this one"):
        hdf5.load_file(path, "Hopper-v4")


def test_what_looks_at_an_endless_file_ends_with_the_loader(endless, tmp_path):
    script = "import sys; from ramac_lib.datasets import hdf5; hdf5.load_file(sys.argv[1])"
    loader = subprocess.Popen([sys.executable, "-c", script, str(endless)])
    children = Path(f"/proc/{loader.pid}/task/{loader.pid}/children")
    until = time.monotonic() + 60
    while not children.read_text() and time.monotonic() < until:
        time.sleep(0.02)
    (copy,) = children.read_text().split()
    loader.kill()
    loader.wait()
    until = time.monotonic() + 10
    while Path(f"/proc/{copy}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(f"/proc/{copy}").exists()


def test_a_file_is_read_where_children_are_not_waited_for(hopper_file):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert len(hdf5.load_file(hopper_file, "Hopper-v4"))
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("stored", [[1, 2, 3], ["a", "b"], "right"])
def test_attributes_of_any_kind_are_no_reason_to_fail_without_a_sentence(hopper_file, stored):
    digest = hdf5.load_file(hopper_file, "Hopper-v4").sha256()
    with h5py.File(hopper_file, "a") as file:
        file.attrs["recipe"] = "[" * 60_000
        file.attrs["sha256"] = digest if stored == "right" else stored
    if stored == "right":
        with pytest.raises(RamacError, match="its attribute recipe is damaged"):
            hdf5.load_file(hopper_file, "Hopper-v4")
    else:
        assert hdf5.load_file(hopper_file, "Hopper-v4").recipe["source"] == "file"


@pytest.mark.parametrize("kind", ["external link", "soft link", "external storage", "virtual", None])
def test_a_file_for_another_library_is_checked_whole(tmp_path, kind):
    path = tmp_path / "f.hdf5"
    with h5py.File(path, "w") as file:
        group = file.create_group("episode_0/infos")
        group["cost"] = np.zeros(3)
        if kind == "external link":
            group["rewards"] = h5py.ExternalLink("secret.hdf5", "/rewards")
        elif kind == "soft link":
            group["rewards"] = h5py.SoftLink("/elsewhere")
        elif kind == "external storage":
            group.create_dataset("rewards", (3,), np.uint8, external=[(str(tmp_path / "secret"), 0, 3)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((3,), np.float64)
            layout[:] = h5py.VirtualSource("secret.hdf5", "rewards", (3,))
            group.create_virtual_dataset("rewards", layout)
    if kind is None:
        hdf5.check_inside(path)
    else:
        with pytest.raises(RamacError, match=r"episode_0/infos/rewards is (a link|stored in other files)"):
            hdf5.check_inside(path)
