"""OpenMP's threads wait without spinning, unless the environment says otherwise."""

import os
import re
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "policy"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")], ids=["unset", "set"]
)
def test_the_library_sets_it_before_pytorch_loads(given, policy):
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"} | given
    script = "import os, ramac_lib, torch; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True, text=True, env=environment | {"OMP_DISPLAY_ENV": "VERBOSE"},
    )  # fmt: skip
    assert done.stdout.split()[-1] == policy
    spins = re.search(r"GOMP_SPINCOUNT = '(\w+)'", done.stdout + done.stderr)
    if spins is None:
        pytest.skip("this PyTorch's OpenMP does not say how long it spins")
    assert (spins[1] == "0") == (policy == "PASSIVE")
