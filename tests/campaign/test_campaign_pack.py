"""A campaign in small files, and on from them elsewhere."""

import gzip
import hashlib
import io
import json
import re
import resource
import shutil
import subprocess
import tarfile

import pytest
import torch
from campaign_helpers import FLOW, RADAC, SMALL, contents, run

from ramac_lib import campaign
from ramac_lib.campaign import packing, scheduler
from ramac_lib.methods import METHODS, get_method
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.training import stored
from ramac_lib.training.directory import RunDirectory


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "c"
    run(out)
    return out


@pytest.fixture(scope="module")
def half(tmp_path_factory):
    """The same campaign, cut at step 34 of 60."""
    out = tmp_path_factory.mktemp("half") / "c"
    with pytest.MonkeyPatch.context() as patch:
        plans = iter([scheduler.Round(20), scheduler.Round(34, last=True), None])
        patch.setattr(scheduler.plan, "following", lambda *_: next(plans))
        run(out)
    return out


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(packing, "PART", 20_000)


@pytest.mark.usefixtures("small_parts")
def test_packed_unpacked_and_gone_on_with_to_the_same_bits(half, whole, tmp_path):
    files = campaign.pack(half, tmp_path / "packed")
    assert len(files) > 5
    assert all(f.stat().st_size <= 20_000 for f in files if f.name != "manifest.json")
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", f.name) and f.parent == tmp_path / "packed" for f in files)
    campaign.unpack(tmp_path / "packed", tmp_path / "there")
    assert contents(tmp_path / "there") == contents(half)
    run(tmp_path / "there", {}, resume=True)
    assert contents(tmp_path / "there") == contents(whole)


def test_parts_stay_below_what_carries_them():
    assert packing.PART < 16e6


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "no manifest", "manifest"])
def test_what_is_missing_or_damaged_is_named_and_nothing_is_written(half, tmp_path, damage):
    campaign.pack(half, tmp_path / "packed")
    part = tmp_path / "packed" / "states.001"
    manifest = tmp_path / "packed" / "manifest.json"
    expected = r"states.001: this part is damaged"
    if damage == "missing":
        part.unlink()
        expected = r"states.001: this part is missing"
    elif damage == "cut":
        part.write_bytes(part.read_bytes()[:-1])
    elif damage == "changed":
        block = bytearray(part.read_bytes())
        block[100] ^= 1
        part.write_bytes(block)
    elif damage == "no manifest":
        manifest.unlink()
        expected = "holds no packed campaign"
    else:
        manifest.write_text(manifest.read_text()[:40])
        expected = r"manifest.json: is damaged"
    with pytest.raises(RamacError, match=expected):
        campaign.unpack(tmp_path / "packed", tmp_path / "there")
    assert [p.name for p in tmp_path.iterdir()] == ["packed"]


@pytest.mark.parametrize("name", ["checkpoint.pt", "policy.pt"])
def test_a_damaged_state_is_not_packed(whole, tmp_path, name):
    """Of a finished campaign, whose states nobody else reads; one flipped bit."""
    out = tmp_path / "c"
    shutil.copytree(whole, out)
    victim = sorted(out.glob(f"cells/*/{name}"))[-1]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    with pytest.raises(RamacError, match=rf"{name}: the checkpoint is damaged"):
        campaign.pack(out, tmp_path / "packed")
    assert not list(tmp_path.glob("packed/*"))


def test_a_pack_that_holds_more_than_it_says_or_than_there_is_room_for_is_refused(half, tmp_path, monkeypatch):
    campaign.pack(half, tmp_path / "p")
    manifest = tmp_path / "p" / "manifest.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(said | {"unpacked": {"results": 10, "states": 10}}))
    with pytest.raises(
        RamacError, match=r"results\.000: holds more than the 10 bytes of its manifest; nothing was unpacked"
    ):
        campaign.unpack(tmp_path / "p", tmp_path / "there")
    manifest.write_text(json.dumps(said | {"unpacked": {"results": 10, "states": 10**18}}))
    with pytest.raises(RamacError, match=r"needs 1,000,000,000,000,000,010 bytes unpacked; .* has [\d,]+; nothing was"):
        campaign.unpack(tmp_path / "p", tmp_path / "there")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["p"]
    del said["unpacked"]  # of an earlier version
    manifest.write_text(json.dumps(said))
    campaign.unpack(tmp_path / "p", tmp_path / "there")
    assert contents(tmp_path / "there") == contents(half)


def _packed(folder, members, **more):
    """Write a pack of tar members (header, bytes), with the right hash; return it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for header, body in members:
            tar.addfile(header, io.BytesIO(body))
    block = gzip.compress(stream.getvalue() if members else more.pop("raw"), 1)
    folder.mkdir()
    (folder / "results.000").write_bytes(block)
    part = {"name": "results.000", "bytes": len(block), "sha256": hashlib.sha256(block).hexdigest()}
    said = {"format": 1, "parts": [part], "unpacked": {"results": 1000, "states": 0}} | more
    (folder / "manifest.json").write_text(json.dumps(said))
    return folder


def _header(name, size=0, **fields):
    header = tarfile.TarInfo(name)
    header.size = size
    for field, value in fields.items():
        setattr(header, field, value)
    return header


@pytest.mark.parametrize(
    "header",
    [
        _header("a", 1, pax_headers={"GNU.sparse.map": "0,1,x", "GNU.sparse.size": "9"}),
        _header("a", 1, pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "x"}),
        _header("a", 1, pax_headers={"size": "99999999999999"}),
        _header("../a", 1),
        _header("l", type=tarfile.LNKTYPE, linkname="missing"),
        _header("l", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        _header("l", type=tarfile.FIFOTYPE),
    ],
    ids=["sparse map", "sparse size", "size", "outside", "hard link", "link", "pipe"],
)
def test_a_pack_with_the_right_hash_and_a_hostile_member_is_refused(tmp_path, header):
    folder = _packed(tmp_path / "p", [(header, b"x" * bool(header.size))])
    with pytest.raises(
        RamacError, match=r"results\.000: (is no packed campaign|holds more than) .*nothing was unpacked"
    ):
        campaign.unpack(folder, tmp_path / "there")
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


@pytest.mark.parametrize("time", ["1e300", "inf", "nan"])
def test_a_members_time_is_no_matter(tmp_path, time):
    folder = _packed(tmp_path / "p", [(_header("a", 1, pax_headers={"mtime": time}), b"x")])
    campaign.unpack(folder, tmp_path / "there")
    assert (tmp_path / "there" / "a").read_bytes() == b"x"


def test_a_header_that_is_larger_than_the_pack_may_be_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "HEADERS", 100_000)
    name = _header("././@LongLink", 300_000_000, type=tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT)
    folder = _packed(tmp_path / "p", [], raw=name + b"a" * 1_000_000)
    given = []
    real = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda *a: given.append(real(*a)) or given[-1])
    with pytest.raises(RamacError, match="holds more than the 1,000 bytes of its manifest"):
        campaign.unpack(folder, tmp_path / "there")
    assert sum(map(len, given)) < 500_000


def test_a_pack_without_parts_or_with_endless_numbers_is_damaged(tmp_path):
    member = [(_header("a", 1), b"x")]
    for name, wrong in (("none", {"parts": []}), ("endless", {"unpacked": {"results": float("inf"), "states": 0}})):
        folder = _packed(tmp_path / name, member, **wrong)
        with pytest.raises(RamacError, match=r"manifest\.json: is damaged"):
            campaign.unpack(folder, tmp_path / "there")


def test_results_alone_can_be_read_and_evaluated_but_not_gone_on_with(half, whole, tmp_path):
    campaign.pack(half, tmp_path / "packed", states=False)
    assert sorted(p.name for p in (tmp_path / "packed").iterdir()) == ["manifest.json", "results.000"]
    campaign.unpack(tmp_path / "packed", tmp_path / "there")
    assert (tmp_path / "there" / "results.csv").read_bytes() == (half / "results.csv").read_bytes()
    cells = sorted((tmp_path / "there" / "cells").iterdir())
    assert not (cells[0] / "checkpoint.pt").exists()
    assert len(stored.evaluate_run(cells[0], episodes=4, device="cpu")) == 4
    with pytest.raises(RamacError, match="its full state was left behind at step 34"):
        run(tmp_path / "there", {}, resume=True)
    # A finished campaign may gain rows elsewhere.
    campaign.pack(whole, tmp_path / "done", states=False)
    campaign.unpack(tmp_path / "done", tmp_path / "done_there")
    _, failures = run(tmp_path / "done_there", {}, resume=True)
    assert not failures
    assert (tmp_path / "done_there" / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


def test_states_may_be_left_behind_when_unpacking(half, tmp_path):
    campaign.pack(half, tmp_path / "packed")
    for part in (tmp_path / "packed").glob("states.*"):
        part.unlink()
    campaign.unpack(tmp_path / "packed", tmp_path / "there", states=False)
    assert (tmp_path / "there" / "results.csv").read_bytes() == (half / "results.csv").read_bytes()


@pytest.mark.skipif(shutil.which("tar") is None, reason="needs tar")
@pytest.mark.usefixtures("small_parts")
def test_other_tools_can_read_it(half, tmp_path):
    campaign.pack(half, tmp_path / "packed")
    (tmp_path / "there").mkdir()
    subprocess.run(f"cat results.* | tar -xz -C {tmp_path}/there", shell=True, check=True, cwd=tmp_path / "packed")
    assert (tmp_path / "there" / "results.csv").read_bytes() == (half / "results.csv").read_bytes()


def test_folders_in_use_are_refused(half, tmp_path):
    (tmp_path / "thesis.txt").write_text("draft")
    with pytest.raises(RamacError, match="is not an empty folder"):
        campaign.pack(half, tmp_path)
    with pytest.raises(RamacError, match="holds no campaign"):
        campaign.pack(tmp_path, tmp_path / "packed")
    campaign.pack(half, tmp_path / "packed")
    with pytest.raises(RamacError, match="is not an empty folder"):
        campaign.unpack(tmp_path / "packed", half)


def test_from_the_command_line(half, tmp_path, capsys):
    from ramac_lib.cli import main

    main(["campaign", "--out", str(half), "--pack", str(tmp_path / "packed")])
    assert re.search(r"in 3 files, 0\.\d MB", capsys.readouterr().out)
    main(["campaign", "--out", str(tmp_path / "there"), "--unpack", str(tmp_path / "packed")])
    assert "--resume" in capsys.readouterr().out
    assert json.loads((tmp_path / "there" / "campaign.json").read_text())["grid"]["steps"] == 60


# -- the policies' copies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_float16_copy_acts_like_the_policy(name):
    """The copy of one method goes into another, whose parameters were all different."""
    cls = get_method(name)
    config = cls.Config.for_task("risky-bandit")
    one, other = (cls(config, 3, 2, seeds, 100) for seeds in ((0, 1), (5, 6)))
    states = [one.deployed_state(i) for i in range(2)]
    assert all(v.dtype == torch.float16 for k, v in states[0].items() if "." in k and v.is_floating_point())
    observations = torch.randn(2, 50, 3, generator=torch.Generator().manual_seed(1))
    wanted = one.act(observations, Noise((0, 1), "evaluation"))
    before = other.act(observations, Noise((0, 1), "evaluation"))
    other.load_acting(states)
    got = other.act(observations, Noise((0, 1), "evaluation"))
    # DiffusionQL draws among candidates: a rounding may tip a draw, seldom.
    close = (got - wanted).abs().amax(-1) < 0.02
    assert close.float().mean() > 0.9
    assert ((before - wanted).abs().amax(-1) < 0.02).float().mean() < 0.5


def test_copies_are_small(tmp_path):
    run(tmp_path / "c", {**SMALL, "rows": (FLOW, RADAC), "steps": 3, "evaluations": 1})
    for folder in (tmp_path / "c" / "cells").iterdir():
        directory = RunDirectory(folder)
        state, copy = directory.load_checkpoint()["seeds"][0], directory.load_policies()["seeds"][0]
        assert set(copy) <= set(state["networks"])
        assert all(k.startswith(("policy.", "shift", "scale")) for k in copy)
        assert directory.policy_file.stat().st_size < directory.checkpoint_file.stat().st_size / 2


def test_a_disk_that_fills_while_unpacking_is_one_sentence_and_leaves_nothing(half, tmp_path):
    campaign.pack(half, tmp_path / "packed")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(RamacError, match="there: no space is left on the device"):
            campaign.unpack(tmp_path / "packed", tmp_path / "there")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["packed"]


@pytest.mark.parametrize(
    "content",
    [b"not a gzip", gzip.compress(b"not a tar" * 99), gzip.compress(bytes(5000))[:20]],
    ids=["no gzip", "no tar", "cut"],  # a compressed file holds the time, and test workers must agree on names
)
def test_parts_with_the_right_hash_of_the_wrong_thing_are_refused(tmp_path, content):
    (tmp_path / "results.000").write_bytes(content)
    part = {"name": "results.000", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "parts": [part]}))
    with pytest.raises(RamacError, match=r"results\.000: is no packed campaign"):
        campaign.unpack(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../results.000", "/etc/passwd", "results.000\n", "", 7, None, ["results.000"]])
def test_a_part_that_is_no_part_of_the_folder_is_not_opened(tmp_path, name):
    part = {"name": name, "bytes": 1, "sha256": "0" * 64}
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1, "parts": [part]}))
    with pytest.raises(RamacError, match=r"manifest\.json: is damaged"):
        campaign.unpack(tmp_path, tmp_path / "out")
