"""Risky navigation: dynamics by hand, one world in three forms, behaviour whose law is known, bad input."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from scipy import stats

from ramac_lib import datasets
from ramac_lib.datasets import navigation as data_of_navigation
from ramac_lib.datasets.hdf5 import load_file, save_file
from ramac_lib.datasets.relabel import relabel, with_costs
from ramac_lib.envs import maps, navigation, play
from ramac_lib.envs.hazards import HazardWrapper, Region, get_hazard
from ramac_lib.envs.navigation_behaviour import Behaviour, get_behaviour, shares_of
from ramac_lib.envs.restart import discounted_returns
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import NAVIGATION, get_task
from ramac_lib.system.errors import RamacError

TASK = "navigation-obstacle-mixed"
WALLS = ((0.4, 0.0, 0.6, 0.9),)


def rolled(world, actions, start):
    """Positions, rewards and ends of one point's steps."""
    position, seen = np.array(start, np.float32), []
    for action in actions:
        position, reward, ended = navigation.step(world, position, np.array(action))
        seen.append((position.tolist(), float(reward), bool(ended)))
    return seen


# -- the world --------------------------------------------------------------------------------------------------------


def test_a_step_moves_by_a_tenth_pays_for_where_it_began_and_ends_at_the_goal():
    world = maps.MAPS["obstacle"]
    (one, pay, end), (two, _, _), (three, _, reached) = rolled(world, [(-1, 0.5), (-9, 0), (0, -1)], (0.35, 0.19))
    assert one == pytest.approx([0.25, 0.24])
    assert pay == pytest.approx(-np.hypot(0.25, 0.09) - 0.1)
    assert two == pytest.approx([0.15, 0.24])  # actions beyond the box are clipped
    assert three == pytest.approx([0.15, 0.14])
    assert (end, reached) == (False, False)
    assert rolled(world, [(-0.3, 0)], three)[0][2]  # (.12, .14) is .045 from the goal


def test_walls_and_the_squares_edge_stop_a_step():
    world = replace(maps.MAPS["obstacle"], start=(0.3, 0.5), walls=WALLS)
    assert rolled(world, [(1, 1)], (0.35, 0.5))[0][0] == pytest.approx([0.35, 0.5])
    assert rolled(world, [(1, 1)], (0.35, 0.85))[0][0] == pytest.approx([0.45, 0.95])
    assert rolled(world, [(-1, 1)], (0.02, 0.97))[0][0] == pytest.approx([0.0, 1.0])


def test_noise_is_bounded_and_seeded():
    world = replace(maps.MAPS["obstacle"], noise=0.02)
    here, rng = np.full((2000, 2), 0.5, np.float32), np.random.default_rng(0)
    moved = navigation.step(world, here, np.zeros((2000, 2)), rng.random((2000, 2)))[0]
    off = np.abs(moved - 0.5)
    assert 0.0195 < off.max() <= 0.02 + 1e-6
    env = navigation.NavigationEnv(changes={"noise": 0.02})
    ends = [(env.reset(seed=s), env.step(np.zeros(2)))[1][0].tolist() for s in (1, 1, 2)]
    assert ends[0] == ends[1] != ends[2]


def test_starts_lie_in_their_box_or_anywhere_but_in_a_wall():
    rng = np.random.default_rng(1)
    world = maps.MAPS["obstacle"]
    assert (navigation.start(world, rng) == np.float32(0.86)).all()
    near = replace(world, spread=0.05)
    boxed = np.array([navigation.start(near, rng) for _ in range(500)])
    assert 0.045 < np.abs(boxed - 0.86).max() <= 0.05 + 1e-6
    free = replace(world, spread=None, start=(0.2, 0.5), walls=WALLS)
    points = np.array([navigation.start(free, rng) for _ in range(2000)])
    assert not free.blocked(points).any()
    assert stats.kstest(points[:, 1][points[:, 0] < 0.4], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("name", maps.MAPS)
def test_the_environment_passes_gymnasiums_checker(name):
    env = make_env(navigation.ID.format(name.capitalize()))
    check_env(env.unwrapped, skip_render_check=True)
    assert env.spec.max_episode_steps == 50
    assert navigation.map_of(env.spec.id) is maps.MAPS[name]


@pytest.mark.parametrize("task", ["navigation-obstacle-mixed", "navigation-gates-mixed"])
@pytest.mark.parametrize("preset", ["codac", None])
def test_episodes_side_by_side_are_those_of_the_environment_in_its_wrapper(task, preset, monkeypatch):
    """To the bit, rewards, signals and strikes; also without any hazard."""
    env_id, hazard = get_task(task).env_id(), None if preset is None else get_hazard(preset, task)
    goal = torch.tensor(maps.MAPS[get_task(task).env].goal)

    def act(seen):
        return ((goal - seen[..., :2]) * 3 + 0.4 * torch.sin(40 * seen[..., [1, 0]])).clamp(-1, 1)

    def played():
        return play.rollouts(act, env_id, hazard, 50, (1, 2), 8, record=True, steps=True)

    together = played()
    monkeypatch.setattr(play, "map_of", lambda _: None)
    apart = played()
    for one, two in zip(together, apart, strict=True):
        for name in ("ret", "length", "completed", "violations", "monitored", "struck"):
            assert getattr(one, name) == getattr(two, name), name
        assert np.array_equal(one.states, two.states)
    assert len({run.ret for run in together}) > 1 or hazard is None


def test_relabelled_data_and_the_live_environment_judge_a_step_alike():
    data, hazard = datasets.load(TASK, size=2000), get_hazard("codac", TASK)
    judged = with_costs(relabel(data, hazard), hazard)
    env = HazardWrapper(make_env(data.env_id), hazard)
    env.reset(seed=0)
    for row in range(0, 300):
        env.unwrapped.put(data.observations[row, :2])
        after, reward, ended, _, info = env.step(data.actions[row])
        np.testing.assert_array_equal(after, data.next_observations[row])
        assert reward - info["penalty"] == pytest.approx(data.rewards[row], abs=1e-6)
        assert (ended, info["violation"]) == (data.terminals[row], bool(judged.costs[row]))
    struck = judged.costs > 0
    assert judged.rewards[struck].min() == pytest.approx(data.rewards[struck].min() - 50, abs=1)
    assert np.mean(judged.rewards[struck] < -10) == pytest.approx(0.1, abs=0.05)


def test_crossings_name_the_route():
    world = maps.MAPS["obstacle"]
    before = np.array([[0.9, 0.2], [0.55, 0.5], [0.2, 0.9], [0.9, 0.9], [0.1, 0.2]])
    after = before - [[0.05, 0.15], [0.1, 0.1], [0.15, 0.05], [0.1, 0.1], [0.05, 0.05]]
    assert navigation.crossings(world, before, after).tolist() == ["right", "through", "left", "", ""]
    gates = maps.MAPS["gates"]
    assert navigation.crossings(gates, np.array([[0.8, 0.52]]), np.array([[0.8, 0.43]])).tolist() == ["right"]


def test_the_critic_check_restarts_a_point_where_it_was_seen():
    """Two steps in a known direction without any danger: the exact discounted sum."""
    states = navigation.observe(maps.MAPS["obstacle"], np.array([[0.8, 0.1]], np.float32))
    west = np.array([[-1, 0]], np.float32)

    def begin(of):
        return lambda seen: torch.tensor([-1.0, 0.0]).expand(*seen.shape[:2], 2)

    found = discounted_returns(begin, "NavigationObstacle-v0", None, states, west, 3, 0.9, 50, (1,))
    expected = -sum(0.9**k * (0.8 - 0.1 * k - 0.1 + 0.1) for k in range(7))
    np.testing.assert_allclose(found.values, expected, rtol=1e-5)
    assert found.alive == 0


# -- behaviour --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", NAVIGATION)
def test_the_data_lie_in_the_support_and_in_the_stated_proportions(task):
    data, behaviour = datasets.load(task, size=30_000, seed=1), get_behaviour(task)
    positions, moved = data.observations[:, :2], data.next_observations[:, :2]
    assert behaviour.support(positions, data.actions).all()
    assert np.abs(data.actions).max() <= 1
    # Away from start and goal the state says which rule it is.
    mixed = (behaviour.means(positions)[1] > 0).sum(axis=0) > 1
    near = (behaviour.world.distance(positions) < 0.15) | (np.abs(positions - behaviour.world.start).max(1) < 0.041)
    assert not (mixed & ~near).any()
    bounds = data.episode_bounds()
    assert data.terminals.sum() == len(bounds)
    assert max(b - a for a, b in bounds) <= 50
    routes = navigation.crossings(behaviour.world, positions, moved)
    risky = (routes == "through").sum()
    share = behaviour.shares.get("through", 0.0) / (1 - behaviour.shares.get("hesitant", 0.0))
    low, high = stats.binom.interval(0.9999, len(bounds), share)
    assert low <= risky <= high
    assert (routes != "").sum() == len(bounds)
    hazard = get_hazard("rare", task)
    safe = np.repeat(np.array([(routes[a:b] == "through").any() for a, b in bounds]), [b - a for a, b in bounds])
    assert hazard.areas[0].contains(moved)[safe].any() == (risky > 0)
    assert not hazard.areas[0].contains(moved)[~safe].any()  # the long ways never meet the short way's danger


def test_density_integrates_to_one_in_every_state_of_the_corridors():
    data, behaviour = datasets.load(TASK, size=5000), get_behaviour(TASK)
    states = np.concatenate([data.observations[:1, :2], data.observations[::500, :2]])
    axis = (np.arange(200) + 0.5) / 100 - 1
    actions = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    for state in states:
        here = np.broadcast_to(state, actions.shape)
        assert 4 * behaviour.density(here, actions).mean() == pytest.approx(1, abs=0.03)
    # At the start, four boxes by the stated shares.
    start, rng = np.full((20_000, 2), 0.86), np.random.default_rng(2)
    drawn = behaviour.sample(start, rng)
    means, weights = behaviour.means(start[:1])
    assert weights[:, 0].tolist() == pytest.approx(list(shares_of(behaviour.world, "mixed").values()))
    for mean, weight in zip(means[:, 0], weights[:, 0], strict=True):
        inside = (np.abs(drawn - mean) <= 0.2 + 1e-5).all(axis=1).mean()
        assert inside == pytest.approx(weight, abs=0.015)
    low = np.log(weights[0, 0] / 0.16)
    assert behaviour.log_density(start[:1], means[0][:1])[0] == pytest.approx(low)


def test_the_mean_of_left_and_right_leads_into_the_danger():
    behaviour = get_behaviour("navigation-obstacle-expert")
    start = np.array([[0.86, 0.86]])
    means, weights = behaviour.means(start)
    toward = (means * weights[..., None]).sum(axis=0)[0]
    assert toward[0] == pytest.approx(toward[1])
    assert not behaviour.support(start, toward[None])[0]
    point = start[0].astype(np.float32)
    for _ in range(6):
        point = navigation.step(behaviour.world, point, toward)[0]
    assert behaviour.world.areas[0].contains(point)


def test_states_and_actions_out_of_the_data_are_told_apart():
    behaviour = get_behaviour(TASK)
    states = np.array([[0.5, 0.8], [0.775, 0.775], [0.775, 0.775]])
    actions = np.array([[0.0, 0.0], [-0.8, -0.8], [0.8, 0.8]])
    assert behaviour.corridor(states).tolist() == [False, True, True]
    assert behaviour.support(states, actions).tolist() == [False, True, False]
    assert behaviour.log_density(states, actions)[[0, 2]].tolist() == [-np.inf, -np.inf]


def test_data_are_whole_episodes_reproducible_and_travel(tmp_path):
    data = datasets.load(TASK, size=3000, seed=5)
    assert 2950 <= len(data) <= 3000
    assert data.sha256() == datasets.load(TASK, size=3000, seed=5).sha256()
    assert data.sha256() != datasets.load(TASK, size=3000, seed=6).sha256()
    assert data.recipe["shares"]["through"] == pytest.approx(0.3)
    path = save_file(data, tmp_path / "own.hdf5")
    again = datasets.load(TASK, str(path))
    assert (again.sha256(), again.env_id) == (data.sha256(), "NavigationObstacle-v0")
    assert load_file(path).env_id == data.env_id


def test_noise_of_the_world_stays_within_the_corridors():
    world = replace(maps.MAPS["obstacle"], noise=0.01)
    behaviour = Behaviour(world, {"left": 0.5, "right": 0.5})
    data = data_of_navigation.dataset(TASK, 3000, behaviour=behaviour)
    assert behaviour.support(data.observations[:, :2], data.actions).all()


# -- bad input --------------------------------------------------------------------------------------------------------


def test_a_start_in_the_goal_or_the_danger_is_allowed_and_said(caplog):
    for place, start in (("goal", (0.12, 0.12)), ("danger", (0.5, 0.5))):
        caplog.clear()
        world = replace(maps.MAPS["obstacle"], start=start)
        assert [r.getMessage() for r in caplog.records] == [f"map obstacle: episodes start in the {place}, at {start}"]
        env = navigation.NavigationEnv(world)
        assert env.reset(seed=0)[1] == {"start": place}
    env = gymnasium.make("NavigationObstacle-v0")
    assert env.reset(seed=0, options={"start": (0.5, 0.5)})[1] == {"start": "danger"}
    assert env.reset(seed=0)[1] == {"start": "free"}


def walled(**changes):
    return replace(maps.MAPS["obstacle"], **changes)


def area(p, penalty=-20.0):
    return maps.Area(penalty, p, (0.5, 0.5), 0.3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: maps.get_map("maze"), "unknown map 'maze': choose one of obstacle, bridge, gates"),
        (lambda: walled(walls=((0.0, 0.4, 1.0, 0.6),)), r"the goal \(0.1, 0.1\) cannot be reached from \(0.86, 0.86\)"),
        (lambda: walled(step=0.01), "cannot be reached .* in 50 steps"),
        (lambda: walled(goal=(0.1, 1.2)), r"the goal is \(0.1, 1.2\); expected a point of the unit square"),
        (lambda: walled(start=(0.5, 0.5), walls=WALLS), r"the start \(0.5, 0.5\) is in a wall"),
        (lambda: walled(noise=-1.0), "noise, step and spread are -1.0"),
        (lambda: walled(dangers={}), "has no dangers"),
        (lambda: area(1.2), r"probability is 1.2; expected a number in \[0, 1\]"),
        (lambda: area(-0.1), r"probability is -0.1; expected a number in \[0, 1\]"),
        (lambda: maps.MAPS["bridge"].hazard("toll"), "unknown preset of the map bridge 'toll': .* rare, codac"),
        (lambda: get_hazard("paper", TASK), "'paper' is not defined for .*; choose none or rare, codac, toll"),
        (
            lambda: Behaviour(maps.MAPS["gates"], {"left": 1.0}),
            "map gates has no rule 'left'; expected right, through, hesitant",
        ),
        (lambda: Behaviour(maps.MAPS["gates"], {"right": 0.7}), "expected numbers of at least 0 that sum to 1"),
        (lambda: Behaviour(maps.MAPS["gates"], {"right": 1.0}, 0.7), r"noise is 0.7; expected a number in \(0, 0.3"),
        (lambda: get_behaviour("risky-bandit"), "risky-bandit is no task of risky navigation"),
        (lambda: datasets.load(TASK, size=40), "size is 40; expected at least 50 transitions"),
        (lambda: datasets.load(TASK, seed=-1), "seed is -1"),
        (lambda: navigation.NavigationEnv().put(np.array([0.5, 2.0])), r"the start is \[0.5, 2.0\]; expected a point"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    with pytest.raises(RamacError, match=words) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_presets_are_regions_with_the_stated_risks():
    for task, (name, _) in NAVIGATION.items():
        for preset in maps.MAPS[name].dangers:
            hazard = get_hazard(preset, task)
            assert isinstance(hazard, Region)
            assert hazard.name == preset
    assert get_hazard(None, TASK).name == "rare"
    (disc,) = get_hazard("rare", TASK).areas
    assert (disc.probability, disc.penalty, disc.centre) == (0.03, -20.0, (0.5, 0.5))
    assert [(a.probability, a.penalty) for a in get_hazard("codac", TASK).areas] == [(0.1, -50.0)]
    assert get_hazard("toll", TASK).areas[0] == disc
