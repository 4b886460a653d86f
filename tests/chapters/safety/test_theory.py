"""The theory of methods with a limit of cost, counted out in small worlds."""

from fractions import Fraction

import numpy as np
import pytest

from support.safety import stationary, theory, worlds

F = Fraction
HALF, NINE = F(1, 2), F(9, 10)


# -- Proposition 1 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("penalty", [1, 40, 10**9])
def test_proposition_1_is_false_where_no_state_is_unsafe(penalty):
    found = theory.loops(F(penalty))
    assert (found.safe_cost, found.unsafe_cost) == (0, 10)
    assert (found.safe_value, found.unsafe_value) == (0, 10)
    assert not found.holds
    assert worlds.least_cost(theory.LOOPS, NINE) == {"s": 0}
    assert theory.published_constant(F(0), F(1), HALF) == 20


def test_the_published_constant_is_forty_times_what_one_world_needs():
    assert theory.published_constant(F(-1), F(1), HALF) == 40
    assert not theory.entrance(F(1)).holds  # −10 either way
    assert theory.entrance(F(1)).unsafe_value == theory.entrance(F(1)).safe_value == -10
    assert theory.entrance(F(1001, 1000)).holds
    assert theory.entrance(F(0)).unsafe_value == 0


def test_a_penalty_of_one_is_a_reward_where_rewards_are_lower():
    """R2PAC's table 5 has C̄ = −1 and −10; a state that pays −1 for ever has −10."""
    absorbed, resting = -1, theory.entrance(F(1)).safe_value
    assert absorbed > resting


def test_the_sharp_constant_is_the_published_one_less_the_highest_reward():
    sharp = theory.sharp_constant(F(-1), F(1), HALF)
    assert sharp == 39
    at = theory.corridor(sharp)
    assert (at.safe_cost, at.unsafe_cost) == (0, HALF)
    assert at.safe_value == at.unsafe_value == -10
    assert theory.corridor(sharp + F(1, 1000)).holds
    assert not theory.corridor(sharp - F(1, 1000)).holds


@pytest.mark.parametrize("penalty", [40, 10**6])
def test_safe_policies_that_cost_something_can_be_worth_less_than_unsafe_ones(penalty):
    small, large = (theory.costly_safe(F(penalty), F(1, margin)) for margin in (10**8, 10))
    assert small.safe_cost == HALF < small.unsafe_cost == HALF + F(1, 10**8)
    assert not small.holds
    assert large.holds == (penalty == 10**6)


# -- Proposition 2 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("match", "from_data"), [(HALF, 2.3684), (NINE, 4.2632), (F(1), 4.7368)])
def test_values_of_chunks_are_biased_where_the_data_react_to_states(match, from_data):
    found = theory.chunk_values(match)
    assert (found.closed_loop, found.open_loop) == (F(90, 19), F(45, 19))
    assert float(found.closed_loop) == pytest.approx(4.7368, abs=1e-4)
    assert float(found.open_loop) == pytest.approx(2.3684, abs=1e-4)
    assert float(found.from_data) == pytest.approx(from_data, abs=1e-4)
    assert found.from_data == F(90, 19) * match


@pytest.mark.parametrize("match", [HALF, NINE, F(1)])
def test_chunks_of_one_step_are_not_biased(match):
    found = theory.chunk_values(match, length=1)
    assert found.from_data == found.open_loop == found.closed_loop == F(90, 19)


def test_the_exact_solver():
    assert worlds.solve([[0, 2], [3, 1]], [4, 5]) == [1, 2]
    with pytest.raises(ValueError, match="column 1 of the matrix has no pivot"):
        worlds.solve([[1, 1], [1, 1]], [1, 2])


# -- COptiDICE --------------------------------------------------------------------------------------------------------

WORLD = stationary.Tabular()


@pytest.mark.parametrize(
    ("limit", "reward", "price"), [(1.0, 1.72, None), (0.3, 0.719, 1.43), (0.1, 0.3906, 1.726), (0.0, 0.218, 1.726)]
)
def test_the_linear_programme_of_coptidice(limit, reward, price):
    found = stationary.linear_programme(WORLD, limit)
    assert found.reward == pytest.approx(reward, abs=5e-4)
    assert found.cost <= limit + 1e-9
    if limit == 0.3:
        assert found.distribution == pytest.approx([0.70, 0.021, 0, 0.279], abs=1e-3)
        assert found.distribution / WORLD.occupancy(WORLD.behaviour) == pytest.approx(
            [2.3529, 0.0706, 0, 1.3778], abs=2e-4
        )
    if 0 < limit < 1:
        assert found.price == pytest.approx(price, abs=5e-3)


def test_the_regularised_solution_and_its_limit():
    data = WORLD.occupancy(WORLD.behaviour)
    assert data == pytest.approx([0.2975, 0.2975, 0.2025, 0.2025], abs=5e-5)
    found = stationary.regularised(WORLD, 0.3, 1.0)
    assert found.distribution / data == pytest.approx([1.7738, 0.6498, 0.8509, 0.5269], abs=2e-4)
    assert (found.cost, found.reward) == (pytest.approx(0.3, abs=1e-5), pytest.approx(0.5812, abs=1e-4))
    assert found.distribution.sum() == pytest.approx(1, abs=1e-6)
    exact = stationary.linear_programme(WORLD, 0.3).reward
    gaps = [exact - stationary.regularised(WORLD, 0.3, strength).reward for strength in (1.0, 0.5, 0.1)]
    assert gaps[0] == pytest.approx(0.138, abs=1e-3)
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 1e-6  # a weak divergence leaves the vertex where it is


def test_what_one_next_state_at_a_time_makes_of_coptidice():
    """It believes in a world whose better moves are more frequent: more than the optimum, and then plays far less."""
    best = stationary.linear_programme(WORLD, 0.3).reward
    whole, single = (stationary.regularised(WORLD, 0.3, 0.1, sampled) for sampled in (False, True))
    assert (whole.reward, stationary.played(WORLD, whole.distribution)[0]) == pytest.approx((best, best), abs=1e-6)
    assert single.reward == pytest.approx(0.7694, abs=1e-4)
    assert single.reward > best
    assert stationary.played(WORLD, single.distribution) == pytest.approx((0.3985, 0.1046), abs=1e-4)
    certain = stationary.Tabular(moves=np.array([[[1.0, 0.0], [0.0, 1.0]]] * 2))
    same = [stationary.regularised(certain, 0.3, 0.1, sampled).distribution for sampled in (False, True)]
    assert same[0] == pytest.approx(same[1], abs=1e-6)


def test_a_limit_on_the_wrong_scale_is_none():
    """A cost a step of at most 1 against κ = 10 over 100 steps as a discounted sum, 6.34, and as a cost a step."""
    as_sum = 10 * (1 - 0.99**100) / (0.01 * 100)
    assert as_sum == pytest.approx(6.34, abs=5e-3)
    free, wrong = (stationary.regularised(WORLD, limit, 1.0) for limit in (1.0, as_sum))
    assert wrong.price == free.price == 0
    assert np.allclose(wrong.distribution, free.distribution)
    assert stationary.regularised(WORLD, 0.3, 1.0).price > 0.1


def test_a_limit_below_every_cost_is_refused():
    with pytest.raises(ValueError, match="no stationary distribution costs at most"):
        stationary.linear_programme(WORLD, -0.1)


# -- CAPS, FISOR, TREBI -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "head"), [(F(5), 0), (F(2), 1), (HALF, 1), (F(4), 1), (F(0), 1)])
def test_which_head_caps_plays(limit, head):
    assert theory.caps_head((F(5), F(3)), (F(4), F(1)), limit) == head


def test_what_is_left_of_caps_limit():
    found = theory.caps_limits(F(2), 3, (F(1), F(1)), HALF)
    assert found == [F(2) * F(7, 4) / 3, F(1) * F(3, 2) / 2, F(0)]
    assert float(theory.caps_limits(F(10), 300, (), F(99, 100))[0]) == pytest.approx(3.17, abs=5e-3)


def test_how_far_ahead_fisor_looks():
    far, near = F(25), F(1)
    gamma = F(99, 100)
    found = theory.fisor_values(3, far, gamma)
    assert [float(v) for v in found] == pytest.approx([25, 24.74, 24.4826, 24.2278], abs=1e-4)
    assert all(v == 26 * gamma**k - 1 for k, v in enumerate(found))
    assert (theory.fisor_horizon(far, gamma), theory.fisor_horizon(near, gamma)) == (324, 68)
    values = theory.fisor_values(325, far, gamma)
    assert values[324] > 0 > values[325]


def test_trebis_budget():
    found = theory.trebi_budgets(F(5), (F(1), F(0), F(2)), NINE)
    assert [float(b) for b in found] == pytest.approx([5, 4.4444, 4.9383, 3.2647], abs=5e-5)
