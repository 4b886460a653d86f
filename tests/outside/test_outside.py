"""Three methods, each in one file outside of the package, are trained, evaluated, resumed, measured and reported."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from campaign_helpers import leaves

from ramac_lib.analysis import critic_check, evidence
from ramac_lib.analysis.push import push_test
from ramac_lib.bench import updates
from ramac_lib.campaign import bandit as campaign_bandit
from ramac_lib.campaign.launch import run as run_campaign
from ramac_lib.datasets import bandit as bandit_data
from ramac_lib.envs.bandit import Bandit
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.tasks import BANDIT
from ramac_lib.methods import METHODS
from ramac_lib.networks.layers import Linear
from ramac_lib.networks.noise import Noise
from ramac_lib.system import plugins
from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory
from ramac_lib.training.engine import Engine
from ramac_lib.training.stored import load_run
from support.evidence import tables

FILES = [Path(__file__).parent / f"{name}.py" for name in ("chunked", "planner", "constrained")]
NAMES = ("chunked-q", "nearest-plan", "priced-q")
WITH_CRITICS = ("chunked-q", "priced-q")
TASK = "hopper-medium-expert"
SCHEDULE = loop.Schedule(log_every=2, eval_every=4, episodes=2)


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """The three plugins, forgotten afterwards."""
    plugins.load(FILES)
    yield
    for name in NAMES:
        del METHODS[name]
    plugins.loaded.clear()


def config(name, source, steps=12):
    return make_config(name, TASK, (0, 3), steps, {"batch_size": "16"}, source=str(source))


@pytest.fixture(scope="module", params=NAMES)
def trained(request, hopper_file, tmp_path_factory):
    """A run in one piece, in a directory."""
    folder = tmp_path_factory.mktemp(request.param) / "run"
    chosen = config(request.param, hopper_file)
    return loop.train(chosen, folder, schedule=SCHEDULE, device="cpu", progress=False)


def test_they_learn_and_are_evaluated(trained):
    assert trained.step == 12
    assert np.isfinite(trained.metrics.drop(columns=["step", "seed"])).all(axis=None)
    assert trained.evaluations.groupby("step").size().tolist() == [4, 4, 4]
    assert (trained.evaluations["length"] > 1).all()  # episodes go on across chunks and plans


def test_a_run_that_is_loaded_acts_as_the_trained_one(trained):
    config, stacks, _, _ = load_run(trained.directory.path, "cpu")
    observations = torch.as_tensor(trained.data.observations[:20]).expand(2, -1, -1)
    kept = trained.stacks[0].controller(Noise((0, 3), "evaluation"))
    alone = [s.controller(Noise((seed,), "evaluation")) for s, seed in zip(stacks, config.seeds, strict=True)]
    costs = np.random.default_rng(0).random((6, 2, 20)) < np.array([[0.2], [0.01]])  # of each seed and episode its own
    for cost in costs.astype(np.float32):
        together = kept(observations)
        kept.observe(-cost, cost)
        for index, controller in enumerate(alone):
            own = slice(index, index + 1)
            torch.testing.assert_close(together[own], controller(observations[own]), rtol=1e-4, atol=1e-5)
            controller.observe(-cost[own], cost[own])


def test_an_episode_that_costs_gives_up_its_own_plan_alone(hopper):
    stack = loop.build(make_config("nearest-plan", TASK, (0, 3), 10), hopper, torch.device("cpu"), (0, 3))
    steps = torch.arange(1.0, 5)[:, None].expand(4, 3)
    stack.nearest = lambda observations: observations[..., :1, None] * 10 + steps
    controller = stack.controller(Noise((0, 3), "evaluation"))
    nothing = np.zeros((2, 3), np.float32)
    cost = nothing.copy()
    cost[0, 1] = 1
    controller.observe(nothing, cost)  # an episode may begin with an action that is not the controller's
    played = []
    for step in range(3):
        played.append(controller(torch.full((2, 3, 11), float(step)))[..., 0])
        controller.observe(nothing, cost if step == 0 else nothing)
    others = torch.tensor([[[1.0]], [[2.0]], [[3.0]]]).expand(3, 2, 3).clone()
    others[1:, 0, 1] = torch.tensor([11.0, 12.0])
    assert torch.equal(torch.stack(played), others)
    controller.keep(np.array([1, 0, 1]))
    assert controller(torch.full((2, 3, 11), 3.0))[..., 0].tolist() == [[13, 4, 13], [4, 4, 4]]
    assert controller(torch.full((2, 3, 11), 4.0))[..., 0].tolist() == [[14, 41, 14], [41, 41, 41]]


def test_a_cut_run_goes_on_to_the_same_bits(trained, tmp_path):
    chosen = trained.config
    for until in (5, None):
        again = loop.Trainer(chosen, trained.data, Engine(torch.device("cpu")), RunDirectory(tmp_path), SCHEDULE)
        if again.directory.open(chosen, loop.get_facts(trained.data, again.engine), resume=True):
            again.restore()
        again.run(False, until)
    whole = trained.directory.load_checkpoint()
    assert leaves(RunDirectory(tmp_path).load_checkpoint()["seeds"]) == leaves(whole["seeds"])
    for table in ("metrics.csv", "evaluations.csv"):
        assert (tmp_path / table).read_bytes() == (trained.directory.path / table).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_killed_command_goes_on_to_the_same_bits(name, hopper_file, tmp_path):
    """The process is killed with SIGKILL after its first checkpoint; the command line resumes it, plugin and all."""
    path = FILES[NAMES.index(name)]

    def command(out, *more):
        return [
            sys.executable, "-m", "ramac_lib.cli", "--plugin", str(path), "train", "--method", name, "--task", TASK,
            "--source", str(hopper_file), "--steps", "800", "--eval-every", "100", "--episodes", "1",
            "--device", "cpu", "--set", "batch_size=16", "--out", str(out), *more,
        ]  # fmt: skip

    process = subprocess.Popen(command(tmp_path / "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "cut" / "checkpoint.pt").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert RunDirectory(tmp_path / "cut").read_head()[0] < 800
    for out, more in (("cut", ["--resume"]), ("whole", [])):
        subprocess.run(command(tmp_path / out, *more), check=True, capture_output=True)
    for table in ("metrics.csv", "evaluations.csv"):
        assert (tmp_path / "cut" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()
    cut, whole = (RunDirectory(tmp_path / out).load_checkpoint()["seeds"] for out in ("cut", "whole"))
    assert leaves(cut) == leaves(whole)


def test_they_stand_in_a_campaigns_table_made_by_other_processes(hopper_file, tmp_path):
    changes = {
        "rows": (*NAMES, "bc-flow:hidden=8"), "tasks": (TASK,), "hazards": ("paper",), "seeds": (0, 1), "steps": 8,
        "evaluations": 2, "episodes": 1, "report_episodes": 3, "source": str(hopper_file),
    }  # fmt: skip
    table, failures = run_campaign(tmp_path / "c", None, changes, workers=2, device="cpu", progress=False)
    assert not failures
    assert set(table["method"]) == {*NAMES, "bc-flow"}
    found = evidence.make(table, {}, table.iloc[:0])
    shown = tables.table_1(found, TASK, "paper")
    assert {"chunked Q", "nearest plan", "priced Q"} < set(shown["label"])
    assert (shown["episodes"] == 6).all()


@pytest.mark.parametrize("name", NAMES)
def test_they_are_benchmarked(name):
    table, machine = updates.bench([name], seeds=(1,), seconds=0.02, threads=1, device="cpu", progress=False)
    assert table["method"].tolist() == [name]
    assert table["updates_per_s"].iloc[0] > 0
    assert (table["gflop"].iloc[0] > 0) == (name in WITH_CRITICS)
    assert set(machine["goes"]) == {name}


@pytest.mark.parametrize("name", WITH_CRITICS)
def test_every_critic_is_made_in_the_engines_precision(name, hopper):
    chosen = make_config(name, TASK, (0,), 10, {"batch_size": "16"})
    data = hopper.with_(costs=np.zeros(len(hopper), np.float32))
    stack = loop.build(chosen, data, torch.device("cpu"), (0,))
    update = Engine(torch.device("cpu"), precision="bfloat16").updater(stack, loop.Replay(data))
    for critic in stack.critics().values():
        wide = [layer for layer in critic.modules() if isinstance(layer, Linear) and layer.weight.shape[-1] > 1]
        assert all(layer.products is torch.bfloat16 for layer in wide)
    assert len(stack.critics()) == {"chunked-q": 2, "priced-q": 4}[name]
    assert all(torch.isfinite(value).all() for value in update().values())


@pytest.mark.parametrize("name", WITH_CRITICS)
def test_the_push_test_and_the_critic_check_ask_them(name, hopper):
    chosen = make_config(name, TASK, (0,), 10, {"batch_size": "16"})
    stack = loop.build(chosen, hopper, torch.device("cpu"), (0,))
    hazard = get_hazard("paper", TASK)
    pushed = push_test(stack, stack, "Hopper-v5", hazard, 20, 1)
    assert sorted(set(pushed["size"])) == [-0.1, 0.0, 0.1]
    rows = critic_check.choose_states(hopper, 2)
    quantiles, states, _ = critic_check.calibrate_seed(stack, "Hopper-v5", hazard, hopper, rows, 3, 0.9)
    assert set(quantiles["fraction"]) == {0.5}
    assert len(states) == 2 * 2 * 2  # states, kinds of action, critics
    learned, _ = critic_check.learned_quantiles(stack, hopper.observations[rows], hopper.actions[rows])
    own = states[(states["action"] == "data") & (states["critic"] == 1)]["learned_mean"]
    np.testing.assert_allclose(own, learned[1, :, 0], rtol=1e-5)


def test_the_critic_check_plays_the_rest_of_the_chunk_that_the_policys_action_is_from(hopper, monkeypatch):
    stack = loop.build(make_config("chunked-q", TASK, (0,), 10), hopper, torch.device("cpu"), (0,))
    rows, begun = critic_check.choose_states(hopper, 3), []
    play_on = critic_check.restart.discounted_returns

    def spied(begin, *args, **kwargs):
        def begin_and_note(of):
            actor = begin(of)
            begun.append((of, [actions.clone() for actions in actor.waiting]))
            return actor

        return play_on(begin_and_note, *args, **kwargs)

    monkeypatch.setattr(critic_check.restart, "discounted_returns", spied)
    monkeypatch.setattr(critic_check.restart, "TOGETHER", 4)
    critic_check.calibrate_seed(stack, "Hopper-v5", None, hopper, rows, 2, 0.9)
    states = torch.as_tensor(hopper.observations[rows])[None]
    chunks = stack.chunks(states, Noise((0,), "evaluation", "cpu", (critic_check.CALIBRATION,)))
    policy, data = begun[:2], begun[2:]
    assert [of.tolist() for of, _ in policy] == [of.tolist() for of, _ in data] == [[0, 0, 1, 1], [2, 2]]
    for of, waiting in policy:
        torch.testing.assert_close(torch.stack(waiting, dim=2), chunks[:, of, 1:])
    assert [waiting for _, waiting in data] == [[], []]


def test_a_planner_has_no_critics_to_ask(hopper):
    stack = loop.build(make_config("nearest-plan", TASK, (0,), 10), hopper, torch.device("cpu"), (0,))
    with pytest.raises(ValueError, match="NearestPlan has no critics"):
        push_test(stack, stack, "Hopper-v5", None, 5, 1)


def test_costs_are_the_hazards_violations(hopper_file):
    chosen = config("priced-q", hopper_file)
    data = loop.data_of(chosen, progress=False)
    assert data.costs.mean() == pytest.approx(loop.relabel.rates(data, chosen.hazard))
    assert 0 < data.costs.mean() < 1
    assert loop.data_of(config("chunked-q", hopper_file), progress=False).costs is None


def test_on_the_bandit_costs_are_where_the_trap_can_strike(tmp_path):
    """As the environment reports live; the data of methods that need no costs stay as they are."""
    own = {**dict.fromkeys(("ring_sigma", "centre_sigma"), 0.04), "ring_radius": 0.5}
    chosen = make_config("priced-q", BANDIT, (0,), 20, {"batch_size": "16"})
    plain = loop.data_of(make_config("bc-flow", BANDIT, (0,), 20), progress=False)
    data = loop.data_of(chosen, progress=False)
    assert plain.costs is None
    assert data.with_(costs=None).sha256() == plain.sha256() == bandit_data.dataset().sha256()
    env = gymnasium.make(data.env_id)
    env.reset(seed=0)
    live = [env.unwrapped.step(action)[-1]["violation"] for action in data.actions[:200]]
    assert data.costs[:200].tolist() == live
    assert 0.7 < data.costs.mean() < 0.9  # the ring's share
    data = bandit_data.dataset(bandit=Bandit(**own))
    costs = bandit_data.with_costs(data, Bandit(**own)).costs
    assert (costs != Bandit().trapped(data.actions)).any()  # the constants are the cell's
    given = data.with_(costs=np.full(len(data), 2, np.float32))
    assert bandit_data.with_costs(given) is given


@pytest.mark.parametrize("constants", [{}, {"trap_penalty": 5.0}])
def test_a_cell_of_the_bandit_learns_from_its_costs(constants, tmp_path):
    cell = campaign_bandit.BanditCell("methods", "priced-q", "", 0, 20, {"batch_size": "16"}, constants)
    campaign_bandit.run_cell(cell, tmp_path)
    assert (tmp_path / f"{cell.key}.npz").exists()
    run = campaign_bandit.train("priced-q", [0], 20, {"batch_size": "16"}, device="cpu")
    assert (run.metrics["cost_loss"] > 0).all()


def test_chunks_are_longer_than_the_bandits_episodes():
    with pytest.raises(ValueError, match=r"chunks of .* are longer than every episode; the longest has 1"):
        campaign_bandit.train("chunked-q", [0], 20, device="cpu")
