"""Real transitions for the tests of the datasets: a few Hopper episodes with falls and time-outs."""

import warnings
from pathlib import Path

import gymnasium
import h5py
import numpy as np
import pytest

from ramac_lib.datasets import Dataset

LIMIT = 15  # steps: some random episodes fall before, some do not


def _roll_out(env_id: str, steps: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Return `steps` transitions of uniform actions in the simulator's own precision."""
    rows: dict[str, list] = {
        key: [] for key in ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Gymnasium would rather see -v5
        env = gymnasium.make(env_id, max_episode_steps=LIMIT)
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    for _ in range(steps):
        action = env.action_space.sample()
        following, reward, terminal, timeout, _ = env.step(action)
        for values, value in zip(
            rows.values(), (observation, action, reward, following, terminal, timeout), strict=True
        ):
            values.append(value)
        observation = env.reset()[0] if terminal or timeout else following
    env.close()
    arrays = {key: np.array(values) for key, values in rows.items()}
    arrays["timeouts"] &= ~arrays["terminals"]  # as D4RL marks them
    return arrays


def _write(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write the arrays as they are, in D4RL's layout."""
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            file.create_dataset(key, data=array, compression="gzip")
    return path


@pytest.fixture(scope="session")
def hopper_arrays() -> dict[str, np.ndarray]:
    arrays = _roll_out("Hopper-v4", 400)
    assert arrays["terminals"].sum() > 3
    assert arrays["timeouts"].sum() > 3
    return arrays


@pytest.fixture
def hopper(hopper_arrays) -> Dataset:
    arrays = {key: array.astype(bool if array.dtype == bool else np.float32) for key, array in hopper_arrays.items()}
    return Dataset(**arrays, env_id="Hopper-v4", name="hopper")


@pytest.fixture
def hopper_file(hopper_arrays, tmp_path) -> Path:
    return _write(tmp_path / "hopper.hdf5", hopper_arrays)


@pytest.fixture
def write():
    return _write
