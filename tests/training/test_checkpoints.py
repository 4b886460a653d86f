"""Trained policies by name: stored, listed, checked, loaded."""

import functools
import hashlib
import http.server
import json
import threading
import zipfile

import pytest
import torch

from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training.checkpoints import INDEX, load_checkpoint, read_index, store_checkpoints
from ramac_lib.training.config import make_config
from ramac_lib.training.loop import train
from ramac_lib.training.stored import load_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "bandit.clone"
    train(make_config("bc-diffusion", "risky-bandit", (0, 3), 4, {}), path, progress=False)
    return path


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMAC_CACHE", str(tmp_path / "cache"))


def _actions(stacks):
    return [s.act(torch.zeros(1, 5, s.dims[0]), Noise(s.seeds, "evaluation")) for s in stacks]


def test_a_stored_policy_acts_as_its_float16_copy_does(run, tmp_path):
    *archives, index = store_checkpoints([run], tmp_path / "out")
    assert [a.name for a in archives] == ["bandit.clone.zip"]
    assert index.name == INDEX
    config, stacks, facts, step = load_checkpoint("bandit.clone", tmp_path / "out", "cpu")
    assert config.hash == load_run(run)[0].hash == facts["hash"]
    assert step == 4
    assert [s.seeds for s in stacks] == [(0,), (3,)]
    exact = load_run(run, "cpu")[1]
    for stored, whole in zip(_actions(stacks), _actions(exact), strict=True):
        torch.testing.assert_close(stored, whole, atol=0.02, rtol=0)
    about = read_index(tmp_path / "out")["bandit.clone"]
    told = {"method": "bc-diffusion", "task": "risky-bandit", "seeds": [0, 3], "steps": 4}
    assert {key: about[key] for key in told} == told


def test_the_same_policies_give_the_same_bytes_and_others_stay(run, tmp_path):
    first, index = store_checkpoints([run], tmp_path / "a")
    before = first.read_bytes()
    known = json.loads(index.read_text())
    known["checkpoints"]["other"] = known["checkpoints"]["bandit.clone"]
    index.write_text(json.dumps(known))
    store_checkpoints([run], tmp_path / "a")
    assert first.read_bytes() == before
    assert set(read_index(tmp_path / "a")) == {"bandit.clone", "other"}


def test_a_release_is_downloaded_once_and_checked(run, tmp_path):
    store_checkpoints([run], tmp_path / "out")
    asked = []

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "out"))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert load_checkpoint("bandit.clone", address, "cpu")[3] == 4
        assert load_checkpoint("bandit.clone", address, "cpu")[3] == 4
        assert asked.count("/bandit.clone.zip") == 1
    finally:
        server.shutdown()
        server.server_close()


def test_a_changed_archive_is_refused_before_it_is_opened(run, tmp_path):
    archive, index = store_checkpoints([run], tmp_path / "out")
    content = bytearray(archive.read_bytes())
    content[100] ^= 1
    archive.write_bytes(content)
    with pytest.raises(RamacError, match="SHA-256"):
        load_checkpoint("bandit.clone", tmp_path / "out", "cpu")
    archive.unlink()
    with pytest.raises(RamacError, match="is missing"):
        load_checkpoint("bandit.clone", tmp_path / "out", "cpu")
    index.write_text("[]")
    with pytest.raises(RamacError, match="is damaged"):
        load_checkpoint("bandit.clone", tmp_path / "out", "cpu")


def test_an_archive_without_a_policy_is_refused(run, tmp_path):
    archive, index = store_checkpoints([run], tmp_path / "out")
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("../config.json", "{}")
    known = json.loads(index.read_text())
    known["checkpoints"]["bandit.clone"]["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
    index.write_text(json.dumps(known))
    with pytest.raises(RamacError, match=r"is no checkpoint; expected config\.json and policy\.pt"):
        load_checkpoint("bandit.clone", tmp_path / "out", "cpu")


def test_what_cannot_be_stored_or_found_is_named(run, tmp_path):
    with pytest.raises(RamacError, match="no runs were given"):
        store_checkpoints([], tmp_path / "out")
    with pytest.raises(RamacError, match="a second run of the name"):
        store_checkpoints([run, run], tmp_path / "out")
    with pytest.raises(RamacError, match="holds no run"):
        store_checkpoints([tmp_path], tmp_path / "out")
    with pytest.raises(RamacError, match=r"holds no checkpoints \(no checkpoints\.json\)"):
        load_checkpoint("x", tmp_path / "none")
    store_checkpoints([run], tmp_path / "out")
    with pytest.raises(RamacError, match="unknown checkpoint 'radac'"):
        load_checkpoint("radac", tmp_path / "out")


def test_a_run_that_is_not_at_its_end_is_refused(run, tmp_path):
    facts = json.loads((run / "config.json").read_text())
    half = tmp_path / "half"
    half.mkdir()
    longer = make_config("bc-diffusion", "risky-bandit", (0, 3), 8, {})
    facts |= {"hash": longer.hash, "config": longer.to_json(), "sealed": False}
    (half / "config.json").write_text(json.dumps(facts))
    policies = torch.load(run / "policy.pt", weights_only=True)
    torch.save(policies | {"hash": longer.hash}, half / "policy.pt")
    with pytest.raises(RamacError, match="at step 4 of 8; expected one at its end"):
        store_checkpoints([half], tmp_path / "out")


STORED = sorted(read_index(data_folder() / "checkpoints"))


@pytest.mark.parametrize("name", STORED)
def test_a_policy_that_is_committed_is_a_stored_results_and_acts(name):
    config, stacks, _, step = load_checkpoint(name, device="cpu")
    task, hazard, row = name.split(".", 2)
    method, _, option = row.partition("_")
    assert (str(config.task), config.hazard.name, config.method.name) == (task, hazard, method)
    assert not option or str(getattr(config.settings, option.partition("-")[0])) == option.partition("-")[2]
    assert step == config.steps
    facts = [json.loads(path.read_text()) for path in (data_folder() / "results").glob(f"*/{task}.{hazard}.json")]
    assert any(config.hash in one for one in facts)
    states = torch.rand(1, 7, stacks[0].dims[0])
    for stack in stacks:
        actions = stack.act(states, stack.noise)
        assert actions.shape == (1, 7, stack.dims[1])
        assert actions.abs().max() <= 1
