"""TREBI: values of plans, guidance that turns at the budget, the choice within it, what is left of it while acting."""

import math

import numpy as np
import pytest
import torch
from method_helpers import batch
from quantile_helpers import ACT, OBS, intercept, make

from ramac_lib.methods import get_method
from ramac_lib.methods.shared.budgets import urgency, within
from ramac_lib.networks.noise import Noise, SamplerNoise
from ramac_lib.system.errors import RamacError
from support.safety import theory

TREBI = get_method("trebi")


def small(seeds=(0,), **options):
    """The method with narrow networks and a limit of its own."""
    return make("trebi", seeds=seeds, **({"policy_steps": 6, "candidates": 4} | options))


def test_the_values_of_plans_by_hand():
    method = small(seeds=(0, 1), normalize=False)
    data, seen = batch(of=method), intercept(method)
    method.learn(data)
    states, plans = data.observations[:, :, 0], None
    moves = (data.next_observations - states.unsqueeze(2)).flatten(2)
    plans = moves / (moves.square().mean(1, keepdim=True).sqrt() + 1e-4)
    values = method.critic(states, plans)
    for k, sums in enumerate((data.returns, data.cost_returns)):
        target = (sums - sums.mean(1, keepdim=True)) / (sums.std(1, keepdim=True, unbiased=False) + 1e-6)
        torch.testing.assert_close(seen["critic"][:, k], (values[:, k] - target).square().mean(1), rtol=1e-3, atol=1e-4)
    assert set(seen) == {"policy", "inverse", "critic"}


def test_how_urgent_a_cost_is():
    """0 within the budget; beyond it e^0 at the edge to e at twice the budget and more; e where nothing is left."""
    costs, budgets = torch.tensor([0.5, 2.0, 2.0001, 3.0, 9.0, 1.0, 1.0]), torch.tensor([2.0] * 5 + [0.0, -1.0])
    expected = [0, 0, 1, math.exp(0.5), math.e, math.e, math.e]
    assert urgency(costs, budgets).tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("limit", "chosen"), [(5.0, 0), (2.0, 1), (0.5, 2)])
def test_the_best_within_the_budget_or_the_cheapest(limit, chosen):
    rewards, costs = torch.tensor([[[5.0, 3.0, 1.0]]]), torch.tensor([[[4.0, 2.0, 1.0]]])
    assert within(rewards, costs, torch.full((1, 1, 3), limit)).tolist() == [[chosen]]


def test_guidance_is_the_rewards_until_the_budget_is_exceeded():
    method = small()
    g = torch.Generator().manual_seed(0)
    states = torch.randn(1, 5, OBS, generator=g)
    plans = torch.randn(1, 5, method.width, generator=g, requires_grad=True)
    reward, cost = method.critic(states, plans).unbind(1)
    slopes = [torch.autograd.grad(v.sum(), plans, retain_graph=True)[0] for v in (reward, cost)]

    def slope(budget):
        goal = method.goal(states, torch.full((1, 5), budget))
        return torch.autograd.grad(goal(plans).sum(), plans)[0]

    torch.testing.assert_close(slope(100.0), slopes[0])
    torch.testing.assert_close(slope(-100.0), slopes[0] - 5 * math.e * slopes[1])


def test_plans_within_the_budget_are_chosen():
    method = small(candidates=8)
    states = torch.randn(1, 30, OBS, generator=torch.Generator().manual_seed(0))
    found = {}
    for budget in (-100.0, 100.0):
        plans = method.choose_plans(states, Noise((0,), "evaluation"), torch.full((1, 30), budget))
        found[budget] = method.critic(states, plans).mean(2)[0].tolist()
    assert found[-100.0][1] < found[100.0][1]  # cheaper
    assert found[-100.0][0] < found[100.0][0]  # and worse
    silent = SamplerNoise((0,), "evaluation", silent=True)
    assert method.choose_plans(states, silent, torch.zeros(1, 30)).shape == (1, 30, method.width)


def test_what_is_left_of_the_budget():
    method = small(discount=0.9, cost_limit=5.0, cost_horizon=1)
    controller, states = method.controller(Noise((0,), "evaluation")), torch.zeros(1, 2, OBS)
    left = []
    for cost in (1, 0, 2, 0):
        controller(states)
        left.append(controller.aim[0].tolist())
        controller.observe(np.zeros((1, 2)), np.array([[cost, 0.0]]))
    assert [a for a, _ in left] == pytest.approx([5, 4.4444, 4.9383, 3.2647], abs=1e-4)
    assert [a for a, _ in left] == pytest.approx([float(b) for b in theory.trebi_budgets(5, (1, 0, 2), theory.GAMMA)])
    assert [b for _, b in left] == pytest.approx([5 / 0.9**k for k in range(4)])
    controller.keep(np.array([1]))
    controller(states[:, 1:])
    assert controller.aim[0].tolist() == pytest.approx([5 / 0.9**4])
    early = method.controller(Noise((0,), "evaluation"))
    early.observe(np.zeros((1, 2)), np.array([[1.0, 0.0]]))  # before any action
    assert early.aim[0].tolist() == pytest.approx([4.4444, 5.5556], abs=1e-4)


def test_the_budget_begins_at_the_discounted_equivalent_of_kappa():
    method = small(cost_limit=10.0, cost_horizon=300)
    assert method.first_aim(torch.zeros(1, 2, OBS)).tolist() == [[pytest.approx(3.17, abs=5e-3)] * 2]
    with pytest.raises(RamacError, match="cost_limit is -1"):
        TREBI.Config(cost_limit=-1.0)


def test_it_has_no_dial_and_no_risk_level():
    assert not TREBI.HAS_DIAL
    assert not hasattr(TREBI.Config(), "risk_level")
    assert small().act(torch.zeros(1, 3, OBS), Noise((0,), "evaluation")).shape == (1, 3, ACT)
