"""A campaign that takes a second: the Risky Bandit, narrow networks."""

from pathlib import Path

import torch

from ramac_lib import campaign
from ramac_lib.campaign.directory import CampaignDirectory
from ramac_lib.training.directory import RunDirectory

FLOW = "bc-flow:hidden=8,batch_size=16"
DIFFUSION = "bc-diffusion:hidden=8,batch_size=16"
RADAC = "radac:hidden=8,critic_hidden=8,embedding=4,n_cos=4,n_fractions=4,batch_size=16"
SMALL = {
    "tasks": ("risky-bandit",), "rows": (FLOW, RADAC), "seeds": (0, 1), "steps": 60, "evaluations": 3, "episodes": 2,
    "report_episodes": 3, "size": 400,
}  # fmt: skip


def run(out, changes=SMALL, **options):
    """Run a campaign on the CPU, in this process unless told otherwise."""
    return campaign.run(out, None, changes, **{"device": "cpu", "workers": 0, "progress": False, **options})


def leaves(value):
    """Return nested data with every tensor as bytes, to be compared to the last bit."""
    if isinstance(value, dict):
        return {k: leaves(v) for k, v in value.items()}
    if isinstance(value, list):
        return [leaves(v) for v in value]
    return (str(value.dtype), value.numpy().tobytes()) if isinstance(value, torch.Tensor) else value


def contents(out):
    """Return all that a campaign computed: the table, each cell's tables, states and policies, to the last bit."""
    out = Path(out)
    found = {"results.csv": (out / "results.csv").read_bytes()}
    grid, _ = CampaignDirectory(out).read()
    for cell in grid.cells():
        folder = RunDirectory(out / "cells" / cell.name)
        for name in ("metrics.csv", "evaluations.csv"):
            found[cell.name, name] = (folder.path / name).read_bytes()
        found[cell.name, "state"] = leaves(folder.load_checkpoint())
        found[cell.name, "policy"] = leaves(folder.load_policies())
    return found
