"""The computed optima: numbers known beforehand, brute force on a small map, Monte Carlo, monotonicity, refusals."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import binom

from ramac_lib import risk
from ramac_lib.envs import play
from ramac_lib.envs.maps import MAPS, Area
from ramac_lib.system.errors import RamacError
from support.navigation import nested as nests
from support.navigation.nested import nested
from support.navigation.optimum import Grid, Static, neutral, pessimist
from support.navigation.plans import Executor, told

ALPHAS = (1.0, 0.9, 0.8, 0.5, 0.2, 0.1)
# The numbers that the map was chosen by: eight steps through, four of them inside, or twelve steps round.
STRAIGHT, ROUND = -5.44, -8.43


def grid(name="obstacle", preset="rare", points=51):
    return Grid(MAPS[name], MAPS[name].hazard(preset), points)


@pytest.fixture(scope="module")
def static():
    return Static(grid(), min(ALPHAS))


@pytest.fixture(scope="module")
def toll():
    return Static(grid(preset="toll"), 0.1, 0.01)


# -- what was known beforehand ----------------------------------------------------------------------------------------


def test_the_known_numbers_of_the_obstacle(static):
    straight, round_it = neutral(static.grid), static.plan(0.1)
    assert told(straight) == {
        "mean": pytest.approx(-7.84, abs=0.005), "cvar": pytest.approx(-26.5, abs=0.005), "steps": 8, "inside": 4,
        "route": "through",
    }  # fmt: skip
    assert straight.law[0].max() == pytest.approx(STRAIGHT, abs=0.005)
    about = told(round_it)
    assert (about["steps"], about["inside"], about["route"] in ("left", "right")) == (12, 0, True)
    assert about["mean"] == about["cvar"] == pytest.approx(ROUND, abs=0.005)
    # The straight way's law by hand: a binomial number of penalties.
    values, masses = straight.law
    assert masses[::-1] == pytest.approx(binom.pmf(np.arange(5), 4, 0.03))
    assert np.diff(values) == pytest.approx(20)


def test_under_codacs_risk_the_long_way_is_best_in_both():
    codac = grid(preset="codac")
    assert neutral(codac).mean == pytest.approx(ROUND, abs=0.005)
    assert told(neutral(codac))["inside"] == 0


@pytest.mark.parametrize("name", MAPS)
def test_under_the_rare_risk_mean_and_tail_disagree_on_every_map(name):
    own = grid(name)
    best = Static(own, 0.1).plan(0.1)
    assert neutral(own).mean > best.mean + 0.3
    assert best.cvar(0.1) > neutral(own).cvar(0.1) + 3


def test_with_a_toll_the_three_criteria_part(toll):
    """The tolled tenth is the tail: there only the mean counts, which the state-wise measure does not see."""
    plans = neutral(toll.grid), toll.plan(0.1), nested(toll.grid)
    means, tails = [p.mean for p in plans], [p.cvar(0.1) for p in plans]
    assert means[0] > means[1] > means[2]
    assert tails[1] > tails[0] > tails[2] + 0.5
    point, level = toll.plan(0.1).go(int(toll.grid.starts[0]), toll.plan(0.1).memory)
    assert level > 0
    assert toll.plan(0.1).struck(point, level) < level  # it goes on otherwise once it has paid


# -- brute force ------------------------------------------------------------------------------------------------------


def square(p, penalty, low, high):
    return Area(-penalty, p, corners=((low, low), (high, low), (high, high), (low, high)))


def four():
    """A grid of 4 × 4 points, a move apart, with one risk about the start and another about the goal."""
    areas = square(0.1, 4.0, -0.2, 0.5), square(0.3, 2.0, 0.5, 1.2)
    changes = {"start": (0.0, 0.0), "goal": (1.0, 1.0), "step": 1 / 3, "dangers": {"own": areas}, "ways": {}}
    world = replace(MAPS["obstacle"], name="four", **changes)
    return Grid(world, world.hazard("own"), 4)


def brute(own, value, horizon):
    """Return the least expected `value(y)` by trying every policy that knows time, point and what was earned."""
    points = [(i, j) for i in range(4) for j in range(4)]
    cost, p, c = ({s: round(float(f[s]), 9) for s in points} for f in (own.costs, own.p, own.penalty))
    near = {s: [q for q in points if q != s and max(abs(q[0] - s[0]), abs(q[1] - s[1])) <= 1] for s in points}

    @cache
    def best(left, s, y):
        if own.goal[s] or left == 0:
            return value(y) if own.goal[s] else np.inf
        here, found = round(y + cost[s], 9), np.inf
        for q in near[s]:
            worth = (1 - p[q]) * best(left - 1, q, here)
            if p[q]:
                worth += p[q] * best(left - 1, q, round(here + c[q], 9))
            found = min(found, worth)
        return found

    return best


def test_a_small_map_agrees_with_brute_force():
    """The neutral value, W at several levels of y, and the CVaR that it leads to."""
    own, steps = four(), 5
    mean = brute(own, lambda y: y, steps)(steps, (0, 0), 0.0)
    assert neutral(own).mean == pytest.approx(-mean, abs=1e-6)
    found = Static(own, 0.05, resolution=0.002, weight=0.0)
    shortfall = brute(own, lambda y: max(y, 0.0), steps)
    levels = np.linspace(200, len(found.w) - 1, 6).astype(int).tolist()
    exact = np.array([shortfall(steps, (0, 0), -k * 0.002) for k in levels])
    assert len(set(exact.round(6))) > 3
    assert np.abs(found.w[levels, 0, 0] - exact).max() <= steps * 0.002 / 2 + 1e-9
    for alpha in (0.5, 0.1):
        plan = found.plan(alpha)
        best = max(-k * 0.002 - e / alpha for k, e in zip(levels, exact, strict=True))
        assert plan.cvar(alpha) >= best - 1e-6
        values, masses = plan.law
        var = risk.value_at_risk_of_law(values, masses, alpha)
        assert plan.cvar(alpha) <= var - shortfall(steps, (0, 0), float(var)) / alpha + 1e-6
        assert plan.cvar(alpha) <= found.bound(alpha, steps)


@pytest.mark.parametrize("own", [four, lambda: grid(preset="toll"), lambda: grid("gates")])
def test_the_nested_plan_is_a_fixed_point(own):
    """In no point would another move have a better CVaR of its discounted return, laws found by following the plan."""
    own, alpha, discount = own(), 0.1, 0.99
    plan = nested(own, alpha, discount)
    assert plan.settled
    n, p, c = own.points, own.p.reshape(-1), own.penalty.reshape(-1)

    @cache
    def landed(point):
        """The law of what is earned from a landing on, as sorted pairs."""
        law = {}
        for value, mass in later(point):
            for share, loss in ((1 - p[point], 0.0), (p[point], c[point])):
                law[discount * value - loss] = law.get(discount * value - loss, 0.0) + mass * share
        return tuple((v, m) for v, m in law.items() if m > 0)

    @cache
    def later(point):
        if own.goal.flat[point]:
            return ((0.0, 1.0),)
        return tuple((v - own.costs.flat[point], m) for v, m in landed(int(plan.to[point])))

    @cache
    def worth(point):
        return risk.risk_of_law(*map(np.array, zip(*landed(point), strict=True)), "cvar", alpha=alpha)

    rng = np.random.default_rng(0)
    for point in rng.choice(n * n, min(n * n, 60), replace=False):
        if own.wall.flat[point] or own.goal.flat[point]:
            continue
        (i, j), r = divmod(int(point), n), own.reach
        rows, columns = (range(max(0, k - r), min(n, k + r + 1)) for k in (i, j))
        best = max(worth(a * n + b) for a in rows for b in columns if not own.wall[a, b])
        assert worth(int(plan.to[point])) == pytest.approx(best, abs=1e-9)


# -- Monte Carlo ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["straight", "round", "adaptive"])
def test_a_plan_earns_in_the_environment_what_was_computed(which, static, toll):
    solved = toll if which == "adaptive" else static
    plan = neutral(solved.grid) if which == "straight" else solved.plan(0.1)
    hazard = plan.grid.hazard
    runs = play.rollouts(Executor(plan), "NavigationObstacle-v0", hazard, 50, (3,), 1500, drop=True)
    returns = np.array([run.ret for run in runs])
    values, masses = plan.law
    assert np.abs(returns[:, None] - values).min(axis=1).max() < 1e-3  # every return is one of the law's
    assert returns.mean() == pytest.approx(plan.mean, abs=4 * returns.std() / len(returns) ** 0.5 + 1e-3)
    observed = [(np.abs(returns - v) < 1e-3).mean() for v in values]
    assert np.abs(np.array(observed) - masses).max() < 4 * 0.5 / len(returns) ** 0.5
    assert {run.length for run in runs} <= {8, 12}


def test_episodes_from_several_starts_are_mixed():
    world = replace(MAPS["obstacle"], spread=0.02)
    wide = Grid(world, world.hazard("rare"))
    assert len(wide.starts) == 9
    assert neutral(wide).mean == pytest.approx(neutral(grid()).mean, abs=0.05)
    everywhere = Grid(replace(world, spread=None), world.hazard("rare"))
    assert len(everywhere.starts) == 51 * 51
    seen = Executor(neutral(wide))(torch.tensor([[[0.5, 0.9, 0.1, 0.1]]]))
    assert seen.shape == (1, 1, 2)


# -- properties -------------------------------------------------------------------------------------------------------


def test_the_optimum_is_monotone_in_alpha_and_above_all_others(static):
    plans = [static.plan(alpha) for alpha in ALPHAS]
    tails = [plan.cvar(alpha) for alpha, plan in zip(ALPHAS, plans, strict=True)]
    assert (np.diff(tails) <= 1e-9).all()  # a lower level, a lower best
    assert (np.diff([plan.mean for plan in plans]) <= 1e-9).all()
    assert plans[0].mean == neutral(static.grid).mean
    for alpha, tail in zip(ALPHAS, tails, strict=True):
        others = neutral(static.grid), pessimist(static.grid, alpha), nested(static.grid, alpha)
        assert all(tail >= other.cvar(alpha) - 1e-9 for other in others)
        assert tail <= static.bound(alpha) <= tail + 51 * static.resolution / 2 + 0.1


def test_the_means_weight_leads_along_the_frontier(toll):
    free = [Static(toll.grid, 0.1, 0.05, weight=w).plan(0.1) for w in (0.0, 1.0, 30.0)]
    assert [round(p.mean, 3) for p in free] == sorted(round(p.mean, 3) for p in free)
    assert [round(p.cvar(0.1), 2) for p in free] == sorted((round(p.cvar(0.1), 2) for p in free), reverse=True)
    assert free[-1].mean == pytest.approx(neutral(toll.grid).mean)


def test_a_finer_grid_adds_little():
    fine = grid(points=101)
    assert neutral(fine).mean == pytest.approx(neutral(grid()).mean, abs=1e-3)
    assert 0 <= pessimist(fine, 0.1).mean - pessimist(grid(), 0.1).mean < 0.02


# -- bad input --------------------------------------------------------------------------------------------------------

OBSTACLE, GATES = MAPS["obstacle"], MAPS["gates"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grid("gates", points=18), "a grid of 18 points, 0.0588 apart, is too coarse for the map gates"),
        (lambda: grid(points=11), None),
        (lambda: grid(points=6), "6 points, 0.2 apart, is too coarse for the map obstacle; expected at most 0.1"),
        (lambda: grid(points=1), "a grid of 1 points has no moves"),
        (lambda: Grid(replace(OBSTACLE, noise=0.01), OBSTACLE.hazard("rare")), "has noise 0.01; the optimum is exact"),
        (lambda: Grid(replace(OBSTACLE, start=(0.853, 0.86)), OBSTACLE.hazard("rare")), "no point .* is the start"),
        (lambda: Static(grid(points=51), resolution=0.0), "resolution is 0.0; expected a number above 0"),
        (lambda: Static(grid(), resolution=0.3), "a penalty is no multiple of the resolution 0.3"),
        (lambda: Static(grid(), 0.1, 0.05).plan(0.05), r"alpha is 0.05; expected a number in \[0.1, 1\]"),
        (lambda: nested(grid(), 1.5), r"alpha is 1.5; expected a number in \(0, 1\]"),
        (lambda: nested(grid(), 0.1, 1.2), r"discount is 1.2; expected a number in \(0, 1\]"),
        (lambda: pessimist(grid(), 0.0), r"alpha is 0.0; expected a number in \(0, 1\]"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    if words is None:  # the start is no point of this grid
        words = "is the start"
    with pytest.raises(RamacError, match=words) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_it_is_said_where_sweeps_do_not_settle(monkeypatch):
    monkeypatch.setattr(nests, "SETTLED", 3)
    assert not nested(grid()).settled
