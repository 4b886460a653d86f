"""Batches: rows stay together, seeds draw for themselves, time-outs are bootstrapped."""

import numpy as np
import torch

from ramac_lib.datasets.batches import Replay
from ramac_lib.datasets.contract import Dataset
from ramac_lib.networks.noise import Noise


def dataset(n=50):
    k = np.arange(n, dtype=np.float32)
    flags = np.zeros((2, n), bool)
    flags[0, 9::20] = True  # falls
    flags[1, 19::20] = True  # time-outs
    following = np.stack([k + 1, k + 1], 1)
    return Dataset(np.stack([k, k], 1), (k / n)[:, None], 10 * k, following, flags[0], flags[1], "Hopper-v5")


def test_rows_stay_together():
    batch = Replay(dataset()).sample(Noise((0, 1), "batches"), 200)
    k = batch.observations[..., 0]
    assert k.shape == (2, 200)
    torch.testing.assert_close(batch.rewards, 10 * k)
    torch.testing.assert_close(batch.next_observations[..., 1], k + 1)
    torch.testing.assert_close(batch.actions[..., 0], k / 50)
    assert len(k.unique()) == 50


def test_only_falls_stop_the_bootstrap():
    batch = Replay(dataset()).sample(Noise((0,), "batches"), 2000)
    fell = batch.observations[..., 0] % 20 == 9
    torch.testing.assert_close(batch.terminals, fell.float())


def test_a_seeds_batches_do_not_depend_on_its_neighbours():
    replay = Replay(dataset())
    both, alone = (replay.sample(Noise(s, "batches"), 30) for s in ((3, 8), (8,)))
    torch.testing.assert_close(both.rewards[1:], alone.rewards)
