"""Policies side by side from the same start state: strips of poses for the page, and what a film is made of."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ramac_lib.analysis.recordings import Clip
from ramac_lib.analysis.style import BAND, TRUTH, VIOLATION
from ramac_lib.envs.hazards import VELOCITY, Interval
from ramac_lib.system.errors import RamacError
from support.robots import Recording, outlines, strip, widest


def choose_window(clips: Mapping[str, Clip], steps: int) -> tuple[int, int]:
    """Return (start, stop): at most `steps` steps that begin a quarter of them before the first violation of any clip.

    With no violation they begin at the start. The window ends no later than the longest clip.

    Raises:
        RamacError: no clips, or one without poses.
    """
    if not clips:
        raise RamacError("no clips were given; expected at least one")
    for name, clip in clips.items():
        if len(clip.qpos) == 0:
            raise RamacError(f"{name}: no poses of this episode were kept; record it with --poses")
    longest = max(len(clip.monitored) for clip in clips.values())
    first = min((int(np.argmax(c.violation)) for c in clips.values() if c.violation.any()), default=0)
    start = min(max(0, first - steps // 4), max(0, longest - steps))
    return start, min(start + steps, longest)


def _signal(hazard: Interval) -> str:
    return "forward velocity (m/s)" if hazard.signal == VELOCITY else "torso pitch (rad)"


def _draw_signal(axes: Axes, clip: Clip, hazard: Interval, start: int, stop: int, limits: tuple[float, float]) -> None:
    """Draw the monitored signal against the time, its safe range, violations and penalties."""
    low, high = limits
    axes.axhspan(max(hazard.low, low), min(hazard.high, high), color=BAND, alpha=0.13, linewidth=0, label="safe range")
    for bound in (hazard.low, hazard.high):
        if np.isfinite(bound):
            axes.axhline(bound, color=BAND, linewidth=1)
    seconds = clip.step_seconds * np.arange(len(clip.monitored))
    shown = slice(start, min(stop, len(seconds)))
    out, struck = clip.violation[shown], clip.struck[shown]
    axes.plot(seconds[shown], clip.monitored[shown], color=TRUTH, linewidth=1)
    axes.plot(seconds[shown][out], clip.monitored[shown][out], ".", color=VIOLATION, markersize=3, label="violation")
    marks: Any = {"color": VIOLATION, "markersize": 9, "fillstyle": "none", "label": "penalty"}
    axes.plot(seconds[shown][struck], clip.monitored[shown][struck], "o", **marks)
    if len(seconds) < stop:
        axes.axvline(seconds[-1], color=TRUTH, linestyle=":", linewidth=1)
        early = len(seconds) - start < 0.2 * (stop - start)  # no room on the line's left
        side: Any = {"xytext": (3, -9), "ha": "left"} if early else {"xytext": (-3, -9), "ha": "right"}
        axes.annotate("episode ends", (seconds[-1], high), textcoords="offset points", fontsize=8, **side)
    axes.set(xlim=(start * clip.step_seconds, (stop - 1) * clip.step_seconds), ylim=limits)


def _limits(clips: Mapping[str, Clip], hazard: Interval, start: int, stop: int) -> tuple[float, float]:
    seen = np.concatenate([clip.monitored[start:stop] for clip in clips.values()])
    bounds = [bound for bound in (hazard.low, hazard.high) if np.isfinite(bound)]
    low, high = min([float(seen.min()), *bounds]), max([float(seen.max()), *bounds])
    margin = 0.1 * max(high - low, 1e-6)
    return low - margin, high + margin


def strips(clips: Mapping[str, Clip], hazard: Interval, start: int, stop: int, frames: int = 12) -> Figure:
    """Draw steps start … stop of each clip, a row each: poses at equal times above, the monitored signal below.

    Poses in violation have another colour and a cross; a row ends where its episode does. Every row's k-th pose is of
    the same moment, whose time in seconds stands below it.
    """
    figure = Figure(figsize=(9, 3.1 * len(clips)), layout="constrained")
    rows = figure.subplots(2 * len(clips), 1, height_ratios=[1.6, 1] * len(clips), squeeze=False)[:, 0]
    shown = np.unique(np.linspace(start, stop - 1, frames).round().astype(int))
    poses = {name: shown[shown < len(clip.qpos)] for name, clip in clips.items()}
    drawn = [outlines(clip.env_id, clip.qpos[k]) for name, clip in clips.items() for k in poses[name]]
    spacing = widest(drawn) + 0.12
    top = max(float(shape[:, 1].max()) for shapes in drawn for shape in shapes) + 0.08
    limits = _limits(clips, hazard, start, stop)
    for (name, clip), above, below in zip(clips.items(), rows[::2], rows[1::2], strict=True):
        at = poses[name]
        times = [f"{k * clip.step_seconds:.2f} s" for k in at]
        if len(at):
            strip(above, clip.env_id, clip.qpos[at], clip.violation[at], times, spacing=spacing)
        above.axis("off")
        above.set(xlim=(-spacing / 2, (len(shown) - 0.5) * spacing), ylim=(-0.02, top))
        above.set_title(name, loc="left")
        _draw_signal(below, clip, hazard, start, stop, limits)
        for k in at:
            below.axvline(k * clip.step_seconds, color="#bbbbbb", linewidth=0.7, zorder=0)
        below.set_ylabel(_signal(hazard), fontsize=8)
    rows[-1].set_xlabel("time (s)")
    figure.legend(*_legend(rows[1::2]), loc="outside lower center", ncols=3)
    return figure


def _legend(axes: Any) -> tuple[list[Any], list[str]]:
    """Return the first entry of each name."""
    found = {label: handle for a in axes for handle, label in zip(*a.get_legend_handles_labels(), strict=True)}
    return list(found.values()), list(found)


def recording(clip: Clip, hazard: Interval, start: int, stop: int) -> Recording:
    """Return steps start … stop of a clip as what a film of robots is made of, less what it earned."""
    shown = slice(start, stop)
    penalty = np.where(clip.struck[shown], hazard.penalty, 0.0)
    return Recording(clip.env_id, clip.qpos[shown], clip.monitored[shown], clip.violation[shown], penalty, 0 * penalty)
