"""Values of the data and the share beyond a bound, on data whose values are known."""

import numpy as np
import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from ramac_lib.datasets.contract import Dataset
from support.audit import clips


def data(rewards, falls):
    """Episodes of these rewards; each ends in a fall or a time-out."""
    lengths = [len(part) for part in rewards]
    total, ends = sum(lengths), np.cumsum(lengths) - 1
    observations = np.arange(total, dtype=np.float32)[:, None]
    terminals, timeouts = np.zeros(total, bool), np.zeros(total, bool)
    for end, fell in zip(ends, falls, strict=True):
        (terminals if fell else timeouts)[end] = True
    return Dataset(
        env_id="Hopper-v5", observations=observations,
        actions=np.zeros((total, 1), np.float32), rewards=np.concatenate(rewards).astype(np.float32),
        next_observations=observations + 1, terminals=terminals, timeouts=timeouts,
    )  # fmt: skip


def test_values_are_discounted_to_the_episodes_end():
    made = data([[1.0, 1.0, 1.0], [2.0, 0.0]], [True, True])
    np.testing.assert_allclose(clips.values(made, 0.5), [1.75, 1.5, 1.0, 2.0, 0.0])


def test_a_time_out_hides_what_would_follow_a_fall_does_not():
    made = data([np.ones(5), np.ones(3)], [False, True])
    assert clips.known(made, ahead=2).tolist() == [True, True, True, False, False, True, True, True]


def test_the_share_beyond_a_bound():
    constant = data([np.full(400, 10.0)] * 3, [True] * 3)
    # 10 (1 − .99ⁿ)/.01 exceeds 300 from n = 36 steps before the end on.
    found = clips.share(constant, 300.0)
    assert found.value == pytest.approx((400 - 35) / 400)
    assert found.low == found.high == pytest.approx(found.value)  # all episodes are alike
    assert clips.share(constant, 1e6).value == 0
    with pytest.raises(Missing, match="goes on for 300 steps"):
        clips.share(data([np.ones(20)], [False]), 1.0)


def test_the_outcome_is_with_the_bound_less_without_it():
    rows = [episodes("radac", around(100, seed=1)), episodes("radac:td_clip=None", around(300, seed=2))]
    found = clips.outcome(gathered(*rows), TASK, "paper")
    assert found["mean"].value == pytest.approx(-200)
    assert found["cvar"].high < 0
    with pytest.raises(Missing, match="not both stored"):
        clips.outcome(gathered(rows[0]), TASK, "paper")
