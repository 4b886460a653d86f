"""The Risky Bandit: samples, densities and estimates against its exact laws."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from scipy import stats
from scipy.integrate import dblquad, quad
from scipy.optimize import brentq

from ramac_lib import risk
from ramac_lib.datasets import bandit as datasets_bandit
from ramac_lib.envs import bandit as rb
from ramac_lib.system.errors import RamacError

BANDIT = rb.Bandit()


def at(*radii: float) -> np.ndarray:
    """Return actions of these radii, in different directions."""
    angles = np.arange(len(radii)) * 1.3
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def inside(successes: float, n: int, p: float) -> bool:
    """Return whether a count lies in the central 99.99 % of its binomial law."""
    low, high = stats.binom.interval(0.9999, n, p)
    return low <= successes <= high


# -- the behaviour law --------------------------------------------------------------------------------------------


def test_behaviour_frequencies_are_the_laws_own():
    n = 200_000
    actions = BANDIT.sample_behaviour(n, np.random.default_rng(0))
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    region, radius = BANDIT.region(actions), np.hypot(*actions.T.astype(float))
    ring, centre = region == "ring", region == "centre"
    assert (ring | centre).all()
    assert inside(ring.sum(), n, 0.8)
    # Laws by scipy, not by our own formulas: the radius of each mode, and the angle.
    ring_law = stats.truncnorm(-3, 3, loc=0.85, scale=0.05)
    assert stats.kstest(radius[ring], ring_law.cdf).pvalue > 1e-3
    rayleigh = stats.rayleigh(scale=0.1)
    assert stats.kstest(radius[centre], lambda r: rayleigh.cdf(r) / rayleigh.cdf(0.3)).pvalue > 1e-3
    angle = np.arctan2(actions[:, 1], actions[:, 0])
    assert stats.kstest(angle[ring], stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


def test_density_integrates_to_one_over_the_box_and_to_the_shares_over_the_modes():
    def over(low: float, high: float) -> float:
        return quad(lambda r: 2 * np.pi * r * float(BANDIT.density([r, 0.0])), low, high, epsabs=1e-10)[0]

    assert over(0, 0.3) == pytest.approx(0.2, abs=1e-6)
    assert over(0.7, 1.0) == pytest.approx(0.8, abs=1e-5)
    assert over(0.7, 0.85) == pytest.approx(0.4, abs=1e-5)  # the radius is symmetric, its density by area is not
    # Over the box itself: on a fine grid of midpoints, one quadrant (the law is symmetric).
    axis = (np.arange(2000) + 0.5) / 2000
    quadrant = np.stack(np.meshgrid(axis, axis), axis=-1)
    assert 4 * BANDIT.density(quadrant).mean() == pytest.approx(1, abs=1e-4)


def test_density_agrees_with_sampled_mass_of_an_oblong():
    n = 400_000
    actions = BANDIT.sample_behaviour(n, np.random.default_rng(1))
    hits = ((actions > [0.5, 0.3]) & (actions < [0.7, 0.6])).all(axis=1).sum()
    mass = dblquad(lambda y, x: float(BANDIT.density([x, y])), 0.5, 0.7, 0.3, 0.6, epsabs=1e-4)[0]
    assert inside(hits, n, mass)


def test_support_is_where_the_density_is_positive():
    actions = np.random.default_rng(2).uniform(-1, 1, (100_000, 2))
    radius = np.hypot(*actions.T)
    far = np.abs(radius[:, None] - [0.3, 0.7, 1.0]).min(axis=1) > 2e-6  # from an edge, where float32 blurs it
    actions, radius = actions[far], radius[far]
    assert len(actions) > 99_000
    want = (radius <= 0.3) | ((radius >= 0.7) & (radius <= 1.0))
    assert (BANDIT.support(actions) == want).all()
    assert ((BANDIT.density(actions) > 0) == want).all()
    assert (np.isfinite(BANDIT.log_density(actions)) == want).all()
    assert BANDIT.log_density(at(0.85, 0.5))[1] == -np.inf


def test_float32_does_not_push_edge_actions_out_of_the_support():
    edges = at(*[0.3, 0.7, 1.0] * 200).astype(np.float32)
    assert BANDIT.support(edges).all()
    assert not BANDIT.support(at(0.30001, 0.69999, 1.00001)).any()


def test_regions():
    actions = np.concatenate([at(0, 0.29, 0.31, 0.49, 0.69, 0.71, 0.99), [[0.8, 0.8], [1.0, 1.0]]])
    assert BANDIT.region(actions).tolist() == ["centre"] * 2 + ["gap"] * 3 + ["ring"] * 2 + ["outside"] * 2
    assert BANDIT.mode(actions).tolist() == ["centre"] * 4 + ["ring"] * 5


# -- the reward law -----------------------------------------------------------------------------------------------


def test_the_ring_wins_in_mean_and_loses_in_cvar():
    assert BANDIT.reward_mean("ring") == pytest.approx(1.8 - 0.05 * 10)
    assert BANDIT.reward_mean("ring") > BANDIT.reward_mean("centre") == 1
    assert BANDIT.reward_risk("ring") == pytest.approx(1.8 - 0.05 * 10 / 0.1)
    assert BANDIT.reward_risk("ring") < BANDIT.reward_risk("centre") == 1
    assert BANDIT.reward_risk("ring", "wang") < 1 < BANDIT.reward_risk("ring", "neutral")
    assert (BANDIT.ring_reward - BANDIT.centre_reward) / BANDIT.trap_penalty == pytest.approx(0.08)


def test_sampled_rewards_follow_the_law():
    n = 200_000
    rng = np.random.default_rng(3)
    rewards = BANDIT.sample_rewards(np.repeat(at(0.85), n, axis=0), rng)
    assert inside((rewards < 0).sum(), n, 0.05)
    assert set(np.round(rewards, 9)) == {1.8, -8.2}
    assert risk.cvar(rewards) == pytest.approx(BANDIT.reward_risk("ring"), abs=0.2)
    assert (BANDIT.sample_rewards(np.repeat(at(0.2), 1000, axis=0), rng) == 1).all()


def test_reward_quantiles():
    np.testing.assert_allclose(BANDIT.reward_quantile("ring", [0.01, 0.05, 0.0501, 1.0]), [-8.2, -8.2, 1.8, 1.8])
    np.testing.assert_allclose(BANDIT.reward_quantile("centre", [0.0, 1.0]), 1)


@pytest.mark.parametrize(
    ("n", "value"),
    # Bins whose midpoint is at most .05 carry the penalty: 1 of 1.6 bins at N = 16, 2 of 3.2 at 32, 2 of 4 at 40.
    [(8, 1.8), (16, 1.8 - 10 / 1.6), (20, -3.2), (32, 1.8 - 20 / 3.2), (40, -3.2), (64, 1.8 - 30 / 6.4)],
)
def test_grid_functional(n, value):
    assert BANDIT.grid_risk("ring", risk.weights("cvar", n)) == pytest.approx(value)
    assert BANDIT.grid_risk("centre", risk.weights("cvar", n)) == pytest.approx(1)


def test_huber_quantile_regression_on_the_data_can_reach_the_grid_functional_at_40_fractions():
    # The optimum of the paper's critic loss without a network: what any critic can at best learn from these data.
    data = datasets_bandit.dataset(seed=1)
    rewards = data.rewards[BANDIT.region(data.actions) == "ring"].astype(float)
    w = risk.weights("cvar", 40)

    def slope(q: float, tau: float) -> float:
        delta = rewards - q
        return float(np.mean(np.where(delta < 0, 1 - tau, tau) * np.clip(delta, -1, 1)))

    fitted = [brentq(slope, -20, 20, args=(tau,)) for tau in risk.grid(40)[:4]]
    assert np.dot(w[:4], fitted) == pytest.approx(BANDIT.grid_risk("ring", w), abs=0.05 * BANDIT.trap_penalty)


# -- a policy's numbers -------------------------------------------------------------------------------------------


def test_evaluate_known_policies():
    centre = BANDIT.evaluate(at(0.1, 0.2))
    assert centre == {
        **{"centre": 1, "gap": 0, "ring": 0, "outside": 0, "ood": 0},
        **{"expected_reward": pytest.approx(1), "cvar": pytest.approx(1), "action_cvar": pytest.approx(1)},
    }
    # Half ring, half centre: the trap strikes 2.5 % of the time, the rest of the lowest tenth is the centre's reward.
    half = BANDIT.evaluate(at(0.1, 0.9))
    assert half["expected_reward"] == pytest.approx((1 + 1.3) / 2)
    assert half["cvar"] == pytest.approx((0.025 * -8.2 + 0.075 * 1) / 0.1)
    assert half["action_cvar"] == pytest.approx((1 - 3.2) / 2)
    assert BANDIT.evaluate(at(0.1, 0.9), alpha=1)["cvar"] == pytest.approx(half["expected_reward"])
    # Off the support: near the centre, near the ring, and a corner; the nearest mode's reward, all of it OOD.
    off = BANDIT.evaluate(np.concatenate([at(0.4, 0.6), [[1.0, -1.0]]]))
    assert off["ood"] == pytest.approx(1)
    assert (off["gap"], off["outside"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert off["expected_reward"] == pytest.approx((1 + 1.3 + 1.3) / 3)


def test_evaluate_agrees_with_drawn_rewards():
    rng = np.random.default_rng(5)
    actions = rng.uniform(-1, 1, (400_000, 2))
    numbers, rewards = BANDIT.evaluate(actions), BANDIT.sample_rewards(actions, rng)
    assert numbers["expected_reward"] == pytest.approx(rewards.mean(), abs=0.02)
    assert numbers["cvar"] == pytest.approx(float(risk.cvar(rewards)), abs=0.15)
    area_outside = 1 - np.pi / 4
    assert inside(numbers["outside"] * 400_000, 400_000, area_outside)
    assert numbers["ood"] == pytest.approx(numbers["gap"] + numbers["outside"])


# -- the dataset and the environment ------------------------------------------------------------------------------


def test_the_dataset_is_reproducible_and_says_how_it_was_made():
    data = datasets_bandit.dataset(size=5000, seed=3)
    assert data.sha256() == datasets_bandit.dataset(**{key: data.recipe[key] for key in ("size", "seed")}).sha256()
    assert data.sha256() != datasets_bandit.dataset(size=5000, seed=4).sha256()
    assert data.terminals.all()
    assert not data.timeouts.any()
    assert data.observations.shape == (5000, 1)
    assert not data.observations.any()
    assert BANDIT.support(data.actions).all()
    assert data.recipe["trap_probability"] == 0.05
    ring = BANDIT.region(data.actions) == "ring"
    assert inside((data.rewards[ring] < 0).sum(), int(ring.sum()), 0.05)
    np.testing.assert_allclose(data.rewards[~ring], 1)


def test_other_constants_reach_the_data():
    other = rb.Bandit(trap_probability=0.5, trap_penalty=2.0)
    data = datasets_bandit.dataset(size=2000, bandit=other)
    assert data.rewards.min() == pytest.approx(-0.2)
    assert data.recipe["trap_penalty"] == 2


def test_the_environment_passes_gymnasiums_checker():
    check_env(gymnasium.make(rb.ENV_ID).unwrapped, skip_render_check=True)


def test_the_environment_pays_the_law_and_says_what_happened():
    env = gymnasium.make(rb.ENV_ID)
    action = np.array([0.85, 0.0], np.float32)
    env.reset(seed=0)
    struck = 0
    for _ in range(2000):
        _, reward, terminated, truncated, info = env.step(action)
        assert terminated
        assert not truncated
        assert reward == pytest.approx(1.8 + info["penalty"])
        assert info["violation"] is True
        assert info["region"] == "ring"
        assert info["monitored"] == pytest.approx(0.85)
        struck += info["penalty"] < 0
        observation, _ = env.reset()
        assert (observation == np.zeros(1)).all()
    assert inside(struck, 2000, 0.05)
    _, reward, _, _, info = env.step(np.zeros(2, np.float32))
    assert (reward, info["violation"], info["penalty"], info["region"]) == (1.0, False, 0.0, "centre")


def test_the_environment_is_seeded():
    def rewards(seed: int) -> list[float]:
        env = gymnasium.make(rb.ENV_ID)
        env.reset(seed=seed)
        drawn = []
        for _ in range(100):
            drawn.append(env.step(np.array([0.0, 0.9], np.float32))[1])
            env.reset()
        return drawn

    assert rewards(1) == rewards(1) != rewards(2)


def test_the_environment_works_as_a_vector():
    envs = gymnasium.make_vec(rb.ENV_ID, num_envs=3, vectorization_mode="sync")
    envs.reset(seed=0)
    _, _, terminations, _, infos = envs.step(np.array([[0, 0], [0, 0.5], [0.9, 0]], np.float32))
    assert terminations.all()
    np.testing.assert_allclose(infos["monitored"], [0, 0.5, 0.9], atol=1e-6)
    envs.close()


# -- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rb.Bandit(trap_probability=1.2), "trap_probability is 1.2"),
        (lambda: rb.Bandit(ring_sigma=0), "ring_sigma is 0"),
        (lambda: rb.Bandit(trap_penalty=-10), "trap_penalty is -10"),
        (lambda: rb.Bandit(ring_reward=float("nan")), "ring_reward is nan"),
        (lambda: rb.Bandit(ring_radius=0.93), "spans 0.78 to 1.08"),
        (lambda: rb.Bandit(centre_sigma=0.3), "ends at radius 0.9"),
        (lambda: BANDIT.reward_law("gap"), "unknown mode of the bandit 'gap'.*centre, ring"),
        (lambda: BANDIT.evaluate(np.empty((0, 2))), r"shape \(0, 2\)"),
        (lambda: BANDIT.evaluate(np.zeros((4, 3))), r"shape \(4, 3\)"),
        (lambda: BANDIT.evaluate(np.array([[0.0, np.nan]])), "actions hold nan"),
        (lambda: BANDIT.evaluate(np.zeros((1, 2)), alpha=0), "alpha is 0"),
        (lambda: datasets_bandit.dataset(size=0), "size is 0"),
        (lambda: datasets_bandit.dataset(seed=-1), "seed is -1"),
    ],
)
def test_bad_input_is_refused_with_the_value(call, words):
    with pytest.raises(RamacError, match=words):
        call()
