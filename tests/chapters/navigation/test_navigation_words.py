"""The sweeps' rule, the captions and sentences of chapter 3b, and its commands."""

import shlex

import numpy as np
import pandas as pd
import pytest
from navigation_helpers import TASK, measured

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import Grid
from ramac_lib.methods import METHODS
from support.navigation import choice, optima, words
from support.navigation.claims import NEUTRAL, RARE

NUMBERS = {"mean": -9.0, "cvar": -9.5, "mean_gap": 1.2, "cvar_gap": 1.1, "episodes": 100, "reached": 1.0}
SHARE = np.full((4, 4), 500, np.uint16)


def test_the_grid_has_every_method_and_what_the_claims_ask_for():
    assert set(choice.METHODS) <= set(METHODS)
    assert {"radac", NEUTRAL} <= set(choice.ROWS) <= {*METHODS, NEUTRAL, "radac:quantile_axis=target", *choice.OWN_RATE}
    Grid((TASK,), (*choice.ROWS, *[r for r in choice.LEVELS.values() if r not in choice.ROWS]), (RARE,), (0,), 10)


def test_the_commands_name_every_row_and_are_campaigns_that_can_be_made():
    text = choice.commands().strip("`\n").replace("\\\n", " ")
    campaigns = [line for line in text.splitlines() if "--methods" in line and "--resume" not in line]
    rows = shlex.split(campaigns[1])
    assert set(choice.ROWS) <= set(rows)
    for line in campaigns:
        given = shlex.split(line)
        Grid((TASK,), tuple(given[given.index("--methods") + 1 :]), (given[given.index("--hazards") + 1],), (0,), 10)


def sweep(values):
    return measured({f"radac:eta={v}" if v != 0.3 else "radac": {"cvar": c, "mean": m} for v, (c, m) in values.items()})


def test_a_sweep_takes_the_best_by_its_own_criterion_and_says_where_it_ends():
    (radac,) = [s for s in choice.SWEEPS if s.method == "radac"]
    made = sweep({0.1: (-20, -9), 0.3: (-12, -10), 1.0: (-11, -11)})
    found = choice.reached(made, radac)
    assert found.loc[found["chosen"], "value"].tolist() == [1.0]
    neutral = choice.reached(
        sweep({0.1: (-20, -9), 0.3: (-12, -10), 1.0: (-11, -11)}), radac._replace(criterion="mean")
    )
    assert neutral.loc[neutral["chosen"], "value"].tolist() == [0.1]
    told = choice.caption({radac: found})
    assert "At the end of its range, so that the best may lie beyond: RADAC's η" in told
    assert "CODAC's weight of the conservative term (10)" in told
    assert choice.shown({radac: found})["chosen"].tolist() == ["", "", "✓"]
    with pytest.raises(Missing, match="No sweep is stored"):
        choice.shown({})


def test_no_sweep_is_read_where_none_is_stored(tmp_path):
    assert choice.load(tmp_path) == {}


def test_captions_count_what_is_there_and_name_what_is_not():
    found = measured({"radac": NUMBERS, "bc-flow": NUMBERS}, seeds=3)
    assert words.scale(found, ["radac", "bc-flow"]) == "3 seeds a row, 100 updates, 100 episodes a seed"
    lacking = words.absent(["radac", "bc-flow"])
    assert "CODAC" in lacking
    assert "BC-flow" not in lacking
    assert words.absent(choice.ROWS) == ""
    with pytest.raises(Missing):
        words.moments_caption(({}, {}))
    facts = {"seeds": [0, 1], "episodes": 50, "steps": 4000}
    assert "seeds 0, 1 together" in words.moments_caption(({10: SHARE}, facts))


def test_the_dial_says_where_the_exact_plan_turns_and_what_radac_does():
    rows = {"radac": NUMBERS | {"through": 0.1}, NEUTRAL: NUMBERS | {"through": 0.9}}
    found = measured(rows)
    where = {f"{TASK}|{RARE}|{row}": SHARE for row in rows}
    exact = optima.load()[0].query("map == 'obstacle' and preset == 'rare' and criterion in ('static', 'neutral')")
    shares, through = words.turned(found, where)
    assert list(shares) == list(through) == [0.1, 1.0]
    assert shares[0.1].max() == 0.5
    told = words.dial_caption(found, exact, where)
    assert "turns between α = 0.8 and 0.85" in told
    taken = "; ".join(through[a].text(2) + f" at {name}" for a, name in ((0.1, "α = 0.1"), (1.0, "the mean")))
    assert taken.startswith("0.10 [")
    assert f"RADAC takes it: {taken}. The share in which it has a step in the danger: " in told
    assert "Not stored yet: α = 0.5" in told
    with pytest.raises(Missing, match="fewer than two levels"):
        words.turned(found, {})


def test_findings_are_the_rows_own_numbers():
    curve = pd.DataFrame([
        {"row": row, "task": TASK, "hazard": RARE, "seed": seed, "step": step, "mean": step * slope + seed, "cvar": 0.0}
        for row, slope in (("radac", 0.0), (NEUTRAL, 1.0), ("bc-diffusion", 0.0))
        for seed in (0, 1) for step in range(10)
    ])  # fmt: skip
    rows = {"radac": NUMBERS, NEUTRAL: NUMBERS | {"cvar": -26.0, "mean": -8.0}, "bc-diffusion": NUMBERS | {"mean": -12}}
    rows["bc-diffusion"] |= {"reached": 0.4}
    found = measured(rows, curves=curve)
    told = words.findings(found, list(rows))
    assert "Share of episodes that reach the goal: BC-diffusion (0.40)." in told
    assert "changes the CVaR by +16.50" in told
    assert "the mean by −1.00" in told
    assert "exactly the detour costs 0.59" in told
    assert "these rows have a trend at the end: RADAC, neutral" in told
    assert words.in_short(found, list(rows)).startswith("- RADAC's CVaR is −9.50 [")


@pytest.mark.parametrize(
    ("moving", "within", "told"),
    [
        (0, 0, "None of the 4 rows has a trend. That the rest have settled is not shown."),
        (1, 2, "1 of 4 rows has a trend. In 2 of the others both intervals lie within these bounds. That the rest"),
        (2, 2, "2 of 4 rows have a trend. In 2 of the others both intervals lie within these bounds."),
    ],
)
def test_what_is_zero_is_not_counted(moving, within, told):
    assert words.trending(moving, 4, within).startswith(told)
    assert ("not shown" in words.trending(moving, 4, within)) == (moving + within < 4)


def test_critics_are_set_beside_what_their_policies_do():
    found = measured({"radac": NUMBERS | {"through": 0.5, "spread": 0.4}, "bc-flow": NUMBERS}, seeds=3)  # .1, .5, .9
    asked = pd.DataFrame([
        {"name": f"{TASK}|{RARE}|radac", "seed": seed, "step": 1, "action": action, "mean": -5.0, "cvar": cvar}
        for seed, straight in {0: -12.0, 1: -9.0, 2: -7.0}.items()
        for action, cvar in {"through": straight, "left": -8.0, "right": -10.0}.items()
    ])  # fmt: skip
    points = words.gains_of(asked, found, ["radac", "bc-flow"])
    assert list(points) == ["radac"]
    np.testing.assert_allclose(points["radac"], [[4.0, 1.0, -1.0], [0.1, 0.5, 0.9]])
    told = words.critics_caption(asked, found, ["radac", "bc-flow"])
    assert "a way round first: RADAC (2 of 3)." in told
    assert "Of the 3 policies whose goal is the CVaR 2 take" in told  # the middle one goes half and half
    for make in (words.critics_caption, words.gains_of):
        with pytest.raises(Missing):
            make(asked[:0], found, ["radac"])
