"""Write down what the code computes: ``python tests/golden/record.py OUT.json``.

Run at two commits on one machine, the two files must be equal, hashes included (``diff``). `test_golden.py` compares
the stored file within tolerances, as another processor may round otherwise.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from ramac_lib import datasets
from ramac_lib.campaign.launch import run
from ramac_lib.methods import METHODS
from ramac_lib.methods.shared.registry import BESIDE
from ramac_lib.training import loop
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import get_engine
from ramac_lib.training.results import LATER, at_noise

SIZE = 4000  # transitions of Hopper
CAMPAIGN = {
    "rows": (
        "radac:joint_relu=false", "oraac:joint_relu=false,short_radius=none", "cql", "bc-flow",
        "radac:joint_relu=false,risk=neutral",
    ),
    "tasks": ("hopper-medium-expert", "risky-bandit"), "hazards": ("paper", "calibrated"), "seeds": (0, 1),
    "steps": 20, "evaluations": 2, "episodes": 1, "report_episodes": 2, "size": SIZE,
}  # fmt: skip
# Defaults that have changed since, as they were.
BEFORE = {
    **{name: {"joint_relu": "false", "short_radius": "none"} for name in ("oraac", "oraac-diffusion", "oraac-flow")},
    **{name: {"joint_relu": "false"} for name in ("radac", "rafmac")},
}
PAPER = METHODS.without(*BESIDE)
CASES = {
    **{f"hopper-medium-expert {m}": (m, "hopper-medium-expert", {"size": SIZE}) for m in PAPER},
    **{f"risky-bandit {m}": (m, "risky-bandit", {}) for m in PAPER},
    **{f"released {m}": (m, "hopper-medium-expert", {"size": SIZE, "released": True}) for m in ("radac", "rafmac")},
}


def short_hash(text: bytes) -> str:
    """Return 16 hexadecimal digits of the SHA-256."""
    return hashlib.sha256(text).hexdigest()[:16]


def train(name: str) -> dict[str, Any]:
    """Make 30 updates of two seeds and two evaluations; return their hashes and their numbers."""
    method, task, others = CASES[name]
    before = {} if others.get("released") else BEFORE.get(method, {})
    config = make_config(method, task, (0, 1), 30, before, **others)
    schedule = loop.Schedule(log_every=10, eval_every=15, episodes=2)
    trainer = loop.Trainer(config, loop.data_of(config, progress=False), get_engine("cpu"), schedule=schedule)
    trainer.run(progress=False)
    found = {key: v for key, v in trainer.stacks[0].state_dict().items() if v.ndim}
    networks: dict[str, float] = {}
    for key, v in found.items():
        networks[key.split(".")[0]] = networks.get(key.split(".")[0], 0.0) + float(v.double().square().sum())
    episodes = trainer.evaluations
    return {
        "config": config.hash,
        "parameters": short_hash(b"".join(np.ascontiguousarray(v.numpy()).tobytes() for v in found.values())),
        "networks": {key: total**0.5 for key, total in networks.items()},
        "metrics": {key: float(v) for key, v in trainer.metrics.iloc[-1].items()},
        "metrics_sha": short_hash(trainer.metrics.to_csv().encode()),
        "returns": [float(v) for v in episodes["return"]],
        "evaluations_sha": short_hash(episodes.to_csv().encode()),
    }


def campaign(folder: Path) -> dict[str, Any]:
    """Run five rows on two tasks; return the table's hash, without the code's version, and its returns."""
    _, failures = run(folder, None, CAMPAIGN, workers=0, device="cpu", progress=False)
    assert not failures, failures
    table = at_noise(pd.read_csv(folder / "results.csv", dtype=str)).drop(columns=["code", *LATER])
    returns = table["return"].astype(float).tolist()
    return {"results_sha": short_hash(table.to_csv(index=False).encode()), "rows": len(table), "returns": returns}


def data() -> dict[str, str]:
    """Return the SHA-256 of two data sets."""
    hopper = datasets.load("hopper-medium-expert", size=SIZE, progress=False)
    bandit = datasets.load("risky-bandit")
    return {f"hopper-medium-expert {SIZE}": hopper.sha256(), "risky-bandit": bandit.sha256()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, metavar="OUT.json")
    out = parser.parse_args().out
    torch.set_num_threads(1)
    values = {"data": data(), **{name: train(name) for name in CASES}}
    with tempfile.TemporaryDirectory() as folder:
        values["campaign"] = campaign(Path(folder) / "campaign")
    out.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
