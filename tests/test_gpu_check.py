"""The GPU's check, rehearsed on a CPU: it goes through all its parts, and says so where there is no CUDA."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "tools" / "gpu_check.py"


@pytest.fixture
def gpu_check(monkeypatch):
    from ramac_lib.networks import noise
    from ramac_lib.training import engine

    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setitem(noise.KIND, "cpu", noise.KIND["cpu"])  # which the rehearsal changes
    if hasattr(engine, "CUDAGraphs"):
        monkeypatch.setattr(engine, "CUDAGraphs", engine.CUDAGraphs)
    import gpu_check

    return gpu_check


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_without_cuda_it_says_so():
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, cwd=ROOT.parent)
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert "no usable CUDA device" in done.stdout


@pytest.mark.slow
def test_rehearsal(gpu_check, tmp_path, capfd, monkeypatch):
    few = {name: gpu_check.parts.METHODS[name] for name in ("radac", "cql", "oraac")}
    monkeypatch.setattr(gpu_check.parts, "METHODS", few)
    monkeypatch.setattr(gpu_check.parts, "MEASURED", ("radac",))
    assert gpu_check.main(["--rehearse", "--out", str(tmp_path)]) == 0, capfd.readouterr().out
    found = json.loads((tmp_path / "gpu_check.json").read_text())
    assert list(found) == ["facts", "agreement", "resume", "speed", "campaign", "tests"]
    lines = [line for part in found.values() for line in part]
    assert {line["status"] for line in lines} <= {"PASS", "SKIP"}
    agreed = {line["check"]: line for line in found["agreement"]}
    assert all(agreed[f"{method}: graph as eager"]["same_bits"] for method in few)
    assert 0 < agreed["radac: bfloat16 as float32"]["apart"] < 0.1
    assert found["speed"][0]["seed_updates_per_s"] == pytest.approx(2 * found["speed"][0]["updates_per_s"])
    assert found["campaign"][0]["killed"]


def test_movements_are_compared_by_their_distance(gpu_check):
    one = torch.tensor([3.0, 4.0])
    assert gpu_check.parts.compared(one, one, 0.0)[0]
    passed, words, numbers = gpu_check.parts.compared(one, torch.tensor([3.0, 4.5]), 0.05)
    assert not passed
    assert numbers == {"apart": pytest.approx(0.1), "same_bits": False}
    assert "0.1 of the distance" in words


def test_what_a_check_raises_is_its_failure(gpu_check, tmp_path):
    check = gpu_check.Check(tmp_path / "part.json", time.monotonic() + 100)
    check.attempt("bad", lambda: 1 / 0)
    check.attempt("good", lambda: (True, "fine", {"apart": 0.0}))
    check.deadline = 0.0
    check.attempt("late", lambda: pytest.fail("made"))
    written = json.loads((tmp_path / "part.json").read_text())
    assert [line["status"] for line in written] == ["FAIL", "PASS", "SKIP"]
    assert written[0]["reason"] == "ZeroDivisionError: division by zero"


def test_a_part_is_ended_at_its_limit(gpu_check):
    began = time.monotonic()
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert gpu_check.supervised([sys.executable, "-c", script], 1.0) == "ended at its limit of 1 s"
    assert gpu_check.supervised([sys.executable, "-c", "raise SystemExit(3)"], 30.0) == "its process ended with 3"
    assert gpu_check.supervised([sys.executable, "-c", ""], 30.0) == ""
    assert time.monotonic() - began < 30
