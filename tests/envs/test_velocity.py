"""Speed limits: Gymnasium's robots to the bit, a cost where they are too fast, in data, rollouts and restarts alike."""

import gymnasium
import numpy as np
import pytest
import torch

from ramac_lib.datasets import bundled
from ramac_lib.envs.behaviour import load_policy, stages
from ramac_lib.envs.collect import collect
from ramac_lib.envs.hazards import Interval, get_hazard
from ramac_lib.envs.play import live_env, rollouts
from ramac_lib.envs.restart import discounted_returns
from ramac_lib.envs.robots import make_env, time_limit
from ramac_lib.envs.tasks import ENVS, HORIZONS, get_task
from ramac_lib.envs.velocity import SPEEDS

LIMITS = {"hopper": 0.7402, "walker2d": 2.3415, "halfcheetah": 3.2096}


def expert(env):
    """Return an actor for observations (S, E, s): the mode of the shipped expert."""
    policy = load_policy(env, stages(env).expert)

    def act(observations):
        flat = observations.flatten(0, 1).numpy()
        return torch.as_tensor(policy(flat, np.float32(0) * flat[:, : policy.sizes[1]])).reshape(
            *observations.shape[:2], -1
        )

    return act


@pytest.mark.parametrize("env", ENVS)
def test_a_step_costs_one_where_gymnasiums_robot_is_too_fast(env):
    task = get_task(f"{env}-velocity")
    assert (task.env_id(), task.horizon) == (f"{ENVS[env]}Velocity-v5", HORIZONS[env])
    assert time_limit(task.env_id()) == 1000
    assert SPEEDS[ENVS[env]] == LIMITS[env]
    ours, plain = make_env(task.env_id()), gymnasium.make(f"{ENVS[env]}-v5", disable_env_checker=True)
    policy, rng = load_policy(env, stages(env).expert), np.random.default_rng(0)
    seen = [], []
    observation, _ = ours.reset(seed=3)
    np.testing.assert_array_equal(observation, plain.reset(seed=3)[0])
    for _ in range(200):
        action = policy(observation[None].astype(np.float32), rng.standard_normal((1, policy.sizes[1])))[0]
        observation, reward, terminated, truncated, info = ours.step(action)
        there, same, *_, plainly = plain.step(action)
        np.testing.assert_array_equal(observation, there)
        assert reward == same  # a cost is no penalty
        assert info["x_velocity"] == plainly["x_velocity"] == info["monitored"]
        fast = bool(plainly["x_velocity"] > LIMITS[env])
        assert (info["cost"], info["violation"], info["penalty"]) == (fast, fast, 0)
        seen[fast].append(info["x_velocity"])
        if terminated or truncated:
            break
    assert min(map(len, seen)) >= 5
    assert max(seen[False]) <= LIMITS[env] < min(seen[True])


def test_a_rollouts_violations_are_its_cost_and_no_hazard_hides_them():
    task = get_task("halfcheetah-velocity")
    hazard = get_hazard(None, task)
    assert hazard.name == "none"
    (run,) = rollouts(expert("halfcheetah"), task.env_id(), hazard, 100, [0], 1, record=True)
    fast = np.array(run.monitored) > 3.2096
    assert run.violations == fast.sum() == sum(run.violated)
    assert 50 < run.violations < 100
    assert not any(run.struck)


def test_costs_in_the_data_are_those_of_the_live_environment():
    """Episode 0 of a policy, played again live with the data's actions: its rewards and costs to the bit."""
    task = get_task("halfcheetah-velocity")
    seed = np.random.SeedSequence([1, 2])
    (episode,) = collect(load_policy("halfcheetah", 70_000), task.env_id(), [seed], 60)
    env = live_env(task.env_id(), get_hazard(None, task), 60)
    env.reset(seed=int(np.random.SeedSequence([1, 2]).spawn(2)[0].generate_state(1)[0]))
    lived = [env.step(action) for action in episode.actions]
    np.testing.assert_array_equal(episode.rewards, np.float32([step[1] for step in lived]))
    np.testing.assert_array_equal(episode.costs, np.float32([step[4]["violation"] for step in lived]))
    assert 0 < episode.costs.sum() < 60


@pytest.mark.slow
def test_bundled_data_carry_costs_of_all_stages_and_count_their_episodes():
    task, steps = get_task("hopper-velocity"), stages("hopper").shipped
    data = bundled.build(task, 1000 * len(steps), workers=1, progress=False)
    assert data.recipe["policies"] == list(steps)
    assert sum(data.recipe["episodes"]) == len(data.episode_bounds())
    assert set(np.unique(data.costs)) == {0, 1}
    of = np.repeat(np.arange(len(steps)), data.recipe["episodes"])
    costs = data.episode_costs()
    assert costs[of == 0].mean() < 1  # the untrained policy falls where it stands
    assert costs[of == len(steps) - 1].mean() > 200
    # The speed that an observation holds is another one, at the step's end, and would say otherwise of some steps.
    ends = data.next_observations[:, 5] > 0.7402
    assert 0.005 < (ends != (data.costs == 1)).mean() < 0.2


def test_other_tasks_data_have_no_costs():
    data = bundled.build(get_task("hopper-medium-expert"), 2000, workers=1, progress=False)
    assert data.costs is None
    assert "episodes" not in data.recipe


def test_who_acts_after_a_restart_is_told_the_environments_costs():
    """Failed before: a hazard that was off told an actor 0 in place of what the environment had reported."""
    task = get_task("halfcheetah-velocity")
    (run,) = rollouts(expert("halfcheetah"), task.env_id(), None, 60, [0], 1, steps=True)
    state, action = np.array(run.states[-1:], np.float32), np.array(run.actions[-1:], np.float32)

    class Told:
        def __init__(self):
            self.costs = []

        def __call__(self, observations):
            return torch.zeros(*observations.shape[:2], 6)

        def observe(self, rewards, costs):
            self.costs.append(costs.item())

    told = {}
    for hazard in (get_hazard("none", task), None, Interval(0, -np.inf, np.inf, -1.0, 1.0)):
        actor = Told()
        discounted_returns(lambda of, actor=actor: actor, task.env_id(), hazard, state, action, 1, 0.9, 2, keys=(0,))
        told[hazard] = actor.costs
    none, nothing, strikes = told.values()
    assert none == nothing
    assert none[0] == 1
    assert strikes == [0, 0]  # one that is on speaks for itself
