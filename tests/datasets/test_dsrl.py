"""DSRL's layout: read by path, address and name, refused where it is not kept, and written so that it reads again."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from ramac_lib import datasets
from ramac_lib.cli import main
from ramac_lib.datasets import dsrl
from ramac_lib.datasets.references import get_reference
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

TASK = get_task("hopper-velocity")
LENGTHS = (3, 2, 4)


@pytest.fixture
def arrays():
    """Return nine steps of three episodes as DSRL stores them: float32, flags as columns, one fall, two time-outs."""
    rng, n = np.random.default_rng(0), sum(LENGTHS)
    states = rng.normal(size=(n, 11)).astype(np.float32)
    following = rng.normal(size=(n, 11)).astype(np.float32)
    ends = np.cumsum(LENGTHS) - 1
    inside = np.setdiff1d(np.arange(n - 1), ends)
    following[inside] = states[inside + 1]
    terminals, timeouts = np.zeros((2, n, 1), np.float32)
    terminals[ends[1]], timeouts[ends[[0, 2]]] = 1, 1
    return {
        "observations": states,
        "next_observations": following,
        "actions": rng.uniform(-1, 1, (n, 3)).astype(np.float32),
        "rewards": np.arange(n, dtype=np.float32)[:, None],
        "costs": np.array([0, 1, 1, 0, 0, 1, 0, 0, 2], np.float32)[:, None],
        "terminals": terminals,
        "timeouts": timeouts,
    }


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A host that has any file whose bytes are put into ``files``."""
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path / "kept"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files, asked = {}, []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            body = files.get(self.path.partition("?")[0].rpartition("/")[2])
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as host:
        thread = threading.Thread(target=host.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}", files, asked
        host.shutdown()
        thread.join()


def test_the_seven_arrays_by_path(arrays, tmp_path, write):
    path = write(tmp_path / "hopper.hdf5", arrays)
    data = dsrl.load(TASK, str(path))
    for key, array in data.arrays().items():
        assert array.shape == (9, *{"observations": (11,), "next_observations": (11,), "actions": (3,)}.get(key, ()))
        np.testing.assert_array_equal(array, np.squeeze(arrays[key]))
    assert data.episode_bounds() == [(0, 3), (3, 5), (5, 9)]
    assert data.episode_returns().tolist() == [3, 7, 26]
    assert data.episode_costs().tolist() == [2, 0, 3]
    assert data.episode_costs(2).tolist() == [1, 0, 1]
    assert (data.env_id, data.recipe["source"], data.recipe["task"]) == ("HopperVelocity-v5", "dsrl", "hopper-velocity")
    assert datasets.load(TASK, f"dsrl:{path}").sha256() == data.sha256()
    assert datasets.load(TASK, f"dsrl:{path}", size=5).episode_bounds() in ([(0, 3), (3, 5)], [(0, 4)])
    assert datasets.load("hopper-medium-expert", f"dsrl:{path}", env_id="Hopper-v4").env_id == "Hopper-v4"


@pytest.mark.parametrize("key", dsrl.SEVEN)
def test_a_file_without_one_of_the_seven_names_it(arrays, tmp_path, write, key):
    del arrays[key]
    path = write(tmp_path / "less.hdf5", arrays)
    with pytest.raises(RamacError, match=f"less.hdf5 lacks the key '{key}'; expected the arrays .*timeouts, costs$"):
        dsrl.load(TASK, str(path))


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("costs", -0.5, "costs is -0.5 at row 4; expected numbers ≥ 0"),
        ("costs", np.nan, "costs is NaN or infinite at row 4"),
        ("rewards", np.inf, "rewards is NaN or infinite at row 4"),
        ("actions", np.nan, "actions is NaN or infinite at row 4"),
        ("terminals", 0.5, "terminals holds other values than 0 and 1"),
    ],
)
def test_values_that_cannot_be_are_refused(arrays, tmp_path, write, key, value, words):
    arrays[key][4] = value
    with pytest.raises(RamacError, match=words):
        dsrl.load(TASK, str(write(tmp_path / "bad.hdf5", arrays)))


def test_shapes_that_cannot_be_are_refused(arrays, tmp_path, write):
    for key, changed, words in (
        ("costs", np.zeros((9, 2), np.float32), r"costs has shape \(9, 2\); expected 1 dimension"),
        ("costs", np.zeros(8, np.float32), "expected as many rows in each array"),
        ("actions", np.zeros((9, 4), np.float32), "actions has 4 columns; expected 3, as in hopper-velocity"),
    ):
        with pytest.raises(RamacError, match=words):
            dsrl.load(TASK, str(write(tmp_path / "bad.hdf5", {**arrays, key: changed})))
    with pytest.raises(RamacError, match=r"nowhere.hdf5: no such file"):
        dsrl.load(TASK, str(tmp_path / "nowhere.hdf5"))


def test_actions_beyond_the_bounds_are_clipped_and_counted(arrays, tmp_path, write):
    arrays["actions"][[1, 5], 0] = 1.5, -2
    data = dsrl.load(TASK, str(write(tmp_path / "wide.hdf5", arrays)))
    assert data.actions[[1, 5], 0].tolist() == [1, -1]
    assert data.recipe["clipped_actions"] == 2
    with pytest.raises(RamacError, match="actions reaches 2; expected values in"):
        datasets.load(TASK, str(tmp_path / "wide.hdf5"))  # D4RL's files are held to the contract


def test_by_task_by_name_and_by_address_from_a_mirror(arrays, tmp_path, write, server, monkeypatch):
    url, files, asked = server
    body = write(tmp_path / "source.hdf5", arrays).read_bytes()
    monkeypatch.setenv("RAMAC_DSRL_URL", f"{url}/mirror")
    name = "SafetyHopperVelocityGymnasium-v1-250-2240.hdf5"
    files |= {name: body, "mine.hdf5": body, get_reference("PointGoal1").file: body}
    first = datasets.load(TASK, "dsrl", progress=False)
    assert asked == [f"/mirror/{name}"]
    assert datasets.load(TASK, "dsrl", progress=False).sha256() == first.sha256()  # from the folder
    assert len(asked) == 1
    assert dsrl.load(TASK, f"{url}/elsewhere/mine.hdf5?key=secret", progress=False).sha256() == first.sha256()
    assert [p.name for p in (tmp_path / "kept" / "addresses").glob("*/*.hdf5")] == ["mine.hdf5"]
    assert dsrl.locate("PointGoal1", progress=False).name == "SafetyPointGoal1Gymnasium-v0-100-2022.hdf5"
    with pytest.raises(RamacError, match=r"404.*\(RAMAC_DSRL_URL may name a mirror\)"):
        datasets.load("halfcheetah-velocity", "dsrl", progress=False)
    with pytest.raises(RamacError, match=r"names no HDF5 file; expected an address that ends in .hdf5"):
        dsrl.load(TASK, f"{url}/page")


def test_files_of_one_name_at_two_addresses_are_two_and_none_stands_for_dsrls(
    arrays, tmp_path, write, server, monkeypatch
):
    url, files, _ = server
    monkeypatch.setenv("RAMAC_DSRL_URL", f"{url}/mirror")
    name = "SafetyHopperVelocityGymnasium-v1-250-2240.hdf5"
    found = []
    for place in ("a", "b"):
        arrays["rewards"] = arrays["rewards"] + 1
        files[name] = write(tmp_path / f"{place}.hdf5", arrays).read_bytes()
        found.append(dsrl.load(TASK, f"{url}/{place}/{name}", progress=False).sha256())
    arrays["rewards"] = arrays["rewards"] + 1
    files[name] = write(tmp_path / "own.hdf5", arrays).read_bytes()
    found.append(datasets.load(TASK, "dsrl", progress=False).sha256())
    assert len(set(found)) == 3
    assert dsrl.load(TASK, f"{url}/a/{name}", progress=False).sha256() == found[0]  # kept


def test_a_download_without_costs_is_refused_and_not_kept(arrays, tmp_path, write, server):
    url, files, _ = server
    del arrays["costs"]
    files["less.hdf5"] = write(tmp_path / "less.hdf5", arrays).read_bytes()
    with pytest.raises(RamacError, match=r"did not deliver the file expected: .* lacks the key 'costs'"):
        dsrl.load(TASK, f"{url}/less.hdf5", progress=False)
    assert list((tmp_path / "kept").rglob("*.hdf5")) == []


def test_tasks_that_dsrl_does_not_have_and_empty_names_are_refused():
    with pytest.raises(RamacError, match="unknown DSRL task 'hopper-medium-expert': choose one of hopper-velocity"):
        datasets.load("hopper-medium-expert", "dsrl")
    with pytest.raises(RamacError, match="unknown source 'dsrl:'"):
        datasets.load(TASK, "dsrl:")
    with pytest.raises(RamacError, match="unknown D4RL task 'hopper-velocity'"):
        datasets.load(TASK, "d4rl")
    with pytest.raises(RamacError, match="Minari has no counterpart of hopper-velocity"):
        datasets.load(TASK, "minari")


def test_what_is_written_is_dsrls_layout_and_reads_again(arrays, tmp_path, write):
    data = dsrl.load(TASK, str(write(tmp_path / "a.hdf5", arrays)))
    recipe = {"source": "bundled", "seed": 5, "policies": [{"kappa": 3.0}, {"kappa": None}], "episodes": [2, 1]}
    data = data.with_(recipe=recipe)
    path = dsrl.save(data, tmp_path / dsrl.file_name(data, "SafetyHopperVelocity-v1"))
    assert path.name == "SafetyHopperVelocity-v1-3-3.hdf5"
    with h5py.File(path) as file:
        assert set(file) == {*dsrl.SEVEN, "policy"}
        assert all(file[key].dtype == (bool if key in ("terminals", "timeouts") else np.float32) for key in dsrl.SEVEN)
        assert file["policy"][()].tolist() == [0] * 5 + [1] * 4
        assert (file.attrs["env_id"], file.attrs["source"], file.attrs["seed"]) == ("HopperVelocity-v5", "bundled", 5)
        assert json.loads(file.attrs["policies"]) == recipe["policies"]
    again = dsrl.load(TASK, str(path))
    assert again.sha256() == data.sha256()
    assert datasets.load(TASK, str(path)).recipe == recipe


def test_policies_may_be_given_and_are_minus_one_where_nothing_is_known(arrays, tmp_path, write):
    data = dsrl.load(TASK, str(write(tmp_path / "a.hdf5", arrays)))
    assert dsrl.policies_of(data).tolist() == [-1] * 9
    path = dsrl.save(data, tmp_path / "b.hdf5", np.arange(9), ["one", "two"])
    with h5py.File(path) as file:
        assert file["policy"][()].tolist() == list(range(9))
        assert json.loads(file.attrs["policies"]) == ["one", "two"]
    for wrong in (np.arange(8), np.zeros(9)):
        with pytest.raises(RamacError, match="expected 9 whole numbers"):
            dsrl.save(data, tmp_path / "c.hdf5", wrong)
    with pytest.raises(RamacError, match="has no costs; DSRL's layout needs the arrays"):
        dsrl.save(data.with_(costs=None), tmp_path / "c.hdf5")
    assert not (tmp_path / "c.hdf5").exists()


def test_the_command_line_says_the_costs_and_exports(arrays, tmp_path, write, capsys):
    path = write(tmp_path / "a.hdf5", arrays)
    main(["data", "hopper-velocity", "--source", f"dsrl:{path}", "--export", str(tmp_path / "b.hdf5")])
    out = dict(line.split("  ", 1) for line in capsys.readouterr().out.splitlines())
    said = {key.strip(): value.strip() for key, value in out.items()}
    assert (said["cost min"], said["cost mean"], said["cost max"]) == ("0", "1.667", "3")
    assert said["share of steps with a cost"] == "0.4444"
    assert said["in DSRL's layout"] == str(tmp_path / "b.hdf5")
    assert not any("violation" in key for key in said)
    assert dsrl.load(TASK, said["in DSRL's layout"]).sha256() == said["sha256"]
