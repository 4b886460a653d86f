"""Batches: rows stay together, seeds draw for themselves, time-outs are bootstrapped."""

import numpy as np
import pytest
import torch

from ramac_lib.datasets.batches import Chunks, Replay, Transitions, Windows
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.episodes import concatenate, subsample
from ramac_lib.datasets.hdf5 import load_file, save_file
from ramac_lib.datasets.returns import returns_to_go
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError


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


# -- chunks and windows of hand-made episodes -------------------------------------------------------------------------

# Rows 0 1 2 3 | 4 5 | 6 7 8: a fall after 3, a time-out after 5, and 8 is where the data end.
NINE = Dataset(
    np.arange(9, dtype=np.float32)[:, None],
    np.arange(9, dtype=np.float32)[:, None] / 10,
    np.arange(1, 10, dtype=np.float32),
    np.array([1, 2, 3, 30, 5, 50, 7, 8, 80], np.float32)[:, None],
    np.arange(9) == 3,
    np.arange(9) == 5,
    "Hopper-v5",
    costs=np.array([0, 1, 0, 2, 0, 0, 0, 0, 3], np.float32),
)


def drawn(sampling, seeds=(0, 1), count=400):
    return Replay(NINE).sampler(sampling, count)(Noise(seeds, "batches"))


def by_start(batch):
    """Return one entry for each row that entries begin at: column → array."""
    first = batch.observations[0].flatten(1)[:, 0].int().tolist()
    columns = {k: v for k, v in batch._asdict().items() if v is not None}
    return {row: {k: v[0, first.index(row)] for k, v in columns.items()} for row in sorted(set(first))}


def test_transitions_are_the_default_draw():
    one, other = drawn(Transitions(), count=30), Replay(NINE).sample(Noise((0, 1), "batches"), 30)
    assert torch.equal(one.rewards, other.rewards)
    assert torch.equal(one.costs, NINE_COSTS[one.observations[..., 0].long()])
    assert one.mask is None


NINE_COSTS = torch.as_tensor(NINE.costs)


def test_windows_never_cross_an_episodes_end():
    batch = drawn(Windows(3))
    assert batch.observations.shape == (2, 400, 3, 1)
    assert batch.rewards.shape == batch.terminals.shape == batch.costs.shape == (2, 400, 3)
    found = by_start(batch)
    assert list(found) == [0, 1, 6]  # of three rows from 4 on one would lie in the next episode
    assert found[1]["observations"].flatten().tolist() == [1, 2, 3]
    assert found[1]["next_observations"].flatten().tolist() == [2, 3, 30]
    assert found[1]["terminals"].tolist() == [0, 0, 1]
    assert found[6]["costs"].tolist() == [0, 0, 3]


def test_chunks_are_padded_at_a_fall_and_left_out_at_a_time_out():
    found = by_start(drawn(Chunks(3)))
    assert list(found) == [0, 1, 2, 3, 6]
    whole, cut, last = found[1], found[3], found[6]
    assert whole["rewards"].tolist() == [2, 3, 4]
    assert whole["mask"].tolist() == [1, 1, 1]
    assert (whole["next_observations"].item(), whole["terminals"].item()) == (30, 1)
    assert cut["rewards"].tolist() == [4, 0, 0]
    assert cut["actions"].flatten().tolist() == pytest.approx([0.3, 0, 0])
    assert cut["costs"].tolist() == [2, 0, 0]
    assert cut["mask"].tolist() == [1, 0, 0]
    assert (cut["next_observations"].item(), cut["terminals"].item()) == (30, 1)
    assert (last["next_observations"].item(), last["terminals"].item()) == (80, 0)
    assert found[0]["next_observations"].item() == 3


def test_chunks_of_one_step_are_transitions():
    found = by_start(drawn(Chunks(1)))
    assert list(found) == list(range(9))
    assert [entry["next_observations"].item() for entry in found.values()] == NINE.next_observations[:, 0].tolist()
    assert [entry["terminals"].item() for entry in found.values()] == NINE.terminals.tolist()


@pytest.mark.parametrize("sampling", [Chunks(2), Windows(2)])
def test_every_start_is_equally_likely_and_a_seed_draws_for_itself(sampling):
    both, alone = drawn(sampling, (3, 8), 4000), drawn(sampling, (8,), 4000)
    assert torch.equal(both.rewards[1:], alone.rewards)
    _, counts = alone.observations[0].flatten(1)[:, 0].unique(return_counts=True)
    assert counts.min() > 0.8 * 4000 / len(counts)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: drawn(Windows(5)), "windows of 5 steps are longer than every episode; the longest has 4"),
        (lambda: drawn(Chunks(0)), "length of a chunk is 0; expected a whole number of at least 1"),
        (lambda: Chunks(2.5), "length of a chunk is 2.5; expected a whole number"),
        (lambda: Windows("3"), "length of a window is '3'; expected a whole number"),
        (lambda: drawn(Windows(-2)), "length of a window is -2"),
        (lambda: drawn(Chunks(5)), "chunks of 5 steps are longer than every episode; the longest has 4"),
        (lambda: NINE.with_(costs=-NINE.costs), "costs is -3 at row 8; expected numbers ≥ 0"),
        (lambda: NINE.with_(costs=NINE.costs * np.float32(np.nan)), "costs is NaN or infinite at row 0"),
        (lambda: NINE.with_(costs=NINE.costs[:-1]), "costs has 8 rows; expected 9"),
        (lambda: NINE.with_(costs=NINE.costs.astype(np.float64)), "costs has dtype float64; expected float32"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(RamacError, match=sentence):
        make()


def test_costs_travel_through_a_file_and_through_parts_of_it(tmp_path):
    path = save_file(NINE, tmp_path / "nine.hdf5")
    again = load_file(path)
    assert again.costs.tolist() == NINE.costs.tolist()
    assert again.sha256() == NINE.sha256() != NINE.with_(costs=None).sha256()
    assert subsample(NINE, 6).costs is not None
    assert concatenate([NINE, NINE], "both", {}).costs.tolist() == [*NINE.costs, *NINE.costs]
    assert concatenate([NINE, NINE.with_(costs=None)], "both", {}).costs is None


# -- padded windows, and returns --------------------------------------------------------------------------------------


def test_padded_windows_stay_in_a_terminal_state_and_are_left_out_at_a_time_out():
    found = by_start(drawn(Windows(3, padded=True)))
    assert list(found) == [0, 1, 2, 3, 6]  # 4 and 5 end by the clock; 7 and 8 by the data's end
    assert found[3]["next_observations"].flatten().tolist() == [30, 30, 30]
    assert found[2]["next_observations"].flatten().tolist() == [3, 30, 30]
    assert found[2]["rewards"].tolist() == [3, 4, 0]
    assert found[2]["costs"].tolist() == [0, 2, 0]
    assert found[2]["mask"].tolist() == [1, 1, 0]
    assert found[1]["mask"].tolist() == [1, 1, 1]


def test_returns_go_on_to_the_episodes_end():
    expected = [1 + 1 + 0.75 + 0.5, 2 + 1.5 + 1, 3 + 2, 4, 5 + 3, 6, 7 + 4 + 9 / 4, 8 + 4.5, 9]
    assert returns_to_go(NINE, 0.5).tolist() == expected
    found = by_start(drawn(Windows(2, padded=True, discount=0.5)))
    assert {row: entry["returns"].item() for row, entry in found.items()} == dict(enumerate(expected[:5]))
    whole = by_start(drawn(Windows(1, discount=1.0)))
    assert list(whole) == [0, 1, 2, 3, 4, 5]  # of 6, 7 and 8 nobody knows how they would have gone on
    assert whole[0]["returns"].item() == 1 + 2 + 3 + 4
    assert drawn(Windows(2)).returns is None


def test_returns_of_data_without_an_episodes_end_are_refused():
    endless = NINE.with_(
        terminals=np.zeros(9, bool), timeouts=np.zeros(9, bool), next_observations=NINE.observations + 1, name="f.hdf5"
    )
    sampled = Replay(endless).sampler(Windows(2), 4)(Noise((0,), "batches"))
    assert sampled.rewards.shape == (1, 4, 2)
    with pytest.raises(RamacError, match=r"f\.hdf5: no terminals and no timeouts mark an episode's end"):
        Replay(endless).sampler(Windows(2, discount=0.9), 4)
    with pytest.raises(RamacError, match="windows of 5 steps are longer than every episode; the longest has 4"):
        drawn(Windows(5, padded=True, discount=0.9))
    with pytest.raises(RamacError, match=r"the discount of windows is 1.1; expected a number in \[0, 1\]"):
        Windows(2, discount=1.1)
