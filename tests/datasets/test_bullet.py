"""Bullet-Safety-Gym: linear policies, seeds that count, data of costs; one sentence where the package is missing."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from ramac_lib import datasets
from ramac_lib.datasets import bullet, dsrl
from ramac_lib.envs.linear import NOISE, act, load_policies, play, policies_path
from ramac_lib.envs.robots import make_env, time_limit
from ramac_lib.envs.tasks import BULLET, LIMITS, get_task
from ramac_lib.system.errors import RamacError

installed = pytest.mark.skipif(
    importlib.util.find_spec("bullet_safety_gym") is None, reason="bullet-safety-gym is not installed (make bullet)"
)
SHIPPED = [task for task in BULLET if policies_path(task).is_file()]
TASK = get_task("ball-run")


def test_without_the_package_the_rest_works_and_a_sentence_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "bullet_safety_gym", None)
    sentence = "the environment SafetyBallRun-v0 needs the package bullet-safety-gym: make bullet"
    for ask in (lambda: make_env("SafetyBallRun-v0"), lambda: datasets.load(TASK), lambda: time_limit(TASK.env_id())):
        with pytest.raises(RamacError, match=sentence):
            ask()
    assert get_task("car-circle").env_id() == "SafetyCarCircle-v0"
    assert time_limit("Hopper-v5") == 1000


def test_the_action_is_the_tanh_of_a_line_and_noise():
    weights = np.float32([[0.5, -1, 0.25], [0, 2, 0]])
    state, noise = np.float32([2, 0.5]), np.float32([1, -1])
    np.testing.assert_allclose(act(weights, state, noise * 0), np.tanh([0.75, 1]), rtol=1e-6)
    np.testing.assert_allclose(act(weights, state, noise), np.tanh([0.75 + NOISE, 1 - NOISE]), rtol=1e-6)


@pytest.mark.parametrize("task", SHIPPED)
def test_shipped_policies_are_small_and_many(task):
    policies = load_policies(task)
    columns = {"ball-run": (2, 8), "ball-circle": (2, 9), "car-run": (2, 8), "car-circle": (2, 9), "drone-run": (4, 18)}
    assert policies.weights.shape == (len(policies), *columns[task])
    assert policies.weights.dtype == np.float32
    assert 6 <= len(policies) <= 60
    assert policies_path(task).stat().st_size < 1_000_000
    searched = policies.kappas[~np.isnan(policies.kappas)]
    assert 0 == searched.min() < searched.max() <= LIMITS[task]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"weights": np.zeros((2, 2, 8))}, "is not a set of linear policies"),
        ({"weights": np.zeros((2, 8)), "kappas": np.zeros(2), "seeds": np.zeros(2)}, "its arrays have shapes"),
        ({"weights": np.zeros((2, 2, 8)), "kappas": np.zeros(3), "seeds": np.zeros(2)}, "its arrays have shapes"),
        ({"weights": np.full((2, 2, 8), np.nan), "kappas": np.zeros(2), "seeds": np.zeros(2)}, "NaN or infinite"),
        (None, "ball-run has no shipped policies .* tools/search_bullet.py finds some"),
    ],
)
def test_damaged_and_missing_policies_are_refused(tmp_path, monkeypatch, arrays, words):
    monkeypatch.setenv("RAMAC_DATA", str(tmp_path))
    if arrays is not None:
        policies_path("ball-run").parent.mkdir()
        np.savez(policies_path("ball-run"), **arrays)
    with pytest.raises(RamacError, match=words):
        load_policies("ball-run")
    with pytest.raises(RamacError, match="unknown task of Bullet-Safety-Gym 'hopper'"):
        load_policies("hopper")


@installed
@pytest.mark.parametrize("task", ["ball-run", "car-circle"])
def test_the_seed_fixes_an_episode_and_leaves_numpys_generator_alone(task):
    """Failed without the wrapper: the package draws starts from NumPy's global generator and ignores the seed."""
    env_id, rng = get_task(task).env_id(), np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (40, 2))
    lived = []
    for seed in (4, 4, 5):
        env = make_env(env_id)
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        steps = [env.reset(seed=seed)[0], *(env.step(action)[0] for action in actions)]
        env.close()
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
        lived.append(np.array(steps))
        np.random.seed(seed + len(lived))  # noqa: NPY002
    np.testing.assert_array_equal(lived[0], lived[1])
    assert (lived[0][0] != lived[2][0]).any()


@installed
def test_nothing_is_printed_and_no_file_stays_open(capfd):
    """Failed with the package's own: a line for each simulator, and a descriptor that was never closed."""
    make_env("SafetyBallRun-v0").close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        make_env("SafetyBallRun-v0").close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert capfd.readouterr().out == ""


@installed
def test_costs_are_reported_as_violations():
    """A ball at full speed along x leaves its speed limit, and comes back to it when it brakes."""
    env = make_env("SafetyBallRun-v0")
    env.reset(seed=0)
    infos = [env.step(np.array([1.0, 0.0]))[4] for _ in range(60)]
    costs = [info["cost"] for info in infos]
    assert set(costs) == {0, 1}
    assert costs == sorted(costs)  # once too fast, always too fast
    assert all(info["violation"] == info["cost"] == info["monitored"] and info["penalty"] == 0 for info in infos)
    assert time_limit("SafetyBallRun-v0") == LIMITS["ball-run"]
    env.close()


@installed
@pytest.mark.slow
def test_data_of_the_policies_are_thinned_and_the_same_however_many_work(tmp_path):
    count = len(load_policies("ball-run"))
    size = 3 * count * 100
    data = bullet.build(TASK, size, seed=1, workers=1, progress=False)
    again = bullet.build(TASK, size, seed=1, workers=2, progress=False)
    assert again.sha256() == data.sha256()
    assert again.recipe == data.recipe
    assert bullet.build(TASK, size, seed=2, workers=1, progress=False).sha256() != data.sha256()
    episodes = len(data.episode_bounds())
    assert len(data) == 100 * episodes <= size
    assert sum(data.recipe["episodes"]) == episodes
    assert max(data.recipe["episodes"]) <= 3
    assert data.timeouts.sum() == episodes
    assert not data.terminals.any()
    costs = data.episode_costs()
    assert costs.min() == 0
    assert costs.max() > 80
    assert ((costs > 5) & (costs < 75)).mean() > 0.2  # what lies between is there, too
    path = dsrl.save(data, tmp_path / "ball.hdf5")
    assert dsrl.load(TASK, str(path)).sha256() == data.sha256()
    made = dsrl.policies_of(data)[::100]
    assert (np.diff(made) >= 0).all()
    assert made.max() < count


@installed
@pytest.mark.slow
def test_a_policys_episodes_are_those_of_a_fresh_environment():
    """The data's first episode of the last policy, played alone, is the same to the bit."""
    policies = load_policies("ball-run")
    data = bullet.build(TASK, len(policies) * 100, workers=1, progress=False)
    last = len(policies) - 1
    key = bullet.crc32(b"bullet ball-run"), 0
    env = make_env(TASK.env_id())
    alone = play(env, policies.weights[last], np.random.SeedSequence([*key, last, 0]))
    env.close()
    np.testing.assert_array_equal(data.rewards[-100:], alone.rewards)
    np.testing.assert_array_equal(data.costs[-100:], alone.costs)
    np.testing.assert_array_equal(data.observations[-100:], alone.observations[:-1])


@installed
def test_sizes_and_seeds_that_cannot_be_are_refused():
    count = len(load_policies("ball-run"))
    with pytest.raises(RamacError, match=f"ball-run has {count} policies: expected at least {count * 100}"):
        bullet.build(TASK, count * 100 - 1)
    with pytest.raises(RamacError, match="seed is -1; expected a whole number from 0"):
        bullet.build(TASK, seed=-1)
