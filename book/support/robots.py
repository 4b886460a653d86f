"""Side views of the three planar robots in plain matplotlib, from MuJoCo's geometry: no OpenGL, no window."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import mujoco
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from ramac_lib.analysis.style import BAND, SAFE, TRUTH, VIOLATION
from ramac_lib.envs.hazards import VELOCITY, HazardWrapper, Interval
from ramac_lib.envs.robots import make_env
from ramac_lib.system.errors import RamacError


@dataclass(frozen=True)
class Recording:
    """One episode of T steps under a live hazard, with the poses to draw it.

    Args:
        env_id: Gymnasium's id.
        qpos: shape (T, q), generalised positions after each step.
        monitored, violation, penalty, rewards: shape (T,); rewards hold the penalties.
    """

    env_id: str
    qpos: Float[np.ndarray, "T q"]
    monitored: Float[np.ndarray, " T"]
    violation: Bool[np.ndarray, " T"]
    penalty: Float[np.ndarray, " T"]
    rewards: Float[np.ndarray, " T"]


def record(
    act: Callable[[Float[np.ndarray, " s"]], Float[np.ndarray, " a"]],
    env_id: str,
    hazard: Interval,
    seed: int,
    horizon: int,
) -> Recording:
    """Play one episode, at most `horizon` steps, with actions `act(observation)`, and keep what a drawing needs."""
    env = HazardWrapper(make_env(env_id), hazard)
    base: Any = env.unwrapped
    observation, _ = env.reset(seed=seed)
    rows = []
    for _ in range(horizon):
        observation, reward, terminated, truncated, info = env.step(act(observation))
        rows.append((base.data.qpos.copy(), info["monitored"], info["violation"], info["penalty"], reward))
        if terminated or truncated:
            break
    env.close()
    return Recording(env_id, *(np.array(column) for column in zip(*rows, strict=True)))


@cache
def _model(env_id: str) -> Any:
    return make_env(env_id).unwrapped.model  # type: ignore[attr-defined]


def capsules(env_id: str, qpos: Float[np.ndarray, " q"]) -> tuple[Float[np.ndarray, "K 2 2"], Float[np.ndarray, " K"]]:
    """Return the body parts of one pose, each a segment with a radius: both ends in the plane, and the radii.

    Ends are x (forward) and z (up), in metres; the radii too.
    """
    model = _model(env_id)
    data = mujoco.MjData(model)
    data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    parts = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    radii, halves = model.geom_size[parts, :2].T
    axes = data.geom_xmat[parts].reshape(-1, 3, 3)[:, [0, 2], 2]
    centres = data.geom_xpos[parts][:, [0, 2]]
    return centres[:, None] + np.array([1, -1])[:, None] * (halves[:, None] * axes)[:, None], radii.copy()


def outlines(env_id: str, qpos: Float[np.ndarray, " q"], points: int = 12) -> list[Float[np.ndarray, "P 2"]]:
    """Return the outline of each body part in the plane (x forward, z up, in metres) for one pose.

    The robots are made of capsules, drawn as two half circles and what is between them.
    """
    shapes = []
    for (first, second), radius in zip(*capsules(env_id, qpos), strict=True):
        angle = np.arctan2(*(first - second)[::-1])
        turn = np.linspace(-np.pi / 2, np.pi / 2, points)
        ends = [
            end + radius * np.stack([np.cos(a), np.sin(a)], axis=1)
            for end, a in ((first, angle + turn), (second, angle + turn + np.pi))
        ]
        shapes.append(np.concatenate(ends))
    return shapes


def widest(drawn: Sequence[Sequence[Float[np.ndarray, "P 2"]]]) -> float:
    """Return the width in metres of the widest of several poses, each given by its `outlines`."""
    return max(float(np.ptp(np.concatenate(shapes)[:, 0])) for shapes in drawn)


def strip(
    axes: Axes,
    env_id: str,
    qpos: Float[np.ndarray, "K q"],
    violation: Bool[np.ndarray, " K"],
    labels: list[str] | None = None,
    headroom: float = 0.1,
    spacing: float | None = None,
) -> Float[np.ndarray, " K"]:
    """Draw K poses side by side on one ground line; those in violation in another colour and with a cross below.

    The robot's own way forward is taken out: each pose stands in a cell of its own. `labels` stand below the
    poses, `headroom` is free space above them in metres, `spacing` the metres from one to the next (by default, so
    that the widest pose fits).

    Returns:
        x of each pose on the axes, shape (K,).
    """
    drawn = [outlines(env_id, pose) for pose in qpos]
    spacing = widest(drawn) + 0.15 if spacing is None else spacing
    places = np.arange(len(qpos)) * spacing
    for k, (shapes, place) in enumerate(zip(drawn, places, strict=True)):
        everything = np.concatenate(shapes)
        shift = place - (everything[:, 0].min() + everything[:, 0].max()) / 2
        colour = VIOLATION if violation[k] else SAFE
        for shape in shapes:
            axes.add_patch(
                Polygon(shape + np.array([shift, 0]), facecolor=colour, edgecolor="white", linewidth=0.6, alpha=0.9)
            )
        below: dict[str, Any] = {"ha": "center", "va": "center", "textcoords": "offset points"}
        below["annotation_clip"] = False
        if violation[k]:
            axes.annotate("×", (place, 0), (0, -9), color=VIOLATION, fontsize=14, fontweight="bold", **below)
        if labels is not None:
            axes.annotate(labels[k], (place, 0), (0, -22), fontsize=8, **below)
    axes.axhline(0, color=TRUTH, linewidth=1)
    top = max(shape[:, 1].max() for shapes in drawn for shape in shapes)
    axes.set(xlim=(-spacing / 2, places[-1] + spacing / 2), ylim=(-0.02, top + headroom), aspect="equal")
    axes.axis("off")
    return places


def find_crossing(recording: Recording, width: int = 33) -> tuple[int, int]:
    """Return (start, stop) of `width` steps with the longest violation's beginning in their middle.

    Raises:
        RamacError: the episode has no violation, or is shorter than that.
    """
    if not recording.violation.any() or len(recording.violation) < width:
        raise RamacError(
            f"{recording.env_id}: the episode has no violation or fewer than {width} steps; try another seed"
        )
    edges = np.flatnonzero(np.diff(np.concatenate([[0], recording.violation.astype(int), [0]])))
    starts, stops = edges[::2], edges[1::2]
    first = int(starts[np.argmax(stops - starts)])
    start = int(np.clip(first - width // 2, 0, len(recording.violation) - width))
    return start, start + width


def crossing(recording: Recording, hazard: Interval, start: int, stop: int, frames: int = 9) -> Figure:
    """Draw steps start … stop of an episode: poses above, the monitored signal and its safe range below.

    On a robot whose pitch is monitored a solid line shows the torso's lean, a shaded wedge what lies beyond the
    nearer bound; where the velocity is, an arrow shows it against a tick at the bound.
    """
    pitch = hazard.signal != VELOCITY
    figure = Figure(figsize=(9, 4.8 if pitch else 3.8), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(1.5 if pitch else 0.6, 1))
    shown = np.linspace(start, stop - 1, min(frames, stop - start)).round().astype(int)
    labels = [str(step) for step in shown]
    headroom = 0.6 if pitch else 0.35
    places = strip(above, recording.env_id, recording.qpos[shown], recording.violation[shown], labels, headroom)
    for step, place in zip(shown, places, strict=True):
        _show_signal(above, recording, hazard, int(step), float(place))
    steps = np.arange(start, stop)
    signal = recording.monitored[start:stop]
    below.plot(steps, signal, color=TRUTH, linewidth=1.2)
    out = recording.violation[start:stop]
    below.plot(steps[out], signal[out], "x", color=VIOLATION, markersize=5, label="violation")
    for step in shown:
        below.axvline(step, color="#bbbbbb", linewidth=0.7, zorder=0)
    span = np.ptp(signal)
    low, high = signal.min() - 0.1 * span, signal.max() + 0.1 * span
    bounds = [b for b in (hazard.low, hazard.high) if np.isfinite(b)]
    below.axhspan(max(hazard.low, low), min(hazard.high, high), color=BAND, alpha=0.12, label="safe range")
    for bound in bounds:
        below.axhline(bound, color=VIOLATION, linestyle="--", linewidth=1)
    struck = recording.penalty[start:stop] < 0
    if struck.any():
        below.plot(
            steps[struck], signal[struck], "o", color=VIOLATION, markersize=10, fillstyle="none", label="penalty"
        )
    unit = "forward velocity (m/s)" if hazard.signal == VELOCITY else "torso pitch (rad)"
    below.set(xlabel="step", ylabel=unit, ylim=(low, high), xlim=(start, stop - 1))
    below.legend(loc="upper left", bbox_to_anchor=(0, 1.22), ncols=3, fontsize=8, frameon=False)
    return figure


def _show_signal(axes: Axes, recording: Recording, hazard: Interval, step: int, place: float) -> None:
    """Add to one pose what the hazard monitors, and its bound."""
    value = recording.monitored[step]
    colour = VIOLATION if recording.violation[step] else SAFE
    bound = min((b for b in (hazard.low, hazard.high) if np.isfinite(b)), key=lambda b: abs(b - value))
    top = axes.get_ylim()[1] - 0.12
    if hazard.signal == VELOCITY:
        scale = 0.09  # metres drawn for 1 m/s
        left = place - scale * bound / 2
        axes.annotate(
            "", (left + scale * value, top), (left, top), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 2}
        )
        axes.plot([left + scale * bound] * 2, [top - 0.09, top + 0.09], color=VIOLATION, linewidth=2)
        return
    model = _model(recording.env_id)
    data = mujoco.MjData(model)
    data.qpos[:] = recording.qpos[step]
    mujoco.mj_kinematics(model, data)
    height = data.body("torso").xpos[2]
    every = np.concatenate(outlines(recording.env_id, recording.qpos[step]))
    centre = data.body("torso").xpos[0] - (every[:, 0].min() + every[:, 0].max()) / 2 + place
    middle, length = np.array([centre, height]), 0.75

    def tip(angle: np.ndarray | float) -> np.ndarray:
        return middle + length * np.stack([np.sin(angle), np.cos(angle)], axis=-1)

    outside = np.linspace(bound, bound + (0.22 if bound == hazard.high else -0.22), 8)
    axes.add_patch(Polygon(np.vstack([middle, tip(outside)]), facecolor=VIOLATION, alpha=0.18, linewidth=0))
    for angle, style, shade in ((bound, "--", VIOLATION), (value, "-", TRUTH)):
        axes.plot(*np.stack([middle, tip(angle)], axis=1), style, color=shade, linewidth=1.4)
