"""The rows of the bandit's sweeps: what each changes, what cannot matter there, and what is refused."""

import numpy as np
import pytest

from ramac_lib.campaign.bandit import train
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from support.ablations import knobs


def test_ablations_change_one_thing_of_the_methods_own_and_are_each_another_run():
    cells = knobs.cells(("knobs", "map", "measures"), (0, 1, 2), 5000)
    own = {m: make_config(m, "risky-bandit", (0,), 1000).settings for m in ("radac", "rafmac")}
    seen = set()
    for cell in cells:
        there = make_config(cell.method, "risky-bandit", (0,), 1000, cell.options).settings
        changed = {k for k, v in vars(there).items() if v != getattr(own[cell.method], k)}
        assert changed == set(cell.options), cell.variant
        assert cell.steps == 1000
        assert (cell.method, there, cell.seed) not in seen
        seen.add((cell.method, there, cell.seed))
    assert sum(not cell.options for cell in cells) == 2 * 3  # their own settings, once a seed
    assert {cell.seed for cell in cells if cell.suite == "map"} == {0, 1}
    lengths = [cell for cell in knobs.cells(("lengths",), (4, 2, 3), 5000) if cell.method == "radac"]
    assert [(cell.steps, cell.seed) for cell in lengths] == [(1000, 4), (1000, 2), (20_000, 4), (20_000, 2)]


def test_targets_do_nothing_where_nothing_is_bootstrapped():
    """The rate of targets and the discount are no knobs of the bandit: whatever they are, the run is the same."""
    small = {"hidden": 8, "critic_hidden": 8, "embedding": 4, "policy_steps": 2, "batch_size": 8}
    one, other = (
        train("radac", (0,), 20, {**small, **own}, device="cpu", count=50)
        for own in ({}, {"target_rate": 0.5, "target_critics": "mean", "discount": 0.5})
    )
    np.testing.assert_array_equal(one.last, other.last)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"suites": ("knob",)}, "unknown suite 'knob': choose one of knobs, measures, map, lengths"),
        ({"seeds": ()}, "seeds are none; expected at least one"),
        ({"seeds": (1, 1)}, "seeds are 1 1; expected at least one, each once"),
        ({"steps": 3}, "steps is 3; expected at least 5 updates"),
    ],
)
def test_bad_input_is_refused(wrong, said):
    with pytest.raises(RamacError, match=said):
        knobs.cells(**{"suites": ("knobs",), "seeds": (0,), "steps": 40, **wrong})
