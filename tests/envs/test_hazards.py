import copy
import dataclasses
import json
import warnings
from math import inf

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from scipy.stats import binom

from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.relabel import rates, relabel, violations, with_costs
from ramac_lib.envs.hazards import (
    PRESETS,
    Area,
    Hazard,
    HazardWrapper,
    Interval,
    Outcome,
    Region,
    get_hazard,
    hazard_from_json,
    register_hazard,
)
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import TASKS
from ramac_lib.system.errors import RamacError

SOMETIMES = Interval(1, -0.05, 0.02, -50.0, 0.3)
ENDING = dataclasses.replace(SOMETIMES, limit=0.08)


def judged(hazard, signals, uniforms):
    """Return what a hazard on entry 0 says of signals."""
    after = np.asarray(signals)[:, None]
    return hazard.decide(after, after, after, uniforms)


def play(env, actions, seed):
    """Return the Dataset of one episode and the reports of its steps, until it ends or the actions do."""
    observation, _ = env.reset(seed=seed)
    rows, infos = [], []
    for t, action in enumerate(actions):
        following, reward, terminated, truncated, info = env.step(action)
        last = t == len(actions) - 1 and not terminated
        rows.append((observation, action, reward, following, terminated, truncated or last))
        infos.append(info)
        observation = following
        if terminated or truncated:
            break
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    floats = [np.asarray(column, np.float32) for column in columns[:4]]
    return Dataset(*floats, *(np.asarray(c, bool) for c in columns[4:]), env_id="Hopper-v5"), infos


def some_data(n, rng, length=50):
    states = rng.normal(0, 0.1, (n + 1, 11)).astype(np.float32)
    return Dataset(
        states[:-1],
        np.zeros((n, 3), np.float32),
        np.ones(n, np.float32),
        states[1:],
        np.zeros(n, bool),
        np.arange(n) % length == length - 1,
        "Hopper-v5",
    )


@pytest.mark.parametrize(("low", "high"), [(-0.17, 0.04), (-0.1, 0.1), (-10.0, 10.0)])
def test_a_bound_itself_is_safe_and_the_next_float_beyond_is_not(low, high):
    hazard = Interval(0, low, high, -1.0, 1.0)
    at = np.array([low, high], np.float32)
    beyond = np.nextafter(at, np.array([-inf, inf], np.float32))
    within = np.nextafter(at, np.float32(0))
    for signals, expected in ((at, False), (beyond, True), (within, False)):
        outcome = judged(hazard, signals, np.zeros(2))
        assert (outcome.violation == expected).all()
        assert (outcome.penalty == -float(expected)).all()
    # A live float64 signal on the bound is judged as its stored float32 copy.
    assert not judged(hazard, np.array([low, high]), np.zeros(2)).violation.any()


def test_it_strikes_in_violation_when_the_draw_is_below_the_probability():
    hazard = Interval(0, -1.0, 1.0, -7.0, 0.25, limit=3.0)
    outcome = judged(hazard, np.array([0.0, 2.0, 2.0, -2.0, 3.0, -3.5]), np.array([0.0, 0.2, 0.25, 0.9, 0.9, 0.1]))
    assert outcome.violation.tolist() == [False, True, True, True, True, True]
    assert outcome.penalty.tolist() == [0, -7, 0, 0, 0, -7]
    assert outcome.ends.tolist() == [False, False, False, False, False, True]


def test_penalties_come_as_often_as_their_probability_says():
    data = some_data(200_000, np.random.default_rng(0))
    hazard = get_hazard("paper", "hopper-medium-expert")
    paid = relabel(data, hazard, seed=3).rewards - data.rewards
    out = violations(data, hazard)
    assert 0.3 < out.mean() < 0.5  # of N(0, 0.1) outside [-0.17, 0.04]: 0.390
    assert rates(data, hazard) == out.mean()
    assert set(np.unique(paid)) == {-50.0, 0.0}
    assert not paid[~out].any()
    low, high = binom.interval(0.999, out.sum(), hazard.probability)
    assert low <= (paid < 0).sum() <= high


def test_the_seed_alone_decides_the_draws():
    data = some_data(5_000, np.random.default_rng(1))
    assert relabel(data, SOMETIMES, 1).sha256() == relabel(data, SOMETIMES, 1).sha256()
    assert relabel(data, SOMETIMES, 1).sha256() != relabel(data, SOMETIMES, 2).sha256()
    assert relabel(data, SOMETIMES, 1).recipe["hazard"]["penalty"] == -50.0


def test_no_hazard_leaves_the_data_as_they_are():
    data = some_data(1_000, np.random.default_rng(2))
    none = get_hazard("none", "hopper-medium-expert")
    assert relabel(data, none).sha256() == data.sha256()
    assert rates(data, none) == 0


@pytest.mark.parametrize("seed", range(4))
def test_relabelling_a_rollout_pays_what_the_wrapper_paid(seed):
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-0.3, 0.3, (400, 3)).astype(np.float32)
    plain, _ = play(make_env("Hopper-v5"), actions, seed)
    for hazard in (SOMETIMES, ENDING):
        env = HazardWrapper(make_env("Hopper-v5"), hazard)
        env.reset(seed=seed)
        draws = copy.deepcopy(env.np_random)
        live, infos = play(env, actions, seed)
        uniforms = np.array([draws.random() for _ in range(len(plain))])
        relabelled = relabel(plain, hazard, uniforms=uniforms)
        for key in ("observations", "actions", "next_observations", "terminals", "timeouts"):
            np.testing.assert_array_equal(getattr(relabelled, key), getattr(live, key))
        # The live sum is rounded to float32 once, the relabelled one twice.
        np.testing.assert_allclose(relabelled.rewards, live.rewards, rtol=2e-7, atol=1e-6)
        np.testing.assert_array_equal([i["violation"] for i in infos], violations(live, hazard))
        np.testing.assert_array_equal(np.float32([i["monitored"] for i in infos]), live.next_observations[:, 1])
        paid = live.rewards - plain.rewards[: len(live)]
        np.testing.assert_allclose([i["penalty"] for i in infos], paid, atol=1e-4)
    assert len(live) < len(plain)  # the last hazard ended the episode
    assert live.terminals[-1]


def test_a_hazard_that_ends_episodes_cuts_each_where_a_loop_would():
    rng = np.random.default_rng(5)
    data = some_data(4_000, rng, length=37)
    relabelled = relabel(data, ENDING, seed=0)
    kept = []
    for start, stop in data.episode_bounds():
        for row in range(start, stop):
            kept.append(row)
            if abs(data.next_observations[row, 1]) > np.float32(0.08):
                break
    np.testing.assert_array_equal(relabelled.observations, data.observations[kept])
    ended = np.abs(relabelled.next_observations[:, 1]) > np.float32(0.08)
    np.testing.assert_array_equal(relabelled.terminals, ended)
    assert not (relabelled.timeouts & relabelled.terminals).any()
    assert len(relabelled.episode_bounds()) == len(data.episode_bounds())


def test_what_the_environment_ended_anyway_loses_no_row():
    data = some_data(100, np.random.default_rng(6), length=10)
    ends = np.abs(data.next_observations[:, 1]) > 0.08
    data = data.with_(terminals=ends, timeouts=data.timeouts & ~ends)
    assert len(relabel(data, ENDING)) == 100


@pytest.mark.filterwarnings("ignore")
def test_the_wrapper_passes_gymnasiums_checker():
    for task in ("hopper-medium-replay", "halfcheetah-medium-expert"):
        env = HazardWrapper(make_env(TASKS[task].env_id()), get_hazard("paper", task))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            check_env(env, skip_render_check=True)
        about = [str(w.message) for w in caught]
        # Gymnasium prefers that one checks the bare environment and says that MuJoCo's spaces are unbounded.
        assert all("unwrapped" in text or "infinity" in text for text in about), about


def test_its_spec_rebuilds_it():
    env = HazardWrapper(make_env("Hopper-v5"), ENDING)
    again = gymnasium.make(gymnasium.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    while not isinstance(again, HazardWrapper):
        again = again.env
    assert again.hazard == ENDING


def _hopper():
    return HazardWrapper(gymnasium.make("Hopper-v5", max_episode_steps=20), ENDING)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("kind", [SyncVectorEnv, AsyncVectorEnv])
def test_a_vector_pays_each_environment_its_own(kind, mode):
    vector = kind([_hopper] * 3, autoreset_mode=mode)
    singles = [_hopper() for _ in range(3)]
    seeds = [11, 12, 13]
    vector.reset(seed=seeds)
    for env, seed in zip(singles, seeds, strict=True):
        env.reset(seed=seed)
    rng = np.random.default_rng(0)
    done = np.zeros(3, bool)
    steps = ends = 0
    for _ in range(60):
        actions = rng.uniform(-1, 1, (3, 3)).astype(np.float32)
        if mode == AutoresetMode.DISABLED and done.any():
            vector.reset(options={"reset_mask": done.copy()})
        _, rewards, terminated, truncated, infos = vector.step(actions)
        for i, env in enumerate(singles):
            if done[i]:
                env.reset()
                if mode == AutoresetMode.NEXT_STEP:  # this step of the vector was the reset
                    assert rewards[i] == 0
                    continue
            _, reward, end, cut, info = env.step(actions[i])
            assert (rewards[i], terminated[i], truncated[i]) == (pytest.approx(reward), end, cut)
            reported = infos["final_info"] if mode == AutoresetMode.SAME_STEP and (end or cut) else infos
            for key in ("monitored", "violation", "penalty"):
                assert reported[key][i] == pytest.approx(info[key]), key
            steps, ends = steps + 1, ends + end
        done = terminated | truncated
    vector.close()
    assert steps > 120
    assert ends > 5


def test_presets_are_the_published_table():
    found = {task: (h.signal, h.low, h.high, h.penalty, h.probability, h.limit) for task, h in PRESETS["paper"].items()}
    assert found == {
        "hopper-medium-expert": (1, -0.17, 0.04, -50, 0.1, inf),
        "hopper-medium-replay": (1, -0.1, 0.1, -50, 0.1, 0.2),
        "walker2d-medium-expert": (1, -0.5, 0.5, -30, 0.1, 1.0),
        "walker2d-medium-replay": (1, -0.5, 0.5, -30, 0.1, 1.0),
        "halfcheetah-medium-expert": (8, -10, 10, -70, 0.05, inf),
        "halfcheetah-medium-replay": (8, -5, 5, -60, 0.05, inf),
    }
    for task in found:
        for name in ("paper", "calibrated", "none"):
            assert get_hazard(name, task).signal == found[task][0]


def test_a_hazard_that_is_off_hides_nothing_of_the_environment_itself():
    class Trap(gymnasium.Wrapper):
        def step(self, action):
            *rest, _ = super().step(action)
            return *rest, {"violation": True}

    env = HazardWrapper(Trap(make_env("Hopper-v5")), get_hazard("none", "risky-bandit"))
    env.reset(seed=0)
    assert env.step(np.zeros(3, np.float32))[-1] == {
        "violation": True,
        "monitored": pytest.approx(1.25, abs=0.1),
        "penalty": 0,
    }


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: get_hazard("papers", "hopper-medium-expert"), "unknown hazard 'papers'"),
        (lambda: get_hazard("paper", "hopper-expert"), "unknown task 'hopper-expert'"),
        (lambda: get_hazard("paper", "risky-bandit"), "not defined for risky-bandit"),
        (lambda: Interval(1, 0.1, -0.1, -1.0, 0.1), "is empty"),
        (lambda: Interval(1, -0.1, 0.1, 1.0, 0.1), "penalty is 1.0"),
        (lambda: Interval(1, -0.1, 0.1, -1.0, 1.1), "probability is 1.1"),
        (lambda: Interval(-1, -0.1, 0.1, -1.0, 0.1), "signal is -1"),
        (lambda: Interval(1, -0.1, 0.1, -1.0, 0.1, limit=0.0), "limit is 0.0"),
        (lambda: relabel(some_data(9, np.random.default_rng(0)), Interval(11, 0, 1, -1.0, 0.1)), "column 11"),
        (lambda: relabel(some_data(9, np.random.default_rng(0)), SOMETIMES, uniforms=np.ones(8)), "8 draws for 9"),
        (lambda: HazardWrapper(make_env("Hopper-v5"), Interval(11, 0, 1, -1.0, 0.1)), "column 11"),
    ],
)
def test_refusals(make, sentence):
    with pytest.raises(RamacError, match=sentence):
        make()


# -- regions and hazards of one's own ---------------------------------------------------------------------------------

DISC = Area(-20.0, 0.25, centre=(0.5, 0.5), radius=0.1)
TRIANGLE = Area(-5.0, 1.0, corners=((0.0, 0.0), (0.4, 0.0), (0.0, 0.4)))


def at(*points):
    """Return steps that end at points (x, y), which are entries 2 and 1 of an observation."""
    after = np.zeros((len(points), 3))
    after[:, [2, 1]] = points
    return np.zeros_like(after), np.zeros((len(points), 2)), after


def test_a_region_knows_its_areas_and_their_own_risks():
    hazard = Region((DISC, TRIANGLE), axes=(2, 1))
    steps = at((0.5, 0.5), (0.5, 0.601), (0.5, 0.599), (0.1, 0.1), (0.3, 0.3), (0.05, 0.3))
    outcome = hazard.decide(*steps, np.array([0.2, 0.2, 0.3, 0.99, 0.0, 0.5]))
    assert outcome.violation.tolist() == [True, False, True, True, False, True]
    assert outcome.penalty.tolist() == [-20, 0, 0, -5, 0, -5]
    assert not outcome.ends.any()
    assert hazard.monitored(steps[2]).tolist() == [1, 0, 1, 1, 0, 1]
    assert outcome.penalty.dtype == np.float32


def test_where_areas_overlap_the_first_one_counts():
    both = Region((TRIANGLE, Area(-1.0, 1.0, centre=(0.1, 0.1), radius=0.05)), axes=(2, 1))
    assert both.decide(*at((0.1, 0.1)), np.zeros(1)).penalty.tolist() == [-5]


def test_several_draws_meet_each_step():
    steps = at((0.5, 0.5), (0.9, 0.9))
    outcome = Region((DISC,), axes=(2, 1)).decide(*steps, np.array([[0.1, 0.1], [0.9, 0.9], [0.2, 0.2]]))
    assert outcome.violation.tolist() == [True, False]
    assert outcome.penalty.tolist() == [[-20, 0], [0, 0], [-20, 0]]


@pytest.mark.parametrize("hazard", [SOMETIMES, ENDING, Region((DISC, TRIANGLE), axes=(2, 1))])
def test_a_hazard_survives_its_record(hazard):
    assert hazard_from_json(json.loads(json.dumps(hazard.to_json()))) == hazard


def test_a_predicate_of_all_three_relabels_and_is_met_live(monkeypatch):
    """Steps that jump are forbidden: the predicate needs the state before, the action and the state after."""

    class Jump(Hazard):
        def risk(self, observations, actions, next_observations):
            jumps = np.abs(next_observations[..., 5] - observations[..., 5]) > 0.05
            return jumps & (np.abs(actions).max(axis=-1) > 0.1), 0.5, -3.0

    hazard = register_hazard("jump", "hopper-medium-expert", Jump())
    monkeypatch.delitem(PRESETS, "jump")
    rng = np.random.default_rng(0)
    env = HazardWrapper(make_env("Hopper-v5"), hazard)
    data, infos = play(env, rng.uniform(-1, 1, (200, 3)).astype(np.float32), 3)
    found = violations(data, hazard)
    assert 0 < found.sum() < len(data)
    assert found.tolist() == [info["violation"] for info in infos]
    told = np.random.default_rng(1).random(len(data))
    paid = relabel(data, hazard, uniforms=told).rewards - data.rewards
    np.testing.assert_allclose(paid, np.where(found & (told < 0.5), -3.0, 0.0), atol=1e-5)
    assert with_costs(data, hazard).costs.tolist() == found.astype(float).tolist()


def test_costs_that_the_data_have_are_kept():
    data = some_data(9, np.random.default_rng(0)).with_(costs=np.full(9, 2, np.float32))
    assert with_costs(data, SOMETIMES) is data


def test_registered_hazards_are_found_by_name_and_never_replaced(monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", {})
    mine = register_hazard("mine", "hopper-medium-expert", Interval(1, -0.2, 0.2, -5.0, 0.5))
    assert get_hazard("mine", "hopper-medium-expert") is mine
    assert mine.name == "mine"
    assert register_hazard("mine", "hopper-medium-expert", Interval(1, -0.2, 0.2, -5.0, 0.5)) is mine
    with pytest.raises(RamacError, match="hazard 'mine' is registered twice for hopper-medium-expert"):
        register_hazard("mine", "hopper-medium-expert", Interval(1, -0.2, 0.2, -6.0, 0.5))
    with pytest.raises(RamacError, match="'mine' is not defined for walker2d-medium-expert; choose none or paper"):
        get_hazard("mine", "walker2d-medium-expert")
    with pytest.raises(RamacError, match="the hazard's name 'no name'"):
        register_hazard("no name", "hopper-medium-expert", mine)


def test_one_hazard_may_have_two_names(monkeypatch):
    hazard = Interval(1, -0.2, 0.2, -5.0, 0.5)
    for name in ("one", "two"):
        monkeypatch.setitem(PRESETS, name, {})
        register_hazard(name, "hopper-medium-expert", hazard)
    assert [get_hazard(name, "hopper-medium-expert").name for name in ("one", "two")] == ["one", "two"]
    assert hazard.name == ""


def test_a_class_of_hazards_that_is_defined_again_replaces_itself(monkeypatch):
    def define(penalty, limit):
        @dataclasses.dataclass(frozen=True)
        class Fast(Hazard):
            limit: float

            def risk(self, observations, actions, next_observations):
                return next_observations[..., 0] > self.limit, 1.0, penalty

        return Fast(limit)

    monkeypatch.setitem(PRESETS, "fast", {})
    register_hazard("fast", "hopper-medium-expert", define(-1.0, 2.0))
    again = register_hazard("fast", "hopper-medium-expert", define(-2.0, 2.0))
    assert get_hazard("fast", "hopper-medium-expert") is again
    assert again.risk(*[np.full((1, 1), 3.0)] * 3)[2] == -2.0
    assert again.to_json() == {"kind": "Fast", "limit": 2.0, "name": "fast"}
    with pytest.raises(RamacError, match="'fast' is registered twice"):
        register_hazard("fast", "hopper-medium-expert", define(-2.0, 3.0))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Region(()), "a region has no areas"),
        (lambda: Region((DISC,), axes=(1, 1)), r"axes of a region are \(1, 1\)"),
        (lambda: Area(-1.0, 0.5), "a disc .* or a polygon"),
        (lambda: Area(-1.0, 0.5, centre=(0, 0)), "radius above 0"),
        (lambda: Area(-1.0, 0.5, corners=((0, 0), (1, 1))), "polygon of three corners"),
        (lambda: Area(1.0, 0.5, centre=(0, 0), radius=1.0), "penalty is 1.0"),
        (lambda: HazardWrapper(make_env("Hopper-v5"), Region((DISC,), axes=(3, 11))), r"columns \(3, 11\)"),
        (lambda: hazard_from_json({"kind": "Jump", "name": "jump"}), "register it by name"),
    ],
)
def test_refusals_of_regions(make, sentence):
    with pytest.raises(RamacError, match=sentence):
        make()


# -- the same precision live and on data; what a hazard of one's own gets wrong ---------------------------------------


@dataclasses.dataclass
class Kept:
    array: np.ndarray


class Own(Hazard):
    """Every step with entry 0 at or above 0.1 is a violation; its risk is what the test says."""

    def __init__(self, probability=0.5, penalty=-1.0, table=None):
        self.probability, self.penalty, self.table = probability, penalty, table

    def risk(self, observations, actions, next_observations):
        self.seen = {array.dtype for array in (observations, actions, next_observations)}
        return next_observations[..., 0] >= 0.1, self.probability, self.penalty


@pytest.mark.parametrize(
    "hazard", [Region((Area(-1.0, 1.0, centre=(0.0, 0.0), radius=0.1),)), Interval(0, 0.1, inf, -1.0, 1.0), Own()]
)
@pytest.mark.parametrize("at", [0.1, 0.1 - 1e-9, 0.1 + 1e-9])
def test_a_live_step_on_the_edge_is_judged_as_its_stored_copy(hazard, at):
    class Still(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-inf, inf, (2,), np.float64)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(2), {}

        def step(self, action):
            return np.array([at, 0.0]), 0.0, False, False, {}

    env = HazardWrapper(Still(), hazard)
    data, infos = play(env, np.zeros((3, 1)), 0)
    assert [info["violation"] for info in infos] == violations(data, hazard).tolist()
    assert [info["monitored"] for info in infos] == hazard.monitored(data.next_observations).tolist()
    assert getattr(hazard, "seen", {np.dtype(np.float32)}) == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("hazard", "sentence"),
    [
        (Own(probability=7), "probability is 7; expected a number in"),
        (Own(probability=np.array([0.5, -0.1])), "probability is -0.1"),
        (Own(probability=np.nan), "probability is nan"),
        (Own(penalty=5), "penalty is 5; expected a finite number ≤ 0"),
        (Own(penalty=np.array([-1.0, np.nan])), "penalty is nan"),
        (Own(penalty=-np.inf), "penalty is -inf"),
    ],
)
def test_a_risk_that_is_none_is_refused(hazard, sentence):
    with pytest.raises(RamacError, match=sentence):
        judged(hazard, [1.0, 1.0], np.array([0.9, 0.9]))


def test_what_a_risk_says_of_safe_steps_does_not_matter():
    outcome = judged(Own(np.array([0.5, 9.0]), np.array([-2.0, 3.0])), [1.0, 0.0], np.zeros((3, 2)))
    assert outcome.penalty.tolist() == [[-2, 0]] * 3


@pytest.mark.parametrize("hazard", [SOMETIMES, Interval(0, -inf, inf, 0.0, 0.0), Own()])
def test_none_stays_none(hazard):
    before = get_hazard("none", "hopper-medium-expert")
    with pytest.raises(RamacError, match="the hazard 'none' is every task's own; expected another name"):
        register_hazard("none", "hopper-medium-expert", hazard)
    assert get_hazard("none", "hopper-medium-expert") is before


def test_hazards_that_hold_arrays_are_compared_by_what_is_in_them(monkeypatch):
    monkeypatch.setitem(PRESETS, "mine", {})

    def register(*tables, wrap=tuple):
        return register_hazard("mine", "hopper-medium-expert", Own(table=wrap(map(np.array, tables))))

    first = register([1.0, 2.0], [3.0])
    assert register([1.0, 2.0], [3.0]) is first
    for other in (([1.0, 2.0], [4.0]), ([1.0, 2.0],), ([1.0, 2.0], [3.0, 3.0])):
        with pytest.raises(RamacError, match="'mine' is registered twice"):
            register(*other)
    with pytest.raises(RamacError, match="'mine' is registered twice"):
        register([1.0, 2.0], wrap=lambda tables: next(iter(tables)))
    monkeypatch.setitem(PRESETS, "dict", {})
    for _ in range(2):  # an array itself, and inside of others
        table = {"a": [np.ones(2), "b", Outcome(np.ones(2), 0, 0)], "c": Kept(np.full(2, np.nan))}
        register_hazard("dict", "hopper-medium-expert", Own(np.array(0.5), np.array([-1.0]), table))
    table = {**table, "c": Kept(np.zeros(2))}
    with pytest.raises(RamacError, match="'dict' is registered twice"):
        register_hazard("dict", "hopper-medium-expert", Own(np.array(0.5), np.array([-1.0]), table))
