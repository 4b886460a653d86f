"""Evaluations made by other processes: the same episodes, one moment late, none lost."""

import pickle
import subprocess
import sys

import pandas as pd
import pytest
import torch

from ramac_lib.system.errors import RamacError
from ramac_lib.system.processes import spawn
from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine
from ramac_lib.training.evaluators import (
    Asked,
    Background,
    ExactBandit,
    Rollouts,
    copies,
    draw_actions,
    play_copy,
    play_pickled,
    roll_out,
    tabulate,
)

ENGINE = Engine(torch.device("cpu"))
SCHEDULE = loop.Schedule(eval_every=4, log_every=2, episodes=2)


@pytest.fixture(scope="module")
def config():
    options = {"hidden": "8,8", "batch_size": "16", "critic_hidden": "8", "candidates": "2"}
    return make_config("diffusion-ql", "risky-bandit", (3, 5), 12, options | {"critic_hidden": "8,8"})


@pytest.fixture(scope="module")
def data(config):
    return loop.data_of(config, progress=False)


def run(config, data, folder, evaluator, until=None):
    trainer = loop.Trainer(config, data, ENGINE, RunDirectory(folder), SCHEDULE, evaluator=evaluator())
    if trainer.directory.open(config, loop.get_facts(data, ENGINE), resume=True):
        trainer.restore()
    trainer.run(False, until)
    return trainer


def test_a_copy_plays_as_its_stack(config, data):
    """Also where a critic takes part in acting, as in DiffusionQL."""
    trainer = loop.Trainer(config, data, ENGINE, schedule=SCHEDULE)
    trainer.run(False, 5)
    asked = Asked(config, data.env_id, 5, "training", 4, 1)
    alone = tabulate([run for copy in copies(trainer.stacks, asked) for run in play_copy(copy)], asked)
    together = roll_out(trainer.stacks, asked)
    pd.testing.assert_frame_equal(alone, together, rtol=1e-5)


@pytest.mark.slow
def test_the_table_is_the_same_with_and_without(config, data, tmp_path):
    here = run(config, data, tmp_path / "a", Rollouts)
    there = run(config, data, tmp_path / "b", Background)
    assert sorted(set(there.evaluations["step"])) == [4, 8, 12]
    pd.testing.assert_frame_equal(there.evaluations, here.evaluations, rtol=1e-5)
    written = RunDirectory(tmp_path / "b").read_table("evaluations.csv")
    assert len(written) == len(here.evaluations)


@pytest.mark.slow
def test_an_evaluation_that_a_kill_took_is_made_again(config, data, tmp_path, monkeypatch):
    run(config, data, tmp_path / "a", Background)
    with monkeypatch.context() as patch:
        # Killed just after the checkpoint of step 8, while its episodes were still being played.
        real, saves = loop.Trainer.save, []

        def save(self):
            real(self)
            saves.append(self.step)
            if self.step == 8:
                raise KeyboardInterrupt

        patch.setattr(loop.Trainer, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(config, data, tmp_path / "b", Background)
    assert set(RunDirectory(tmp_path / "b").read_table("evaluations.csv")["step"]) == {4}
    run(config, data, tmp_path / "b", Background)
    written = [RunDirectory(tmp_path / name).read_table("evaluations.csv") for name in "ab"]
    pd.testing.assert_frame_equal(*written)
    assert not written[1].duplicated(["seed", "step", "purpose", "episode"]).any()


def test_nothing_is_held_of_the_present_step(config):
    background = Background()
    background.waiting = [(Asked(config, "", 8, "training", 1, 1), [])]
    assert background.holds(10)
    assert not background.holds(8)


def test_a_run_is_reported_by_the_evaluator_that_it_was_given(config, tmp_path):
    """Also one whose rows are no episodes."""
    trainer = loop.train(
        config, tmp_path / "r", device="cpu", schedule=SCHEDULE, evaluator=ExactBandit(count=50), progress=False
    )
    assert trainer.reported() == -1
    trainer.report(2)
    trainer.report(2)
    assert trainer.reported() == 12
    counts = trainer.evaluations.groupby(["purpose", "step", "seed"]).size()
    assert counts.to_dict() == {
        **{("training", step, seed): 1 for step in (4, 8, 12) for seed in (3, 5)},
        ("report", 12, 3): 1,
        ("report", 12, 5): 1,
    }


def test_drawn_actions_of_the_wrong_shape_are_refused(config, data, monkeypatch):
    stack = loop.build(config, data, ENGINE.device, config.seeds)
    assert draw_actions(stack, 5).shape == (2, 5, 2)
    monkeypatch.setattr(stack, "controller", lambda noise: lambda observations: observations.flatten(0, 1))
    with pytest.raises(RamacError, match=r"actions of shape \(10, 1\); expected \(2, 5, 2\)"):
        draw_actions(stack, 5)


# What DiffusionQL's choice among 50 candidates returns, in a process that does nothing else.
ALONE = """
import pickle, sys
from ramac_lib.training.evaluators import play_copy
import torch
torch.set_num_threads(1)
sys.stdout.buffer.write(pickle.dumps(play_copy(pickle.load(sys.stdin.buffer))))
"""


def test_an_evaluation_has_the_same_bits_in_every_process():
    """In one that trains, one of its pool, and one that only evaluates: products are made in one way."""
    config = make_config("diffusion-ql", "hopper-medium-expert", (0,), 100)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        ENGINE.prepare()
        stack = config.method(config.settings, 11, 3, (0,), config.steps, "cpu")
        (copy,) = copies([stack], Asked(config, config.task.env_id(), 0, "report", 2, 8))
        here = tabulate(play_copy(copy), copy.asked)
    finally:
        torch.set_num_threads(before)
    sent = pickle.dumps(copy)
    with spawn(1) as pool:
        there = tabulate(pool.submit(play_pickled, sent).result(), copy.asked)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
    alone = subprocess.run([sys.executable, "-c", ALONE], input=sent, capture_output=True, check=True).stdout
    pd.testing.assert_frame_equal(tabulate(pickle.loads(alone), copy.asked), here, check_exact=True)
