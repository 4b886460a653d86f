"""Neighbours and methods that learn from costs on the two own worlds, with their settings and real data: they act."""

import pytest
import torch

from ramac_lib.methods import METHODS
from ramac_lib.methods.shared.registry import BESIDE
from ramac_lib.networks.noise import Noise
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import Engine
from ramac_lib.training.loop import Trainer, data_of

CPU = torch.device("cpu")
NEIGHBOURS = [name for name, kind in METHODS.items() if kind.group in BESIDE]
WORLDS = ("risky-bandit", "navigation-obstacle-mixed", "navigation-bridge-biased", "navigation-gates-biased")


@pytest.mark.parametrize("task", WORLDS)
@pytest.mark.parametrize("name", NEIGHBOURS)
def test_a_neighbour_learns_and_acts_on_a_world(name, task):
    config = make_config(name, task, (0, 1), 6, {"batch_size": "16"}, size=2000)
    trainer = Trainer(config, data_of(config, progress=False), Engine(CPU))
    for update in trainer.updaters * 6:
        metrics = update()
        assert all(torch.isfinite(value).all() for value in metrics.values())
    (stack,) = trainer.stacks
    states = torch.as_tensor(trainer.data.observations[:5]).expand(2, 5, -1)
    actions = stack.act(states, Noise((0, 1), "evaluation"))
    assert actions.shape == (2, 5, 2)
    assert actions.abs().max() <= 1
