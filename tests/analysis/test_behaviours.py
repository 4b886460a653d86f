"""Behaviour policies as rows of the tidy table: whole, reproducible, on seeds of their own."""

import json
from zlib import crc32

import numpy as np
import pytest

from ramac_lib.analysis import behaviours
from ramac_lib.analysis.evidence import load
from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.play import DISCOUNT
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


def test_nothing_to_measure_is_refused():
    with pytest.raises(RamacError, match="at least one"):
        behaviours.measure([TASK], [], workers=1)


def test_the_stored_policies_are_enough_for_intervals():
    stored = load().behaviour
    facts = json.loads((data_folder() / "results" / "behaviour.json").read_text())
    assert (stored.groupby(["task", "hazard", "row"]).size() >= 200).all()
    assert set(stored["run"]) == set(facts)
    assert {"none", "paper", "calibrated"} <= set(stored["hazard"])
