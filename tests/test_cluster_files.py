"""Files for clusters, linted: no cluster is here to run them."""

import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata, util
from pathlib import Path

import pytest
import yaml

from ramac_lib import cli
from ramac_lib.system.errors import RamacError

CLUSTER = Path(__file__).parents[1] / "tools" / "cluster"


def _campaign_options():
    """Return the options that `ramac campaign` has beside the grid's."""
    return {f"--{name.replace('_', '-')}" for name in inspect.signature(cli.campaign).parameters}


def _used(text):
    return {word.strip("'") for word in text.split() if word.startswith("--")}


def test_the_slurm_script_is_bash_and_passes_its_options_on():
    script = CLUSTER / "campaign.slurm"
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)
    text = script.read_text()
    assert '"$RAMAC/ramac" campaign --backend ray --address "$address" --device auto "$@"' in text
    assert "#SBATCH --signal=B:INT@300" in text


# A stand-in for srun on one machine: as it does, it tells the tasks' status on the first SIGINT unless told not to,
# passes it on to them else, and starts them with signals as a login has them. The head and the workers sleep.
SRUN = """#!{python}
import os, signal, subprocess, sys
own = [word for word in sys.argv[1:] if word.startswith("--")][: sys.argv[1:].index(
    next(word for word in sys.argv[1:] if not word.startswith("--")))]
command = sys.argv[1 + len(own):]
if command[0] == "hostname":
    print("127.0.0.1 ::1")
    sys.exit()
task = subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
def pressed(*_):
    if "--disable-status" in own:
        task.send_signal(signal.SIGINT)
    else:
        print("srun: interrupt (one more within 1 sec to abort)", file=sys.stderr, flush=True)
if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, pressed)
sys.exit(task.wait())
"""
RAMAC = """#!{python}
import pathlib, sys, time
here = pathlib.Path(__file__).parent
try:
    (here / "told").write_text(" ".join(sys.argv[1:]))
    time.sleep(600)
except KeyboardInterrupt:
    time.sleep(0.5)  # cells are saved
    (here / "saved").write_text("")
    sys.exit(130)
"""


@pytest.mark.parametrize("stopped", [True, False])
def test_slurms_signal_reaches_the_campaign_which_saves(stopped, tmp_path):
    """SLURM signals the script alone; the job ends when the campaign has, with its exit code."""
    texts = {
        "srun": SRUN, "ramac": RAMAC if stopped else "#!/bin/sh\nexit 3\n", "ray": "#!/bin/sh\nexec sleep.really 20\n",
        "scontrol": "#!/bin/sh\nprintf 'one\\ntwo\\n'\n", "sleep": "#!/bin/sh\n",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / name).write_text(text.replace("{python}", sys.executable))
        (tmp_path / name).chmod(0o755)
    (tmp_path / "sleep.really").symlink_to(str(shutil.which("sleep")))
    environment = {
        **os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "RAMAC": str(tmp_path), "SLURM_CPUS_PER_TASK": "1",
        "SLURM_JOB_NODELIST": "one,two", "SLURM_SUBMIT_DIR": str(tmp_path),
    }  # fmt: skip
    script = ["bash", str(CLUSTER / "campaign.slurm"), "--out", "c d"]
    job = subprocess.Popen(
        script,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    try:
        until = time.monotonic() + 200
        while stopped and not (tmp_path / "told").exists() and time.monotonic() < until:
            time.sleep(0.05)
        if stopped:
            assert (tmp_path / "told").exists()
            time.sleep(0.5)  # for srun to have its handler, too
            job.send_signal(signal.SIGINT)
        assert job.wait(200) == (130 if stopped else 3)
    finally:
        _end_all_of(job.pid)
    if stopped:
        assert (tmp_path / "saved").exists()
        told = "campaign --backend ray --address 127.0.0.1:6379 --device auto --out c d"
        assert (tmp_path / "told").read_text() == told


def _end_all_of(session):
    """End what a job has left, as SLURM does at its end."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                os.kill(int(folder.name), signal.SIGKILL)
        except OSError:
            continue


def test_the_kuberay_file_asks_for_what_its_command_needs():
    job = yaml.safe_load((CLUSTER / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert _used(job["spec"]["entrypoint"]) <= _campaign_options()
    cluster = job["spec"]["rayClusterSpec"]
    pins = (CLUSTER.parents[1] / "constraints.txt").read_text().splitlines()
    assert f"ray=={cluster['rayVersion']}" in pins
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in cluster["workerGroupSpecs"]:
        (container,) = group["template"]["spec"]["containers"]
        limits, requests = container["resources"]["limits"], container["resources"]["requests"]
        assert limits["nvidia.com/gpu"] == requests["nvidia.com/gpu"] == "1"
        assert int(requests["cpu"]) <= int(limits["cpu"])
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_the_autoscalers_file_is_what_rays_schema_says():
    settings = yaml.safe_load((CLUSTER / "autoscaler.yaml").read_text())
    types = settings["available_node_types"]
    assert settings["head_node_type"] in types
    assert types[settings["head_node_type"]]["resources"]["CPU"] == 0
    assert all(kind["min_workers"] <= kind["max_workers"] <= settings["max_workers"] for kind in types.values())
    if util.find_spec("ray") is None:
        pytest.skip("the schema is Ray's")
    schema = Path(str(metadata.distribution("ray").locate_file("ray/autoscaler/ray-schema.json")))
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(settings, json.loads(schema.read_text()))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**settings, "max_workers": "many"}, json.loads(schema.read_text()))


def test_an_error_of_the_commands_in_the_files_would_be_told():
    from ramac_lib.campaign.launch import Backend

    with pytest.raises(RamacError, match="gpus-per-cell"):
        Backend("ray", gpus=-1.0)
