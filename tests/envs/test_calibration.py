import dataclasses
from zlib import crc32

import numpy as np
import pytest

from ramac_lib.analysis.behaviours import (
    cvar_difference,
    measure_episodes,
    measure_policies,
    presets,
    summarise,
    under_hazard,
)
from ramac_lib.envs.behaviour import stages
from ramac_lib.envs.calibration import calibrate, roll_out_policies
from ramac_lib.envs.hazards import CALIBRATED, PRESETS, HazardWrapper, Interval
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import ENVS, QUALITIES

SLOW = pytest.mark.slow
EPISODES = 100
OTHERS = [
    f"{env}-{quality}" for env in ENVS for quality in QUALITIES if (env, quality) != ("halfcheetah", QUALITIES[0])
]


def env_seed(purpose_key, step, index):
    return int(np.random.SeedSequence([*purpose_key, step, index]).spawn(1)[0].generate_state(1)[0])


@pytest.mark.parametrize(
    "hazard", [Interval(1, -0.05, 0.02, -50.0, 1.0), Interval(1, -0.05, 0.02, -50.0, 1.0, limit=0.1)]
)
def test_a_hazard_on_top_of_a_rollout_is_the_live_hazard(hazard):
    # With probability 1 the draws do not matter, and the live episode can be replayed from its actions.
    step = stages("hopper").medium
    episodes = roll_out_policies("hopper", (step,), 5, seed=9, workers=1)[step]
    table = under_hazard(episodes, hazard, seed=0)
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


def test_measure_has_a_row_for_each_policy_and_preset():
    hazards = presets("halfcheetah")
    table = measure_policies("halfcheetah", hazards, episodes=20, workers=1)
    assert list(hazards) == [
        "none",
        *(f"{name} {quality}" for name in ("paper", "calibrated") for quality in QUALITIES),
    ]
    assert len(table) == len(hazards) * len(stages("halfcheetah").shipped)
    assert (table["episodes"] == 20).all()
    assert (table["CVaR"] <= table["mean"]).all()
    rows = table.set_index(["hazard", "step"])
    expert = stages("halfcheetah").expert
    assert rows.loc[("none", expert), "violations"] == 0
    # What was paid is violations × probability × penalty, on average.
    paper = PRESETS["paper"]["halfcheetah-medium-replay"]
    often = rows.loc[("paper medium-replay", expert)]
    paid = rows.loc[("none", expert), "mean"] - often["mean"]
    expected = -often["violations"] * paper.probability * paper.penalty
    spread = -paper.penalty * np.sqrt(often["violations"] * paper.probability / 20)
    assert abs(paid - expected) < 4 * spread


@pytest.mark.parametrize("task", ["halfcheetah-medium-expert", *(pytest.param(task, marks=SLOW) for task in OTHERS)])
def test_the_preset_is_what_the_rule_finds(task):
    found, kept = dataclasses.asdict(calibrate(task)), dataclasses.asdict(CALIBRATED[task])
    # MuJoCo's trajectories differ between processors: as many digits as 400 episodes carry.
    for key, tolerance in (("signal", 0), ("low", 0.1), ("high", 0.1), ("probability", 0.2), ("penalty", 0.2)):
        assert found[key] == pytest.approx(kept[key], rel=tolerance), key
    assert found["limit"] == kept["limit"]


def test_where_no_threshold_parts_the_replay_policies_the_other_tasks_hazard_serves():
    assert CALIBRATED["walker2d-medium-replay"] == CALIBRATED["walker2d-medium-expert"]


def test_draws_average_the_penalties_of_the_same_rollouts():
    step = stages("halfcheetah").expert
    episodes = roll_out_policies("halfcheetah", (step,), 4, workers=1)[step]
    hazard = PRESETS["paper"]["halfcheetah-medium-replay"]
    table = under_hazard(episodes, hazard, seed=0, draws=400)
    for k, episode in enumerate(episodes):
        rows = table[table["episode"] == k]
        count = rows["violations"].iloc[0]
        expected = episode.rewards.sum() + count * hazard.probability * hazard.penalty
        spread = -hazard.penalty * np.sqrt(count * hazard.probability / 400)
        assert abs(rows["return"].mean() - expected) < 4 * spread
        assert count > 100


@pytest.mark.parametrize("env", ["halfcheetah", *(pytest.param(env, marks=SLOW) for env in ("hopper", "walker2d"))])
def test_the_best_policy_in_mean_is_not_the_best_in_cvar(env):
    hazards = {quality: CALIBRATED[f"{env}-{quality}"] for quality in QUALITIES}
    # Seed 2, as the rule's constants were chosen with seeds 0 and 1 in view.
    table = measure_episodes(env, {"none": presets(env)["none"], **hazards}, EPISODES, seed=2)
    expert = stages(env).expert
    for name in hazards:
        rows = table[table["hazard"] == name]
        summary = summarise(rows).set_index("step")
        best, safest = summary["mean"].idxmax(), summary["CVaR"].idxmax()
        assert best == expert
        assert best != safest
        assert cvar_difference(rows, best, safest)[1] < 0
    # Without the hazard the expert is best in both: it is the hazard that parts them.
    none = summarise(table[table["hazard"] == "none"]).set_index("step")
    assert none["mean"].idxmax() == none["CVaR"].idxmax() == expert
