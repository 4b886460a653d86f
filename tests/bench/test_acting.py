"""What acting costs: every method acts, in step, with what the data say it earned. Times themselves are no test."""

import json

import numpy as np
import pytest
import torch

from ramac_lib.bench import acting, updates
from ramac_lib.methods import METHODS
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from ramac_lib.training.loop import build

CPU = torch.device("cpu")
QUICK = {"task": "risky-bandit", "episodes": 2, "seconds": 1e-6, "device": "cpu", "progress": False}


class Spy:
    """A method that notes how it is asked."""

    seeds, device = (0,), CPU

    def __init__(self):
        self.asked, self.told = [], []

    def controller(self, noise):
        return self

    def __call__(self, observations):
        self.asked.append(observations)
        return torch.zeros(*observations.shape[:2], 6)

    def observe(self, rewards, costs):
        self.told.append((rewards, costs))


def test_a_block_asks_for_every_episode_once_a_step():
    data, spy = updates.synthetic_data("halfcheetah-medium-expert", 1000), Spy()
    acting.act(spy, data, 3)
    assert len(spy.asked) == len(spy.told) == acting.STEPS
    assert np.array_equal(torch.cat(spy.asked, 1)[0].numpy(), data.observations[: 3 * acting.STEPS])
    assert np.array_equal(np.concatenate([r for r, _ in spy.told], 1)[0], data.rewards[: 3 * acting.STEPS])
    assert all(costs.shape == (1, 3) for _, costs in spy.told)


@pytest.mark.parametrize("method", ["radac", "cdt", "r2pac", "bc-cvae"])
def test_a_method_acts_as_its_controller_does(method, monkeypatch):
    """A step's time is a block's over its steps."""
    data = updates.synthetic_data("risky-bandit", 1000)
    config = make_config(method, "risky-bandit", (0,), updates.STEPS)
    assert isinstance(build(config, data.with_(costs=np.zeros(1000, np.float32)), CPU, (0,)), METHODS[method])
    clock = iter(np.arange(100.0))
    monkeypatch.setattr(updates, "seconds_of", lambda function, device: next(clock) + 12.0)
    monkeypatch.setattr(acting, "act", lambda *_: None)
    assert acting.time_acting(config, data.with_(costs=np.zeros(1000, np.float32)), CPU, 2, 1e-6) == 12.0 / 24


def test_a_row_a_method_and_the_machine_are_written(tmp_path):
    table, machine = acting.measure(["bc-flow", "cdt"], json_path=tmp_path / "a.json", **QUICK)
    assert list(table["method"]) == ["bc-flow", "cdt"]
    assert (table["ms_per_step"] > 0).all()
    assert json.loads((tmp_path / "a.json").read_text()) == {"machine": machine, "rows": table.to_dict("records")}


@pytest.mark.parametrize("given", [{"episodes": 0}, {"seconds": float("nan")}, {"threads": -1}, {"threads": 0}])
def test_numbers_that_are_not_positive_are_refused(given):
    with pytest.raises(RamacError, match=f"--{next(iter(given))} .*expected a positive number"):
        acting.measure(["bc-flow"], **{**QUICK, **given})
