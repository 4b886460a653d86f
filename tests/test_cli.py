"""The command line: what it prints, and one sentence with an exit code above zero for what a user can mend."""

import dataclasses
import subprocess
import sys

import h5py
import numpy as np
import pandas as pd
import pytest
from cli_helpers import run

from ramac_lib.campaign.grid import NO_OPTIONS, Grid
from ramac_lib.envs.tasks import TASKS
from ramac_lib.methods import METHODS

TINY = (
    "--set", "hidden=16,16", "critic_hidden=16", "embedding=8", "n_cos=8", "n_fractions=8", "batch_size=32",
)  # fmt: skip


def train(file, out, *more):
    return (
        "train", "--method", "radac", "--task", "hopper-medium-expert", "--source", file, "--steps", 10,
        "--eval-every", 5, "--episodes", 1, "--device", "cpu", "--out", out, *more,
    )  # fmt: skip


def test_train_evaluate_and_resume(capsys, hopper_file, tmp_path):
    folder = tmp_path / "run"
    code, out, _ = run(capsys, *train(hopper_file, folder, "--seeds", 0, 1, *TINY))
    assert code == 0
    assert "CVaR_0.1" in out
    code, out, _ = run(capsys, "evaluate", folder, "--episodes", 4, "--horizon", 30, "--device", "cpu")
    assert code == 0
    assert len(pd.read_csv(folder / "evaluations.csv").query("purpose == 'report' and sampler_noise == 1")) == 4
    code, _, err = run(capsys, *train(hopper_file, folder, "--seeds", 0, 1, *TINY))
    assert code == 1
    assert "--resume" in err
    assert run(capsys, *train(hopper_file, folder, "--seeds", 0, 1, "--resume", *TINY))[0] == 0


def test_a_run_without_evaluations_can_be_resumed_and_evaluated(capsys, hopper_file, tmp_path):
    folder = tmp_path / "run"
    call = (*train(hopper_file, folder, *TINY), "--episodes", 0)
    assert run(capsys, *call)[0] == 0
    assert run(capsys, *call, "--resume")[0] == 0
    assert run(capsys, "evaluate", folder, "--episodes", 2, "--horizon", 5, "--device", "cpu")[0] == 0
    assert len(pd.read_csv(folder / "evaluations.csv").query("sampler_noise == 1")) == 2


def test_bandit_from_the_command_line(capsys, tmp_path):
    code, _, _ = run(
        capsys, "train", "--method", "rafmac", "--task", "risky-bandit", "--size", 500, "--steps", 4,
        "--episodes", 5, "--device", "cpu", "--out", tmp_path / "b", *TINY,
    )  # fmt: skip
    assert code == 0
    assert (pd.read_csv(tmp_path / "b/evaluations.csv")["length"] == 1).all()


def test_data_prints_hash_and_statistics(capsys, hopper_file):
    code, out, _ = run(capsys, "data", "hopper-medium-expert", "--source", hopper_file)
    assert code == 0
    for word in ("sha256", "episodes", "return", "share of steps in violation (paper hazard)"):
        assert word in out


def hdf5(folder, **changes):
    """Write a small file in D4RL's layout, with some keys changed or (None) left out."""
    n = 20
    arrays = {
        "observations": np.zeros((n, 11), np.float32), "actions": np.zeros((n, 3), np.float32),
        "rewards": np.zeros(n, np.float32), "next_observations": np.zeros((n, 11), np.float32),
        "terminals": np.zeros(n, bool), "timeouts": np.zeros(n, bool), **changes,
    }  # fmt: skip
    path = folder / "file.hdf5"
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            if array is not None:
                file[key] = array
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rewards": None}, ("file.hdf5", "rewards")),
        ({"actions": np.full((20, 3), 2.0, np.float32)}, ("actions", "[-1, 1]")),
        ({"observations": np.full((20, 11), np.nan, np.float32)}, ("observations", "NaN")),
        ({"terminals": np.zeros(7, bool)}, ("terminals", "20")),
        ({"rewards": np.zeros(0, np.float32)}, ("file.hdf5",)),
    ],
)
def test_bad_files(capsys, tmp_path, changes, words):
    folder = tmp_path / "run"
    code, _, err = run(capsys, *train(hdf5(tmp_path, **changes), folder))
    assert code == 1
    assert err.startswith("ramac: ")
    assert len(err.strip().splitlines()) == 1
    assert all(word in err for word in words)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("data", "ant-medium"), ("unknown task 'ant-medium'", "hopper-medium-expert")),
        (("data", "hopper-medium-expert", "--source", "s3"), ("unknown source 's3'", "bundled")),
        (("data", "hopper-medium-expert", "--hazard", "fire"), ("unknown hazard 'fire'", "paper, calibrated, none")),
        (("data", "hopper-medium-expert", "--source", "nowhere.hdf5"), ("nowhere.hdf5",)),
        (("train", "--method", "sac", "--task", "risky-bandit"), ("unknown method 'sac'", "radac")),
        (("train", "--method", "radac", "--task", "x"), ("unknown task 'x'",)),
        (("train", "--method", "radac", "--task", "risky-bandit", "--alpha", "1.5"), ("alpha is 1.5", "(0, 1]")),
        (("train", "--method", "radac", "--task", "risky-bandit", "--risk", "var"), ("'var'", "cvar, wang, cpw")),
        (("train", "--method", "radac", "--task", "risky-bandit", "--steps", "0"), ("steps is 0",)),
        (("train", "--method", "radac", "--task", "risky-bandit", "--seeds", "1", "1"), ("given twice",)),
        (("train", "--method", "radac", "--task", "risky-bandit", "--set", "eta"), ("option=value",)),
        (("train", "--method", "radac", "--task", "risky-bandit", "--set", "speed=9"), ("unknown option", "eta")),
        (("train", "--method", "bc-flow", "--task", "risky-bandit", "--released"), ("not in the released code",)),
        (("train", "--method", "radac", "--task", "risky-bandit", "--device", "tpu"), ("unknown device 'tpu'",)),
        (("evaluate", "nowhere"), ("nowhere: holds no run",)),
        (("book", "--profile", "huge"), ("unknown profile 'huge'", "quick")),
    ],
)
def test_bad_arguments_end_in_one_sentence(capsys, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(capsys, *arguments)
    assert code == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("ramac: ")
    assert all(word in last for word in words), last
    assert not list(tmp_path.iterdir())


def test_unreadable_numbers_are_refused(capsys):
    assert run(capsys, "train", "--method", "radac", "--task", "risky-bandit", "--steps", "many")[0] == 2


@pytest.mark.parametrize("words", [(), ("train",), ("bench",), ("analyse",), ("analyse", "record")])
def test_help_needs_no_torch(words):
    code = (
        "import sys; from ramac_lib.cli import main\n"
        "try: main([*sys.argv[1:], '--help'])\nexcept SystemExit as e: assert e.code == 0\n"
        "assert 'torch' not in sys.modules and 'gymnasium' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)


def test_a_campaigns_options_are_its_grids_fields(capsys, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr("ramac_lib.campaign.run", lambda *given, **_: seen.append(given) or (pd.DataFrame(), {}))
    given = ("--methods", "cql", "radac:alpha=0.5", "--seeds", 3, 4, "--steps", 7, "--source", "d4rl")
    assert run(capsys, "campaign", "--out", tmp_path, *given)[0] == 0
    ((_, profile, changes),) = seen
    assert profile is None
    options = [f for f in dataclasses.fields(Grid) if f.name not in NO_OPTIONS]
    unset = {f.name: () if str(f.type).startswith("tuple") else None for f in options}
    assert changes == unset | {"rows": ("cql", "radac:alpha=0.5"), "seeds": (3, 4), "steps": 7, "source": "d4rl"}
    out = " ".join(run(capsys, "campaign", "--help")[1].replace("│", " ").split())
    for name in unset:
        assert f"--{'methods' if name == 'rows' else name.replace('_', '-')} " in out
    assert "further steps to evaluate at; those beyond the end are never reached." in out


def test_methods_and_tasks_are_listed(capsys):
    for command, known in (("methods", METHODS), ("tasks", TASKS)):
        code, out, _ = run(capsys, command)
        assert code == 0
        assert [line.split()[0] for line in out.splitlines()] == list(known)


@pytest.mark.parametrize("after", [False, True])
def test_plugins_are_imported_before_the_command(capsys, tmp_path, after):
    first, second = tmp_path / f"first{after}.py", tmp_path / f"second{after}.py"
    first.write_text("print('first is here')")
    second.write_text("print('second is here')")
    plugins = ("--plugin", first, "--plugin", second)
    code, out, _ = run(capsys, *(("tasks", *plugins) if after else (*plugins, "tasks")))
    assert code == 0
    assert out.splitlines()[:2] == ["first is here", "second is here"]
    assert out.splitlines()[2].startswith("hopper-medium-expert")
    assert "here" not in run(capsys, "--plugin", first, "tasks")[1]  # once a process


@pytest.mark.parametrize("text", [None, "1 / 0", "def broken("])
def test_a_bad_plugin_ends_in_one_sentence(capsys, tmp_path, text):
    path = tmp_path / "mine.py"
    if text is not None:
        path.write_text(text)
    code, out, err = run(capsys, "--plugin", path, "tasks")
    assert (code, out) == (1, "")
    (line,) = err.strip().splitlines()
    assert line.startswith("ramac: ")
    assert "mine.py" in line


def test_released_settings_reach_the_run(capsys, hopper_file, tmp_path):
    from ramac_lib.training.directory import RunDirectory

    code, _, _ = run(capsys, *train(hopper_file, tmp_path / "run", "--released", "--seeds", 3, *TINY))
    assert code == 0
    settings = RunDirectory(tmp_path / "run").read_config().settings
    assert (settings.quantile_axis, settings.fractions, settings.eta_ramp) == ("target", "random", 0.0)
