"""The contract refuses what would make a wrong target, and describes what it accepts."""

import numpy as np
import pytest

from ramac_lib.datasets import Dataset
from ramac_lib.system.errors import RamacError


def chain(n: int = 6, **changes) -> dict:
    """Return arrays of one unfinished episode: the state counts its steps."""
    states = np.arange(n + 1, dtype=np.float32)[:, None]
    arrays = {
        "observations": states[:-1],
        "actions": np.linspace(-1, 1, n, dtype=np.float32)[:, None],
        "rewards": np.ones(n, np.float32),
        "next_observations": states[1:],
        "terminals": np.zeros(n, bool),
        "timeouts": np.zeros(n, bool),
        "env_id": "Chain-v0",
        "name": "chain",
    }
    return {**arrays, **changes}


def flags(n: int, *rows: int) -> np.ndarray:
    array = np.zeros(n, bool)
    array[list(rows)] = True
    return array


def test_accepts_an_unfinished_episode():
    data = Dataset(**chain())
    assert len(data) == 6
    assert data.episode_bounds() == [(0, 6)]


def test_episode_bounds_keep_both_kinds_of_end_and_the_cut_tail():
    data = Dataset(**chain(terminals=flags(6, 1), timeouts=flags(6, 3)))
    assert data.episode_bounds() == [(0, 2), (2, 4), (4, 6)]


def test_episode_bounds_without_a_tail():
    assert Dataset(**chain(timeouts=flags(6, 5))).episode_bounds() == [(0, 6)]


def test_episode_returns_and_their_horizon():
    rewards = np.array([1, 2, 4, 8, 16, 32], np.float32)
    data = Dataset(**chain(rewards=rewards, terminals=flags(6, 2)))
    assert data.episode_returns().tolist() == [7, 56]
    assert data.episode_returns(horizon=2).tolist() == [3, 24]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"observations": np.zeros((6, 1))}, "observations has dtype float64; expected float32"),
        ({"terminals": np.zeros(6, np.uint8)}, "terminals has dtype uint8; expected bool"),
        ({"rewards": np.ones((6, 1), np.float32)}, r"rewards has shape \(6, 1\); expected 1 dimension"),
        ({"actions": np.zeros(6, np.float32)}, r"actions has shape \(6,\); expected 2 dimension"),
        ({"actions": np.zeros((6, 0), np.float32)}, "actions has no columns; expected at least one"),
        ({"timeouts": np.zeros(5, bool)}, "timeouts has 5 rows; expected 6"),
        ({"next_observations": np.zeros((6, 2), np.float32)}, r"next_observations has shape \(6, 2\); expected"),
        ({"actions": np.full((6, 1), -1.01, np.float32)}, r"actions reaches 1.01; expected values in \[-1, 1\]"),
        ({"observations": np.full((6, 1), 7, np.float32)}, "next_observations at row 0 is not the next row's"),
    ],
)
def test_refuses(changes, message):
    with pytest.raises(RamacError, match=f"^chain: {message}"):
        Dataset(**chain(**changes))


@pytest.mark.parametrize("key", ["observations", "actions", "rewards", "next_observations"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite_and_names_the_row(key, value):
    arrays = chain()
    arrays[key] = arrays[key].copy()
    arrays[key][4] = value
    with pytest.raises(RamacError, match=f"chain: {key} is NaN or infinite at row 4"):
        Dataset(**arrays)


def test_refuses_zero_transitions():
    with pytest.raises(RamacError, match="holds no transitions"):
        Dataset(**chain(0))


def test_a_jump_needs_a_flag_and_either_flag_will_do():
    observations = chain()["observations"].copy()
    observations[3:] += 10
    following = chain()["next_observations"].copy()
    following[3:] += 10
    arrays = chain(observations=observations, next_observations=following)
    with pytest.raises(RamacError, match="at row 2"):
        Dataset(**arrays)
    for flag in ("terminals", "timeouts"):
        assert len(Dataset(**{**arrays, flag: flags(6, 2)}).episode_bounds()) == 2


def test_the_last_row_may_lead_anywhere():
    following = chain()["next_observations"].copy()
    following[-1] = 99
    assert len(Dataset(**chain(next_observations=following))) == 6


def test_hash_follows_the_arrays_alone():
    data = Dataset(**chain())
    assert data.with_(name="other", recipe={"size": 3}).sha256() == data.sha256()
    for key in ("rewards", "timeouts"):
        changed = getattr(data, key).copy()
        changed[0] = 1 - changed[0]
        assert data.with_(**{key: changed}).sha256() != data.sha256()


def test_hash_does_not_depend_on_memory_layout():
    data = Dataset(
        **chain(
            observations=np.asfortranarray(np.zeros((6, 2), np.float32)), next_observations=np.zeros((6, 2), np.float32)
        )
    )
    assert data.sha256() == data.with_(observations=np.zeros((6, 2), np.float32)).sha256()
