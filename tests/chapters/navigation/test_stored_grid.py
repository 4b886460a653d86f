"""Intervals, differences and trends of the stored grid, the claims on it, its tables."""

import numpy as np
import pandas as pd
import pytest
from navigation_helpers import TASK, measured
from scipy import stats

from ramac_lib.analysis.evidence import Missing
from support.forest import text
from support.navigation import claims, stored, tables, words
from support.verdicts import HOLDS, NOT, UNDECIDED, UNSAID, judge


def test_intervals_are_students_and_welchs():
    own, other = np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.5])
    one = stored.mean_of(own)
    reference = stats.t.interval(0.95, 2, loc=2.0, scale=stats.sem(own))
    assert (one.low, one.high) == pytest.approx(reference)
    difference = stored.difference_of(own, other)
    welch = stats.ttest_ind(own, other, equal_var=False).confidence_interval(0.95)
    assert (difference.low, difference.high) == pytest.approx((welch.low, welch.high))
    assert difference.value == pytest.approx(1.75)
    assert stored.mean_of(own[:1]).sign == stored.difference_of(own[:1], other).sign == 0  # one seed tells nothing
    assert stored.difference_of(np.ones(3), np.zeros(3)) == (1.0, 1.0, 1.0)


def curve(slope, noise=0.001, seeds=4):
    rng = np.random.default_rng(0)
    lines = [
        {
            "row": "radac",
            "task": TASK,
            "hazard": "rare",
            "seed": seed,
            "step": step,
            "mean": slope * step + e,
            "cvar": e,
        }
        for seed in range(seeds)
        for step, e in zip(range(10, 110, 10), noise * rng.normal(size=10), strict=True)
    ]
    return pd.DataFrame(lines)


def test_a_trend_is_the_last_fifth_less_the_one_before():
    one = stored.trend(curve(0.01), "mean")
    assert one.value == pytest.approx(0.2, abs=0.01)  # two fifths' middles are 20 updates apart
    with pytest.raises(Missing, match="9 evaluations"):
        stored.trend(curve(0.01).query("step > 10"), "mean")
    for slope, still in ((0.01, False), (0.0, True), (0.001, True)):  # the last: told, but small
        found = measured({"radac": {"mean": 0, "cvar": 0}}, curves=curve(slope))
        assert bool(stored.settled(found, ["radac"], TASK, "rare")["settled"].iloc[0]) is still
    text = tables.trends(stored.settled(found, ["radac"], TASK, "rare"))
    assert list(text[""]) == ["RADAC"]


AVERSE, PLAIN = {"cvar": -9.0, "mean": -9.0, "cvar_gap": 0.6, "mean_gap": 1.2}, {"cvar": -26.0, "mean": -8.2}
WHOLE = {
    "radac": AVERSE | {"off_support": 0.1}, "rafmac": AVERSE | {"off_support": 0.1},
    claims.NEUTRAL: PLAIN | {"mean_gap": 0.4, "cvar_gap": 18.0, "through": 1.0},
    claims.AXIS: PLAIN | {"through": 1.0}, "diffusion-ql": PLAIN | {"cvar": -20.0}, "cql": PLAIN, "codac": PLAIN,
    "bc-gaussian": {"cvar": -30.0, "mean": -12.0, "through": 0.7},
    "bc-diffusion": {"cvar": -25.0, "mean": -12.0, "through": 0.33, "off_support": 0.1},
    "bc-flow": {"cvar": -24.0, "mean": -12.0, "off_support": 0.1}, "bc-cvae": {"cvar": -28.0, "mean": -12.0},
    "oraac": {"off_support": 0.5, "cvar": -20.0}, "oraac-diffusion": {"off_support": 0.5, "cvar": -20.0},
    "oraac-flow": {"off_support": 0.5, "cvar": -20.0},
}  # fmt: skip


def verdicts(found):
    table = judge(claims.CLAIMS, {"navigation": found})
    return dict(zip(table["sentence"], table["verdict"], strict=True))


def test_each_sentence_holds_where_its_rule_is_met_and_fails_where_it_is_not():
    told = verdicts(measured(WHOLE))
    other_hazards = {claim.sentence for claim in claims.CLAIMS if claim.where in ("CODAC", "eq. 4, 10")}
    assert {s for s, verdict in told.items() if verdict == UNSAID} == other_hazards
    assert {verdict for s, verdict in told.items() if s not in other_hazards} == {HOLDS}
    turned = {row: {k: -v if k in ("cvar", "off_support") else v for k, v in own.items()} for row, own in WHOLE.items()}
    turned["radac"] |= {"mean": -5.0, "cvar_gap": 9.0, "off_support": 0.9, "through": 1.0}
    turned["rafmac"] |= {"off_support": 0.9}
    turned[claims.NEUTRAL] |= {"mean": -8.0, "mean_gap": 5.0}
    turned[claims.AXIS] |= {"through": 0.0}
    turned["bc-gaussian"] |= {"through": 0.1}
    fallen = verdicts(measured(turned))
    assert fallen["The CVaR term improves the tail."] == NOT
    assert fallen["RADAC comes near to the optimum of its criterion."] == NOT
    assert fallen["One Gaussian mixes the modes of the data."] == NOT
    assert fallen["An actor that clones stays in the data."] == NOT
    assert fallen["Anchored methods leave the data."] == NOT
    assert fallen["The released quantile axis loses the tail here, too."] == NOT


def test_a_sentence_without_all_its_rows_has_no_verdict():
    some = {row: own for row, own in WHOLE.items() if row not in ("oraac-flow", "rafmac", "cql", "oraac-diffusion")}
    told = verdicts(measured(some))
    lacking = ("Anchored methods leave the data.", "Expressive policies beat unimodal ones.", "… with a flow, too.")
    for sentence in lacking:
        assert told[sentence] == UNSAID
    assert told["An actor that clones stays in the data."] == UNSAID
    assert told["The CVaR term improves the tail."] == HOLDS


def test_seeds_that_disagree_decide_nothing():
    loose = {row: own | {"spread": 60.0} for row, own in WHOLE.items()}
    told = verdicts(measured(loose))
    assert told["The CVaR term improves the tail."] == told["Anchored methods leave the data."] == UNDECIDED


def test_the_other_presets_are_judged_on_their_own_rows():
    under = {"radac": {"through": 0.1, "cvar": -48.4, "mean": -12.0}}
    assert verdicts(measured(under, "toll"))["RADAC climbs the nested optimum, not the static one."] == HOLDS
    both = {row: {"through": 0.05, "cvar": -9.0, "mean": -9.0} for row in ("radac", claims.NEUTRAL)}
    sentence = "With CODAC's constants the detour says nothing about risk."
    assert verdicts(measured(both, "codac"))[sentence] == HOLDS


def test_the_table_has_a_line_a_row_with_intervals():
    full = {row: {"mean_gap": 1.0, "cvar_gap": 2.0, **own} for row, own in WHOLE.items()}
    table = tables.summary(measured(full), ["radac", "bc-gaussian"], TASK, "rare")
    assert list(table[""]) == ["RADAC", "BC-Gaussian"]
    assert list(table.index) == ["radac", "bc-gaussian"]
    assert text(table["below the best CVaR"].iloc[0]).startswith("0.60 [0.5")
    assert table["left / through / right"].iloc[1] == "0.00 / 0.70 / 0.00"
    single = tables.summary(measured(full, seeds=1), ["radac"], TASK, "rare")
    assert "[" not in text(single["OOD"].iloc[0])


def test_what_is_not_stored_is_missed_with_its_name(tmp_path):
    empty = stored.load(folder=tmp_path)
    with pytest.raises(Missing, match="radac on navigation-obstacle-mixed under rare is not stored yet"):
        empty.at("radac", TASK, "rare")
    assert empty.rows(TASK, "rare") == []
    assert set(verdicts(empty).values()) == {UNSAID}


def test_presets_say_where_mean_and_tail_disagree():
    table = tables.presets(stored.load().optimum).set_index(["map", "preset"])
    assert table.loc[("obstacle", "rare"), "best mean"] == "through" != table.loc[("obstacle", "rare"), "best CVaR"]
    assert table.loc[("obstacle", "codac"), "best mean"] == table.loc[("obstacle", "codac"), "best CVaR"]


def test_seeds_trained_after_all_settings_were_fixed_are_judged_by_themselves():
    with pytest.raises(Missing, match="after all settings had been fixed are not stored"):
        words.fresh(measured(WHOLE, seeds=5))
    told = words.fresh(measured(WHOLE, seeds=10))
    said = [verdict for verdict in verdicts(measured(WHOLE, seeds=10)).values() if verdict != UNSAID]
    assert f"on them alone, {len(said)} of the {len(said)} sentences that have a verdict keep it." in told
    stored_now = words.fresh(stored.load())
    assert "Seeds 5 to 9 were trained" in stored_now
    assert ("These verdicts change:" in stored_now) == ("(on all seeds: " in stored_now)
