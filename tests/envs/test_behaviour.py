import json
import shutil
from itertools import chain

import gymnasium
import numpy as np
import pandas as pd
import pytest

from ramac_lib.envs.behaviour import WEIGHTS, load_policy, policy_path, save_policy, stages
from ramac_lib.envs.collect import GROUP, EpisodeGroup, collect, roll_out
from ramac_lib.envs.robots import time_limit
from ramac_lib.envs.tasks import ENVS
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import cache_folder, data_folder
from ramac_lib.system.processes import worker_map

LARGEST = 6_000_000  # bytes: what a clone may cost


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A folder ``data`` of one's own, with Hopper's untrained policy."""
    folder = tmp_path / "data"
    (folder / "behaviour" / "hopper").mkdir(parents=True)
    shutil.copy(data_folder() / "behaviour" / "stages.json", folder / "behaviour")
    shutil.copy(policy_path("hopper", 0), folder / "behaviour" / "hopper")
    monkeypatch.setenv("RAMAC_DATA", str(folder))
    return folder


def constant_policy(path, mean, log_std):
    weights = dict(zip(WEIGHTS, (np.zeros(s) for s in ((11, 4), 4, (4, 4), 4, (4, 3), 3, (4, 3), 3)), strict=True))
    weights["b_mean"] = np.full(3, mean)
    weights["b_log_std"] = np.full(3, log_std)
    save_policy(path, weights)


@pytest.mark.parametrize(("mean", "log_std", "std"), [(0.5, -1.0, np.exp(-1)), (0, 5.0, np.exp(2)), (-1, -50.0, 0)])
def test_actions_follow_the_tanh_gaussian(copied, mean, log_std, std):
    constant_policy(policy_path("hopper", 7), mean, log_std)
    policy = load_policy("hopper", 7)
    noise = np.random.default_rng(0).standard_normal((20_000, 3), dtype=np.float32)
    actions = policy(np.zeros((20_000, 11), np.float32), noise)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    np.testing.assert_allclose(actions, np.tanh(mean + std * noise), atol=1e-5)


def test_layers_are_relu_of_x_w_plus_b():
    policy = load_policy("walker2d", stages("walker2d").medium)
    w = {name: array.astype(np.float64) for name, array in policy.weights.items()}
    state = np.random.default_rng(0).standard_normal(17)
    hidden = state
    for layer in ("0", "1"):
        hidden = np.clip(hidden @ w["w" + layer] + w["b" + layer], 0, None)
    expected = np.tanh(hidden @ w["w_mean"] + w["b_mean"])
    found = policy(state[None].astype(np.float32), np.zeros((1, 6), np.float32))[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("env", ENVS)
def test_the_shipped_policies_fit_their_environments(env):
    found = stages(env)
    spaces = gymnasium.make(f"{ENVS[env]}-v5", disable_env_checker=True)
    sizes = (spaces.observation_space.shape[0], spaces.action_space.shape[0])
    for step in found.shipped:
        assert load_policy(env, step).sizes == sizes
    assert list(found.replay) == sorted(found.replay)
    assert (found.replay[0], found.replay[-1]) == (0, found.medium)
    assert found.expert > found.medium
    shipped = {path.name for path in policy_path(env, 0).parent.glob("*.npz")}
    assert shipped == {policy_path(env, step).name for step in found.shipped}


@pytest.mark.parametrize("env", ENVS)
def test_medium_earns_a_third_to_a_half_of_the_best(env):
    table = pd.read_csv(data_folder() / "behaviour" / "returns.csv").query("env == @env").set_index("step")
    found = stages(env)
    assert tuple(table.index) == found.shipped
    assert table["return_1000"].idxmax() == found.expert
    assert 1 / 3 < table["return_1000"][found.medium] / table["return_1000"][found.expert] < 1 / 2
    assert table["return_1000"][list(found.replay)].idxmax() == found.medium


def test_they_are_small_enough_to_ship():
    files = [path for path in (data_folder() / "behaviour").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST


def test_folders_can_be_moved(tmp_path, monkeypatch):
    monkeypatch.delenv("RAMAC_CACHE", raising=False)
    monkeypatch.setenv("RAMAC_DATA", str(tmp_path))
    assert policy_path("hopper", 20).relative_to(tmp_path).as_posix() == "behaviour/hopper/step_0000020.npz"
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("RAMAC_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"


def test_refusals(copied):
    def refuses(sentence, call, *arguments):
        with pytest.raises(RamacError, match=sentence):
            call(*arguments)

    path = policy_path("hopper", 0)
    refuses("unknown environment 'ant'", stages, "ant")
    refuses("step_0000001.npz: cannot be read", load_policy, "hopper", 1)
    with np.load(path) as file:
        good = dict(file)
    np.savez(path, **{k: v for k, v in good.items() if k != "w1"})
    refuses("is not a behaviour policy.*w1", load_policy, "hopper", 0)
    np.savez(path, **{**good, "w1": good["w1"][:-1]})
    refuses(r"w1 has shape \(255, 256\); expected \(256, 256\)", load_policy, "hopper", 0)
    np.savez(path, **{**good, "b0": good["b0"] * np.nan})
    refuses("b0 holds NaN", load_policy, "hopper", 0)
    path.write_bytes(path.read_bytes()[:5000])
    refuses("is not a behaviour policy", load_policy, "hopper", 0)
    with pytest.raises(RamacError, match="needs the arrays w0"):
        save_policy(path, {k: v for k, v in good.items() if k != "w0"})
    listing = copied / "behaviour" / "stages.json"
    listing.write_text(json.dumps({"hopper": {"expert": 1}}))
    refuses("expected 'hopper' with the keys", stages, "hopper")
    listing.unlink()
    refuses("set RAMAC_DATA", stages, "hopper")


def seeds(n, key=0):
    return [np.random.SeedSequence([key, k]) for k in range(n)]


def test_an_episode_is_what_gymnasium_plays_with_its_actions():
    policy = load_policy("hopper", stages("hopper").medium)
    env = gymnasium.make("Hopper-v5", disable_env_checker=True)
    for seed, episode in zip(seeds(10), collect(policy, "Hopper-v5", seeds(10), 1000), strict=True):
        observation, _ = env.reset(seed=int(seed.spawn(1)[0].generate_state(1)[0]))
        np.testing.assert_array_equal(np.float32(observation), episode.observations[0])
        for t in range(len(episode)):
            observation, reward, terminated, truncated, _ = env.step(episode.actions[t])
            np.testing.assert_array_equal(np.float32(observation), episode.observations[t + 1])
            assert np.float32(reward) == episode.rewards[t]
            assert (terminated or truncated) == (t == len(episode) - 1)
        assert terminated == episode.terminated


def test_the_horizon_cuts_without_terminating():
    policy = load_policy("halfcheetah", stages("halfcheetah").expert)
    assert time_limit("HalfCheetah-v5") == 1000
    for episode in collect(policy, "HalfCheetah-v5", seeds(3), 25):
        assert (len(episode), episode.terminated) == (25, False)
        assert episode.observations.shape == (26, 17)


def test_short_and_long_episodes_come_in_the_order_of_their_seeds():
    # Finishing order would put short episodes first; here each seed keeps its place, whoever shares its batch.
    policy = load_policy("hopper", stages("hopper").medium)
    together = collect(policy, "Hopper-v5", seeds(20), 1000)
    lengths = np.array([len(e) for e in together])
    assert len(set(lengths)) > 5
    for k in (0, 7, 19):
        alone = collect(policy, "Hopper-v5", seeds(20)[k : k + 1], 1000)[0]
        np.testing.assert_array_equal(alone.observations[0], together[k].observations[0])
        np.testing.assert_allclose(alone.actions[:20], together[k].actions[:20], atol=1e-3)


def test_other_processes_play_the_same_bits():
    jobs = [EpisodeGroup("halfcheetah", stages("halfcheetah").medium, (5,), group, 40) for group in range(2)]
    with worker_map(2) as run:
        theirs = list(run(roll_out, jobs))
    with worker_map(1) as run:
        ours = list(run(roll_out, jobs))
    assert len(ours[0]) == GROUP
    for a, b in zip(chain(*ours), chain(*theirs), strict=True):
        assert a.actions.tobytes() == b.actions.tobytes()
        assert a.observations.tobytes() == b.observations.tobytes()
    assert ours[0][0].actions.tobytes() != ours[1][0].actions.tobytes()


def _die(_):
    import os

    os._exit(3)


def test_a_worker_that_dies_is_one_sentence():
    with (
        pytest.raises(
            RamacError, match=r"a process that worked for this one was killed \(no memory left\?\); use workers=1"
        ),
        worker_map(2) as run,
    ):
        list(run(_die, [0]))
