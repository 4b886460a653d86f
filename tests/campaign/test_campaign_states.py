"""States for other machines: versions that are whole or not there, of which the first of two wins."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid

import pytest
from campaign_helpers import SMALL, contents, run

from ramac_lib.campaign.backends.states import FILES, StateStore, Superseded, Version
from ramac_lib.system.errors import RamacError

pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "memory", "s3"])
def url(request, tmp_path):
    """A folder, fsspec's store in memory, and S3 as moto's server plays it on this machine."""
    if request.param == "folder":
        yield str(tmp_path / "states")
    elif request.param == "memory":
        yield f"memory://{uuid.uuid4()}"
    else:
        yield from request.getfixturevalue("bucket")


@pytest.fixture
def bucket(monkeypatch):
    """An address in a bucket of a local stand-in for S3."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().makedirs("ramac-states", exist_ok=True)
    yield [f"s3://ramac-states/{uuid.uuid4()}"]
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def _folder(path, **contents):
    path.mkdir(parents=True, exist_ok=True)
    for stem, text in contents.items():
        name = next(name for name in FILES if name.startswith(stem))
        (path / name).write_text(text)
    return path


def _texts(path):
    return {p.name: p.read_text() for p in path.iterdir()} if path.exists() else {}


def test_the_newest_version_comes_back_and_two_are_kept(url, tmp_path):
    store, at = StateStore(url), Version()
    assert store.newest("a", tmp_path / "none") == Version()
    for k in range(4):
        at = store.publish("a", _folder(tmp_path / "from", config="c", checkpoint=f"state {k}"), at)
    assert at.number == 4
    assert StateStore(url).numbers("a") == [4, 3]
    assert StateStore(url).newest("a", tmp_path / "to") == at
    assert _texts(tmp_path / "to") == {"config.json": "c", "checkpoint.pt": "state 3"}
    assert len(store.fs.ls(f"{store.root}/a/files", detail=False)) == 3  # c, state 2, state 3
    store.remove("a")
    assert store.numbers("a") == []
    store.remove("a")


def test_the_same_files_are_no_new_version(url, tmp_path):
    store = StateStore(url)
    at = store.publish("a", _folder(tmp_path / "a", config="c"), Version())
    assert store.publish("a", tmp_path / "a", at) == at
    assert store.numbers("a") == [1]


def test_of_two_who_go_on_from_one_version_the_first_wins(url, tmp_path):
    store = StateStore(url)
    at = store.publish("a", _folder(tmp_path / "a", checkpoint="1"), Version())
    store.publish("a", _folder(tmp_path / "a", checkpoint="2"), at)
    with pytest.raises(Superseded):
        store.publish("a", _folder(tmp_path / "b", checkpoint="other 2"), at)
    store.newest("a", tmp_path / "to")
    assert _texts(tmp_path / "to") == {"checkpoint.pt": "2"}


def test_of_many_at_one_moment_exactly_one_wins(url, tmp_path, monkeypatch):
    """Also when each has looked before any has written."""
    store, won, lost, together = StateStore(url), [], [], threading.Barrier(6)
    original = StateStore._create
    monkeypatch.setattr(StateStore, "_create", lambda *a: (together.wait(20), original(*a)))

    def publish(k):
        try:
            store.publish("a", _folder(tmp_path / str(k), checkpoint=f"of {k}"), Version())
            won.append(k)
        except Superseded:
            lost.append(k)

    threads = [threading.Thread(target=publish, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 5)
    store.newest("a", tmp_path / "to")
    assert _texts(tmp_path / "to") == {"checkpoint.pt": f"of {won[0]}"}


def test_a_damaged_version_is_passed_over_for_the_one_before(url, tmp_path):
    store = StateStore(url)
    first = store.publish("a", _folder(tmp_path / "a", config="c", checkpoint="1"), Version())
    second = store.publish("a", _folder(tmp_path / "a", checkpoint="2"), first)
    store.fs.pipe_file(f"{store.root}/a/files/{second.files['checkpoint.pt']}", b"3")
    assert store.newest("a", tmp_path / "to") == first
    assert _texts(tmp_path / "to") == {"config.json": "c", "checkpoint.pt": "1"}
    store.fs.pipe_file(f"{store.root}/a/versions/00000002.json", json.dumps(first.files).encode()[:20])
    assert store.newest("a", tmp_path / "to") == first


def test_who_goes_on_after_a_damaged_version_counts_on_from_it(url, tmp_path):
    """Else nobody could ever save again; a number is no one's twice."""
    store = StateStore(url)
    first = store.publish("a", _folder(tmp_path / "a", config="c", checkpoint="1"), Version())
    second = store.publish("a", _folder(tmp_path / "a", checkpoint="2"), first)
    store.fs.pipe_file(f"{store.root}/a/files/{second.files['checkpoint.pt']}", b"3")
    at = store.newest("a", tmp_path / "to")
    assert (at.number, at.last) == (1, 2)
    third = store.publish("a", _folder(tmp_path / "to", checkpoint="2b"), at)
    assert (third.number, store.numbers("a")) == (3, [3, 1])
    with pytest.raises(Superseded):
        store.publish("a", _folder(tmp_path / "b", checkpoint="late"), at)
    assert store.newest("a", tmp_path / "again") == third
    assert _texts(tmp_path / "again") == {"config.json": "c", "checkpoint.pt": "2b"}
    store.fs.pipe_file(f"{store.root}/a/versions/00000003.json", b"7")
    store.fs.pipe_file(f"{store.root}/a/versions/00000001.json", b"[]")
    at = store.newest("a", tmp_path / "none")
    assert (at, at.last, _texts(tmp_path / "none")) == (Version(), 3, {})
    assert store.publish("a", tmp_path / "again", at).number == 4


def test_what_may_not_be_read_is_not_taken_for_damaged(url, tmp_path, monkeypatch):
    """Else a cell would begin anew, or from an older state, because of an endpoint that was away for a moment."""
    store = StateStore(url)
    store.publish("a", _folder(tmp_path / "a", checkpoint="1"), Version())

    def denied(*_, **__):
        raise PermissionError("Access Denied")

    monkeypatch.setattr(store.fs, "cat_file", denied, raising=False)
    with pytest.raises(RamacError, match=r"^--states .*: Access Denied$"):
        store.newest("a", tmp_path / "to")


def test_a_full_disk_here_is_not_taken_for_a_damaged_version_there(url, tmp_path):
    store = StateStore(url)
    store.publish("a", _folder(tmp_path / "a", checkpoint="1"), Version())
    (tmp_path / "file").write_text("")
    with pytest.raises(RamacError, match=r"checkpoint.pt: cannot be written"):
        store.newest("a", tmp_path / "file")


def _refusals(url, folder):
    """Return what each use of a store is refused with."""
    store = StateStore(url)
    for use in (store.check, lambda: store.publish("a", folder, Version()), lambda: store.newest("a", folder)):
        with pytest.raises(RamacError) as refusal:
            use()
        yield str(refusal.value)


def test_an_object_store_that_cannot_be_used_is_one_sentence(bucket, tmp_path, monkeypatch):
    import s3fs

    folder, (good,) = _folder(tmp_path / "a", config="c"), bucket
    StateStore(good).check()
    assert StateStore(good).fs.find(good, refresh=True) == []
    for use in (StateStore("s3://nobucket-xyz/f").check, lambda: StateStore("s3://no").publish("a", folder, Version())):
        with pytest.raises(RamacError, match=r"^--states s3://no[a-z-]*(/f)?: .*(bucket|Bucket)"):
            use()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    for said in _refusals("s3://b-away/f", folder):
        assert said.startswith("--states s3://b-away/f: ")
        assert "127.0.0.1:9" in said
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    for said in _refusals("s3://b-closed/f", folder):
        assert said == "--states s3://b-closed/f: Unable to locate credentials"


@pytest.mark.parametrize("name", ["c::d", "memory:x", "a[1]", "e#f", "i%20j", "data:,x"])
def test_a_folder_of_any_name_is_a_folder(name, tmp_path, monkeypatch):
    """Not what fsspec would make of it; and the same one from wherever it is named."""
    monkeypatch.chdir(tmp_path)
    store, elsewhere = StateStore(f"{name}/states"), tmp_path / "elsewhere"
    assert store.url == store.name == str(tmp_path / name / "states")
    store.publish("a", _folder(tmp_path / "a", config="c"), Version())
    assert (tmp_path / name / "states" / "a" / "versions" / "00000001.json").exists()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert StateStore(store.url).newest("a", tmp_path / "to").number == 1
    store.remove("a")
    assert store.numbers("a") == []


def test_one_place_has_one_name_however_it_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "states")
    given = ("states", "./states/", "x/../states", "link", f"{tmp_path}/states", f"file://{tmp_path}/states")
    assert {StateStore(url).name for url in given} == {str(tmp_path / "states")}
    assert StateStore("memory://b/f/").name == StateStore("memory://b/f").name


def test_an_address_that_fsspec_does_not_know_is_refused():
    with pytest.raises(RamacError, match=r"^--states nowhere://x: .*ramac-lib\[ray\]"):
        StateStore("nowhere://x")


@pytest.mark.slow
@pytest.mark.cluster
def test_a_campaign_on_ray_keeps_its_states_in_the_store(bucket, tmp_path):
    """Killed in the middle, it goes on from there with a directory of its own that lacks them, to the same bits."""
    pytest.importorskip("ray")
    (states,) = bucket
    grid = {**SMALL, "steps": 400, "evaluations": 8}
    run(tmp_path / "whole", grid)
    store = StateStore(states)
    options = ["--tasks", *grid["tasks"], "--methods", *grid["rows"], "--seeds", "0", "1"]
    options += ["--steps", "400", "--evaluations", "8", "--episodes", "2", "--report-episodes", "3", "--size", "400"]
    command = [sys.executable, "-m", "ramac_lib.cli", "campaign", "--backend", "ray", "--device", "cpu"]
    command += ["--states", states, "--out", str(tmp_path / "c")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    first = subprocess.Popen([*command, *options], env=environment, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while not store.fs.glob(f"{states}/*/versions/*.json") and first.poll() is None and time.monotonic() < until:
        time.sleep(0.2)
        store.fs.invalidate_cache()
    assert first.poll() is None, first.communicate()[1]
    first.kill()
    first.wait()
    for file in (tmp_path / "c" / "cells").glob("*/checkpoint.pt"):  # what only its own machine had
        file.unlink()
        (file.parent / "evaluations.csv").unlink(missing_ok=True)
    subprocess.run([*command, "--resume"], env=environment, check=True, timeout=300)
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")
