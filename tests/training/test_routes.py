"""What rows say on navigation: routes, counts of dangers and the data's support; the exact law they lead to."""

import numpy as np
import pytest
import torch

from ramac_lib.analysis.push import push_test
from ramac_lib.analysis.summary import summary
from ramac_lib.campaign.launch import run as run_campaign
from ramac_lib.envs import play
from ramac_lib.envs.hazards import get_hazard
from ramac_lib.envs.navigation_behaviour import get_behaviour
from ramac_lib.envs.tasks import get_task
from ramac_lib.methods import METHODS
from ramac_lib.training import loop, routes
from ramac_lib.training.config import make_config
from ramac_lib.training.stored import evaluate_run

TASK = get_task("navigation-obstacle-mixed")
RARE = get_hazard("rare", TASK)


def played(act, hazard=RARE, episodes=4):
    return play.rollouts(act, TASK.env_id(), hazard, 50, (0,), episodes, steps=True)


def constant(*action):
    return lambda seen: torch.tensor(action).expand(*seen.shape[:2], 2)


def test_who_stays_crosses_nothing_and_who_leaves_the_corridors_is_seen():
    table = routes.columns(played(constant(0.0, 0.0)), TASK, RARE)
    assert not table[["left", "through", "right"]].any(axis=None)
    assert (table["inside"] == "0").all()
    assert (table["off_support"] == 0).all()  # to hesitate is in the data
    away = routes.columns(played(constant(0.5, 0.5)), TASK, RARE)
    assert (away["off_support"] == 1).all()
    assert away["off_corridor"].iloc[0] == pytest.approx(49 / 50)
    elsewhere = routes.columns(played(constant(0.0, 0.0)), TASK, RARE, source="own.hdf5")
    assert elsewhere[["off_support", "off_corridor"]].isna().all(axis=None)


def test_the_first_crossing_counts():
    runs = [play.Rollout(0, 0), play.Rollout(0, 1)]
    ways = [[(0.9, 0.15), (0.82, 0.12), (0.9, 0.2), (0.5, 0.55), (0.45, 0.5)], [(0.2, 0.85)] * 2]
    for run, way in zip(runs, ways, strict=True):
        run.states = [np.array([*point, 0.1, 0.1], np.float32) for point in way]
        run.actions = [np.array([0, 0], np.float32) for _ in way]
    table = routes.columns(runs, TASK, RARE)
    assert table[["left", "through", "right"]].to_numpy().tolist() == [[0, 0, 1], [0, 0, 0]]


def test_areas_are_counted_once_in_their_order():
    toll = get_hazard("toll", TASK)
    table = routes.columns(played(constant(-1.0, -1.0), toll), TASK, toll)
    assert (table["inside"] == "4 1").all()  # the first step, and the danger's four
    gates = get_task("navigation-gates-mixed")
    runs = play.rollouts(constant(0.0, -1.0), gates.env_id(), None, 50, (0,), 1, steps=True)
    assert routes.columns(runs, gates, get_hazard("none", gates))["inside"].tolist() == ["2 0"]


def test_the_datas_own_policy_never_leaves_its_support():
    behaviour, rng = get_behaviour(TASK), np.random.default_rng(0)

    def act(seen):
        here = seen[..., :2].reshape(-1, 2).numpy()
        drawn = np.zeros((len(here), 2), np.float32)
        inside = behaviour.corridor(here)
        drawn[inside] = behaviour.sample(here[inside], rng)
        return torch.as_tensor(drawn).reshape(*seen.shape[:2], 2)

    table = routes.columns(played(act, episodes=300), TASK, RARE)
    assert (table[["off_support", "off_corridor"]] == 0).all(axis=None)
    assert table[["left", "through", "right"]].sum(axis=1).eq(1).all()
    assert table["through"].mean() == pytest.approx(1 / 3, abs=0.11)


# -- through the ordinary commands ------------------------------------------------------------------------------------

QUICK = loop.Schedule(log_every=10, eval_every=10, episodes=3)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_trains_on_it_and_its_rows_have_the_columns(name):
    config = make_config(name, TASK, (0, 1), 10, {"batch_size": "16"}, size=2000)
    assert config.hazard.name == "rare"
    assert not getattr(config.settings, "short_run_rate", False)
    assert getattr(config.settings, "bootstrap", True)
    trainer = loop.train(config, schedule=QUICK, device="cpu", progress=False)
    table = trainer.evaluations
    assert list(table.columns[-len(routes.COLUMNS) :]) == list(routes.COLUMNS)
    assert table["base_return"].notna().all()
    penalties = (table["return"] - table["base_return"]) / -20
    np.testing.assert_allclose(penalties, penalties.round(), atol=1e-4)
    if trainer.stacks[0].levels():
        moved = push_test(trainer.stacks[0], trainer.stacks[0], TASK.env_id(), RARE, 50, 2)
        assert set(moved["size"]) == {0.0, 0.1, -0.1}


def test_reports_and_campaigns_keep_the_columns(tmp_path):
    changes = {
        "rows": ("bc-gaussian:hidden=8",), "tasks": (TASK.name, "risky-bandit"), "hazards": ("rare",), "seeds": (0, 1),
        "steps": 6, "evaluations": 2, "episodes": 2, "report_episodes": 5, "size": 500,
    }  # fmt: skip
    table, failures = run_campaign(tmp_path / "c", None, changes, workers=0, device="cpu", progress=False)
    assert not failures
    own = table[(table["task"] == TASK.name) & (table["purpose"] == "report") & (table["sampler_noise"] == 1)]
    assert len(own) == 10
    assert own["off_support"].between(0, 1).all()
    assert table.loc[table["task"] == "risky-bandit", "inside"].isna().all()
    again, _ = run_campaign(tmp_path / "c", None, {}, workers=0, device="cpu", resume=True, progress=False)
    assert list(again["inside"].fillna("")) == list(table["inside"].fillna(""))
    assert {"left", "off_support"} <= set(summary(own))
    more = evaluate_run(next((tmp_path / "c" / "cells").glob(f"{TASK}*")), 4, hazard="codac", device="cpu")
    assert set(more["hazard"]) == {"codac"}
