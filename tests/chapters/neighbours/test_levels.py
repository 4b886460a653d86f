"""The distribution of the return as the dial turns: against hand-made episodes and the plans' own numbers."""

import json

import numpy as np
import pandas as pd
import pytest

from ramac_lib import risk
from ramac_lib.analysis.evidence import Missing
from support.navigation import optima, stored
from support.navigation.claims import RARE, TASK
from support.neighbours import crossing, levels

EPISODE = {
    "task": TASK, "source": "bundled", "env_id": "", "hazard": RARE, "risk": "", "options": "", "step": 100,
    "horizon": 50, "episode": 0, "discounted_return": 0.0, "length": 10, "violations": 0, "completed": 0,
    "sampler_noise": 1, "left": 0, "through": 1, "right": 0, "off_support": 0.0, "off_corridor": 0.0,
}  # fmt: skip


def _store(folder, name, lines):
    table = pd.DataFrame([EPISODE | line for line in lines]).assign(run=name)
    table["return"] = table["base_return"]
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.json").write_text(json.dumps({name: {"config": {"hazard": RARE}}}))


def test_the_exact_plans_have_the_numbers_that_are_stored():
    table = optima.load()[0]
    found = levels.exact(table)
    own = table[(table["map"] == "obstacle") & (table["preset"] == RARE) & (table["points"] == optima.POINTS)]
    for _, plan in own[own["criterion"].isin(["static", "neutral"])].iterrows():
        law = found[plan["alpha"]]
        assert law[1].sum() == pytest.approx(1)
        assert risk.risk_of_law(*law, "neutral") == pytest.approx(plan["mean"], abs=1e-4)
        assert risk.risk_of_law(*law, "cvar", alpha=0.1) == pytest.approx(plan["cvar_0.1"], abs=1e-3)
    # Through the danger four steps: one penalty or more in 11 % of the episodes.
    assert levels.quantile(found[1.0], 0.1) == pytest.approx(-25.43862, abs=1e-4)
    assert levels.quantile(found[1.0], 0.5) == pytest.approx(-5.43862, abs=1e-4)


def test_episodes_of_all_seeds_make_a_level_and_penalties_are_integrated_out(tmp_path):
    dial = {"method": crossing.PLANNER, "purpose": "dial"}
    planned = [
        {"alpha": 0.1, "base_return": -9.0, "inside": "0"},
        {"alpha": 0.1, "base_return": -11.0, "inside": "0", "seed": 1},
        {"alpha": 1.0, "base_return": -6.0, "inside": "1"},
    ]
    _store(tmp_path, crossing.NAME, [{"seed": 0} | dial | line for line in planned])
    learned = {"method": "radac", "purpose": "report", "seed": 0, "risk": "cvar", "inside": "0"}
    both = [{"alpha": 0.1, "base_return": -10.0}, {"alpha": 0.5, "base_return": -7.0}]
    _store(tmp_path, stored.NAME, [learned | line for line in both])
    found = levels.played(tmp_path)
    assert set(found) == {crossing.PLANNER, "radac"}
    assert sorted(found[crossing.PLANNER][0.1][0]) == [-11.0, -9.0]
    values, masses = found[crossing.PLANNER][1.0]
    assert dict(zip(values, masses, strict=True)) == pytest.approx({-6.0: 0.97, -26.0: 0.03})
    assert sorted(found["radac"]) == [0.1, 0.5]
    told = levels.table(found).set_index(["who", "level"])
    assert told.loc[(crossing.PLANNER, 0.1), "0.5"] == -11.0
    assert told.loc[(crossing.PLANNER, 1.0), "0.1"] == -6.0
    axes = levels.draw(found).axes
    assert [axis.get_title() for axis in axes] == ["RS-Diffuser, one model", "RADAC, a model a level"]
    line = axes[0].get_lines()[1]  # level 1, from the left: the struck episode, then the other
    assert line.get_label() == "1"
    heights = {float(x): float(y) for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)}
    assert heights[-26.0] == pytest.approx(0.03)
    assert heights[-6.0] == pytest.approx(1)


def test_a_quantile_is_the_least_value_with_its_share_below():
    law = (np.array([3.0, 1.0, 2.0]), np.array([0.25, 0.5, 0.25]))
    assert [levels.quantile(law, share) for share in (0.1, 0.5, 0.51, 0.75, 1.0)] == [1, 1, 2, 2, 3]


def test_without_a_dial_one_sentence_says_so(tmp_path):
    with pytest.raises(Missing, match=r"^RS-Diffuser's dial is not stored yet"):
        levels.played(tmp_path)
