"""The loop: logs, checkpoints, kill and resume to the same bits, bad input, Ctrl-C."""

import math
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from ramac_lib.datasets.hdf5 import save_file
from ramac_lib.methods import get_method
from ramac_lib.system import machine
from ramac_lib.system.errors import RamacError
from ramac_lib.training import loop, stored
from ramac_lib.training.config import make_config
from ramac_lib.training.directory import RunDirectory

SMALL = {
    "hidden": "16,16", "critic_hidden": "16", "embedding": "8", "n_cos": "8", "n_fractions": "8", "batch_size": "32",
}  # fmt: skip
SCHEDULE = loop.Schedule(log_every=5, eval_every=10, episodes=2)


def config(file, method="radac", seeds=(0, 1), steps=30, **options):
    known = SMALL if method.startswith("ra") else {"hidden": "16,16", "batch_size": "32"}
    return make_config(method, "hopper-medium-expert", seeds, steps, {**known, **options}, source=str(file))


def weights(trainer):
    return [p for stack in trainer.stacks for p in stack.state_dict().values()]


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_a_run_leaves_tables_and_checkpoint(hopper_file, tmp_path):
    run = loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    metrics = pd.read_csv(tmp_path / "run/metrics.csv")
    assert list(metrics["step"].unique()) == [5, 10, 15, 20, 25, 30]
    assert set(metrics["seed"]) == {0, 1}
    assert {"clipped_share", "critic_gap", "bc_loss", "risk"} <= set(metrics.columns)
    # As text: a hash such as 417e17568761 is a number too.
    episodes = pd.read_csv(tmp_path / "run/evaluations.csv", dtype={"run": str})
    assert len(episodes) == 3 * 2 * 2
    assert (episodes["run"] == run.config.hash).all()
    assert (episodes["length"] >= 1).all()
    facts = RunDirectory(tmp_path / "run").read_facts()
    assert facts["env_id"] == "Hopper-v5"
    assert len(facts["data"]["sha256"]) == 64
    assert not list((tmp_path / "run").glob("*.part"))


def test_same_seeds_same_bits_and_other_seeds_others(hopper_file):
    a, b, c = (
        loop.train(config(hopper_file, seeds=s), schedule=SCHEDULE, device="cpu", progress=False)
        for s in ((0, 1), (0, 1), (2, 3))
    )
    assert same(a, b)
    pd.testing.assert_frame_equal(a.evaluations, b.evaluations)
    assert not same(a, c)


def test_a_seed_trained_beside_others_is_the_seed_trained_alone(hopper_file):
    together = loop.train(config(hopper_file, seeds=(0, 4)), schedule=SCHEDULE, device="cpu", progress=False)
    alone = loop.train(config(hopper_file, seeds=(4,)), schedule=SCHEDULE, device="cpu", progress=False)
    mine = together.evaluations[together.evaluations["seed"] == 4].drop(columns="run").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone.evaluations.drop(columns="run"))


@pytest.mark.slow
def test_killed_and_resumed_to_the_same_bits(hopper_file, tmp_path):
    """A real process is killed with SIGKILL in the middle of a run; what it leaves is resumed and compared."""

    def command(out):
        return [
            sys.executable, "-m", "ramac_lib.cli", "train", "--method", "radac", "--task", "hopper-medium-expert",
            "--source", str(hopper_file), "--seeds", "0", "1", "--steps", "240", "--eval-every", "40",
            "--log-every", "20", "--episodes", "1", "--device", "cpu", "--out", str(out),
            "--set", *(f"{k}={v}" for k, v in SMALL.items()),
        ]  # fmt: skip

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True)
    cut = tmp_path / "cut"
    kills = 0
    for _ in range(2):
        extra = ["--resume"] if cut.exists() else []
        process = subprocess.Popen(command(cut) + extra, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before = _step(cut)
        while process.poll() is None and _step(cut) == before:
            time.sleep(0.02)
        time.sleep(0.05)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills >= 1
    assert _step(cut) < 240
    subprocess.run([*command(cut), "--resume"], check=True, capture_output=True)
    for name in ("metrics.csv", "evaluations.csv"):
        assert (cut / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    a, b = (RunDirectory(tmp_path / n).load_checkpoint() for n in ("whole", "cut"))
    assert _leaves(a) == _leaves(b)


def _step(folder):
    try:
        return RunDirectory(folder).read_head()[0]
    except RamacError:
        return -1


def _leaves(value):
    if isinstance(value, dict):
        return {k: _leaves(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_leaves(v) for v in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


@pytest.fixture
def listening():
    """Let this process hear Ctrl-C, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("listening")
def test_ctrl_c_leaves_a_resumable_run(hopper_file, tmp_path, monkeypatch):
    straight = loop.train(config(hopper_file), tmp_path / "a", schedule=SCHEDULE, device="cpu", progress=False)
    original, calls = loop.Trainer._advance, []

    def press(self, stack, stop):
        calls.append(stop)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(self, stack, stop)

    monkeypatch.setattr(loop.Trainer, "_advance", press)
    with pytest.raises(loop.Interrupted, match="stopped after 15 of 30 updates"):
        loop.train(config(hopper_file), tmp_path / "b", schedule=SCHEDULE, device="cpu", progress=False)
    monkeypatch.setattr(loop.Trainer, "_advance", original)
    resumed = loop.train(
        config(hopper_file), tmp_path / "b", schedule=SCHEDULE, device="cpu", progress=False, resume=True
    )
    assert same(straight, resumed)
    assert (tmp_path / "a/metrics.csv").read_bytes() == (tmp_path / "b/metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("method", "function", "term"),
    [
        ("radac", "critic_loss", "critic_loss"),
        ("radac", "bc_loss", "bc_loss"),
        ("radac", "risk_value", "risk"),
        ("diffusion-ql", "q_loss", "q_loss"),
        ("codac", "penalty", "conservative_gap"),
        ("oraac", "risk_value", "risk"),
        ("bc-flow", "bc_loss", "bc_loss"),
    ],
)
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    hopper_file, tmp_path, monkeypatch, method, function, term
):
    """One term of one seed turns NaN at update 22, and with it all that is computed afterwards."""
    cls = get_method(method)
    original = getattr(cls, function)

    def poison(self, *args):
        result = original(self, *args)
        if self.updates != 21:
            return result
        factor = torch.where(torch.tensor(self.seeds) == 1, math.nan, 1.0)
        spoilt = [
            r * factor.reshape(-1, *[1] * (r.ndim - 1)) for r in (result if isinstance(result, tuple) else [result])
        ]
        return tuple(spoilt) if isinstance(result, tuple) else spoilt[0]

    monkeypatch.setattr(cls, function, poison)
    expected = rf"^{term} of seed 1 is not finite at update 22; .* is kept \(that of step 20\)$"
    with pytest.raises(RamacError, match=expected):
        loop.train(config(hopper_file, method), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    checkpoint = RunDirectory(tmp_path / "run").load_checkpoint()
    assert checkpoint["step"] == 20
    tensors = [t for seed in checkpoint["seeds"].values() for t in seed["networks"].values()]
    assert all(torch.isfinite(t).all() for t in tensors)
    assert pd.read_csv(tmp_path / "run/metrics.csv")["step"].max() == 20


def test_a_directory_belongs_to_one_config(hopper_file, tmp_path):
    loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    with pytest.raises(RamacError, match="begun before; pass --resume"):
        loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, progress=False)
    with pytest.raises(RamacError, match=r"another config: eta is 0.05 there and 0.1 here"):
        loop.train(config(hopper_file, eta="0.1"), tmp_path / "run", schedule=SCHEDULE, progress=False, resume=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("draft")
    with pytest.raises(RamacError, match="not empty and holds no run"):
        loop.train(config(hopper_file), tmp_path / "mine", schedule=SCHEDULE, progress=False)


def test_a_finished_run_resumes_to_itself(hopper_file, tmp_path):
    first = loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    again = loop.train(
        config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False, resume=True
    )
    assert same(first, again)
    assert len(again.evaluations) == len(first.evaluations)


@pytest.mark.parametrize("damage", ["cut", "garbage", "newer", "older", "other", "code"])
def test_damaged_checkpoints_are_refused(hopper_file, tmp_path, damage):
    loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    directory = RunDirectory(tmp_path / "run")
    file = directory.checkpoint_file
    checkpoint = directory.load_checkpoint()
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "garbage":
        file.write_bytes(b"not a checkpoint")
    elif damage == "newer":
        torch.save({**checkpoint, "format": 99}, file)
    elif damage == "older":
        torch.save({**checkpoint, "format": 1}, file)
    elif damage == "other":
        torch.save({**checkpoint, "hash": "0" * 12}, file)
    else:  # a pickle that would run code is never executed
        torch.save({**checkpoint, "seeds": subprocess.Popen}, file)
    expected = {"newer": "newer version", "older": "older version", "other": "of another run"}.get(damage, "damaged")
    with pytest.raises(RamacError, match=expected):
        loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", resume=True)


@pytest.mark.parametrize(("call", "step"), [(3, 10), (4, 20)])  # a checkpoint, the policies' copies; and again
def test_no_space_left_keeps_a_whole_checkpoint(hopper_file, tmp_path, monkeypatch, call, step):
    original = Path.write_bytes
    calls = []

    def full(path, content):
        calls.append(path)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(RamacError, match="no space is left"):
        loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    directory = RunDirectory(tmp_path / "run")
    assert (directory.load_checkpoint()["step"], directory.load_policies()["step"]) == (step, 10)
    assert directory.copies_lag() == (step != 10)
    assert sorted(p.name for p in (tmp_path / "run").iterdir() if p.suffix != ".lock") == [
        "checkpoint.pt", "config.json", "evaluations.csv", "metrics.csv", "policy.pt",
    ]  # fmt: skip


def test_reports_are_added_once(hopper_file, tmp_path):
    loop.train(config(hopper_file), tmp_path / "run", schedule=SCHEDULE, device="cpu", progress=False)
    for _ in range(2):
        table = stored.evaluate_run(tmp_path / "run", episodes=6, horizon=20, device="cpu")
    assert len(table) == 6
    everything = pd.read_csv(tmp_path / "run/evaluations.csv")
    assert everything[everything["purpose"] == "report"].groupby("sampler_noise").size().to_dict() == {0: 6, 1: 6}
    assert (everything["purpose"] == "training").sum() == 12
    with pytest.raises(RamacError, match="at least one episode a seed"):
        stored.evaluate_run(tmp_path / "run", episodes=1)


def test_options_are_parsed_to_their_fields_types(hopper_file):
    parsed = config(hopper_file, td_clip="none", hidden="64,32", short_run_rate="false", policy_steps="7").settings
    assert (parsed.td_clip, parsed.hidden, parsed.short_run_rate, parsed.policy_steps) == (None, (64, 32), False, 7)
    with pytest.raises(RamacError, match="unknown option of RADAC 'etha'"):
        config(hopper_file, etha="1")
    with pytest.raises(RamacError, match="option eta is 'big'; expected a value of type float"):
        config(hopper_file, eta="big")


def test_config_survives_json(hopper_file, tmp_path):
    original = config(hopper_file, td_clip="none")
    facts = {"env_id": "Hopper-v5", "dims": [11, 3], "data": {"sha256": "0"}}
    RunDirectory(tmp_path / "run").open(original, facts, False)
    assert RunDirectory(tmp_path / "run").read_config() == original


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"seeds": ()}, "no seeds"),
        ({"seeds": (1, 1)}, "given twice"),
        ({"seeds": (-1,)}, "seeds has -1; expected a whole number of at least 0"),
        ({"steps": 0}, "steps is 0"),
        ({"method": "sac"}, "unknown method 'sac': choose one of radac"),
    ],
)
def test_bad_configs(hopper_file, change, sentence):
    with pytest.raises(RamacError, match=sentence):
        config(hopper_file, **change)


def test_cuda_without_a_gpu():
    if torch.cuda.is_available():
        assert machine.get_device("cuda").type == "cuda"
        return
    with pytest.raises(RamacError, match="no usable GPU"):
        machine.get_device("cuda")


@pytest.mark.parametrize(
    ("env_id", "words"),
    [
        ("Walker2d-v5", r"shapes \(11,\) and \(3,\); expected those of Walker2d-v5, \(17,\) and \(6,\)"),
        ("CartPole-v1", r"expected those of CartPole-v1, \(4,\) and \(\)"),
        ("Reacher-v2", r"the environment 'Reacher-v2' cannot be made: "),
    ],
)
def test_an_environment_that_has_not_the_datas_columns_is_refused_before_training(hopper, tmp_path, env_id, words):
    path = save_file(hopper.with_(env_id=env_id), tmp_path / "own.hdf5")
    config = make_config("bc-flow", "hopper-medium-expert", (0,), 10, source=str(path), env_id=env_id)
    with pytest.raises(RamacError, match=words):
        loop.train(config, tmp_path / "run", device="cpu", progress=False)
    assert not (tmp_path / "run" / "config.json").exists()
