"""Evaluations made by other processes: the same episodes, one moment late, none lost."""

import pandas as pd
import pytest
import torch

from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine
from ramac_lib.training.evaluators import Background, copies, play_copy

ENGINE = Engine(torch.device("cpu"))
SCHEDULE = loop.Schedule(eval_every=4, log_every=2, episodes=2)


@pytest.fixture(scope="module")
def config():
    options = {"hidden": "8,8", "batch_size": "16", "critic_hidden": "8", "candidates": "2"}
    return make_config("diffusion-ql", "risky-bandit", (3, 5), 12, options | {"critic_hidden": "8,8"})


@pytest.fixture(scope="module")
def data(config):
    return loop.load_data(config, progress=False)


def run(config, data, folder, overlap, until=None):
    trainer = loop.Trainer(config, data, ENGINE, RunDirectory(folder), SCHEDULE, overlap=overlap)
    if trainer.directory.open(config, loop.get_facts(data, ENGINE), resume=True):
        trainer.restore()
    trainer.run(False, until)
    return trainer


def test_a_copy_plays_as_its_stack(config, data):
    """Also where a critic takes part in acting, as in DiffusionQL."""
    trainer = loop.Trainer(config, data, ENGINE, schedule=SCHEDULE)
    trainer.run(False, 5)
    asked = (config, data.env_id, 5, "training", 4, 1)
    (stack,) = trainer.stacks
    alone = pd.concat([play_copy(copy) for copy in copies(stack, *asked)], ignore_index=True)
    together = loop.roll_out(trainer.stacks, *asked)
    pd.testing.assert_frame_equal(alone, together, rtol=1e-5)


@pytest.mark.slow
def test_the_table_is_the_same_with_and_without(config, data, tmp_path):
    here = run(config, data, tmp_path / "a", overlap=False)
    there = run(config, data, tmp_path / "b", overlap=True)
    assert sorted(set(there.evaluations["step"])) == [4, 8, 12]
    pd.testing.assert_frame_equal(there.evaluations, here.evaluations, rtol=1e-5)
    written = RunDirectory(tmp_path / "b").read_table("evaluations.csv")
    assert len(written) == len(here.evaluations)


@pytest.mark.slow
def test_an_evaluation_that_a_kill_took_is_made_again(config, data, tmp_path, monkeypatch):
    run(config, data, tmp_path / "a", overlap=True)
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
            run(config, data, tmp_path / "b", overlap=True)
    assert set(RunDirectory(tmp_path / "b").read_table("evaluations.csv")["step"]) == {4}
    run(config, data, tmp_path / "b", overlap=True)
    written = [RunDirectory(tmp_path / name).read_table("evaluations.csv") for name in "ab"]
    pd.testing.assert_frame_equal(*written)
    assert not written[1].duplicated(["seed", "step", "purpose", "episode"]).any()


def test_nothing_is_held_of_the_present_step():
    background = Background()
    background.waiting = [(8, [])]
    assert background.holds(10)
    assert not background.holds(8)
