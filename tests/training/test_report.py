"""What a report says beside returns: completion, cost, actions out of the data, the policy without sampler noise."""

import logging
from dataclasses import replace

import gymnasium
import numpy as np
import pandas as pd
import pytest
import torch

from ramac_lib.analysis import evidence, summary
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs import play
from ramac_lib.envs.hazards import Interval
from ramac_lib.methods import METHODS
from ramac_lib.networks.noise import Noise, SamplerNoise
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop, results, stored, unseen
from ramac_lib.training.config import make_config
from ramac_lib.training.evaluators import Asked, Background, Rollouts, copies, play_copy, roll_out

TASK = "hopper-medium-expert"
TINY = {"hidden": "8", "batch_size": "16"}
CPU = torch.device("cpu")


class Walk(gymnasium.Env):
    """Its state is what the actions summed up to; it ends beyond 2.5."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = 0.0
        return np.array([self.x]), {}

    def step(self, action):
        self.x += float(action[0])
        return np.array([self.x]), 1.0, self.x > 2.5, False, {}


gymnasium.register("TestWalk-v0", Walk)


def walked(action, horizon):
    hazard = Interval(signal=0, low=-1, high=1.5, penalty=-10, probability=1.0)
    (run,) = play.rollouts(
        lambda seen: torch.full((*seen.shape[:2], 1), action), "TestWalk-v0", hazard, horizon, (0,), 1, steps=True
    )
    return run


def test_completion_and_cost_by_hand():
    table = play.frame([walked(0.5, 5), walked(0.5, 6), walked(1.0, 9), walked(0.1, 4)])
    assert table["length"].tolist() == [5, 6, 3, 4]
    assert table["completed"].tolist() == [1, 0, 0, 1]  # in the second the end and the horizon come together
    assert table["violations"].tolist() == [2, 3, 2, 0]


def test_states_and_actions_are_those_of_each_step():
    run = walked(0.5, 4)
    assert np.concatenate(run.states).tolist() == [0, 0.5, 1, 1.5]
    assert np.concatenate(run.actions).tolist() == [0.5] * 4


def line(actions, count=None):
    """Data at states 0, .1, … with these actions, over and over."""
    actions = np.resize(np.asarray(actions, np.float32), count or len(actions))[:, None]
    states = (np.arange(len(actions), dtype=np.float32) / 10)[:, None]
    flags = np.zeros(len(actions), bool)
    return Dataset(states, actions, np.zeros(len(actions), np.float32), states, flags, ~flags, "TestWalk-v0")


def test_rates_by_hand():
    """The data's actions are 0, .1, … .9: their scale is .1."""
    data = line(np.arange(10) / 10, 300)
    inside, outside, half = play.Rollout(0, 0), play.Rollout(0, 1), play.Rollout(0, 2)
    for run, actions in ((inside, [0.5] * 6), (outside, [-0.9] * 6), (half, [0.5, -0.25] * 4)):
        run.states = [np.array([3.0], np.float32)] * len(actions)
        run.actions = [np.array([a], np.float32) for a in actions]
    broken = replace(inside, actions=[np.array([np.nan], np.float32)] * 6)
    table = unseen.rates([inside, outside, half, broken, play.Rollout(0, 3)], data)
    assert table["ood_action"].tolist()[:3] == [0, 1, 0]
    assert table["ood_state_action"].tolist()[:2] == [0, 1]
    assert table["ood_neighbours"].tolist()[:2] == [0, 1]
    assert table.iloc[3:].isna().all(axis=None)
    curves = unseen.curves(table["ood_curves"][2])
    assert curves.shape == (3, 5)
    np.testing.assert_allclose(curves[0], [0.5, 0.5, 0, 0, 0])  # -.25 lies 2.5 scales out
    assert (np.diff(curves, axis=1) <= 0).all()


def test_what_data_do_not_allow_is_left_empty(caplog):
    data = line([0.5], 40)  # all actions the same: only [s; a] has a scale
    run = replace(play.Rollout(0, 0), states=[np.zeros(1, np.float32)], actions=[np.zeros(1, np.float32)])
    with caplog.at_level(logging.WARNING):
        table = unseen.rates([run], data)
    assert table["ood_state_action"].tolist() == [1]
    assert table[["ood_action", "ood_neighbours"]].isna().all(axis=None)
    assert "no ood_action: all rows of the data are the same" in caplog.text
    assert unseen.curves(table["ood_curves"][0]).shape == (3, 5)


def test_detectors_are_fitted_once_a_data_set():
    data = line(np.arange(10) / 10, 60)
    assert unseen.fit(data) is unseen.fit(data)
    assert unseen.fit(line(np.arange(10) / 10, 60)) is not unseen.fit(data)


# -- without sampler noise ------------------------------------------------------------------------------------------


def build(name, seeds=(0, 3), **options):
    method = METHODS[name]
    return method(method.Config(**options), 4, 2, seeds, 10)


STATES = torch.randn(2, 30, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", list(METHODS))
def test_without_noise_every_methods_action_is_one_function_of_the_state(name):
    method = build(name)
    found = []
    for key in (0, 1):
        noise = SamplerNoise(method.seeds, "evaluation", keys=(key,), silent=True)
        controller = method.controller(noise)
        again = method.controller(noise) if name == "cdt" else controller  # CDT's remembers the states before
        found += [controller(STATES), again(STATES)]
    for actions in found[1:]:
        torch.testing.assert_close(actions, found[0], rtol=0, atol=0)
    loud = SamplerNoise(method.seeds, "evaluation")
    deployed = method.controller(loud)(STATES)
    assert loud.used == (name not in ("caps", "cdt", "coptidice", "cped", "cpq", "cql", "codac", "iql", "qdq"))
    assert torch.equal(deployed, found[0]) == (not loud.used)
    torch.testing.assert_close(method.controller(Noise(method.seeds, "evaluation"))(STATES), deployed, rtol=0, atol=0)


def test_diffusion_ql_without_noise_is_its_first_candidate_alone(monkeypatch):
    method, rows = build("diffusion-ql", candidates=7), []
    sample = method.policy.sample
    monkeypatch.setattr(method.policy, "sample", lambda z, s: (rows.append(s.shape[1]), sample(z, s))[1])
    actions = method.act(STATES, SamplerNoise(method.seeds, "evaluation", silent=True))
    assert rows == [30]
    torch.testing.assert_close(actions, sample(torch.zeros(2, 30, *method.policy.noise_shape(30)[1:]), STATES))


def test_a_sampled_gaussian_without_noise_plays_its_mode():
    method = build("cql", deterministic=False)
    actions = method.act(STATES, SamplerNoise(method.seeds, "evaluation", silent=True))
    torch.testing.assert_close(actions, method.policy.mode(STATES))


@pytest.fixture
def stack(hopper):
    return loop.build(make_config("bc-flow", TASK, (0, 3), 10, TINY), hopper, CPU, (0, 3))


def asked(stack, data=None, **changes):
    config = make_config(stack.name, TASK, (0, 3), 10, TINY)
    return replace(Asked(config, "Hopper-v5", 10, "report", 3, 40, data=data), **changes)


def test_both_kinds_of_episodes_begin_alike(stack):
    runs = play_copy(copies([stack], asked(stack))[1])
    assert [run.silent for run in runs] == [False] * 3 + [True] * 3
    for loud, silent in zip(runs[:3], runs[3:], strict=True):
        assert (loud.seed, loud.episode) == (silent.seed, silent.episode)
        np.testing.assert_array_equal(loud.states[0], silent.states[0])
        assert not np.array_equal(loud.actions[0], silent.actions[0])


def test_a_report_has_both_and_training_has_one(stack, hopper):
    table = roll_out([stack], asked(stack, hopper))
    assert tuple(table.columns) == results.COLUMNS
    assert table["sampler_noise"].tolist() == [1] * 6 + [0] * 6
    assert table[list(results.OOD)].notna().all(axis=None)
    assert set(table["completed"]) <= {0, 1}
    curve = roll_out([stack], asked(stack, hopper, purpose="training"))
    assert curve["sampler_noise"].tolist() == [1] * 6
    assert curve[list(results.OOD)].isna().all(axis=None)
    without_data = roll_out([stack], asked(stack))
    shared = [name for name in results.COLUMNS if name not in results.OOD]
    pd.testing.assert_frame_equal(without_data[shared], table[shared])


def test_a_policy_without_noise_of_its_own_is_not_played_twice(hopper, monkeypatch):
    stack = loop.build(make_config("cql", TASK, (0, 3), 10, TINY), hopper, CPU, (0, 3))
    calls, real = [], play.rollouts
    monkeypatch.setattr(play, "rollouts", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    table = roll_out([stack], asked(stack, hopper))
    assert len(calls) == 2  # once a seed
    loud, silent = (results.at_noise(table, level).drop(columns="sampler_noise") for level in (1, 0))
    pd.testing.assert_frame_equal(loud.reset_index(drop=True), silent.reset_index(drop=True))


@pytest.mark.slow
def test_other_processes_make_the_same_report(stack, hopper):
    here, there = Rollouts(), Background()
    for evaluator in (here, there):
        evaluator.begin([stack], asked(stack, hopper))
    (expected,), (found,) = here.collect(), there.collect()
    numbers = [name for name in results.COLUMNS if name != "ood_curves"]
    pd.testing.assert_frame_equal(found[numbers], expected[numbers], rtol=1e-3, atol=0.1)


# -- tables ---------------------------------------------------------------------------------------------------------


def test_old_tables_are_of_policies_as_deployed(stack, hopper, tmp_path):
    table = roll_out([stack], asked(stack, hopper))
    old = results.at_noise(table).drop(columns=list(results.LATER))
    (tmp_path / "new.json").write_text("{}")
    (tmp_path / "old.json").write_text("{}")
    table.to_csv(tmp_path / "new.csv", index=False)
    old.to_csv(tmp_path / "old.csv", index=False)
    found, _ = results.load("old", tmp_path)
    assert tuple(found.columns) == results.COLUMNS
    assert found["sampler_noise"].tolist() == [1] * 6
    assert found["completed"].isna().all()
    assert len(results.load("old", tmp_path, level=0)[0]) == 0
    assert len(results.load("new", tmp_path)[0]) == 6
    assert len(results.load("new", tmp_path, level=0)[0]) == 6
    assert len(results.load("new", tmp_path, level=None)[0]) == 12
    assert len(results.at_noise(old)) == 6
    assert len(results.at_noise(old, 0)) == 0
    assert len(results.at_noise(old.assign(sampler_noise=np.nan))) == 6
    own = summary.summary(pd.concat([old.assign(step=1), table], ignore_index=True))
    assert own["episodes"].tolist() == [6, 6]
    assert own["mean_silent"].isna().tolist() == [True, False]


def test_the_summary_keeps_the_two_apart(stack, hopper):
    table = roll_out([stack], asked(stack, hopper))
    loud = np.arange(6.0)
    table["return"] = np.concatenate([loud, 100 + loud])
    table["completed"] = [1, 1, 0, 0, 0, 0] * 2
    row = summary.summary(table).iloc[0]
    assert (row["episodes"], row["mean"], row["mean_silent"], row["CVaR_silent"]) == (6, 2.5, 102.5, 100)
    assert row["completed"] == pytest.approx(1 / 3)
    assert 0 <= row["ood_action"] <= 1
    assert "ood_curves" not in row


def test_evidence_counts_the_deployed_alone(stack, hopper):
    table = roll_out([stack], asked(stack, hopper, horizon=500))
    made = evidence.make(table, {}, table.iloc[:0])
    hazard = table["hazard"].iloc[0]
    assert len(made.report(TASK, hazard)) == 6
    assert len(made.silent) == 6
    (line,) = made.beside_returns(TASK, hazard).to_dict("records")
    loud, silent = (results.at_noise(table, level) for level in (1, 0))
    assert line["completed"] == loud["completed"].mean()
    assert line["ood_action"] == pytest.approx(loud["ood_action"].mean())
    assert line["mean_silent"] == pytest.approx(silent["return"].mean())
    assert line["cvar_silent"] == pytest.approx(silent["return"].min())  # .6 of an episode
    old = evidence.make(loud.drop(columns=list(results.LATER)), {}, table.iloc[:0]).beside_returns(TASK, hazard)
    assert old.drop(columns="row").isna().all(axis=None)
    assert made.sample(TASK, hazard, made.table["row"].iloc[0]).episodes == 6


def test_a_run_of_before_is_gone_on_with_and_reported(hopper_file, tmp_path):
    config = make_config("bc-flow", TASK, (0, 1), 8, TINY, source=str(hopper_file))
    schedule = loop.Schedule(episodes=1, eval_every=4)
    loop.train(config, tmp_path / "r", device="cpu", schedule=schedule, progress=False)
    file = tmp_path / "r" / "evaluations.csv"
    pd.read_csv(file).drop(columns=list(results.LATER)).to_csv(file, index=False)
    trainer = loop.train(config, tmp_path / "r", device="cpu", schedule=schedule, progress=False, resume=True)
    trainer.report(2)
    assert trainer.reported() == 8
    found = pd.read_csv(file)
    assert found.groupby(["purpose", found["sampler_noise"].fillna(-1)]).size().to_dict() == {
        ("report", 0): 4, ("report", 1): 4, ("training", -1): 4,
    }  # fmt: skip
    assert len(results.at_noise(found)) == 8


def test_a_run_whose_data_are_gone_is_evaluated_without_rates(hopper_file, tmp_path, monkeypatch, caplog):
    config = make_config("bc-flow", TASK, (0,), 2, TINY, source=str(hopper_file))
    loop.train(config, tmp_path / "r", device="cpu", schedule=loop.Schedule(episodes=0), progress=False)
    assert stored.evaluate_run(tmp_path / "r", 2, 10, device="cpu")["ood_action"].notna().all()

    def gone(*_, **__):
        raise RamacError("it is gone")

    monkeypatch.setattr(stored, "data_of", gone)
    with caplog.at_level(logging.WARNING):
        table = stored.evaluate_run(tmp_path / "r", 2, 10, device="cpu", level=None)
    assert table["sampler_noise"].tolist() == [1, 1, 0, 0]
    assert table["ood_action"].isna().all()
    assert "it is gone; rates of actions out of the data are left empty" in caplog.text
