"""Training on the Risky Bandit, with actions drawn on the way."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from ramac_lib import training
from ramac_lib.bandit import Bandit, dataset
from ramac_lib.engine import get_engine
from ramac_lib.methods import Method
from ramac_lib.noise import Noise
from ramac_lib.runs import make_config
from ramac_lib.tasks import BANDIT

Array = np.ndarray
WHOLE, PORTION = 2**16, 2**13  # more actions than the former are drawn in portions that fit the cache


class SnapshotTrainer(training.Trainer):
    """The training loop, which at each evaluation draws `count` actions of every seed in place of rollouts.

    Attributes:
        snapshots: update → actions (seeds, count, 2).
    """

    count = 4000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.snapshots: dict[int, Float[Array, "seeds count 2"]] = {}

    def _evaluate(self) -> None:
        self.snapshots[self.step] = np.concatenate([draw_actions(stack, self.count) for stack in self.stacks])

    @property
    def actions(self) -> Float[Array, "seeds count 2"]:
        """What the policies do at the end of training."""
        return self.snapshots[self.step]


def train(
    method: str,
    seeds: Sequence[int],
    steps: int,
    options: Mapping[str, Any] | None = None,
    *,
    every: int | None = None,
    device: str = "auto",
    precision: str = "auto",
    bandit: Bandit | None = None,
    count: int = 4000,
) -> SnapshotTrainer:
    """Train a method on the bandit's data and return it with its actions every `every` updates (default: at the end).

    Args:
        options: settings that depart from the method's own on the bandit.
        device, precision: as in `ramac_lib.engine`.
        bandit: whose data, where its constants are not the default.
        count: actions drawn at each of those moments.

    Raises:
        RamacError: an unknown method or option.
    """
    config = make_config(method, BANDIT, seeds, steps, {k: str(v) for k, v in (options or {}).items()})
    schedule = training.Schedule(eval_every=every or steps)
    data = dataset(bandit=bandit) if bandit else training.load_data(config, progress=False)
    trainer = SnapshotTrainer(config, data, get_engine(device, precision=precision), schedule=schedule)
    trainer.count = count
    trainer.run(progress=False)
    return trainer


def draw_actions(stack: Method, count: int) -> Float[Array, "seeds count 2"]:
    """Return `count` actions of each seed's deployed policy in the bandit's only state; many of them in portions."""
    noise = Noise(stack.seeds, "evaluation", stack.device)
    portion = count if count <= WHOLE else PORTION
    sizes = [min(portion, count - start) for start in range(0, count, portion)]
    states = torch.zeros(*stack.stack, portion, 1, device=stack.device)
    return np.concatenate([stack.act(states[:, :size], noise).cpu().numpy() for size in sizes], axis=1)
