"""Policies beside the optimum: the exact law given trajectories, the distances, the stored table."""

import json
from itertools import product

import numpy as np
import pandas as pd
import pytest

from ramac_lib import risk
from ramac_lib.envs import play
from ramac_lib.envs.hazards import Region, get_hazard
from ramac_lib.envs.maps import MAPS, Area
from ramac_lib.envs.navigation_behaviour import get_behaviour
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.errors import RamacError
from ramac_lib.training import routes
from support.navigation import measured, optima
from support.navigation.optimum import Grid, neutral
from support.navigation.plans import Executor

TASK = get_task("navigation-obstacle-mixed")
RARE = get_hazard("rare", TASK)


def test_the_straight_plan_goes_through_four_times_inside_and_out_of_the_datas_reach():
    plan = neutral(Grid(MAPS["obstacle"], RARE))
    runs = play.rollouts(Executor(plan), TASK.env_id(), RARE, 50, (0,), 4, steps=True)
    table = routes.columns(runs, TASK, RARE)
    assert list(table) == list(routes.COLUMNS)
    assert (table[["left", "through", "right"]] == [0, 1, 0]).all(axis=None)
    assert (table["inside"] == "4").all()
    np.testing.assert_allclose(table["base_return"], -5.4386, atol=1e-4)
    # Full steps are beyond the data's, which leave room for their noise.
    behaviour, start = get_behaviour(TASK), np.array([[0.86, 0.86]])
    assert behaviour.support(start, np.array([[-0.99, -0.99]]))[0]
    assert table["off_corridor"].max() < 0.2


def rows(inside, base=-6.0):
    return pd.DataFrame({"base_return": base, "inside": inside})


def test_the_law_given_trajectories_is_exact():
    values, masses = measured.law_of(rows(["4"]), RARE)
    plan = neutral(Grid(MAPS["obstacle"], RARE))
    assert risk.risk_of_law(values, masses, "neutral") == pytest.approx(-6 - 4 * 0.03 * 20)
    assert risk.risk_of_law(values, masses, "cvar") == pytest.approx(plan.cvar() - 6 + 5.4386, abs=1e-3)
    # Two areas: every outcome by hand.
    two = Region((Area(-1.0, 0.5, (0.0, 0.0), 0.1), Area(-10.0, 0.25, (1.0, 1.0), 0.1)))
    values, masses = measured.law_of(rows(["1 2", "0 0"]), two)
    by_hand = {-6.0: 0.5}
    for a, b, c in product((0, 1), repeat=3):
        total, mass = -6.0 - a - 10 * (b + c), 0.5 * 0.5 * (0.25 if b else 0.75) * (0.25 if c else 0.75)
        by_hand[total] = by_hand.get(total, 0.0) + mass
    found = {}
    for value, mass in zip(values, masses, strict=True):
        found[value] = found.get(value, 0.0) + mass
    assert {v: m for v, m in found.items() if m > 0} == pytest.approx(by_hand)
    with pytest.raises(RamacError, match="count steps in 1 areas; expected the hazard's 2"):
        measured.law_of(rows(["1"]), two)
    with pytest.raises(RamacError, match="there are no episodes"):
        measured.law_of(rows([]), RARE)


def test_policies_are_set_beside_the_optimum(monkeypatch):
    runs = play.rollouts(
        Executor(neutral(Grid(MAPS["obstacle"], RARE))), TASK.env_id(), RARE, 50, (0, 1), 5, steps=True
    )
    labels = {"method": "plan", "task": TASK.name, "hazard": "rare", "risk": np.nan, "alpha": np.nan}
    labels |= {"options": np.nan, "step": 0}
    own = play.frame(runs).join(routes.columns(runs, TASK, RARE)).assign(**labels)
    monkeypatch.setattr(optima, "MAPS", {"obstacle": MAPS["obstacle"]})
    stored = pd.DataFrame({
        "map": "obstacle", "preset": "rare", "criterion": ["neutral", "static"], "alpha": [1.0, 0.1], "points": 51,
        "mean": [-7.84, -8.43], "cvar": [-7.84, -8.43],
    })  # fmt: skip
    found = measured.beside(own, stored)
    assert list(found["seed"]) == [0, 1]
    np.testing.assert_allclose(found["mean"] + found["mean_gap"], -7.84)
    np.testing.assert_allclose(found["cvar"] + found["cvar_gap"], -8.43)
    assert (found["cvar_gap"] > 18).all()
    assert (found[["through", "collided", "reached"]] == 1).all(axis=None)
    assert measured.beside(own.assign(hazard="codac"), stored)["mean_gap"].isna().all()


def test_the_stored_optima_are_what_the_planner_says():
    table, paths = optima.load()
    own = table[(table["map"] == "obstacle") & (table["preset"] == "rare")]
    assert optima.best(table, "obstacle", "rare") == {
        "mean": pytest.approx(-7.84, abs=0.005),
        "cvar": pytest.approx(-8.43, abs=0.005),
    }
    assert neutral(Grid(MAPS["obstacle"], RARE)).mean == pytest.approx(own["mean"].iloc[0], abs=1e-4)
    assert len(paths[own.index[0]]) == own["steps"].iloc[0] + 1
    assert set(map(tuple, table[["map", "preset"]].drop_duplicates().to_numpy())) == {
        (name, preset) for name, world in MAPS.items() for preset in world.dangers
    }
    static, nested = (table[table["criterion"] == kind] for kind in ("static", "nested"))
    assert (static["cvar"].to_numpy() >= nested["cvar"].to_numpy() - 1e-4).all()
    with pytest.raises(RamacError, match=r"no optimum of CVaR_0.33 of the map obstacle under rare is stored"):
        optima.best(table, "obstacle", "rare", 0.33)
    with pytest.raises(RamacError, match="not there; make it with"):
        optima.load(optima.OUT.with_name("none"))


def test_stored_optima_are_made_with_their_paths(tmp_path, monkeypatch):
    monkeypatch.setattr(optima, "MAPS", {"bridge": MAPS["bridge"]})
    monkeypatch.setattr(optima, "ALPHAS", (0.5, 0.1))
    monkeypatch.setattr(optima, "WEIGHTS", (1.0,))
    monkeypatch.setattr(optima, "FINER", ())
    monkeypatch.setattr(optima, "RESOLUTION", 0.02)
    table = optima.make(tmp_path / "o")
    assert len(table) == 2 * (1 + 2 * 2 + 1)
    assert set(table["preset"]) == {"rare", "codac"}
    written = json.loads((tmp_path / "o.json").read_text())
    assert len(written["paths"]) == len(table)
    assert set(written["seconds"]) == {"bridge rare", "bridge codac"}
    assert all(0 < each["neutral"] < each["frontier"] for each in written["seconds"].values())


def test_levels_of_cvar_are_rows_of_their_own():
    labels = {"method": "radac", "task": TASK.name, "hazard": "rare", "risk": "cvar", "options": np.nan, "step": 1}
    others = {"left": 0, "through": 1, "right": 0, "off_support": 0.0, "off_corridor": 0.0, "completed": False}
    table = pd.concat([
        rows(["4"]).assign(alpha=0.1, seed=0, **labels, **others),
        rows(["0"], base=-8.0).assign(alpha=0.5, seed=0, **labels, **others),
        rows(["0"], base=-9.0).assign(alpha=np.nan, seed=0, **(labels | {"method": "bc-flow"}), **others),
    ])  # fmt: skip
    found = measured.beside(table, pd.DataFrame({"map": [], "preset": [], "points": [], "criterion": [], "alpha": []}))
    assert found["mean"].round(6).tolist() == [-8.4, -8.0, -9.0]
    assert found["row"].tolist() == ["radac", "radac:alpha=0.5", "bc-flow"]
