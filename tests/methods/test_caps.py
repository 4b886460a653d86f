"""CAPS: which head acts, what is left of the limit, the heads' weights and losses by hand, episodes by themselves."""

import numpy as np
import pytest
import torch
from method_helpers import S, assert_gradients, batch, intercept, make, scramble

from ramac_lib.methods.shared.limits import cost_limit
from ramac_lib.methods.shared.switching import head
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError


@pytest.mark.parametrize(
    ("limit", "expected"), [(5.0, 0), (2.0, 1), (0.5, 1), (4.0, 1), (4.0001, 0), (1.0, 1), (0.0, 1), (-3.0, 1)]
)
def test_which_head_acts(limit, expected):
    """Returns (5, 3), costs (4, 1): the first within the limit, strictly, else the cheapest, also with none left."""
    found = head(torch.tensor([[[5.0, 3.0]]]), torch.tensor([[[4.0, 1.0]]]), torch.tensor([[limit]]))
    assert found.item() == expected


def test_with_none_allowed_the_cheapest_acts_and_not_the_best():
    found = head(torch.tensor([[[9.0, 5.0, 3.0]]]), torch.tensor([[[4.0, 1.0, 2.0]]]), torch.tensor([[0.5]]))
    assert found.item() == 1


def test_what_is_left_of_the_limit():
    method = make("caps", cost_limit=10.0, cost_horizon=300)
    assert method.left(0.0, 0)[0, 0].item() == pytest.approx(3.17, abs=5e-3)
    spent = torch.tensor([[0.0, 4.0, 10.0, 12.0]] * S)
    found = method.left(spent, 200)[0].tolist()
    assert found == pytest.approx([6.34, 0.6 * 6.34, 0.0, -0.2 * 6.34], abs=5e-3)  # over the last hundred steps
    assert found[0] == pytest.approx(cost_limit(10.0, 100, 0.99, "discounted"), rel=1e-4)
    assert method.left(spent, 500)[0, 1].item() == pytest.approx(6.0)  # beyond T as at its last step


def test_the_weights_of_the_heads():
    """e^{βA_r}, e^{βA_r} + 2i/(K−1) e^{βA_c}, e^{βA_c}; β = 3, each power cut at 100."""
    method = make("caps", heads=3)
    method.reward.gain = lambda *_: torch.tensor([[0.5, 9.0]] * S)
    method.cost.gain = lambda *_: torch.tensor([[-0.2, 1.0]] * S)
    earns, saves = np.exp([1.5, 0]), np.exp([-0.6, 3.0])
    earns[1] = 100
    expected = torch.tensor(np.stack([earns, earns + saves, saves], 1), dtype=torch.float32)
    torch.testing.assert_close(method.weights(None, None)[0], expected)


def test_each_loss_by_hand():
    method = make("caps", target_rate=0.0)
    data = batch(of=method)
    networks = (method.reward.q, method.cost.q, method.cost.target, method.cost.v, method.reward.v, method.policy)
    for k, network in enumerate(networks):
        scramble(network, k)
    seen = intercept(method)
    metrics = method.update(data)
    states, actions = data.observations, data.actions
    q, v = method.cost.target(states, actions).amax(1).detach(), method.cost.v(states)[..., 0]
    loss = (torch.where(v - q < 0, 0.3, 0.7) * (v - q) ** 2).mean(1)  # τ = .7 of −c
    assert_gradients(seen["cost_critic_value"][1], loss, method.cost.v)

    weights, loss = method.weights(states, actions), 0
    for k in range(2):
        mean = method.policy.mlp(states).tanh()[..., 2 * k : 2 * k + 2]
        std = method.policy.log_std.exp()[..., 2 * k : 2 * k + 2]
        loss = loss - (weights[..., k] * torch.distributions.Normal(mean, std).log_prob(actions).sum(2)).mean(1)
    torch.testing.assert_close(metrics["bc_loss"], loss.detach(), rtol=1e-4, atol=1e-4)
    assert_gradients(seen["policy"][1], loss, method.policy)

    following = method.cost.v(data.next_observations)[..., 0].detach()
    target = data.costs + 0.99 * (1 - data.terminals) * following
    loss = (method.cost.q(states, actions) - target[:, None]).square().mean(2)
    assert_gradients(seen["cost_critic"][1], loss, method.cost.q)


def test_the_action_is_the_mean_of_the_head_that_acts():
    method, states = make("caps"), batch().observations
    scramble(method.policy, 1)
    with torch.no_grad():
        heads = method.policy.mlp(states).tanh().unflatten(2, (2, 2))
        paid = torch.stack([method.cost.target(states, heads[:, :, k]).amax(1) for k in range(2)], 2)
        earned = torch.stack([method.reward.target(states, heads[:, :, k]).amin(1) for k in range(2)], 2)
        middle = paid.median()
        found = method.switch(states, middle.expand(S, 6))
    for i in range(S):
        for row in range(6):
            own = [(e if p < middle else -torch.inf) for e, p in zip(earned[i, row], paid[i, row], strict=True)]
            index = int(np.argmax(own)) if max(own) > -torch.inf else int(paid[i, row].argmin())
            torch.testing.assert_close(found[i, row], heads[i, row, index])


def test_each_episode_has_its_own_count():
    method, asked = make("caps", cost_limit=5.0, cost_horizon=10), []
    method.switch = lambda states, allowed: asked.append(allowed) or torch.zeros(*states.shape[:2], 2)
    controller, states = method.controller(Noise((0, 1), "evaluation")), torch.zeros(S, 3, 3)
    nothing = np.zeros((S, 3), np.float32)
    controller(states)
    controller.observe(nothing, nothing + np.array([0, 1, 4], np.float32))
    controller(states)
    controller.observe(nothing, nothing + np.array([0, 1, 4], np.float32))
    controller.keep(np.array([2, 0]))
    controller(states[:, :2])
    for allowed, left, steps in zip(asked, ([5, 5, 5], [5, 4, 1], [-3, 5]), (10, 9, 8), strict=True):
        share = (1 - 0.99**steps) / (0.01 * steps)
        torch.testing.assert_close(allowed[1], torch.tensor(left) * share, rtol=1e-4, atol=1e-5)
    late = method.controller(Noise((0, 1), "evaluation"))
    late.observe(nothing, nothing + 2)  # told before it was asked
    late(states)
    torch.testing.assert_close(asked[-1][0], torch.full((3,), 3 * (1 - 0.99**10) / 0.1), rtol=1e-4, atol=1e-5)


def test_a_single_head_is_refused():
    with pytest.raises(RamacError, match="heads is 1; expected a whole number in"):
        make("caps", heads=1)
