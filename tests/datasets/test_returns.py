"""Monte-Carlo returns over windows: where they begin, what they hold, which data are refused."""

import numpy as np
import pytest

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import monte_carlo, returns_to_go, window_starts
from ramac_lib.system.errors import RamacError


def episodes(*lengths, ends="terminals", cut=False):
    """Episodes of these lengths whose k-th row pays k; the last is without an end if `cut`."""
    n = sum(lengths)
    flags = {key: np.zeros(n, bool) for key in ("terminals", "timeouts")}
    last = np.cumsum(lengths)[: -1 if cut else None] - 1
    if ends:
        flags[ends][last] = True
    states = np.arange(n + 1, dtype=np.float32)[:, None]
    actions, rewards = np.zeros((n, 1), np.float32), np.arange(n, dtype=np.float32)
    return Dataset(states[:-1], actions, rewards, states[1:], **flags, env_id="Hopper-v5", name="made up")


@pytest.mark.parametrize(("length", "count"), [(150, 1), (200, 1), (209, 1), (210, 2), (250, 6), (1000, 81)])
def test_how_many_windows_an_episode_has(length, count):
    assert len(window_starts(length, 200, 10, 100)) == count


def test_no_more_than_the_limit():
    assert window_starts(1000, 200, 10, 3).tolist() == [0, 10, 20]
    assert len(window_starts(5000, 200, 10, 100)) == 100


@pytest.mark.parametrize("ends", ["terminals", "timeouts"])
def test_the_windows_of_three_lengths(ends):
    found = monte_carlo(episodes(150, 250, 1000, ends=ends), 0.99)
    assert len(found.rows) == len(found.values) == 1 + 6 + 81
    assert found.rows[:7].tolist() == [0, 150, 160, 170, 180, 190, 200]
    assert found.rows[-1] == 400 + 800  # its window ends with the data
    assert found.values.dtype == np.float32


def test_a_window_is_the_discounted_sum_of_its_own_episode():
    found = monte_carlo(episodes(2, 4), 0.5, length=3, step=1)
    assert found.rows.tolist() == [0, 2, 3]
    # 0 + ½·1, and no step of the next episode; 2 + 3/2 + 4/4; 3 + 4/2 + 5/4.
    assert found.values.tolist() == [0.5, 4.5, 6.25]


def test_what_a_window_of_200_keeps_of_the_discount():
    data = episodes(1000)
    ones = data.with_(rewards=np.ones(1000, np.float32))
    assert monte_carlo(ones, 0.99).values[0] * 0.01 == pytest.approx(0.866, abs=5e-4)
    assert monte_carlo(ones, 1.0).values.tolist() == [200.0] * 81


def test_an_episode_that_the_data_cut_counts_only_where_its_windows_are_whole():
    short = monte_carlo(episodes(4, 2, cut=True), 1.0, length=3, step=1)
    assert short.rows.tolist() == [0, 1]
    whole = monte_carlo(episodes(4, 3, cut=True), 1.0, length=3, step=1)
    assert whole.rows.tolist() == [0, 1, 4]


def test_where_every_episode_is_shorter_each_has_its_first_steps_return():
    """Also if one of them is cut by the data's end, which has none."""
    found = monte_carlo(episodes(2, 3), 0.5, length=10)
    assert found.rows.tolist() == [0, 2]
    assert found.values.tolist() == [0.5, 2 + 3 / 2 + 4 / 4]
    assert monte_carlo(episodes(2, 3, cut=True), 0.5, length=10).rows.tolist() == [0]


@pytest.mark.parametrize(("discount", "length"), [(0.99, 7), (1.0, 30), (0.0, 3), (0.9, 100)])
def test_windows_are_the_sums_that_their_rewards_have(discount, length):
    """Against the sum written out, and to-go returns where windows reach every end."""
    rng = np.random.default_rng(0)
    data = episodes(40, 3, 90).with_(rewards=rng.standard_normal(133).astype(np.float32) * 100)
    found = monte_carlo(data, discount, length=length, step=1)
    stops = np.repeat([40, 43, 133], [40, 3, 90])
    for row, value in zip(found.rows, found.values, strict=True):
        rewards = data.rewards[row : min(row + length, stops[row])].astype(float)
        assert value == pytest.approx(sum(discount**k * r for k, r in enumerate(rewards)), rel=1e-6, abs=1e-4)
    np.testing.assert_allclose(
        monte_carlo(data, discount, length=100, step=1).values, returns_to_go(data, discount)[[0, 40, 43]], rtol=1e-6
    )


def test_the_bandits_windows_are_its_rewards():
    data = episodes(*[1] * 7)
    found = monte_carlo(data, 0.99, length=1, step=1)
    assert found.values.tolist() == data.rewards.tolist()


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (episodes(20, ends=""), {}, "made up: no terminals and no timeouts mark an episode's end"),
        (episodes(20), {"length": 0}, "length of the windows of returns is 0; expected at least 1"),
        (episodes(20), {"step": 0}, "step of the windows of returns is 0; expected at least 1"),
        (episodes(20), {"limit": -1}, "limit of the windows of returns is -1; expected at least 1"),
        (episodes(20), {"discount": 1.01}, "discount is 1.01; expected a number from 0 to 1"),
        (episodes(20), {"discount": float("nan")}, "discount is nan"),
    ],
)
def test_what_is_refused(data, options, message):
    with pytest.raises(RamacError, match=message):
        monte_carlo(data, **{"discount": 0.99, **options})
