"""A small real dataset, for whatever trains or evaluates in a test."""

import gymnasium
import numpy as np
import pytest
from probe_helpers import make_run

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.hdf5 import save_file


def hopper_steps(count: int, seed: int = 0) -> Dataset:
    """Roll out small random actions in Hopper-v5 for whole episodes of at least `count` steps in all."""
    env = gymnasium.make("Hopper-v5", max_episode_steps=40)
    rng = np.random.default_rng(seed)
    columns = {key: [] for key in ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")}
    observation, _ = env.reset(seed=seed)
    while True:
        action = rng.uniform(-0.5, 0.5, 3).astype(np.float32)
        following, reward, terminated, truncated, _ = env.step(action)
        row = (observation, action, reward, following, terminated, truncated and not terminated)
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
        observation = following
        if terminated or truncated:
            if len(columns["rewards"]) >= count:
                break
            observation, _ = env.reset()
    arrays = {k: np.array(v, bool if k in ("terminals", "timeouts") else np.float32) for k, v in columns.items()}
    return Dataset(**arrays, env_id="Hopper-v5", name="random hopper", recipe={"test": seed})


@pytest.fixture(scope="session")
def hopper() -> Dataset:
    """Some 600 real transitions."""
    return hopper_steps(600)


@pytest.fixture(scope="session")
def hopper_file(hopper, tmp_path_factory):
    """The same as an HDF5 file in D4RL's layout."""
    return save_file(hopper, tmp_path_factory.mktemp("data") / "hopper.hdf5")


@pytest.fixture(scope="session")
def runs(hopper_file, tmp_path_factory):
    """RADAC and DiffusionQL on the same small data."""
    folder = tmp_path_factory.mktemp("runs")
    return [make_run(folder / method, method, hopper_file) for method in ("radac", "diffusion-ql")]


def pytest_collection_modifyitems(items):
    """Begin with the chapters and the modules that hold slow tests, so that no worker ends with a long one alone."""
    long = {item.path for item in items if item.get_closest_marker("slow") or item.path.suffix == ".ipynb"}
    items.sort(key=lambda item: item.path not in long)
