"""Files for clusters, linted: no cluster is here to run them."""

import inspect
import json
import shutil
import subprocess
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
