"""The paper's two conceptual figures in our own drawing: the pipeline (figure 1), and what the risk term does (2)."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch

from ramac_lib import risk
from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from ramac_lib.system.minus import minus

DATA, CRITIC, ACTOR, GRADIENT = "#777777", "#009E73", "#0072B2", "#D55E00"


def _box(axes: Axes, x: float, y: float, width: float, height: float, text: str, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch((x, y), width, height, boxstyle="round,pad=0.5", facecolor=colour + "18", edgecolor=colour)
    )
    axes.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = TRUTH, bend: float = 0.0
) -> None:
    back = colour == GRADIENT
    axes.annotate(
        "",
        end,
        start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "lw": 1.4 if back else 1.1,
            "linestyle": (0, (4, 2)) if back else "-",
            "connectionstyle": f"arc3,rad={bend}",
            "shrinkA": 1,
            "shrinkB": 1,
        },
    )


def pipeline() -> Figure:
    """Draw figure 1: from noise through the chain, the critic and its tail to the loss, and the gradient's way back."""
    figure, axes = plt.subplots(figsize=(9.4, 3.7))
    axes.set(xlim=(-1, 105), ylim=(2, 42))
    axes.axis("off")
    xs = [5, 13, 21, 29, 37]
    names = ["$z$", "", "", "", "$a$"]
    for k, (x, name) in enumerate(zip(xs, names, strict=True)):
        colour = ACTOR if k == 4 else DATA if k == 0 else ACTOR
        axes.add_patch(Circle((x, 32), 2.3, facecolor=colour + "18", edgecolor=colour))
        axes.text(x, 32, name, ha="center", va="center", fontsize=11)
        if k:
            _arrow(axes, (xs[k - 1] + 2.3, 32.6), (x - 2.3, 32.6))
            _arrow(axes, (x - 2.3, 31.2), (xs[k - 1] + 2.3, 31.2), GRADIENT)
            _arrow(axes, ((xs[k - 1] + x) / 2, 21), ((xs[k - 1] + x) / 2, 30.4), ACTOR)
            _arrow(axes, ((xs[k - 1] + x) / 2 + 1, 30.4), ((xs[k - 1] + x) / 2 + 1, 21), GRADIENT)
    axes.text(
        21, 38.5, "actor: action $a = \\psi_\\theta(s, z)$, all steps differentiable (8)", ha="center", fontsize=9
    )
    _box(axes, 5, 16, 32, 4.5, "$\\theta$: one network for all steps (it also sees $s$)", ACTOR)
    _box(axes, 46, 28.5, 16, 7, "critic\n$Z_\\phi(s, a; \\tau)$", CRITIC)
    _arrow(axes, (39.3, 32.6), (45.5, 32.6))
    _arrow(axes, (45.5, 31.2), (39.3, 31.2), GRADIENT)
    _arrow(axes, (62.5, 32.6), (69.5, 32.6))
    _arrow(axes, (69.5, 31.2), (62.5, 31.2), GRADIENT)
    tail = axes.inset_axes((70, 25.5, 15, 13), transform=axes.transData)
    u = np.linspace(0.004, 0.996, 300)
    curve = np.where(u < 0.05, -1.6, 0.15 + 0.6 * u) + 0.25 * np.arctanh(2 * u - 1)
    tail.plot(u, curve, color=CRITIC, linewidth=1.4)
    tail.fill_between(u[u <= 0.1], curve[u <= 0.1], curve.min() - 0.2, color=GRADIENT, alpha=0.35, linewidth=0)
    tail.set(xticks=[], yticks=[], xlim=(0, 1), title="quantiles; the lowest $\\alpha$")
    tail.title.set_fontsize(9)
    tail.grid(False)
    _arrow(axes, (85.5, 32.6), (90.5, 32.6))
    _arrow(axes, (90.5, 31.2), (85.5, 31.2), GRADIENT)
    _box(axes, 91, 28.5, 12.5, 7, "$\\mathcal{L}_{\\mathrm{risk}} =$\n$-\\mathrm{CVaR}_\\alpha$ (10)", GRADIENT)
    _box(axes, 9, 4, 21, 5.5, "$\\mathcal{L}_{\\mathrm{BC}}$: clone $a$ given $s$", ACTOR)
    _box(axes, 36, 4, 18, 5.5, "data $\\mathcal{D}$: $s, a, r, s'$", DATA)
    _box(axes, 60, 4, 22, 5.5, "$\\mathcal{L}_{\\mathrm{critic}}$: quantiles of $Z$ (7)", CRITIC)
    _arrow(axes, (35.5, 6.8), (30.6, 6.8))
    _arrow(axes, (54.5, 6.8), (59.4, 6.8))
    _arrow(axes, (20, 10.1), (20, 15.4), GRADIENT)
    _arrow(axes, (66, 10.1), (57, 27.9), GRADIENT)
    axes.text(
        94, 13, "solid: forward\ndashed: gradients of\n$\\mathcal{L}_\\pi = \\mathcal{L}_{\\mathrm{BC}} + \\eta\\,"
        "\\mathcal{L}_{\\mathrm{risk}}$ (11)\nand of $\\mathcal{L}_{\\mathrm{critic}}$",
        ha="center", va="center", fontsize=9,
    )  # fmt: skip
    return figure


def tilted_share(bandit: Bandit, eta: float, measure: str) -> float:
    """Return the ring's mass under π ∝ β exp(η ρ(Z(a))), the optimum of E_π ρ(Z(a)) − KL(π‖β)/η on the bandit.

    Raises:
        RamacError: η is negative or not finite.
    """
    if not 0 <= eta < np.inf:
        raise RamacError(f"eta is {eta}; expected a finite number of at least 0")
    better = bandit.reward_risk("ring", measure) - bandit.reward_risk("centre", measure)
    odds = bandit.ring_share / (1 - bandit.ring_share) * np.exp(eta * better)
    return float(odds / (1 + odds))


def tilted_law(bandit: Bandit, ring: float) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """Return values, in increasing order, and probabilities of the reward of a policy with this mass on the ring."""
    values, mass = zip(bandit.reward_law("ring"), bandit.reward_law("centre"), strict=True)
    together = np.concatenate(values)
    order = np.argsort(together)
    return together[order], np.concatenate([ring * mass[0], (1 - ring) * mass[1]])[order]


def dynamics(stages: Sequence[tuple[str, float]], bandit: Bandit | None = None, alpha: float = 0.1) -> Figure:
    """Draw figure 2 from the bandit's exact laws: above that of the action's radius, below the reward's quantiles.

    Args:
        stages: (measure, η) for each column; the policy is `tilted_share`'s.
        bandit: default constants unless given.
        alpha: the lowest quantiles that are marked.
    """
    bandit = bandit or Bandit()
    figure, axes = plt.subplots(2, len(stages), figsize=(2.35 * len(stages), 4.3), sharex="row", sharey="row")
    radius = np.linspace(0, 1.03, 1200)
    points = np.stack([radius, np.zeros_like(radius)], axis=1)
    density, trapped = 2 * np.pi * radius * bandit.density(points), bandit.trapped(points)
    u = np.linspace(0.0005, 1, 2000)
    for (above, below), (measure, eta) in zip(axes.T, stages, strict=True):
        ring = tilted_share(bandit, eta, measure)
        change = np.where(trapped, ring / bandit.ring_share, (1 - ring) / (1 - bandit.ring_share))
        for region, colour in ((trapped, VIOLATION), (~trapped, SAFE)):
            above.fill_between(radius, np.where(region, density * change, 0), color=colour, alpha=0.55, linewidth=0)
        name = {"cvar": f"CVaR$_{{{alpha:g}}}$", "neutral": "mean"}.get(measure, measure)
        above.set_title("the data" if eta == 0 else f"{name}, $\\eta$ = {eta:g}")
        above.set(xlabel="distance from the middle", xticks=[0, 0.5, 1])
        values, mass = tilted_law(bandit, ring)
        quantiles = values[np.searchsorted(np.cumsum(mass)[:-1], u)]
        below.plot(u, quantiles, color=TRUTH, linewidth=1.3)
        low = u <= alpha
        below.plot(u[low], quantiles[low], color=VIOLATION, linewidth=3, solid_capstyle="butt")
        below.axvspan(0, alpha, color=VIOLATION, alpha=0.15, linewidth=0)
        value = risk.risk_of_law(values, mass, "cvar", alpha=alpha)
        below.text(0.97, -4.6, minus(f"ring {ring:.2f}\nCVaR {value:.2f}"), ha="right", fontsize=9)
        below.set(xlabel="quantile fraction $\\tau$", ylim=(-9, 3), xticks=[0, 0.5, 1])
    axes[0, 0].set_ylabel("density")
    axes[1, 0].set_ylabel("reward")
    return figure
