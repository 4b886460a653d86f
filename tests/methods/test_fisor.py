"""FISOR: how far its feasibility looks ahead, its targets, weights and loss by hand, the candidate that is played."""

import dataclasses

import pytest
import torch
from method_helpers import S, assert_gradients, batch, intercept, make, scramble

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import get_method
from ramac_lib.methods.shared.in_sample import expectile_loss
from ramac_lib.networks.noise import Noise, SamplerNoise
from ramac_lib.system.errors import RamacError


def targets(following, cost=0.0, terminal=0.0, **options):
    """The target of Q_h for given V_h(s')."""
    method = make("fisor", **options)
    method.cost.state_value = lambda _: torch.full((S, 1), following)
    column = torch.zeros(S, 1)
    given = Batch(column, column, column, column, column + terminal, costs=column + cost)
    return float(method.feasibility(given)[0, 0])


def ahead(steps, **options):
    """V_h so many steps before a violation that no action avoids, by the targets themselves."""
    method, column = make("fisor", **options), torch.zeros(S, 1)
    given = Batch(column, column, column, column, column, costs=column)
    value = options.get("violation", 25.0)
    for _ in range(steps):
        method.cost.state_value = lambda _, value=value: torch.full((S, 1), value, dtype=torch.float64)
        value = float(method.feasibility(given)[0, 0])
    return value


def test_an_unavoidable_violation_is_seen_from_afar():
    """V_h = 26γ^k − 1 at k steps: infeasible up to 324; with 1 in the place of 25, up to 68."""
    for k, expected in ((0, 25.0), (1, 24.74), (2, 24.4826), (3, 24.2278)):
        assert ahead(k) == pytest.approx(expected, abs=1e-3) == pytest.approx(26 * 0.99**k - 1, abs=1e-3)
    assert ahead(324) > 0 > ahead(325)
    assert ahead(68, violation=1.0) > 0 > ahead(69, violation=1.0)


@pytest.mark.parametrize(("share", "feasible"), [(0.26, True), (0.27, False)])
def test_a_way_out_does_not_make_a_state_feasible(share, feasible):
    """Q_h of 25 in a share of the actions and −1 in the rest: the lower expectile of τ = .9 crosses 0 at .9/3.4."""
    at = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(share * expectile_loss(at - 25, 0.9) + (1 - share) * expectile_loss(at + 1, 0.9), at)
    assert (slope > 0) == feasible  # V_h is below 0


@pytest.mark.parametrize(
    ("following", "cost", "terminal", "expected"),
    [
        (-1.0, 0, 0, -1.0),
        (10.0, 0, 0, -0.01 + 9.9),
        (10.0, 1, 0, 25.0),  # the violation is worse than what follows
        (30.0, 0.5, 0, 0.25 + 29.7),  # any cost is one
        (10.0, 0, 1, -1.0),  # nothing follows an end
        (-1.0, 1, 1, 25.0),
    ],
)
def test_targets_of_feasibility(following, cost, terminal, expected):
    assert targets(following, cost, terminal) == pytest.approx(expected, abs=1e-4)
    own = expected if terminal else (25.0 if cost else -1.0)
    assert targets(following, cost, terminal, bootstrap=False) == pytest.approx(own, abs=1e-4)


def test_weights_of_the_three_kinds_of_rows():
    """Feasible rows by the return, infeasible ones by their escape, feasible states' infeasible actions not at all."""
    method = make("fisor")
    method.cost.state_value = lambda _: torch.tensor([[-0.5, -0.5, 0.2, 0.2, -0.5]] * S)
    method.cost.action_value = lambda *_: torch.tensor([[-0.7, 0.1, 0.5, -30.0, 0.0]] * S)
    method.reward.gain = lambda *_: torch.tensor([[0.4, 0.4, 0.4, 0.4, 9.0]] * S)
    found = method.weights(None, None)[0]
    expected = torch.tensor([1.2, 0.0, -1.5, 0.0, 0.0]).exp()
    expected[1], expected[3], expected[4] = 0, 150, 100
    torch.testing.assert_close(found, expected)


def test_each_loss_by_hand():
    method = make("fisor", target_rate=0.0)
    data = batch(of=method)
    for k, network in enumerate((method.reward.q, method.cost.target, method.cost.v, method.reward.v, method.policy)):
        scramble(network, k)
    seen, start = intercept(method), method.noise.state()
    metrics = method.update(data)
    method.noise.load_state(start)
    states, actions = data.observations, data.actions
    h, v = method.cost.target(states, actions).amax(1).detach(), method.cost.v(states)[..., 0]
    loss = (torch.where(v - h < 0, 0.1, 0.9) * (v - h) ** 2).mean(1)  # the lower expectile
    assert_gradients(seen["cost_critic_value"][1], loss, method.cost.v)

    weights = method.weights(states, actions)
    times, noise = method.policy.bc_draws(method.noise, 6)
    predicted = method.policy.predict(method.policy.corrupt(actions, times, noise), times, states)
    loss = (weights * (predicted - noise).square().mean(2)).mean(1)
    torch.testing.assert_close(metrics["bc_loss"], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)

    q_h = (method.cost.q(states, actions) - method.feasibility(data)[:, None]).square().mean(2)
    assert_gradients(seen["cost_critic"][1], q_h, method.cost.q)
    plain = method.reward_unit * data.rewards  # whatever the costs: the reward is not penalised
    following = 0.99 * (1 - data.terminals) * method.reward.v(data.next_observations)[..., 0].detach()
    q_r = (method.reward.q(states, actions) - (plain + following)[:, None]).square().mean(2)
    assert_gradients(seen["critic"][1], q_r, method.reward.q)


def test_it_plays_the_candidate_of_the_least_cost_value():
    method, states = make("fisor", candidates=5), batch().observations
    scramble(method.policy, 1)
    with torch.no_grad():
        actions = method.act(states, Noise((0, 1), "evaluation"))
        repeated = states.repeat_interleave(5, 1)
        drawn = Noise((0, 1), "evaluation").normal(*method.policy.noise_shape(30))
        each = method.target_policy.sample(drawn, repeated)  # the average, not the policy in training
        worst = method.cost.target(repeated, each).amax(1).unflatten(1, (6, 5))
        expected = torch.stack([each.unflatten(1, (6, 5))[i, range(6), worst[i].argmin(1)] for i in range(S)])
    torch.testing.assert_close(actions, expected)
    silent = SamplerNoise((0, 1), "evaluation", silent=True)
    zero = torch.zeros(S, *method.policy.noise_shape(6))
    torch.testing.assert_close(method.act(states, silent), method.target_policy.sample(zero, states))


def test_settings_are_the_authors():
    config = get_method("fisor").Config()
    wanted = {
        "expectile": 0.9, "violation": 25.0, "temperature": 3.0, "cost_temperature": 5.0, "policy_steps": 5,
        "candidates": 16, "lr_actor": 3e-4, "critic_hidden": (256, 256),
    }  # fmt: skip
    assert wanted.items() <= dataclasses.asdict(config).items()
    with pytest.raises(RamacError, match=r"expectile is 1\.0"):
        make("fisor", expectile=1.0)
