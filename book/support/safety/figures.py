"""What the theory of limits of cost says, as pictures."""

from fractions import Fraction

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION
from support.safety import stationary, theory


def draw_penalty() -> Figure:
    """Return the penalised values of a policy without cost and of one above the limit, over C, in three worlds."""
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharey=True)
    cases = (
        ("nothing is unsafe", theory.loops, theory.published_constant(Fraction(0), Fraction(1), Fraction(1, 2))),
        ("one way in", theory.entrance, theory.published_constant(Fraction(-1), Fraction(1), Fraction(1, 2))),
        ("seldom in", theory.corridor, theory.published_constant(Fraction(-1), Fraction(1), Fraction(1, 2))),
    )
    penalties = range(0, 51, 2)
    for axis, (title, world, constant) in zip(axes, cases, strict=True):
        found = [world(Fraction(c)) for c in penalties]
        axis.plot(penalties, [float(f.safe_value) for f in found], color=SAFE, label="without cost")
        axis.plot(penalties, [float(f.unsafe_value) for f in found], color=VIOLATION, ls="--", label="above the limit")
        axis.axvline(float(constant), color=TRUTH, ls=":", lw=1, label="bound of eq. 26")
        axis.set(title=title, xlabel="penalty C", ylim=(-30, 14))
    axes[0].set_ylabel("value with the penalty")
    axes[2].legend(fontsize=8)
    return figure


def draw_chunks() -> Figure:
    """Return values of chunks of two actions over the share of cases in which the data's actions fit their states."""
    shares = [Fraction(k, 20) for k in range(10, 21)]
    found = [theory.chunk_values(share) for share in shares]
    figure, axis = plt.subplots(figsize=(5, 3))
    lines = (("closed_loop", TRUTH, "-"), ("from_data", VIOLATION, "--"), ("open_loop", SAFE, "-"))
    words = {"closed_loop": "best policy", "from_data": "chunks, by the data", "open_loop": "chunks, when played"}
    for name, colour, line in lines:
        axis.plot([float(s) for s in shares], [float(getattr(f, name)) for f in found], line, color=colour,
                  label=words[name])  # fmt: skip
    axis.set(xlabel="share of actions that fit their state", ylabel="value", ylim=(0, 5.2))
    axis.legend(fontsize=9)
    return figure


def draw_stationary() -> Figure:
    """Return what COptiDICE's solution is worth over α: by its own account and played, with all next states and one."""
    world, limit = stationary.Tabular(), 0.3
    strengths = np.geomspace(0.1, 10, 25)
    figure, axis = plt.subplots(figsize=(5, 3.6))
    for sampled, colour, words in ((False, SAFE, "mean over s'"), (True, VIOLATION, "one s' at a time")):
        found = [stationary.regularised(world, limit, a, sampled) for a in strengths]
        axis.plot(strengths, [f.reward for f in found], "--", color=colour, label=f"{words}: estimate")
        played = [stationary.played(world, f.distribution)[0] for f in found]
        axis.plot(strengths, played, "-", color=colour, label=f"{words}: played")
    best = stationary.linear_programme(world, limit).reward
    axis.axhline(best, color=TRUTH, lw=1, ls=":", label="linear programme")
    axis.set(xscale="log", xlabel="weight α of the divergence", ylabel="reward a step", ylim=(0.2, None))
    axis.legend(fontsize=9)
    return figure
