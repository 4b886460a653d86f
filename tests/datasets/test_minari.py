"""Minari's datasets, recorded here from a real environment."""

import sys
import warnings

import gymnasium
import h5py
import numpy as np
import pytest
from cli_helpers import run

from ramac_lib import datasets
from ramac_lib.datasets import minari as source
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

minari = pytest.importorskip("minari")
EpisodeBuffer = pytest.importorskip("minari.data_collector").EpisodeBuffer
LIMIT = 20
FIELDS = ("observations", "actions", "rewards", "terminations", "truncations")


def record(dataset_id: str, steps: int, seed: int, env_id: str = "Hopper-v5") -> list[np.ndarray]:
    """Record a dataset of uniform actions, its last episode stopped midway; return what the environment said.

    The library's collector would record the same, but needs jax.
    """
    env = gymnasium.make(env_id, max_episode_steps=LIMIT)
    env.action_space.seed(seed)
    seen, episodes, ended = [], [], True
    for step in range(steps):
        if ended:
            observation, _ = env.reset(seed=seed + step)
            episodes.append(EpisodeBuffer(observations=[observation], actions=[]))
        action = env.action_space.sample()
        following, reward, terminal, timeout, _ = env.step(action)
        for values, value in zip(
            (getattr(episodes[-1], key) for key in FIELDS),
            (following, action, reward, terminal, timeout),
            strict=True,
        ):
            values.append(value)
        seen.append((observation, action, reward, following, terminal, timeout))
        observation, ended = following, terminal or timeout
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library misses an author and a link to code
        minari.create_dataset_from_buffers(dataset_id, episodes, env=env)
    env.close()
    return [np.array(values) for values in zip(*seen, strict=True)]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Return the arrays of a local library that holds Hopper's medium, expert and simple datasets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(tmp_path_factory.mktemp("minari")))
        yield {
            name: record(f"mujoco/hopper/{name}-v0", steps, seed)
            for seed, (name, steps) in enumerate({"medium": 200, "expert": 260, "simple": 50}.items())
        }


def test_rows_are_the_environments(library):
    data = source.load("mujoco/hopper/medium-v0", get_task("hopper-medium-expert"))
    observations, actions, rewards, following, terminals, timeouts = library["medium"]
    np.testing.assert_array_equal(data.observations, observations.astype(np.float32))
    np.testing.assert_array_equal(data.next_observations, following.astype(np.float32))
    np.testing.assert_array_equal(data.actions, actions)
    np.testing.assert_array_equal(data.rewards, rewards.astype(np.float32))
    np.testing.assert_array_equal(data.terminals, terminals)
    np.testing.assert_array_equal(data.timeouts[:-1], timeouts[:-1])
    assert terminals.sum() > 1
    assert timeouts.sum() > 1
    assert data.env_id == "Hopper-v5"
    assert data.recipe == {"source": "minari", "dataset_id": "mujoco/hopper/medium-v0", "sha256": data.sha256()}


def test_a_recording_that_stops_midway_counts_as_timed_out(library):
    *_, terminals, timeouts = library["medium"]
    assert not terminals[-1]
    assert not timeouts[-1]
    data = source.load("mujoco/hopper/medium-v0")
    assert data.timeouts[-1]
    assert not data.terminals[-1]


def test_medium_expert_is_half_and_half_of_whole_episodes(library):
    data = datasets.load("hopper-medium-expert", "minari")
    medium = source.load("mujoco/hopper/medium-v0")
    assert len(data) <= 2 * len(medium)
    np.testing.assert_array_equal(data.observations[:200], medium.observations)
    assert 200 - LIMIT < len(data) - 200 <= 200
    expert = source.load("mujoco/hopper/expert-v0")
    whole = {tuple(expert.rewards[a:b]) for a, b in expert.episode_bounds()}
    assert all(tuple(data.rewards[a:b]) in whole for a, b in data.episode_bounds() if a >= 200)
    assert [part["dataset_id"] for part in data.recipe["parts"]] == [
        "mujoco/hopper/medium-v0",
        "mujoco/hopper/expert-v0",
    ]


def test_size_is_halved_too(library):
    data = datasets.load("hopper-medium-expert", "minari", size=120, seed=3)
    medium = source.load("mujoco/hopper/medium-v0")
    from_medium = np.isin(data.rewards, medium.rewards).sum()
    assert 60 - LIMIT < from_medium <= 60
    assert 60 - LIMIT < len(data) - from_medium <= 60
    assert data.recipe["size"] == 120


def test_by_id(library):
    data = datasets.load("hopper-medium-replay", "minari:mujoco/hopper/simple-v0")
    assert len(data) == 50


def test_medium_replay_is_refused_rather_than_stood_in_for(library):
    with pytest.raises(RamacError, match=r"no counterpart of hopper-medium-replay.*minari:mujoco/hopper/simple-v0"):
        datasets.load("hopper-medium-replay", "minari")
    with pytest.raises(RamacError, match="unknown Minari task 'risky-bandit'"):
        datasets.load("risky-bandit", "minari")


def test_another_environments_dataset_is_refused(library):
    with pytest.raises(RamacError, match="its environment is Hopper-v5; expected Walker2d-v5"):
        source.load("mujoco/hopper/simple-v0", get_task("walker2d-medium-expert"))


def test_actions_outside_the_range_are_refused(library):
    record("pendulum/wide-v0", 20, 0, "Pendulum-v1")  # its torque reaches 2
    with pytest.raises(RamacError, match=r"minari pendulum/wide-v0: actions reaches .* expected values in \[-1, 1\]"):
        source.load("pendulum/wide-v0")


def test_observations_that_are_no_vectors_are_refused(library):
    record("toy/numbers-v0", 20, 0, "FrozenLake-v1")
    with pytest.raises(RamacError, match=r"toy/numbers-v0: observations of episode 0 is .* rows of vectors"):
        source.load("toy/numbers-v0")


def test_an_episode_that_lies_in_another_file_is_never_read(library, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "own"))
    record("mujoco/hopper/linked-v0", 30, 5)
    assert len(source.load("mujoco/hopper/linked-v0")) == 30
    (path,) = (tmp_path / "own").rglob("*.hdf5")
    with h5py.File(tmp_path / "secret.hdf5", "w") as file, h5py.File(path, "a") as data:
        file["r"] = np.full(len(data["episode_0/rewards"]), 123.0)
        del data["episode_0/rewards"]
        data["episode_0/rewards"] = h5py.ExternalLink(str(tmp_path / "secret.hdf5"), "/r")
    with pytest.raises(RamacError, match="episode_0/rewards is a link to elsewhere"):
        source.load("mujoco/hopper/linked-v0")


def test_a_failing_download_is_one_sentence_and_leaves_other_datasets_alone(library, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(minari, "download_dataset", offline)
    before = set(minari.list_local_datasets())
    for missing in ("mujoco/hopper/none-v0", "mujoco/hopper"):
        with pytest.raises(RamacError, match=f"minari '{missing}' could not be loaded: no route to host"):
            source.load(missing)
    assert set(minari.list_local_datasets()) == before


def test_a_cut_download_leaves_nothing(library, monkeypatch):
    from minari.storage import get_dataset_path

    path = get_dataset_path("mujoco/hopper/half-v0")

    def interrupted(*_, **__):
        (path / "data").mkdir(parents=True)
        raise KeyboardInterrupt

    monkeypatch.setattr(minari, "download_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        source.load("mujoco/hopper/half-v0")
    assert not path.exists()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(RamacError, match=r"needs the extra minari: pip install 'ramac-lib\[minari\]'"):
        source.load("mujoco/hopper/medium-v0")


def test_data_written_for_minari_come_back_and_the_library_reads_them(library, tmp_path, capsys):
    """Navigation's data and Hopper's, through the command; the environment of the former is this library's own."""
    for task, size, name in (("navigation-obstacle-mixed", 300, "mixed"), ("hopper-medium-expert", 2000, "hopper")):
        dataset_id, data = f"own/{name}-v0", datasets.load(task, size=size, seed=1, progress=False)
        code, shown, _ = run(capsys, "data", task, "--size", size, "--seed", 1, "--export", f"minari:{dataset_id}")
        assert code == 0
        assert "in Minari's layout" in shown
        back = datasets.load(task, f"minari:{dataset_id}", progress=False)
        for key, array in data.arrays().items():
            expected = array.copy()
            if key == "timeouts":
                expected[-1] |= not data.terminals[-1]
            np.testing.assert_allclose(back.arrays()[key], expected, atol=1e-3 if "obs" in key else 0)
        assert back.env_id == data.env_id
        theirs = minari.load_dataset(dataset_id)
        assert (theirs.total_steps, theirs.total_episodes) == (len(data), len(data.episode_bounds()))
        assert theirs.env_spec.id == data.env_id


def test_costs_are_infos_of_steps(library, hopper):
    costs = np.arange(len(hopper), dtype=np.float32) % 3
    source.save(hopper.with_(costs=costs), "own/costs-v0")
    np.testing.assert_array_equal(source.load("own/costs-v0").costs, costs)
    first = next(minari.load_dataset("own/costs-v0").iterate_episodes())
    assert len(first.infos["cost"]) == len(first.observations)


def test_a_dataset_that_is_there_is_not_written_over(library, hopper, monkeypatch):
    with pytest.raises(RamacError, match=r"^minari 'mujoco/hopper/medium-v0' could not be written: "):
        source.save(hopper, "mujoco/hopper/medium-v0")
    assert len(source.load("mujoco/hopper/medium-v0")) == len(library["medium"][0])

    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(minari, "create_dataset_from_buffers", full)
    with pytest.raises(RamacError, match=r"^minari 'own/full-v0' could not be written: no space left$"):
        source.save(hopper, "own/full-v0")
    assert "own/full-v0" not in minari.list_local_datasets()


def test_data_without_costs_are_exported_as_d4rls(tmp_path, capsys):
    task, path = "navigation-obstacle-mixed", tmp_path / "n.hdf5"
    code, shown, _ = run(capsys, "data", task, "--size", 300, "--export", path)
    assert code == 0
    assert "in D4RL's layout" in shown
    assert datasets.load(task, str(path)).sha256() == datasets.load(task, size=300).sha256()
    code, _, error = run(capsys, "data", task, "--size", 300, "--export", tmp_path / "n.csv")
    assert code == 1
    assert error.strip().endswith("n.csv: expected a path that ends in .hdf5, or minari:<dataset-id>")
