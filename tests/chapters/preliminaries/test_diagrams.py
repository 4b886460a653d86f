"""The conceptual figures: what they draw is computed, and right."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ramac_lib import risk
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support.preliminaries import diagrams


@pytest.mark.parametrize("measure", ["cvar", "neutral"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_the_tilted_policy_maximises_its_objective(measure, eta):
    bandit = Bandit()
    gain = bandit.reward_risk("ring", measure) - bandit.reward_risk("centre", measure)

    def loss(q):
        divergence = q * np.log(q / 0.8) + (1 - q) * np.log((1 - q) / 0.2)
        return divergence - eta * q * gain

    best = minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-9}).x
    assert diagrams.tilted_share(bandit, eta, measure) == pytest.approx(best, abs=1e-5)


def test_the_law_of_a_mixed_policy():
    bandit = Bandit()
    values, mass = diagrams.tilted_law(bandit, 0.4)
    assert values.tolist() == pytest.approx([-8.2, 1.0, 1.8])
    assert mass.tolist() == pytest.approx([0.02, 0.6, 0.38])
    assert risk.risk_of_law(*diagrams.tilted_law(bandit, 1.0), "cvar") == pytest.approx(bandit.reward_risk("ring"))


def test_a_negative_weight_is_refused():
    with pytest.raises(RamacError, match="eta is -1"):
        diagrams.tilted_share(Bandit(), -1, "cvar")


def test_figures_are_drawn():
    figure = diagrams.dynamics([("cvar", 0.0), ("cvar", 1.0)])
    figure.canvas.draw()
    above, below = figure.axes[1], figure.axes[3]
    areas = [collection.get_paths()[0].vertices[:, 1].max() for collection in above.collections]
    assert areas[0] < areas[1]  # with CVaR the centre stands above the ring
    assert "ring 0.06" in below.texts[0].get_text()
    diagrams.pipeline().canvas.draw()
    plt.close("all")
