"""The benchmark's findings, on made-up rollouts whose returns under a hazard are known."""

import numpy as np
import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.hazards import PAPER, PRESETS
from support.audit import earlier_hazard, worlds

PITCH = 1
OTHER = "walker2d-medium-expert"


def rollout(pitch, steps=20, reward=3.0):
    """An episode of Hopper whose torso always has this pitch."""
    observations = np.zeros((steps + 1, 11), np.float32)
    observations[:, PITCH] = pitch
    return Episode(observations, np.zeros((steps, 3), np.float32), np.full(steps, reward, np.float32), False)


def test_the_earlier_hazard_is_registered_with_the_released_penalty():
    found, released = PRESETS[earlier_hazard.NAME][TASK], PAPER[TASK]
    assert (found.low, found.high) == (-0.1, 0.1)
    assert (found.penalty, found.probability, found.signal) == (released.penalty, released.probability, released.signal)


def test_a_pitch_between_the_bounds_is_out_of_one_hazard_alone():
    leaning = [rollout(0.07) for _ in range(8)]  # beyond .04, within ±.1
    gap = worlds.hazard_gap(leaning, "mean")
    assert gap.value == pytest.approx(20 * 0.1 * -50, rel=0.2)  # 20 steps, each struck with .1
    assert gap.high < 0
    assert worlds.hazard_gap([rollout(0.0)] * 4, "mean") == (0.0, 0.0, 0.0)
    assert worlds.hazard_gap([rollout(-0.15)] * 8, "mean").low > 0  # within the released range alone


def test_the_coins_spread_is_binomial():
    always = [rollout(0.2) for _ in range(10)]
    found = worlds.unseeded(always, PAPER[TASK], draws=2000)
    assert found["mean"] == pytest.approx(50 * np.sqrt(20 * 0.1 * 0.9 / 10), rel=0.1)
    assert found["cvar"] > found["mean"]
    assert worlds.unseeded([rollout(0.0)] * 10, PAPER[TASK], draws=20)["mean"] == 0


def test_horizons_stand_side_by_side():
    rows = [
        episodes("cql", around(100, seed=1)),
        episodes("cql", around(150, seed=2), horizon=1000, length=200),
    ]
    found = worlds.horizons(gathered(*rows), TASK, "paper").iloc[0]
    assert (round(found["mean"]), round(found["mean_long"])) == (100, 150)
    assert (found["length"], found["length_long"]) == (100, 200)


def test_only_what_was_trained_under_both_hazards_is_compared(tmp_path):
    with pytest.raises(Missing, match="Nothing has been trained"):
        worlds.trained_under_both(tmp_path)
    tables = [
        episodes("radac", around(100, seed=1), hazard="paper"),
        episodes("radac", around(180, seed=2), hazard="earlier"),
        episodes("oraac", around(50, seed=3), hazard="paper"),
    ]
    found = gathered(*tables)
    found.table.drop(columns="row").to_csv(tmp_path / "two_hazards.csv", index=False)
    pd.Series(found.facts).to_json(tmp_path / "two_hazards.json")
    line = worlds.trained_under_both(tmp_path)
    assert line["label"].tolist() == ["RADAC"]
    assert line["mean_gap"].iloc[0] == pytest.approx(-80)
    assert line["mean_gap_high"].iloc[0] < 0


def test_the_impossible_row_is_found_and_possible_ones_are_not():
    found = worlds.impossible(list(PAPER))
    assert found[["task", "method"]].to_numpy().tolist() == [["halfcheetah-medium-expert", "CODAC"]]
    assert (found["cvar"] > found["mean"]).all()
    assert worlds.impossible([OTHER]).empty


def test_untrained_policies_fall_at_once_and_signs_say_where_the_published_score_lies():
    found = worlds.untrained(["hopper-medium-replay"], 16, draws=4).set_index("method")
    assert (found["untrained"].abs() < 60).all()
    for _, line in found.iterrows():
        assert line["low"] <= line["untrained"] <= line["high"]
        assert line["sign"] == int(line["mean"] > line["high"]) - int(line["mean"] < line["low"])
    assert found.loc["RADAC", "sign"] == 1
