"""Three methods, each in one file outside of the package, are trained, evaluated, resumed, measured and reported."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from campaign_helpers import leaves

from ramac_lib.analysis import critic_check, evidence
from ramac_lib.analysis.push import push_test
from ramac_lib.bench import updates
from ramac_lib.campaign.launch import run as run_campaign
from ramac_lib.envs.hazards import get_hazard
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
    kept, fresh = (trained.stacks[0].controller(Noise((0, 3), "evaluation")), [])
    for index, stack in enumerate(stacks):
        controller = stack.controller(Noise((config.seeds[index],), "evaluation"))
        fresh.append([controller(observations[index : index + 1]) for _ in range(6)])
    for step in range(6):
        together = kept(observations)
        for index in range(2):
            torch.testing.assert_close(together[index : index + 1], fresh[index][step], rtol=1e-4, atol=1e-5)


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
            "--source", str(hopper_file), "--steps", "2000", "--eval-every", "100", "--episodes", "1",
            "--device", "cpu", "--set", "batch_size=16", "--out", str(out), *more,
        ]  # fmt: skip

    process = subprocess.Popen(command(tmp_path / "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "cut" / "checkpoint.pt").exists():
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert RunDirectory(tmp_path / "cut").read_head()[0] < 2000
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


def test_a_planner_has_no_critics_to_ask(hopper):
    stack = loop.build(make_config("nearest-plan", TASK, (0,), 10), hopper, torch.device("cpu"), (0,))
    with pytest.raises(ValueError, match="NearestPlan has no critics"):
        push_test(stack, stack, "Hopper-v5", None, 5, 1)


def test_costs_are_the_hazards_violations(hopper_file):
    chosen = config("priced-q", hopper_file)
    data = loop.load_data(chosen, progress=False)
    assert data.costs.mean() == pytest.approx(loop.relabel.rates(data, chosen.hazard))
    assert 0 < data.costs.mean() < 1
    assert loop.load_data(config("chunked-q", hopper_file), progress=False).costs is None
