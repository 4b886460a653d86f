"""Our reading of D4RL's layout against the ``d4rl`` package's own."""

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from ramac_lib.datasets import d4rl, hdf5
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

# In a process of its own: the package registers environments, patches NumPy's aliases and imports the old gym.
SCRIPT = """
import os, sys, types
sys.modules["mujoco_py"] = None
os.environ["D4RL_SUPPRESS_IMPORT_ERROR"] = "1"
import h5py, numpy as np
import d4rl
with h5py.File(sys.argv[1]) as file:
    stored = {key: file[key][()] for key in file}
np.savez(sys.argv[2], **d4rl.qlearning_dataset(types.SimpleNamespace(), dataset=stored))
"""


@pytest.fixture(params=[np.float32, np.float64])
def stored(request, hopper_arrays, tmp_path, write):
    """Return a file of real steps, in D4RL's own float32 and in the simulator's precision."""
    arrays = {
        key: array if array.dtype == bool else array.astype(request.param) for key, array in hopper_arrays.items()
    }
    return write(tmp_path / "hopper.hdf5", arrays)


@pytest.mark.skipif(importlib.util.find_spec("d4rl") is None, reason="the extra d4rl is not installed")
def test_agrees_with_qlearning_dataset_to_the_bit_where_both_mean_the_same(stored, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(stored), str(tmp_path / "theirs.npz")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "D4RL_DATASET_DIR": str(tmp_path / "d4rl")},
    )
    assert done.returncode == 0, done.stderr
    theirs = np.load(tmp_path / "theirs.npz")
    ours = hdf5.load_file(stored, "Hopper-v4")

    # The package drops the last row of a timed-out episode and the last row of all; nothing else.
    rows = np.flatnonzero(~ours.timeouts[:-1])
    assert len(theirs["rewards"]) == len(rows) < len(ours) - ours.timeouts.sum() + 1
    for key in ("observations", "actions", "rewards", "terminals"):
        array = getattr(ours, key)[rows]
        assert theirs[key].dtype == array.dtype
        np.testing.assert_array_equal(theirs[key], array)

    # Next observations agree but at falls, where the package's are the next episode's first state.
    fell = ours.terminals[rows]
    assert fell.sum() > 3
    np.testing.assert_array_equal(theirs["next_observations"][~fell], ours.next_observations[rows][~fell])
    np.testing.assert_array_equal(theirs["next_observations"][fell], ours.observations[rows[fell] + 1])
    assert (theirs["next_observations"][fell] != ours.next_observations[rows][fell]).any(axis=1).all()
    # Hopper stands upright at a reset and leans when it falls: a hazard on the pitch would miss the fall.
    pitch = np.abs(np.stack([theirs["next_observations"][fell][:, 1], ours.next_observations[rows][fell][:, 1]]))
    assert (pitch[0] < 0.01).all()
    assert (pitch[1] > 0.02).all()


@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("hopper-medium-expert", "hopper_medium_expert-v2.hdf5"),
        ("walker2d-medium-replay", "walker2d_medium_replay-v2.hdf5"),
        ("halfcheetah-medium-replay", "halfcheetah_medium_replay-v2.hdf5"),
    ],
)
def test_names_are_d4rls(task, name):
    assert d4rl.file_name(get_task(task)) == name


def test_refuses_what_d4rl_does_not_have():
    with pytest.raises(RamacError, match="unknown D4RL task 'risky-bandit': choose one of hopper-medium-expert"):
        d4rl.file_name(get_task("risky-bandit"))


def test_folder_is_the_packages_unless_the_variable_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("D4RL_DATASET_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert d4rl.folder() == tmp_path / ".d4rl" / "datasets"
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "mine"))
    assert d4rl.folder() == tmp_path / "mine"


def test_finds_an_existing_download(stored, tmp_path):
    stored.rename(tmp_path / "hopper_medium_expert-v2.hdf5")
    data = d4rl.load(get_task("hopper-medium-expert"), directory=tmp_path, base_url="http://127.0.0.1:9")
    assert data.recipe["sha256"] == data.sha256()
    assert data.env_id == "Hopper-v4"


def test_a_damaged_download_is_named(stored, tmp_path):
    content = stored.read_bytes()
    (tmp_path / "hopper_medium_expert-v2.hdf5").write_bytes(content[:-1000])
    with pytest.raises(RamacError, match=r"hopper_medium_expert-v2.hdf5 is truncated"):
        d4rl.load(get_task("hopper-medium-expert"), directory=tmp_path)
