"""No process outlives the one that started it, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
WORKERS = """
import os, sys, time
from ramac_lib.system.processes import worker_map

def work(_):
    with open(sys.argv[1], "a") as file:
        print(os.getpid(), file=file)
    time.sleep(600)

if __name__ == "__main__":
    with worker_map(2) as run:
        list(run(work, range(2)))
"""
PROGRAM = """
import subprocess, sys
from ramac_lib.system.processes import set_death_signal
shell = "echo $$ >> " + sys.argv[1] + "; exec sleep 600"
subprocess.run(["sh", "-c", shell], preexec_fn=set_death_signal)
"""


def alive(pid: int) -> bool:
    """Return whether a process runs; one that waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.parametrize(("script", "count"), [(WORKERS, 2), (PROGRAM, 1)], ids=["workers", "a program"])
def test_what_a_killed_process_started_ends(tmp_path, script, count):
    (tmp_path / "script.py").write_text(script)
    pids = tmp_path / "pids"
    pids.touch()
    main = subprocess.Popen([sys.executable, str(tmp_path / "script.py"), str(pids)])
    until = time.monotonic() + 120
    while len(pids.read_text().split()) < count and time.monotonic() < until:
        time.sleep(0.05)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == count
    assert all(map(alive, started))
    os.kill(main.pid, signal.SIGKILL)
    main.wait()
    until = time.monotonic() + 20
    while any(map(alive, started)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, started))


def test_the_server_of_workers_is_bound_to_its_parent_before_it_imports_the_rest():
    """PR_GET_PDEATHSIG of <sys/prctl.h> is 2."""
    program = (
        "import sys, ctypes, ramac_lib.system.mortal; found = ctypes.c_int()\n"
        "ctypes.CDLL(None).prctl(2, ctypes.byref(found)); print(found.value, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["9", "False"]
    from ramac_lib.campaign.backends.processes import Processes

    asked = []
    context = type("Context", (), {"set_forkserver_preload": lambda _, names: asked.extend(names)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ramac_lib.campaign.backends.processes.get_context", lambda _: context())
        Processes(1, 0)
    assert asked[0] == "ramac_lib.system.mortal"
