"""Where RADAC's actions are while it trains on the bandit, as a picture that moves, from the stored runs."""

import base64
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.style import SAFE, TRUTH
from ramac_lib.campaign import bandit as campaign
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.paths import data_folder
from support.bandit.plots import draw_support

SEED, POINTS = 0, 300
NAME = "radac-over-training"


def packed(actions: Float[np.ndarray, "n 2"]) -> str:
    """Return actions of [−1, 1]² as base64 of a signed byte a coordinate."""
    return base64.b64encode(np.round(127 * np.clip(actions, -1, 1)).astype(np.int8).tobytes()).decode()


def film_data(folder: Path | None = None) -> dict[str, Any]:
    """Return what ``training-film`` draws: the data's actions, then RADAC's at each stored moment of one seed.

    Each frame has its ``label``, the ``tail`` (exact CVaR_0.1 of the reward), the share of actions on the ``ring`` and
    the first `POINTS` actions.

    Raises:
        Missing: nothing is stored.
    """
    path = (data_folder() / "results" if folder is None else Path(folder)) / "bandit"
    if not path.with_suffix(".csv").exists():
        raise Missing("There is no data/results/bandit.csv yet: `ramac bandit` makes it.")
    table, _, actions = campaign.load(path)
    own = table[(table["suite"] == "methods") & (table["method"] == "radac") & (table["seed"] == SEED)]
    own = own.sort_values("step")
    moments = actions[NAME][SEED]
    if len(own) != len(moments):
        raise Missing(f"The stored bandit has {len(moments)} moments and {len(own)} rows of RADAC.")
    game, data = Bandit(), dataset().actions
    found = game.evaluate(data[:20_000])
    frames = [{"label": "the data", "tail": round(found["cvar"], 2), "ring": round(found["ring"], 3),
               "points": packed(data[:POINTS])}]  # fmt: skip
    for (_, row), drawn in zip(own.iterrows(), moments, strict=True):
        frames.append({
            "label": f"after {int(row['step']):,} updates", "tail": round(float(row["cvar"]), 2),
            "ring": round(float(row["ring"]), 3), "points": packed(np.asarray(drawn[:POINTS], float)),
        })  # fmt: skip
    rings = [round(float(radius), 4) for radius in (game.centre_edge, *game.ring_edges)]
    return {"frames": frames, "rings": rings, "best": game.reward_risk("centre")}


def still(data: dict[str, Any], shown: tuple[int, ...] = (0, 1, 2, -1)) -> Figure:
    """Return some of the frames beside each other."""
    figure, axes = plt.subplots(1, len(shown), figsize=(2.3 * len(shown), 2.7), layout="constrained")
    for axis, k in zip(axes, shown, strict=True):
        frame = data["frames"][k]
        points = np.frombuffer(base64.b64decode(frame["points"]), np.int8).reshape(-1, 2) / 127
        draw_support(axis)
        axis.scatter(*points.T, s=4, color=TRUTH if k == 0 else SAFE, linewidths=0)
        axis.set(title=frame["label"], xlabel=f"CVaR$_{{0.1}}$ {frame['tail']:z.2f}", xticks=[], yticks=[])
    return figure
