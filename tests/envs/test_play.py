"""Rollouts on an environment whose every number is known: nothing dropped, nothing counted twice."""

import gymnasium
import numpy as np
import pytest
import torch

from ramac_lib.envs import play
from ramac_lib.envs.hazards import Interval, get_hazard
from ramac_lib.methods import get_method
from ramac_lib.networks.noise import derive_seed
from ramac_lib.system.errors import RamacError
from ramac_lib.training import evaluators


class Counter(gymnasium.Env):
    """Pays its step's number, shows it, and ends after a seeded number of steps; the action is paid on top."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (2,))
    action_space = gymnasium.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.k, self.end = 0, int(self.np_random.integers(3, 9))
        return np.zeros(2), {}

    def step(self, action):
        self.k += 1
        return np.array([self.k, -self.k]), float(self.k + action[0]), self.k >= self.end, False, {}


gymnasium.register("TestCounter-v0", Counter)


def ends(seeds, episodes, keys=()):
    env = Counter()
    found = []
    for seed in seeds:
        for episode in range(episodes):
            env.reset(seed=derive_seed("environment", seed, *keys, episode))
            found.append(env.end)
    return found


def still(observations):
    return torch.zeros(*observations.shape[:2], 1)


def test_each_environment_plays_exactly_one_whole_episode():
    runs = play.rollouts(still, "TestCounter-v0", None, 100, (5, 6), 4)
    expected = ends((5, 6), 4)
    assert [r.length for r in runs] == expected
    assert len(set(expected)) > 1
    for run, end in zip(runs, expected, strict=True):
        assert run.ret == sum(range(1, end + 1))
        assert run.discounted == pytest.approx(sum(0.99**k * (k + 1) for k in range(end)))
    assert [(r.seed, r.episode) for r in runs] == [(s, e) for s in (5, 6) for e in range(4)]


def test_the_horizon_cuts_episodes():
    runs = play.rollouts(still, "TestCounter-v0", None, 4, (5, 6), 4)
    assert [r.length for r in runs] == [min(4, e) for e in ends((5, 6), 4)]


def test_actions_go_to_their_own_environments():
    def act(observations):
        return torch.tensor([[[0.5], [-0.5]], [[1.0], [0.0]]])

    runs = play.rollouts(act, "TestCounter-v0", None, 100, (0, 1), 2)
    for run, action in zip(runs, (0.5, -0.5, 1.0, 0.0), strict=True):
        assert run.ret == pytest.approx(run.length * (run.length + 1) / 2 + action * run.length)


class Scripted:
    """Plays action k for episode k, as told which episodes go on; remembers how many rows it was asked about."""

    def __init__(self, episodes):
        self.own, self.asked, self.heard = torch.linspace(-1, 1, episodes), [], []

    def __call__(self, observations):
        self.asked.append(observations.shape[1])
        return self.own[None, :, None].clone()

    def observe(self, rewards, costs):
        self.heard.append(rewards[0].tolist())

    def keep(self, episodes):
        self.own = self.own[episodes]


def test_rows_of_ended_episodes_leave_and_the_others_keep_their_places():
    actor, whole = Scripted(6), torch.linspace(-1, 1, 6)[None, :, None]
    runs = play.rollouts(actor, "TestCounter-v0", None, 100, (5,), 6, drop=True, steps=True)
    plain = play.rollouts(lambda seen: whole, "TestCounter-v0", None, 100, (5,), 6, steps=True)
    lengths = ends((5,), 6)
    assert [(r.ret, r.length) for r in runs] == [(r.ret, r.length) for r in plain]
    for run, other in zip(runs, plain, strict=True):
        np.testing.assert_array_equal(run.states, other.states)
        np.testing.assert_array_equal(run.actions, other.actions)
    assert actor.asked == [sum(length > k for length in lengths) for k in range(max(lengths))]
    paid = [[k + 1 + float(whole[0, e, 0]) for e in range(6) if lengths[e] > k] for k in range(max(lengths))]
    assert [len(heard) for heard in actor.heard] == actor.asked
    np.testing.assert_allclose(np.concatenate(actor.heard), np.concatenate(paid), rtol=1e-6)


def test_rows_of_several_seeds_stay():
    with pytest.raises(RamacError, match="cannot be dropped for 2 seeds; expected one"):
        play.rollouts(still, "TestCounter-v0", None, 9, (0, 1), 2, drop=True)


def test_violations_penalties_and_signals_under_a_sure_hazard():
    hazard = Interval(signal=0, low=-1, high=2, penalty=-10, probability=1.0)
    runs = play.rollouts(still, "TestCounter-v0", hazard, 100, (5,), 4, record=True)
    for run in runs:
        beyond = run.length - 2  # steps 3, 4, … lie above 2
        assert run.violations == beyond
        assert run.ret == sum(range(1, run.length + 1)) - 10 * beyond
        assert run.monitored == list(range(1, run.length + 1))
        assert run.violated == [k > 2 for k in range(1, run.length + 1)]


def test_keys_give_other_episodes_and_seeds_repeat():
    def returns(*keys):
        return [r.ret for r in play.rollouts(still, "TestCounter-v0", None, 100, (0,), 20, keys)]

    assert returns(3) == returns(3)
    assert returns(3) != returns(4)


def test_a_methods_seeds_are_evaluated_as_if_alone():
    cls = get_method("bc-flow")
    both, alone = (cls(cls.Config(hidden=(8,)), 11, 3, seeds, 10) for seeds in ((0, 1), (1,)))
    hazard = get_hazard("paper", "hopper-medium-expert")
    a = play.frame(evaluators.evaluate(both, "Hopper-v5", hazard, 20, 2)).query("seed == 1")
    b = play.frame(evaluators.evaluate(alone, "Hopper-v5", hazard, 20, 2))
    np.testing.assert_allclose(a["return"], b["return"], rtol=1e-3)
    assert a["length"].tolist() == b["length"].tolist()


@pytest.mark.parametrize(
    "given",
    [
        lambda shape: np.full(shape, 0.5),
        lambda shape: torch.full(shape, 0.5, requires_grad=True),
        lambda shape: torch.full(shape, 0.5, dtype=torch.bfloat16),
    ],
    ids=["array", "with gradient", "bfloat16"],
)
def test_an_actor_may_answer_with_any_numbers_of_the_right_shape(given):
    expected = play.rollouts(lambda seen: torch.full((*seen.shape[:2], 1), 0.5), "TestCounter-v0", None, 9, (0,), 2)
    runs = play.rollouts(lambda seen: given((*seen.shape[:2], 1)), "TestCounter-v0", None, 9, (0,), 2)
    assert [r.ret for r in runs] == [r.ret for r in expected]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, r"a controller returned NoneType; expected \(2, 3, 1\)"),
        (np.zeros((6, 1)), r"a controller returned actions of shape \(6, 1\); expected \(2, 3, 1\)"),
    ],
)
def test_other_answers_are_refused(given, words):
    with pytest.raises(RamacError, match=words):
        play.ask(lambda seen: given, torch.zeros(2, 3, 4), (1,))


def test_an_actor_learns_no_gradient_and_is_told_what_it_listens_to():
    weight = torch.ones(1, requires_grad=True)
    assert not play.ask(lambda seen: weight * seen, torch.ones(1, 2, 1), (1,)).requires_grad
    heard = []
    play.tell(heard, "append", 3)
    play.tell(still, "keep", np.arange(2))
    assert heard == [3]
