"""Episodes of robots under a hazard as moving pictures: poses, the monitored signal, and the penalties that fell."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ramac_lib.analysis.style import BAND, SAFE, TRUTH, VIOLATION
from ramac_lib.envs.hazards import VELOCITY, Interval
from support.robots import Recording, capsules, outlines

SIGNALS = {
    True: ("velocity", "m/s", 1),
    False: ("torso pitch", "rad", 3),
}  # of a hazard on the velocity: name, unit, digits


def runs(flags: Bool[np.ndarray, " T"]) -> list[list[int]]:
    """Return [first, end) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    return edges.reshape(-1, 2).tolist()


def film_data(episodes: Mapping[str, tuple[Recording, Interval]], choice: str = "robot") -> dict[str, Any]:
    """Return what ``robot-film`` draws, one robot for each name; `choice` says what of them is chosen.

    Of each robot: ``poses``, base64 of 16-bit millimetres (step by step, part by part: x and z of both ends, x from the
    robot's root), the parts' ``radii`` and the ``height`` to draw in metres, ``way``, the root's x in centimetres, the
    ``signal`` with its name, unit and the hazard's ``bounds``, the ``span`` of the signal to draw, steps ``out`` of
    range as [first, end), and the steps at which a ``penalty`` ``struck``.
    """
    robots = []
    for name, (episode, hazard) in episodes.items():
        parts = [capsules(episode.env_id, pose) for pose in episode.qpos]
        ends, radii = np.stack([end for end, _ in parts]), parts[0][1]
        way = episode.qpos[:, 0]
        ends = ends - np.stack([way, np.zeros_like(way)], axis=1)[:, None, None]
        word, unit, digits = SIGNALS[hazard.signal == VELOCITY]
        low, high = float(episode.monitored.min()), float(episode.monitored.max())
        margin = 0.08 * (high - low)
        robots.append({
            "name": name, "signalName": word, "unit": unit, "digits": digits, "penalty": hazard.penalty,
            "poses": base64.b64encode(np.round(1000 * ends).astype("<i2").tobytes()).decode(),
            "radii": [round(float(radius), 4) for radius in radii],
            "height": round(float((ends[..., 1] + radii[:, None]).max()), 3),
            "way": np.round(100 * way).astype(int).tolist(),
            "signal": [round(float(value), 4) for value in episode.monitored],
            "bounds": [float(np.clip(bound, -1e9, 1e9)) for bound in (hazard.low, hazard.high)],
            "span": [round(low - margin, 4), round(high + margin, 4)],
            "out": runs(episode.violation), "struck": np.flatnonzero(episode.penalty < 0).tolist(),
        })  # fmt: skip
    return {"choice": choice, "robots": robots}


def still(episodes: Mapping[str, tuple[Recording, Interval]]) -> Figure:
    """Return each robot in its first violation, or at its first step without one, and the monitored signal below."""
    figure = Figure(figsize=(3 * len(episodes), 4), layout="constrained")
    axes = figure.subplots(2, len(episodes), squeeze=False, height_ratios=(1.4, 1))
    for (above, below), (name, (episode, hazard)) in zip(axes.T, episodes.items(), strict=True):
        _pose(above, episode, int(np.argmax(episode.violation)))
        above.set_title(name)
        steps = np.arange(len(episode.monitored))
        struck = episode.penalty < 0
        below.plot(steps, episode.monitored, color=TRUTH, linewidth=0.8)
        below.plot(steps[episode.violation], episode.monitored[episode.violation], ".", color=VIOLATION, markersize=2)
        below.plot(steps[struck], episode.monitored[struck], "o", color=VIOLATION, fillstyle="none")
        limits = below.get_ylim()
        below.axhspan(max(hazard.low, limits[0]), min(hazard.high, limits[1]), color=BAND, alpha=0.12)
        word, unit, _ = SIGNALS[hazard.signal == VELOCITY]
        below.set(xlabel="step", ylabel=f"{word} ({unit})", ylim=limits)
    return figure


def _pose(axes: Any, episode: Recording, step: int) -> None:
    shapes: Sequence[Any] = outlines(episode.env_id, episode.qpos[step])
    for shape in shapes:
        colour = VIOLATION if episode.violation[step] else SAFE
        axes.add_patch(Polygon(shape, facecolor=colour, edgecolor="white", linewidth=0.6, alpha=0.9))
    every = np.concatenate(shapes)
    axes.axhline(0, color=TRUTH, linewidth=1)
    axes.set(xlim=(every[:, 0].min() - 0.4, every[:, 0].max() + 0.4), ylim=(-0.05, every[:, 1].max() + 0.1))
    axes.set_aspect("equal")
    axes.axis("off")
