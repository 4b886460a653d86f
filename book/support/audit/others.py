"""What chapters 1 to 5 found, one number each, computed anew where that takes a second."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
import pandas as pd

from ramac_lib import risk
from ramac_lib.analysis.evidence import Evidence, Missing
from ramac_lib.analysis.intervals import ALPHA, Estimate
from ramac_lib.analysis.style import style
from ramac_lib.datasets import relabel
from ramac_lib.datasets.bandit import dataset
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.envs.hazards import PAPER, Interval
from support.bandit import best_policy, evaluate, path
from support.evidence.judges import CLONE, NEUTRAL
from support.preliminaries import laws, study, tabular
from support.proposition import tail


def huber_bias(n: int = 32) -> float:
    """Return by what share of its size the minimiser of eq. 7 misses the CVaR_0.1 of a standard normal return."""
    law = laws.normal()
    exact = law.risk("cvar")
    return float(1 - law.huber_quantiles(risk.grid(n)) @ risk.weights("cvar", n) / exact)


def effective_alphas(counts: tuple[int, ...] = (8, 16, 32)) -> dict[int, float]:
    """Return the level that eq. 15 really averages at α = .1, for each number of fractions."""
    return {n: float(risk.effective_alpha(risk.weights("cvar", n, rule="floor"))) for n in counts}


def fractions(n: int = 16, law: laws.Law | None = None) -> dict[str, dict[str, float]]:
    """Return bias, s.d. and RMS error of CVaR_0.1 from n questions to a perfect critic: ``drawn`` or ``grid``."""
    law = law or laws.normal()
    found = study.estimates(law, n, "quantile function", np.random.default_rng(0))
    names = {"drawn": "eq. 9", "grid": "eq. 15", "bin weights": "bin weights"}
    return {name: study.bias_and_spread(found[key], law.risk("cvar")) for name, key in names.items()}


def time_consistency(delay: int = 20) -> tuple[float, float]:
    """Return the reported CVaR of an agent that maximises its own in each state, and the best possible one."""
    game, alpha = tabular.wait_or_gamble(delay), Fraction(1, 10)
    greedy, best = game.greedy(alpha, Fraction(99, 100)), game.best(alpha)
    return float(game.episode_cvar(greedy, alpha)), float(game.episode_cvar(best, alpha))


def tail_constant(alpha: float = ALPHA) -> float:
    """Return the best constant of the bound on the CVaR, as a share of the paper's, which is Pinsker's."""
    return tail.best_constant(alpha) * alpha * np.sqrt(2)


def gap_of_a_perfect_clone(steps: int = 5, count: int = 400) -> float:
    """Return the share of a diffusion's actions that lie between the bandit's modes although its network is perfect."""
    actions = path(best_policy("diffusion", steps, dataset().actions), count)[-1]
    return float(evaluate(actions[None], [0], Bandit())["gap"].iloc[0])


def penalties(data: Mapping[str, Dataset]) -> pd.DataFrame:
    """Return how often the published hazards strike in the data: ``task rate episode`` (penalties an episode)."""
    rows = []
    for task, own in data.items():
        hazard = PAPER[task]
        assert isinstance(hazard, Interval)
        rate = relabel.rates(own, hazard)
        length = len(own) / len(own.episode_bounds())
        rows.append({"task": task, "rate": rate, "episode": rate * hazard.probability * length})
    return pd.DataFrame(rows)


def controls(evidence: Evidence, task: str, hazard: str) -> dict[str, Estimate]:
    """Return RADAC's CVaR less that of its neutral twin and less that of its clone, by their labels.

    Raises:
        Missing: RADAC or both of the others are not there.
    """
    own = evidence.standing(task, hazard, "radac")
    rows = [row for row in (evidence.standing(task, hazard, name) for name in (NEUTRAL, CLONE)) if row]
    if own is None or not rows:
        raise Missing(f"RADAC and a control are not both stored on {task} under {hazard}.")
    sample = evidence.sample(task, hazard, own)
    return {style(row).label: sample.minus(evidence.sample(task, hazard, row), "cvar") for row in rows}
