"""RAFMAC's risk term reaches the deployed field as written, and never as released."""

from types import SimpleNamespace

import numpy as np
import pytest

from support.audit import deadpath


@pytest.mark.parametrize("seed", [0, 1])
def test_as_released_no_weight_of_the_risk_moves_the_deployed_field(seed):
    found = deadpath.reach(released=True, seed=seed, steps=4)
    assert found == (0.0, 0.0)  # exactly: there is no path


def test_as_written_it_does():
    found = deadpath.reach(released=False, steps=4)
    assert found.gradient > 1e-3
    assert found.moved > 1e-4


def test_a_clamp_cuts_what_lies_beyond_it():
    data = {"a": SimpleNamespace(rewards=np.array([-50.0, 0.5, 3.0, 1.0]))}
    found = deadpath.clamped(data).iloc[0]
    assert (found["beyond"], found["low"], found["high"]) == (0.5, -50.0, 3.0)
