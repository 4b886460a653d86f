"""RADAC's policies on the bandit over η, α and the trap's probability: trained once, turned by the reader.

``python -m support.bandit.dial``, with ``book`` on the path, trains what is missing and writes `FILE`.
"""

import base64
import itertools
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
import tyro
from jaxtyping import Float
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from ramac_lib.campaign.bandit import COUNTED, train
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.files import atomic
from ramac_lib.system.paths import data_folder
from ramac_lib.system.version import provenance
from ramac_lib.training.evaluators import draw_actions

RESULTS, FILE = data_folder() / "results", "bandit_dial.json"
ETAS, ALPHAS, TRAPS = (0.03, 0.1, 0.3, 1.0, 3.0), (0.1, 0.25, 1.0), (0.05, 0.1)
# RADAC's grid of 20 fractions is exact for both trap probabilities; chapter 6 cannot tell a critic 64 wide from
# one of 256.
SETTINGS = {"critic_hidden": 64}
BINS = 36
SHARES = ("centre", "ring", "elsewhere")


def field(actions: Float[np.ndarray, "n 2"], bins: int = BINS) -> str:
    """Return the actions' histogram over [−1, 1]², top row first, as base64 of a byte a bin: the root of its height.

    A density's root lets a reader see its thin parts too.
    """
    height, _, _ = np.histogram2d(actions[:, 1], actions[:, 0], bins=bins, range=[[-1, 1], [-1, 1]])
    level = np.sqrt(height / max(height.max(), 1))
    return base64.b64encode(np.round(255 * level[::-1]).astype(np.uint8).tobytes()).decode()


def cell(eta: float, alpha: float, trap: float, seeds: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Train RADAC at one place of the grid; return its field and its exact numbers, all seeds' actions together."""
    bandit = Bandit(trap_probability=trap)
    options = {"eta": eta, "alpha": alpha, **SETTINGS}
    run = train("radac", seeds, steps, options, device="cpu", bandit=bandit, count=1)
    actions = draw_actions(run.stack, COUNTED).reshape(-1, 2)
    found, region = bandit.evaluate(actions), bandit.region(actions)
    shares = [float((region == name).mean()) for name in SHARES[:2]]
    return {
        "density": field(actions),
        "shares": [round(share, 4) for share in (*shares, 1 - sum(shares))],
        "mean": round(found["expected_reward"], 3),
        "tail": round(found["cvar"], 3),
    }


def make(
    seeds: tuple[int, ...] = (0, 1),
    steps: int = 1000,
    cells: Path = Path("runs/bandit_dial"),
    out: Path = RESULTS / FILE,
) -> None:
    """Train RADAC over the grid of η, α and trap probability. A run that was cut goes on.

    Args:
        seeds: at each place, in one stack; their actions are shown together.
        steps: updates of each run.
        cells: where finished places are kept.
        out: where to.
    """
    torch.set_num_threads(1)
    cells.mkdir(parents=True, exist_ok=True)
    fields = []
    for eta, alpha, trap in tqdm(list(itertools.product(ETAS, ALPHAS, TRAPS)), unit="place"):
        path = cells / f"{eta:g}_{alpha:g}_{trap:g}_{'-'.join(map(str, seeds))}_{steps}.json"
        if not path.exists():
            made = cell(eta, alpha, trap, seeds, steps)
            with atomic(path) as part:
                part.write_text(json.dumps(made))
        fields.append(json.loads(path.read_text()))
    data = {**_frame(seeds, steps), "fields": fields, "made": provenance(torch.device("cpu"))}
    with atomic(out) as part:
        part.write_text(json.dumps(data, ensure_ascii=False) + "\n")


def _frame(seeds: tuple[int, ...], steps: int) -> dict[str, Any]:
    bandit = Bandit()
    knobs = (("η", ETAS, 2), ("α", ALPHAS, 0), ("trap probability", TRAPS, 0))
    return {
        "bins": BINS,
        "knobs": [{"name": name, "values": list(values), "start": start} for name, values, start in knobs],
        "rings": [round(bandit.centre_edge, 3), *(round(edge, 3) for edge in bandit.ring_edges)],
        "shares": list(SHARES),
        "seeds": list(seeds),
        "steps": steps,
    }


def still(data: dict[str, Any], places: tuple[int, ...] = (0, 2, 4)) -> Figure:
    """Return the still picture: the fields at three η, at the start's α and trap probability."""
    knobs = data["knobs"]
    figure, axes = plt.subplots(1, len(places), figsize=(2.8 * len(places), 3.1))
    for axis, k in zip(axes, places, strict=True):
        index = (k * len(knobs[1]["values"]) + knobs[1]["start"]) * len(knobs[2]["values"]) + knobs[2]["start"]
        height = np.frombuffer(base64.b64decode(data["fields"][index]["density"]), np.uint8)
        axis.imshow(height.reshape(data["bins"], -1), extent=(-1, 1, -1, 1), cmap="Blues", vmin=0, vmax=255)
        axis.set(title=f"η = {knobs[0]['values'][k]:g}", xticks=[], yticks=[])
    return figure


if __name__ == "__main__":
    tyro.cli(make)
