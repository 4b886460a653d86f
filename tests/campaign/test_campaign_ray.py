"""Campaigns on a cluster of Ray, on one machine: a machine lost, the driver killed, one added, two drivers."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from campaign_helpers import DIFFUSION, FLOW, RADAC, SMALL, contents, run

from ramac_lib import campaign
from ramac_lib.campaign.backends.ray_tasks import by_this_clock
from ramac_lib.campaign.backends.states import StateStore
from ramac_lib.campaign.grid import choose
from ramac_lib.campaign.slices import Job, attempt
from ramac_lib.system.errors import RamacError
from ramac_lib.training.engine import get_engine
from ramac_lib.training.loop import Schedule
from ramac_lib.training.results import at_noise

TWELVE = {
    **SMALL, "seeds": (0,), "steps": 100, "evaluations": 2, "report_episodes": 2,
    "rows": (RADAC, *(f"bc-flow:hidden={k},batch_size=16" for k in range(8, 19))),
}  # fmt: skip
LOOK, LONG = 0.1, 300.0  # seconds
MEMORY = 100_000_000  # bytes of a node's object store


def test_without_ray_one_sentence_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RamacError, match=r"^--backend ray: Ray is not installed; `pip install 'ramac-lib\[ray\]'`"):
        run(tmp_path / "c", workers=None, backend=campaign.Backend("ray"))
    assert not (tmp_path / "c").exists()


def test_options_of_the_other_backend_are_refused(tmp_path):
    with pytest.raises(RamacError, match=r"^--address and --gpus-per-cell: of --backend ray alone$"):
        campaign.Backend(address="auto", gpus=0.5)
    with pytest.raises(RamacError, match=r"^unknown backend 'rya'"):
        campaign.Backend("rya")
    with pytest.raises(RamacError, match=r"^--workers: Ray does as many"):
        run(tmp_path / "c", backend=campaign.Backend("ray"), workers=2)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"cpus": 0}, r"^cpus-per-cell is 0; expected a number in \[0.0001, 1,024\]$"),
        ({"cpus": 0.00001}, r"^cpus-per-cell is 1e-05; expected a number in"),
        ({"cpus": -1.0}, r"^cpus-per-cell is -1.0; "),
        ({"gpus": 0.00001}, r"^gpus-per-cell is 1e-05; expected a number in \[0.0001, 64\]$"),
        ({"gpus": 1.5}, r"^gpus-per-cell is 1.5; expected a share of one GPU or a whole number of them$"),
    ],
)
def test_less_than_ray_counts_is_refused(given, said):
    """Of 0 cores Ray would do every cell at a time; what it rounds to 0 too."""
    with pytest.raises(RamacError, match=said):
        campaign.Backend("ray", **given)
    assert campaign.Backend("ray", cpus=1e-4, gpus=0.0).gpus == 0.0
    assert campaign.Backend("ray", cpus=2.5, gpus=2.0).cpus == 2.5


def test_states_are_named_by_where_they_are(tmp_path, monkeypatch):
    """Workers of Ray may be in another folder; a name with two colons is no chain of fsspec's."""
    from ramac_lib.campaign import launch

    given = []
    monkeypatch.setattr(launch, "RayTasks", lambda states, *_: given.append(states))
    monkeypatch.chdir(tmp_path)
    for backend, out in (
        (campaign.Backend("ray"), "c::d"),
        (campaign.Backend("ray", states="s"), "c"),
        (campaign.Backend("ray", states="s3://b/f"), "c"),
    ):
        launch._pool(backend, Path(out), "cpu", None, 0)
    assert given == [str(tmp_path / "c::d" / "states"), str(tmp_path / "s"), "s3://b/f"]


def _job(tmp_path, **moments):
    cell = choose(None, SMALL, None).cells()[0]
    schedule = Schedule(10, 20, 2)
    return Job(cell, tmp_path / "cell", schedule, 40, 3, get_engine("cpu", "eager"), "", last=True, **moments)


def test_moments_of_a_budget_are_those_of_the_other_machines_clock(tmp_path):
    """One that was started 900 s later and looks 5 s after the job was sent: 95 s of 100 are left."""
    there = by_this_clock(_job(tmp_path, deadline=1100.0, report_by=1150.0), (5e8, 1000.0), (5e8 + 5, 105.0))
    assert (there.deadline - 105.0, there.report_by - 105.0) == (95.0, 145.0)
    assert by_this_clock(_job(tmp_path), (0.0, 0.0), (9.0, 1.0)).deadline is None


def test_a_slice_that_begins_too_late_for_its_report_makes_none(tmp_path):
    """A job may wait for a machine, or be done again, for long after it was sent."""
    late = attempt(_job(tmp_path, report_by=time.monotonic() - 1.0), lambda step: False)
    assert (late.step, late.reported) == (40, -1)
    passed = attempt(_job(tmp_path, deadline=time.monotonic() - 1.0), lambda step: False)
    assert (passed.step, passed.reported) == (40, 40)


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, so that no cell is on it, and two nodes of one core."""
    pytest.importorskip("ray")
    from ramac_lib.campaign.backends.ray_tasks import SETTINGS

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
        made = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield made
        made.shutdown()


def _begin(cluster, out, grid, *more):
    """Start a campaign on the cluster in a process of its own."""
    options = []
    for name, value in grid.items():
        values = value if isinstance(value, tuple) else (value,)
        options += [f"--{ {'rows': 'methods'}.get(name, name).replace('_', '-') }", *map(str, values)]
    command = [sys.executable, "-m", "ramac_lib.cli", "campaign", "--backend", "ray", "--address", cluster.address]
    command += ["--device", "cpu", "--out", str(out), *options, *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    begun.append(driver)
    return driver


begun: list[subprocess.Popen] = []


@pytest.fixture(autouse=True)
def no_driver_left():
    """End what a test that failed has begun."""
    yield
    while begun:
        begun.pop().kill()


def _saved(out):
    """Return how many states the cells of a campaign have saved."""
    return sum(int(max((p.stem for p in cell.glob("*.json")), default=0)) for cell in out.glob("states/*/versions"))


def _has_driver(node):
    """Return whether a driver is connected to the node, by its desk, which is on the driver's node."""
    raylet = node.all_processes["raylet"][0].process.pid
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == raylet and b"ray::Desk" in (folder / "cmdline").read_bytes():
                return True
    return False


def _wait(condition, process):
    until = time.monotonic() + LONG
    while not condition() and process.poll() is None and time.monotonic() < until:
        time.sleep(LOOK)
    assert process.poll() is None, process.communicate()[1]
    assert condition()


def _ended(process):
    said, wrong = process.communicate(timeout=LONG)
    assert process.returncode == 0, wrong
    return said


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    """The same campaign by processes of this machine."""
    out = tmp_path_factory.mktemp("twelve") / "c"
    began = time.monotonic()
    run(out, TWELVE, workers=2)
    print(f"12 cells by processes: {time.monotonic() - began:.1f} s")
    return out


@pytest.mark.slow
@pytest.mark.cluster
def test_a_node_killed_and_one_added_in_the_middle_change_no_bit(cluster, twelve, tmp_path):
    out, began = tmp_path / "c", time.monotonic()
    driver = _begin(cluster, out, TWELVE)
    _wait(lambda: _saved(out) >= 9, driver)  # of 24 and twelve reports
    cluster.remove_node(next(n for n in cluster.worker_nodes if not _has_driver(n)), allow_graceful=False)
    _wait(lambda: _saved(out) >= 16, driver)
    cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
    _ended(driver)
    print(f"12 cells by Ray, a node killed and one added: {time.monotonic() - began:.1f} s")
    assert contents(out) == contents(twelve)
    table = pd.read_csv(out / "results.csv")
    assert not table.duplicated(["run", "seed", "step", "purpose", "sampler_noise", "episode"]).any()
    assert at_noise(table).groupby(["run", "purpose"]).size().groupby("purpose").agg(["size", "min", "max"]).to_dict(
        "index"
    ) == {"report": {"size": 12, "min": 2, "max": 2}, "training": {"size": 12, "min": 4, "max": 4}}
    assert not (out / "states").exists()
    assert json.loads((out / ".progress.json").read_text())["done"]


@pytest.mark.slow
@pytest.mark.cluster
def test_the_driver_killed_and_another_goes_on_beside_a_third(cluster, tmp_path):
    """While one runs, its directory and its states are refused to others; a campaign elsewhere runs beside it."""
    grid, states = {**SMALL, "steps": 400, "evaluations": 8}, tmp_path / "shared"
    run(tmp_path / "whole", grid)
    first = _begin(cluster, tmp_path / "c", grid, "--states", str(states))
    beside = _begin(cluster, tmp_path / "beside", grid)
    _wait(lambda: list(states.glob("*/versions/*.json")), first)
    thief = _begin(cluster, tmp_path / "thief", grid, "--states", str(states))
    _, wrong = thief.communicate(timeout=LONG)
    assert (thief.returncode, wrong.strip()) == (
        1, f"ramac: {states}: another campaign of this cluster keeps its states there",
    )  # fmt: skip
    assert not (tmp_path / "thief").exists()
    assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    _ended(_begin(cluster, tmp_path / "c", {}, "--resume", "--states", str(states)))
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")
    assert len(StateStore(str(states)).fs.ls(str(states))) == 2  # a place that was given is kept
    _ended(beside)
    assert contents(tmp_path / "beside") == contents(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.cluster
def test_a_budget_is_kept_and_leaves_every_cell_a_report(cluster, tmp_path):
    """Real time, as of the same test of processes; the rest is what it takes to reach the cluster and to leave it."""
    grid = {**SMALL, "steps": 100_000, "evaluations": 50, "rows": (FLOW, DIFFUSION, RADAC)}
    for budget in (60, 120):
        out, began = tmp_path / f"{budget}", time.monotonic()
        _ended(_begin(cluster, out, grid, "--budget-seconds", str(budget)))
        took, table = time.monotonic() - began, pd.read_csv(out / "results.csv", dtype={"run": str})
        reports = table[table["purpose"] == "report"]
        if took < budget + 15 and reports["run"].nunique() == 3:
            break
    print(f"a budget of {budget} s: {took:.1f} s, {reports['step'].min()} updates at least")
    assert took < budget + 15
    assert reports["run"].nunique() == 3
    assert 0 < reports["step"].min() <= reports["step"].max() < 100_000
    assert set(at_noise(reports).groupby(["run", "seed"]).size()) == {3}


@pytest.mark.slow
@pytest.mark.cluster
def test_fractions_of_cores_and_gpus_are_counted_and_ctrl_c_stops(cluster, tmp_path):
    """The cluster has two machines of one core; Ray takes a number of GPUs at its word."""
    from ramac_lib.campaign.backends.ray_tasks import RayTasks

    node = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=MEMORY)
    try:
        for cpus, gpus, slots in ((1.0, 0.0, 4), (0.5, 0.0, 8), (0.5, 0.25, 4), (1.0, 0.25, 2), (3.0, 0.0, 0)):
            pool = RayTasks(str(tmp_path / "s"), cluster.address, "cpu", cpus, gpus)
            try:
                assert pool.capacity() == max(1, slots), (cpus, gpus)
            finally:
                pool.close()
        driver = _begin(cluster, tmp_path / "c", {**SMALL, "steps": 100_000}, "--gpus-per-cell", "0.25")
        _wait(lambda: (tmp_path / "c" / ".progress.json").exists() and _told(tmp_path / "c") > 50, driver)
        driver.send_signal(signal.SIGINT)
        _, wrong = driver.communicate(timeout=LONG)
        assert driver.returncode == 130, wrong
        assert "stopped after" in wrong.splitlines()[-1]
        assert _saved(tmp_path / "c") >= 2
        assert sorted(p.name for p in (tmp_path / "c" / "cells").glob("*/checkpoint.pt")) == ["checkpoint.pt"] * 2
    finally:
        cluster.remove_node(node)


def _told(out):
    with contextlib.suppress(ValueError):
        return min(json.loads((out / ".progress.json").read_text())["steps"].values())
    return 0
