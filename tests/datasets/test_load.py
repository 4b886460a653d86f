"""One door for every source, and what it does with whole episodes."""

import subprocess
import sys

import numpy as np
import pytest

from ramac_lib.datasets import Dataset, hdf5, load, subsample, summary
from ramac_lib.system.errors import RamacError


def episodes(lengths, **changes) -> Dataset:
    """Return episodes whose rewards are their numbers; the last one is cut by the data's end."""
    n = sum(lengths)
    states = np.arange(n, dtype=np.float32)[:, None]
    timeouts = np.zeros(n, bool)
    timeouts[np.cumsum(lengths)[:-1] - 1] = True
    return Dataset(
        observations=states,
        actions=np.zeros((n, 1), np.float32),
        rewards=np.repeat(np.arange(len(lengths)), lengths).astype(np.float32),
        next_observations=states + 1,
        terminals=np.zeros(n, bool),
        timeouts=timeouts,
        env_id="Chain-v0",
        **changes,
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [50, 137, 1000])
def test_subsample_keeps_whole_episodes_in_order(seed, size):
    lengths = np.random.default_rng(1).integers(1, 50, 100)
    data = episodes(lengths)
    kept = subsample(data, size, seed)
    assert size - 50 < len(kept) <= size
    numbers, counts = np.unique(kept.rewards, return_counts=True)
    np.testing.assert_array_equal(counts, lengths[numbers.astype(int)])
    assert (np.diff(kept.observations[:, 0]) > 0).all()
    assert kept.recipe == {"size": size, "seed": seed}
    assert subsample(data, size, seed).sha256() == kept.sha256()


@pytest.mark.parametrize("seed", range(10))
def test_subsample_keeps_the_mixture(seed):
    """A prefix would hold the first policy's episodes only."""
    kept = subsample(episodes([10] * 200), 400, seed)
    parts = np.histogram(kept.rewards, bins=4, range=(0, 200))[0] / 10
    assert len(kept) == 400
    assert parts.min() >= 9
    assert parts.max() <= 11


def test_subsample_does_not_favour_short_episodes():
    lengths = np.random.default_rng(2).permutation([5] * 300 + [50] * 300)
    share = [
        np.mean([b - a == 5 for a, b in subsample(episodes(lengths), 3000, seed).episode_bounds()])
        for seed in range(40)
    ]
    assert np.mean(share) == pytest.approx(0.5, abs=0.02)


def test_subsample_depends_on_the_seed_and_keeps_all_when_it_can():
    data = episodes([10] * 50)
    assert len({subsample(data, 100, seed).sha256() for seed in range(8)}) > 4
    assert subsample(data, None) is data
    assert subsample(data, 500) is data


def test_subsample_refuses_less_than_an_episode():
    with pytest.raises(RamacError, match="size 19 is too small; expected at least 20, its longest episode"):
        subsample(episodes([10, 20, 10]), 19)


def test_summary_counts_and_quantiles(hopper):
    report = summary(hopper)
    returns = hopper.episode_returns()
    assert report["episodes"] == len(returns) == hopper.terminals.sum() + hopper.timeouts.sum() + 1
    assert report["terminals"] + report["timeouts"] + report["cut by the data's end"] == report["episodes"]
    assert report["transitions"] == 400
    assert report["return min"] <= report["return 50 %"] <= report["return max"] == returns.max()
    assert report["length max"] == 15
    data = episodes([1, 2, 3, 4, 5])
    assert summary(data)["length mean"] == 3
    assert summary(data)["return 50 %"] == 6  # of 0, 2, 6, 12, 20
    assert summary(data)["return mean"] == 8


def test_a_path_is_a_source(hopper_file, hopper):
    data = load("hopper-medium-expert", str(hopper_file))
    assert data.sha256() == hopper.sha256()
    assert data.recipe == {"source": "file", "sha256": hopper.sha256()}
    assert load("hopper-medium-expert", str(hopper_file), env_id="Hopper-v5").env_id == "Hopper-v5"


def test_a_path_without_a_suffix_is_one_if_it_exists(hopper_file, monkeypatch):
    monkeypatch.chdir(hopper_file.parent)
    hopper_file.rename("mine")
    assert len(load("hopper-medium-expert", "mine")) == 400


def test_size_thins_a_file_and_stays_in_its_recipe(hopper_file, hopper):
    data = load("hopper-medium-expert", str(hopper_file), size=100, seed=4)
    assert 85 < len(data) <= 100
    assert data.recipe == {"source": "file", "sha256": hopper.sha256(), "size": 100, "seed": 4}


def test_a_thinned_dataset_survives_the_disk(hopper, tmp_path):
    thin = subsample(hopper, 100)
    assert hdf5.load_file(hdf5.save_file(thin, tmp_path / "thin.hdf5")).sha256() == thin.sha256()


def test_d4rl_by_name(hopper_file, monkeypatch):
    monkeypatch.setenv("D4RL_DATASET_DIR", str(hopper_file.parent))
    hopper_file.rename(hopper_file.with_name("hopper_medium_replay-v2.hdf5"))
    data = load("hopper-medium-replay", "d4rl", size=200)
    assert data.recipe["source"] == "d4rl"
    assert data.recipe["size"] == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ant",), "unknown task 'ant': choose one of hopper-medium-expert"),
        (("hopper-medium-expert", "nowhere"), "unknown source 'nowhere': choose one of bundled, d4rl, dsrl, minari"),
        (("hopper-medium-expert", "none.hdf5"), r"none.hdf5: no such file"),
        (("hopper-medium-expert", "none/file"), r"none/file: no such file"),
        (("risky-bandit", "d4rl"), "unknown D4RL task 'risky-bandit'"),
    ],
)
def test_refuses_unknown_names(arguments, message):
    with pytest.raises(RamacError, match=message):
        load(*arguments)


def test_refuses_senseless_sizes_and_environments():
    with pytest.raises(RamacError, match="size is 0; expected at least 1"):
        load("hopper-medium-expert", size=0)
    with pytest.raises(RamacError, match="bundled knows its environment; expected no env_id"):
        load("hopper-medium-expert", env_id="Hopper-v4")


def test_importing_is_light():
    script = (
        "import sys, ramac_lib.datasets; "
        "print(*{'torch', 'minari', 'gymnasium', 'pandas', 'h5py', 'requests'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_bandits_data_come_from_its_law():
    data = load("risky-bandit", size=300, seed=1)
    assert len(data) == 300
    assert data.sha256() == load("risky-bandit", size=300, seed=1).sha256()
    assert data.sha256() != load("risky-bandit", size=300, seed=2).sha256()
