"""RADAC on r − λc is RADAC on data whose rewards have the price of their costs taken off, to the bit."""

import pytest
import torch
from method_helpers import batch, episodes
from quantile_helpers import make

from ramac_lib.system.errors import RamacError


@pytest.mark.parametrize("weight", [0.0, 2.5])
def test_it_is_radac_on_other_rewards(weight):
    own, plain = make("radac-cost", cost_weight=weight), make("radac")
    data = batch(of=own)
    assert data.costs.unique().tolist() == [0.0, 1.0]
    priced = data._replace(rewards=data.rewards - weight * data.costs, costs=None)
    for _ in range(3):
        found, expected = own.learn(data), plain.learn(priced)
    assert set(found) == set(expected)
    for name in found:
        assert torch.equal(found[name], expected[name]), name
    other = own.learn(data._replace(costs=1 - data.costs))
    assert torch.equal(other["critic_loss"], plain.learn(priced)["critic_loss"]) == (weight == 0)


def test_data_without_costs_are_refused():
    with pytest.raises(RamacError, match=r"there are no costs; expected an array costs"):
        make("radac-cost").fit_data(episodes([3], [0.0] * 3, None))
    with pytest.raises(RamacError, match=r"cost_weight is -1\.0; expected .*at least 0"):
        make("radac-cost", cost_weight=-1.0)
