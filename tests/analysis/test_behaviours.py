"""Behaviour policies as rows of the tidy table: whole, reproducible, on seeds of their own."""

import json
from zlib import crc32

import numpy as np
import pytest

from ramac_lib.analysis import behaviours
from ramac_lib.analysis.evidence import load
from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.collect import Episode, roll_out_policies
from ramac_lib.envs.hazards import PRESETS, HazardWrapper, Interval, get_hazard
from ramac_lib.envs.play import DISCOUNT
from ramac_lib.envs.robots import make_env
from ramac_lib.system.errors import RamacError
from ramac_lib.system.paths import data_folder
from ramac_lib.training import results

TASK = "hopper-medium-expert"


def test_rows_of_every_policy_and_hazard(tmp_path):
    table, facts = behaviours.measure([TASK], ["none", "paper"], seeds=(3, 4), episodes=2, workers=1)
    assert list(table.columns) == list(results.COLUMNS)
    assert len(table) == 2 * 2 * 2 * 2
    assert set(table["options"]) == {"stage=expert", "stage=medium"}
    assert set(table.loc[table["options"] == "stage=expert", "step"]) == {stages("hopper").expert}
    assert set(table["run"]) == set(facts)
    keys = ["options", "seed", "episode"]
    free, live = (part.set_index(keys) for _, part in table.groupby("hazard", sort=False))
    cost = (free["return"] - live["return"]) / 50  # the paper's penalty
    np.testing.assert_allclose(cost, np.round(cost), atol=1e-4)
    assert (cost.round() <= live["violations"]).all()
    behaviours.write(table, facts, tmp_path / "behaviour")
    behaviours.write(table.head(0), {}, tmp_path / "behaviour.5")
    assert load(tmp_path).played(TASK, "paper")["row"].nunique() == 2
    again, _ = behaviours.measure([TASK], ["paper"], seeds=(4,), episodes=2, workers=1)
    expected = table[(table["hazard"] == "paper") & (table["seed"] == 4)]["return"]
    np.testing.assert_array_equal(again["return"], expected)


def test_seeds_are_neither_the_calibrations_nor_another_measurements():
    assert crc32(behaviours.PURPOSE.encode()) not in {crc32(p) for p in (b"calibration", b"measurement", b"returns")}


def test_discounted_returns_by_hand():
    hazard = get_hazard("paper", TASK)
    episode = Episode(
        np.zeros((4, 11), np.float32), np.zeros((3, 3), np.float32), np.array([1, 2, 4], np.float32), True
    )
    row = behaviours.under_hazard([episode], hazard, seed=0).iloc[0]
    assert row["discounted_return"] == pytest.approx(1 + 2 * DISCOUNT + 4 * DISCOUNT**2)
    assert row["return"] == 7


def env_seed(purpose_key, step, index):
    return int(np.random.SeedSequence([*purpose_key, step, index]).spawn(1)[0].generate_state(1)[0])


@pytest.mark.parametrize(
    "hazard", [Interval(1, -0.05, 0.02, -50.0, 1.0), Interval(1, -0.05, 0.02, -50.0, 1.0, limit=0.1)]
)
def test_a_hazard_on_top_of_a_rollout_is_the_live_hazard(hazard):
    # With probability 1 the draws do not matter, and the live episode can be replayed from its actions.
    step = stages("hopper").medium
    episodes = roll_out_policies("hopper", (step,), 5, seed=9, workers=1)[step]
    table = behaviours.under_hazard(episodes, hazard, seed=0)
    env = HazardWrapper(make_env("Hopper-v5"), hazard)
    for k, episode in enumerate(episodes):
        env.reset(seed=env_seed((crc32(b"measurement"), 9), step, k))
        total, length, violations = 0.0, 0, 0
        for action in episode.actions:
            _, reward, terminated, _, info = env.step(action)
            total, length, violations = total + reward, length + 1, violations + info["violation"]
            if terminated:
                break
        assert table["return"][k] == pytest.approx(total, abs=1e-2)
        assert (table["length"][k], table["violations"][k]) == (length, violations)


def test_draws_average_the_penalties_of_the_same_rollouts():
    step = stages("halfcheetah").expert
    episodes = roll_out_policies("halfcheetah", (step,), 4, workers=1)[step]
    hazard = PRESETS["paper"]["halfcheetah-medium-replay"]
    table = behaviours.under_hazard(episodes, hazard, seed=0, draws=400)
    for k, episode in enumerate(episodes):
        rows = table[table["episode"] == k]
        count = rows["violations"].iloc[0]
        expected = episode.rewards.sum() + count * hazard.probability * hazard.penalty
        spread = -hazard.penalty * np.sqrt(count * hazard.probability / 400)
        assert abs(rows["return"].mean() - expected) < 4 * spread
        assert count > 100


def test_nothing_to_measure_is_refused():
    with pytest.raises(RamacError, match="at least one"):
        behaviours.measure([TASK], [], workers=1)


def test_the_stored_policies_are_enough_for_intervals():
    stored = load().behaviour
    facts = json.loads((data_folder() / "results" / "behaviour.json").read_text())
    assert (stored.groupby(["task", "hazard", "row"]).size() >= 200).all()
    assert set(stored["run"]) == set(facts)
    assert {"none", "paper", "calibrated"} <= set(stored["hazard"])
