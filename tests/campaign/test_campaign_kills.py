"""Real processes are killed at random points, twenty times; what is left goes on to the same bits."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from campaign_helpers import FLOW, RADAC, SMALL, contents, run

from ramac_lib.system.errors import RamacError
from ramac_lib.training.results import at_noise

KILLS, OF_MAIN = 20, 5
PAUSE, LOOK = 0.25, 0.05  # seconds: the mean time until a kill, and how often a process is looked for
GRID = {**SMALL, "rows": (FLOW, RADAC), "steps": 120, "evaluations": 6}


def _campaign(out, grid):
    with contextlib.suppress(RamacError):
        run(out, grid, workers=2, resume=True)


def _holders(out):
    """Return the processes of the campaign in a directory: those that hold its lock."""
    lock, found = str(Path(out).resolve() / ".lock"), []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError):
            if os.getpgid(int(folder.parent.name)) != os.getpgrp():  # not begun here: its files need no look
                continue
            if any(os.readlink(link) == lock for link in folder.iterdir()):
                found.append(int(folder.parent.name))
    return sorted(set(found) - {os.getpid()})


def _whole_so_far(out):
    """Look at the one table as a reader would, at any moment."""
    with contextlib.suppress(FileNotFoundError):
        table = pd.read_csv(out / "results.csv")
        assert not table.duplicated(["run", "seed", "step", "purpose", "sampler_noise", "episode"]).any()
        counts = at_noise(table).groupby(["run", "purpose", "step"]).size()
        assert all(size == (6 if purpose == "report" else 4) for (_, purpose, _), size in counts.items())


@pytest.mark.slow
def test_killed_at_random_points_twenty_times(tmp_path):
    run(tmp_path / "whole", GRID)
    expected = contents(tmp_path / "whole")
    context = get_context("forkserver")
    context.set_forkserver_preload(["ramac_lib.campaign.slices", "ramac_lib.envs.bandit"])
    rng = np.random.default_rng(5)
    wanted = rng.permutation(["main"] * OF_MAIN + ["worker"] * (KILLS - OF_MAIN))
    victims = []
    for attempt in range(KILLS):  # a campaign that ends before all kills were made is followed by another
        out = tmp_path / str(attempt)
        while len(victims) < KILLS:
            main = context.Process(target=_campaign, args=(out, GRID))
            main.start()
            if rng.random() < 0.8:  # else perhaps before there are workers
                while main.is_alive() and len(_holders(out)) < 3:
                    time.sleep(LOOK)
            while main.is_alive() and len(victims) < KILLS:
                time.sleep(rng.exponential(PAUSE))
                alive = _holders(out)
                if alive and main.is_alive():
                    victim = (
                        main.pid
                        if wanted[len(victims)] == "main"
                        else int(rng.choice([pid for pid in alive if pid != main.pid] or alive))
                    )
                    os.kill(victim, signal.SIGKILL)
                    victims.append("main" if victim == main.pid else "worker")
                    _whole_so_far(out)
                    if victim == main.pid:
                        main.join()
            main.join()
            if main.exitcode == 0 and _finished(out):
                break
        _, failures = run(out, {}, resume=True)
        assert not failures
        assert contents(out) == expected
        if len(victims) >= KILLS:
            break
    assert len(victims) == KILLS
    assert victims.count("main") >= 3
    assert victims.count("worker") >= 3


def _finished(out):
    table = pd.read_csv(out / "results.csv")
    return table[table["purpose"] == "report"]["run"].nunique() == 2


def test_a_second_campaign_is_refused_and_workers_end_with_one_that_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("ramac_lib.campaign.directory.PATIENCE", 0.5)
    context = get_context("forkserver")
    context.set_forkserver_preload(["ramac_lib.campaign.slices", "ramac_lib.envs.bandit"])
    main = context.Process(target=_campaign, args=(tmp_path / "c", {**GRID, "steps": 1_000_000}))
    main.start()
    try:
        while len(_holders(tmp_path / "c")) < 3 and main.is_alive():
            time.sleep(LOOK)
        with pytest.raises(RamacError, match="another campaign is running in this directory"):
            run(tmp_path / "c", {}, resume=True)
        assert len(_holders(tmp_path / "c")) == 3
    finally:
        main.kill()
    main.join()
    until = time.monotonic() + 20
    while _holders(tmp_path / "c") and time.monotonic() < until:
        time.sleep(LOOK)
    assert not _holders(tmp_path / "c")


def _children(pid, name):
    """Return the children of a process whose command names that module."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid and name in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


@pytest.mark.slow
def test_the_server_that_starts_workers_may_be_killed_too(tmp_path):
    """Before it has started the first worker, and between two."""
    killed = []

    def kill():
        while len(killed) < 2 and main.poll() is None:
            time.sleep(LOOK)
            for pid in _children(main.pid, "forkserver"):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)
                time.sleep(1)

    program = (
        "import sys; from campaign_helpers import run, FLOW, RADAC, SMALL\n"
        "if __name__ == '__main__':\n"
        "    table, failures = run(sys.argv[1], {**SMALL, 'rows': (FLOW, RADAC)}, workers=2); assert not failures\n"
    )
    (tmp_path / "main.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path])}
    main = subprocess.Popen([sys.executable, tmp_path / "main.py", tmp_path / "c"], env=environment)
    kill()
    assert main.wait(120) == 0
    assert killed
    run(tmp_path / "whole", {**SMALL, "rows": (FLOW, RADAC)})
    assert contents(tmp_path / "c") == contents(tmp_path / "whole")
