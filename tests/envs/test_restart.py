import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ramac_lib.envs import play as envs_play
from ramac_lib.envs import restart
from ramac_lib.envs.bandit import ENV_ID, Bandit
from ramac_lib.envs.hazards import Interval
from ramac_lib.envs.restart import discounted_returns, restore, rollout_length
from ramac_lib.envs.robots import make_env
from ramac_lib.system.errors import RamacError

ROBOTS = ("Hopper-v5", "Walker2d-v5", "HalfCheetah-v5")


def transitions(env_id, count=120):
    """Return (observation, action, next observation, reward) of random actions, observations in float32 as stored."""
    env, rng = make_env(env_id).unwrapped, np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    for _ in range(count):
        action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        following, reward, terminated, *_ = env.step(action)
        yield observation.astype(np.float32), action, following, reward
        observation = env.reset()[0] if terminated else following


@pytest.mark.parametrize("env_id", ROBOTS)
def test_a_restored_state_observes_and_goes_on_as_the_stored_transition_did(env_id):
    env = make_env(env_id).unwrapped
    clipped = env_id.startswith(restart.CLIPPED)
    checked = 0
    for observation, action, following, reward in transitions(env_id):
        if clipped and (np.abs(observation[env.model.nq - 1 :]) >= restart.CLIP).any():
            continue
        restore(env, observation)
        np.testing.assert_allclose(env._get_obs(), observation, atol=1e-6)
        again, paid, *_ = env.step(action)
        # A cheetah's feet hit the ground hard enough to make 2e-5 of float32's rounding.
        np.testing.assert_allclose(again, following, atol=1e-5 if clipped else 5e-5)
        assert paid == pytest.approx(reward, abs=1e-5)
        checked += 1
    assert checked > 20


def test_a_restored_state_forgets_what_the_simulator_did_before():
    env, fresh = (make_env("Hopper-v5").unwrapped for _ in range(2))
    observation, action, *_ = list(transitions("Hopper-v5", 30))[-1]
    for _ in range(20):
        env.step(np.ones(3))
    restore(env, observation)
    restore(fresh, observation)
    for _ in range(5):
        assert np.array_equal(env.step(action)[0], fresh.step(action)[0])


def test_states_that_cannot_be_set_are_refused():
    hopper = make_env("Hopper-v5").unwrapped
    with pytest.raises(RamacError, match="expected 11"):
        restore(hopper, np.zeros(4))
    with pytest.raises(RamacError, match="observes another"):
        restore(hopper, np.array([1.25, 0, 0, 0, 0, 30.0, 0, 0, 0, 0, 0]))
    with pytest.raises(RamacError, match="Swimmer"):
        restore(make_env("Swimmer-v5").unwrapped, np.zeros(8))


@given(st.floats(0.01, 0.999), st.floats(1e-4, 0.5))
def test_rollouts_are_as_long_as_the_tolerance_asks(discount, tolerance):
    length = rollout_length(discount, tolerance)
    assert discount**length <= tolerance * (1 + 1e-9)
    assert length == 1 or discount ** (length - 1) > tolerance * (1 - 1e-9)


def test_known_lengths():
    assert (rollout_length(0.99), rollout_length(0.0)) == (528, 1)


def lean(observations):
    """Act by the state alone: deterministic."""
    return torch.tanh(2 * observations[..., 1:4])


def by_hand(hazard, state, action, discount, horizon):
    """Roll out once through the live wrapper."""
    env = envs_play.live_env("Hopper-v5", hazard, horizon)
    env.reset(seed=0)
    restore(env.unwrapped, state)
    total, ended = 0.0, False
    for t in range(horizon):
        observation, reward, ended, _, _ = env.step(action)
        total += discount**t * reward
        if ended:
            break
        action = lean(torch.as_tensor(observation.astype(np.float32))[None, None])[0, 0].numpy()
    return total, not ended


@pytest.mark.parametrize("together", [512, 3])
@pytest.mark.parametrize("limit", [np.inf, 0.02])
def test_returns_are_those_of_the_live_environment(hopper, monkeypatch, together, limit):
    monkeypatch.setattr(restart, "TOGETHER", together)
    hazard = Interval(1, -0.01, 0.01, -5.0, 1.0, limit=limit)  # it strikes at every violation: nothing is drawn
    known = np.flatnonzero(restart.fixed_by_observation(hopper.env_id, hopper.observations))
    rows = known[:: len(known) // 4][:4]
    states, actions = hopper.observations[rows], hopper.actions[rows]
    made = discounted_returns(lambda of: lean, "Hopper-v5", hazard, states, actions, 2, 0.9, 15, keys=(0,))
    expected = [by_hand(hazard, s, a, 0.9, 15) for s, a in zip(states, actions, strict=True)]
    np.testing.assert_allclose(made.values, np.repeat([[e[0]] for e in expected], 2, axis=1), atol=1e-6)
    assert made.alive == pytest.approx(np.mean([e[1] for e in expected]))
    free = discounted_returns(lambda of: lean, "Hopper-v5", None, states, actions, 2, 0.9, 15, keys=(0,))
    assert (made.values <= free.values).all()
    assert (made.values < free.values).any()


def test_hazards_draw_apart_and_repeatably(hopper):
    hazard = Interval(1, 5.0, 6.0, -100.0, 0.3)  # always in violation: a rollout pays a binomial number of penalties
    states, actions = hopper.observations[:1], hopper.actions[:1]

    def play(keys, hazard=hazard):
        made = discounted_returns(lambda of: lean, "Hopper-v5", hazard, states, actions, 300, 1.0, 4, keys=keys)
        return made.values[0]

    struck = np.rint((play((0,), None)[0] - play((0,))) / 100)
    assert struck.mean() == pytest.approx(1.2, abs=4 * np.sqrt(4 * 0.3 * 0.7 / 300))
    assert set(np.unique(struck)) <= {0, 1, 2, 3, 4}
    assert np.array_equal(play((0,)), play((0,)))
    assert not np.array_equal(play((0,)), play((1,)))


def test_on_the_bandit_returns_follow_the_exact_law():
    bandit = Bandit()
    actions = np.array([[0.0, 0.0], [0.85, 0.0]], np.float32)
    done = []
    returns = discounted_returns(
        lambda of: lambda observations: pytest.fail("an episode has one step"), ENV_ID, None,
        np.zeros((2, 1), np.float32), actions, 1500, 0.0, 1, keys=(0,), done=done.append,
    )  # fmt: skip
    assert set(returns.values[0]) == {bandit.centre_reward}
    values, probabilities = bandit.reward_law("ring")
    assert set(np.round(returns.values[1], 9)) == set(np.round(values, 9))
    frequency = (returns.values[1] < 0).mean()
    assert frequency == pytest.approx(probabilities[0], abs=4 * np.sqrt(0.05 * 0.95 / 1500))
    assert returns.alive == 0
    assert sum(done) == 3000


class Listener:
    """Acts by the state alone, and writes down what it is told: of which state each rollout is, rewards, costs."""

    def __init__(self, of):
        self.of, self.earned, self.costs = of, [], []
        self.rows = np.arange(len(of))

    def __call__(self, observations):
        assert observations.shape[1] == len(self.rows)
        return lean(observations)

    def observe(self, rewards, costs):
        assert rewards.shape == costs.shape == (1, len(self.rows))
        for row, reward, cost in zip(self.rows, rewards[0], costs[0], strict=True):
            self.earned.append((row, reward))
            self.costs.append(cost)

    def keep(self, episodes):
        self.rows = self.rows[episodes]


@pytest.mark.parametrize("cost", [0, 1])
def test_actors_are_told_of_rewards_and_costs_from_the_first_action_on(hopper, monkeypatch, cost):
    monkeypatch.setattr(restart, "TOGETHER", 4)
    hazard = Interval(1, 5.0, 6.0, -3.0, 0.5) if cost else None  # always in violation, or none
    made = []

    def begin(of):
        made.append(Listener(of))
        return made[-1]

    states, actions = hopper.observations[:3], hopper.actions[:3]
    returns = discounted_returns(begin, "Hopper-v5", hazard, states, actions, 2, 1.0, 60, keys=(0,))
    assert [listener.of.tolist() for listener in made] == [[0, 0, 1, 1], [2, 2]]
    told = [[sum(r for k, r in m.earned if k == row) for row in range(len(m.of))] for m in made]
    np.testing.assert_allclose(np.concatenate(told), returns.values.ravel(), rtol=1e-5)
    assert all(set(listener.costs) == {cost} for listener in made)


def test_actions_of_the_wrong_shape_are_refused(hopper):
    with pytest.raises(RamacError, match=r"actions of shape \(1, 2, 2\); expected \(1, 2, 3\)"):
        discounted_returns(
            lambda of: lambda seen: seen[..., :2], "Hopper-v5", None, hopper.observations[:2], hopper.actions[:2],
            1, 0.9, 3, keys=(0,),
        )  # fmt: skip
