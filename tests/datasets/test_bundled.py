import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from ramac_lib.datasets import bundled
from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError

MIXED, REPLAY = get_task("hopper-medium-expert"), get_task("hopper-medium-replay")


@pytest.fixture(scope="module")
def mixed():
    return bundled.build(MIXED, 2000, seed=1, workers=1, progress=False)


def test_halves_are_counted_in_transitions_of_whole_episodes(mixed):
    assert 2000 <= len(mixed) < 2000 + 2 * 1000
    assert mixed.env_id == "Hopper-v5"
    assert (mixed.terminals | mixed.timeouts)[-1]
    assert not (mixed.terminals & mixed.timeouts).any()
    bounds = mixed.episode_bounds()
    returns = mixed.episode_returns()
    half = next(k for k, (_, stop) in enumerate(bounds) if stop >= 1000) + 1
    # Medium episodes fall early, the expert's mostly do not.
    assert 1000 <= bounds[half - 1][1] < 2000
    assert returns[:half].mean() < 0.6 * returns[half:].mean()
    lengths = np.array([b - a for a, b in bounds])
    assert lengths.max() <= 1000
    np.testing.assert_array_equal(mixed.timeouts[[b - 1 for _, b in bounds]], lengths == 1000)


def test_equal_seeds_give_equal_hashes_however_many_work(mixed):
    again = bundled.build(MIXED, 2000, seed=1, workers=2, progress=False)
    assert again.sha256() == mixed.sha256()
    assert again.recipe == mixed.recipe
    other = bundled.build(MIXED, 2000, seed=2, workers=1, progress=False)
    assert other.sha256() != mixed.sha256()


def test_replay_holds_the_stages_in_their_order():
    count = len(stages("hopper").replay)
    data = bundled.build(REPLAY, 1000 * count, workers=1, progress=False)
    assert data.recipe["policies"] == list(stages("hopper").replay)
    thirds = np.array_split(data.episode_returns(), 3)
    assert len(data) >= 1000 * count
    # Untrained first: tens of episodes of some steps each; the trained last.
    assert data.episode_returns()[:20].mean() < 50
    assert data.episode_returns()[-2:].mean() > 800
    assert thirds[0].mean() < thirds[2].mean()


def test_the_first_episodes_that_reach_the_quota_are_chosen_short_or_long():
    def episode(length):
        return Episode(np.zeros((length + 1, 2)), np.zeros((length, 1)), np.zeros(length), True)

    part = bundled._Part(0, 100, (0,), [episode(n) for n in (30, 30, 39, 500, 1, 1)])
    assert [len(e) for e in part.chosen()] == [30, 30, 39, 500]
    part.quota = 99
    assert [len(e) for e in part.chosen()] == [30, 30, 39]


def test_the_second_load_reads_the_first_ones_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMAC_CACHE", str(tmp_path))
    arguments = {"size": 2000, "workers": 1, "progress": False}
    first = bundled.load(get_task("halfcheetah-medium-expert"), **arguments)
    (path,) = tmp_path.iterdir()
    assert first.name == str(path)
    build = bundled.build
    monkeypatch.setattr(bundled, "build", lambda *_: pytest.fail("built again"))
    second = bundled.load(get_task("halfcheetah-medium-expert"), **arguments)
    assert second.sha256() == first.sha256()
    assert second.recipe == first.recipe

    monkeypatch.setattr(bundled, "build", build)
    path.write_bytes(path.read_bytes()[:10_000])  # cut short: rebuilt, not refused
    assert bundled.load(get_task("halfcheetah-medium-expert"), **arguments).sha256() == first.sha256()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((MIXED, 1999), "size is 1999; hopper-medium-expert mixes 2 policies .* expected at least 2000"),
        ((MIXED, 2000, -1), "seed is -1"),
        ((get_task("risky-bandit"),), "has no behaviour policies"),
    ],
)
def test_refusals(arguments, sentence):
    with pytest.raises(RamacError, match=sentence):
        bundled.build(*arguments)


def test_a_missing_policy_is_named_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setenv("RAMAC_DATA", str(tmp_path))
    with pytest.raises(RamacError, match="set RAMAC_DATA"):
        bundled.load(MIXED)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names kernels of x86")
def test_the_kernels_that_a_processor_is_given_change_no_bit():
    """OpenBLAS's matrix products differ in their last bits between processors; a robot's fall makes much of that."""
    program = (
        "from ramac_lib.datasets import bundled; from ramac_lib.envs.tasks import get_task; "
        "print(bundled.build(get_task('hopper-medium-expert'), 2000, workers=1, progress=False).sha256())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OPENBLAS_CORETYPE": kernels},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        for kernels in ("Prescott", "Sandybridge", "Haswell")
    }
    assert len(found) == 1
