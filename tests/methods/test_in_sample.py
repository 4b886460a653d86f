"""In-sample values: expectiles of known laws, which way a cost's goes, losses by hand, chunks; IQL; limits."""

import logging

import numpy as np
import pytest
import torch
from method_helpers import OBS, S, assert_gradients, batch, episodes, intercept, make, scramble
from scipy.stats import norm

from ramac_lib.methods.shared.in_sample import chunk_return, expectile_loss, weights_of, worst_value
from ramac_lib.methods.shared.limits import cost_limit, episode_costs
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError

MIDDLES = (np.arange(20_000) + 0.5) / 20_000


# -- expectiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "tau", "expected"),
    [
        *[("rare", tau, m) for tau, m in ((0.1, 0.1220), (0.5, 1.0), (0.7, 2.0588), (0.9, 5.0), (0.99, 9.1667))],
        *[("normal", tau, m) for tau, m in ((0.1, -0.8616), (0.7, 0.3371), (0.9, 0.8616), (0.99, 1.7174))],
        *[("uniform", tau, m) for tau, m in ((0.1, 0.25), (0.5, 0.5), (0.7, 0.6044), (0.9, 0.75), (0.99, 0.9087))],
    ],
)
def test_the_loss_is_least_at_the_expectile(law, tau, expected):
    points = {"rare": np.where(MIDDLES < 0.9, 0.0, 10.0), "normal": norm.ppf(MIDDLES), "uniform": MIDDLES}[law]
    samples = torch.tensor(points, dtype=torch.float64)

    def slope(m):
        at = torch.tensor(m, dtype=torch.float64, requires_grad=True)
        return torch.autograd.grad(expectile_loss(samples - at, tau).mean(), at)[0].item()

    assert slope(expected - 2e-3) < 0 < slope(expected + 2e-3)


@pytest.mark.parametrize(("pair", "expected", "slip"), [("cost", 0.25, 0.75), ("reward", 0.75, 0.25)])
def test_a_costs_value_is_the_lower_expectile_and_a_rewards_the_upper(pair, expected, slip):
    """Q uniform on [0, 1], τ = .9. Eq. 11 of R2PAC as it is printed has a cost's V at .75."""
    method = make("r2pac", length=1, expectile=0.9)
    own, states = getattr(method, pair), torch.zeros(S, len(MIDDLES), OBS)
    own.action_value = lambda *_: torch.tensor(MIDDLES, dtype=torch.float32).expand(S, -1)
    head, seen = own.v.layers[-1], []
    own.optimizers[1].step = lambda loss: seen.append(torch.autograd.grad(loss.sum(), head.bias)[0])
    for value in (expected - 0.01, expected + 0.01, slip):
        with torch.no_grad():
            head.weight.zero_()
            head.bias.fill_(value)
        own.update_state_value(states, None)
    below, above, wrong = (float(gradient.mean()) for gradient in seen)
    assert below < 0 < above
    assert abs(wrong) > 0.3


def test_twins_count_by_the_worse_one():
    method, values = make("caps"), torch.tensor([[[1.0, 5.0], [3.0, 2.0]]] * S)
    assert method.reward.aggregate(values)[0].tolist() == [1, 2]
    assert method.cost.aggregate(values)[0].tolist() == [3, 5]


def test_gains_are_what_is_better_than_the_state():
    method, data = make("caps"), batch()
    q = method.reward.target(data.observations, data.actions).amin(1)
    v = method.reward.v(data.observations)[..., 0]
    torch.testing.assert_close(method.reward.gain(data.observations, data.actions), q - v)
    q, v = method.cost.target(data.observations, data.actions).amax(1), method.cost.v(data.observations)[..., 0]
    torch.testing.assert_close(method.cost.gain(data.observations, data.actions), v - q)


def test_weights_are_cut():
    gains = torch.tensor([[0.0, 1.0, -1.0, 100.0]])
    torch.testing.assert_close(
        weights_of(gains, 3.0)[0], torch.tensor([1.0, 20.0855, 0.0498, 100.0]), atol=1e-4, rtol=0
    )


# -- targets ----------------------------------------------------------------------------------------------------------


def test_the_return_of_a_chunk():
    rewards, following = torch.tensor([[[1.0, 2.0, 4.0], [1.0, 2.0, 0.0]]]), torch.tensor([[10.0, 10.0]])
    found = chunk_return(rewards, torch.tensor([[0.0, 1.0]]), following, 0.5)
    assert found.tolist() == [[1 + 1 + 1 + 10 / 8, 2.0]]  # a terminal state has nothing after it
    assert chunk_return(rewards[..., 0], torch.zeros(1, 2), following, 0.5).tolist() == [[6.0, 6.0]]


def test_chunks_are_biased_where_behaviour_reacts():
    """s₀ leads to one of two states, where the matching action pays 1 and leads back; γ = .9, chunks of 2.

    The value of s₀ is 4.7368 with actions chosen state by state, 2.3684 for one who commits to both. The data's chunks
    give 4.2632 where the behaviour matches in 90 %, 4.7368 where it always does; R2PAC's proposition 2 calls that
    unbiased. Single steps give 4.7368 whatever the behaviour.
    """

    def chunked(match):
        """The largest value over chunks (·, a) of the mean over rows, iterated to its limit."""
        value = torch.zeros(1, 1, dtype=torch.float64)
        for _ in range(300):
            paid = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]], dtype=torch.float64)
            rows = chunk_return(paid, torch.zeros(1, 2), value.expand(1, 2), 0.9)
            value = (match * rows[:, :1] + (1 - match) * rows[:, 1:]).clone()
        return value.item()

    assert chunked(0.9) == pytest.approx(4.2632, abs=1e-4)
    assert chunked(1.0) == pytest.approx(4.7368, abs=1e-4)
    assert chunked(0.5) == pytest.approx(2.3684, abs=1e-4)
    value = torch.zeros(1, 1, dtype=torch.float64)
    for _ in range(600):
        later = chunk_return(torch.ones(1, 1), torch.zeros(1, 1), value, 0.9)  # the best action where it pays
        value = chunk_return(torch.zeros(1, 1), torch.zeros(1, 1), later, 0.9)
    assert value.item() == pytest.approx(4.7368, abs=1e-4)


def test_an_absorbing_value_below_all_that_the_data_show():
    ended = episodes([2, 1], [1, 2, -3], None)
    assert worst_value(ended, 0.5) == pytest.approx(-3 - 0.1 * 5)
    # After a time-out the mean reward goes on: −1 for ever is −10, 1 for ever is 10.
    cut = episodes([3, 1], [-1, -1, -1, 1], None, terminal=False)
    assert worst_value(cut, 0.9) == pytest.approx(-10 - 0.1 * 20, rel=1e-5)


# -- IQL --------------------------------------------------------------------------------------------------------------


def test_each_loss_of_iql_by_hand():
    method, data = make("iql", expectile=0.7, target_rate=0.0), batch()
    for k, network in enumerate((method.reward.q, method.reward.target, method.reward.v, method.policy)):
        scramble(network, k)
    method.reward_unit.fill_(0.5)
    seen = intercept(method)
    method.update(data)
    states, actions = data.observations, data.actions
    q = method.reward.target(states, actions).amin(1).detach()
    v = method.reward.v(states)[..., 0]
    u = q - v
    value_loss = (torch.where(u < 0, 0.3, 0.7) * u**2).mean(1)
    torch.testing.assert_close(seen["critic_value"][0], value_loss.detach())
    assert_gradients(seen["critic_value"][1], value_loss, method.reward.v)

    weights = (3 * u.detach()).exp().clamp(max=100)
    law = torch.distributions.Normal(method.policy.mode(states), method.policy.log_std.exp())
    policy_loss = -(weights * law.log_prob(actions).sum(2)).mean(1)
    torch.testing.assert_close(seen["policy"][0], policy_loss.detach(), rtol=1e-4, atol=1e-4)
    assert_gradients(seen["policy"][1], policy_loss, method.policy)

    following = method.reward.v(data.next_observations)[..., 0].detach()
    target = 0.5 * data.rewards + 0.99 * (1 - data.terminals) * following
    critic_loss = (method.reward.q(states, actions) - target[:, None]).square().mean(2)
    torch.testing.assert_close(seen["critic"][0], critic_loss.detach(), rtol=1e-4, atol=1e-4)
    assert_gradients(seen["critic"][1], critic_loss, method.reward.q)


def test_iql_asks_about_no_action_that_the_data_lack():
    """Its policy enters no loss of the values."""
    method, other = make("iql"), make("iql")
    scramble(other.policy, 3, 2.0)
    for one in (method, other):
        for k in range(3):
            one.update(batch(k))
    for a, b in zip(method.reward.parameters(), other.reward.parameters(), strict=True):
        assert torch.equal(a, b)


def test_iql_plays_its_mean_and_answers_in_units_of_return():
    method, data = make("iql"), batch()
    with torch.no_grad():
        played = method.act(data.observations, Noise((0, 1), "evaluation"))
        assert torch.equal(played, method.policy.mode(data.observations))
        method.reward_unit.fill_(4.0)
        least = method.reward.q(data.observations, data.actions).amin(1)
        torch.testing.assert_close(method.value(data.observations, data.actions), least / 4)
    quantiles, taus = method.quantiles(data.observations, data.actions)
    assert quantiles.shape == (S, 2, 6, 1)
    assert taus.tolist() == [0.5]
    with pytest.raises(RamacError, match=r"there is no CVaR at 0\.1"):
        method.value(data.observations, data.actions, 0.1)


def test_rewards_are_scaled_by_the_range_of_returns():
    method = make("iql", dims=(1, 1))
    method.fit_data(episodes([2, 4], [1, 1, 5, 0, 0, 2], None))
    torch.testing.assert_close(method.reward_unit, torch.full((S, 1), 4 / 5))
    method.fit_data(episodes([1, 1], [3, 3], None))  # no range
    assert method.reward_unit.tolist() == [[1.0]] * S
    same = make("iql", dims=(1, 1), scale_rewards=False)
    same.fit_data(episodes([2, 4], [1, 1, 5, 0, 0, 2], None))
    assert same.reward_unit.tolist() == [[1.0]] * S


def test_a_wrong_expectile_is_refused():
    for value in (0.0, 1.0, float("nan")):
        with pytest.raises(RamacError, match=rf"expectile is {value}; expected a number in \(0, 1\)"):
            make("iql", expectile=value)


# -- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("horizon", "expected"), [(100, 6.34), (300, 3.17), (1000, 1.0)])
def test_a_limit_as_a_discounted_sum(horizon, expected):
    assert cost_limit(10, horizon, 0.99, "discounted") == pytest.approx(expected, abs=5e-3)


def test_a_limit_of_a_step_is_a_hundredth_of_that():
    assert cost_limit(10, 300, 0.99, "step") == pytest.approx(0.0317, abs=5e-5)
    assert cost_limit(10, 300, 0.0, "step") == cost_limit(10, 300, 0.0, "discounted") == pytest.approx(10 / 300)


def test_a_limit_of_an_episode_is_itself():
    assert cost_limit(10, 300, 0.99, "episode") == 10
    assert cost_limit(10, 300, 1.0, "discounted") == 10


@pytest.mark.parametrize("kind", ["episode", "discounted", "step"])
def test_a_run_has_the_same_thresholds(kind):
    method = make("caps", cost_limit=10.0, cost_horizon=300)
    torch.testing.assert_close(
        method.limit(kind), torch.full((S, 1), cost_limit(10.0, 300, 0.99, kind)), rtol=1e-4, atol=0
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1, 10, 0.9, "episode"), "the cost limit is -1; expected a number of at least 0"),
        ((float("nan"), 10, 0.9, "episode"), "the cost limit is nan"),
        ((1, 0, 0.9, "discounted"), "the cost limit's horizon is 0; expected at least 1 step"),
        ((1, 10, 1.1, "discounted"), "the cost limit's discount is 1.1; expected a number from 0, of at most 1"),
        ((1, 10, 1.0, "step"), "the cost limit's discount is 1.0; expected a number from 0, below 1"),
        ((1, 10, 0.9, "sum"), "unknown kind of cost limit 'sum': choose one of episode, discounted, step"),
    ],
)
def test_a_wrong_limit_is_refused(given, message):
    with pytest.raises(RamacError, match=message):
        cost_limit(*given)


@pytest.mark.parametrize("name", ["bc-safe", "r2pac", "caps"])
def test_limits_are_settings(name):
    with pytest.raises(RamacError, match=r"cost_limit is -0.5; expected a number of at least 0"):
        make(name, cost_limit=-0.5)
    with pytest.raises(RamacError, match="cost_share is -1; expected a number of at least 0"):
        make(name, cost_share=-1)


@pytest.mark.parametrize("name", ["bc-safe", "r2pac", "caps", "fisor"])
def test_data_without_costs_are_refused(name):
    with pytest.raises(RamacError, match="dataset: there are no costs; expected an array costs with one number"):
        make(name, dims=(1, 1)).fit_data(episodes([6, 6], np.zeros(12), None))


def test_the_limit_is_a_tenth_of_the_behaviours_cost_unless_given(caplog):
    data = episodes([2, 1, 3], np.zeros(6), [1, 1, 0, 2, 0, 2])
    assert episode_costs(data).tolist() == [2, 0, 4]
    for options, expected in (({}, 0.2), ({"cost_share": 0.5}, 1.0), ({"cost_limit": 3.0}, 3.0)):
        method = make("caps", dims=(1, 1), **options)
        caplog.clear()
        method.fit_data(data)
        assert not caplog.records
        torch.testing.assert_close(method.limits, torch.tensor([[expected, 3.0]]).repeat(S, 1))


@pytest.mark.parametrize("name", ["caps", "r2pac", "fisor", "bc-safe"])
def test_no_safe_episode_is_said_and_no_end(name, caplog):
    options, limit = ({}, 0) if name == "fisor" else ({"cost_limit": 0.5}, 0.5)
    method = make(name, dims=(1, 1), **options)
    with caplog.at_level(logging.WARNING):
        method.fit_data(episodes([2, 1], np.zeros(3), [1, 1, 3]))
    assert f"no episode costs at most {limit}; the least costly one has 2" in caplog.text
    if name != "fisor":
        assert method.limits[0].tolist() == [0.5, 2.0]


def test_a_stored_run_knows_its_limit():
    method, other = make("caps", cost_limit=7.0), make("caps", cost_limit=1.0)
    other.load_acting([method.deployed_state(i) for i in range(S)])
    assert other.limits[:, 0].tolist() == [7.0] * S
