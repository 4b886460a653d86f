"""CPQ: what its critics and its policy see, by hand; the fault of a public code, which a test shows to be one."""

import math

import pytest
import torch
from method_helpers import B, assert_gradients, batch, intercept, make, scramble
from torch import nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError

CPQ = get_method("cpq")


class Fixed(nn.Module):
    """Critics that say a function of the action's first number."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, observations, actions):
        return self.function(actions[..., 0]).unsqueeze(1).expand(-1, 2, -1)


def moved(**options):
    """A method whose networks and targets all differ."""
    method = make("cpq", **({"model_hidden": (16, 16), "cost_limit": 10.0, "cost_horizon": 300} | options))
    for k, name in enumerate(("critic", "target_critic", "cost_critic", "target_cost_critic", "policy", "model")):
        scramble(getattr(method, name), k)
    return method


# -- the limit --------------------------------------------------------------------------------------------------------


def test_the_limit_is_the_discounted_equivalent_of_kappa():
    limit = moved().limit()
    assert limit.shape == (2, 1)
    assert limit.tolist() == [[pytest.approx(3.17, abs=5e-3)]] * 2  # κ 10, T 300, γ .99


def test_limits_below_zero_and_shares_of_none_are_refused():
    for bad in ({"cost_limit": -1.0}, {"cost_share": -0.5}):
        with pytest.raises(RamacError, match="expected a number of at least 0"):
            CPQ.Config(**bad)


# -- targets ----------------------------------------------------------------------------------------------------------


def chain(share, **options):
    """The second state of a chain: good pays 1 and costs 0, bad pays 2 and costs 1; a share of actions is bad."""
    method = make("cpq", dims=(1, 1), discount=0.9, cost_limit=0.5, cost_horizon=1, origin="zero", **options)
    method.target_critic, method.target_cost_critic = Fixed(lambda a: 1 + a), Fixed(lambda a: a)
    bad = (torch.arange(10) < 10 * share).float()
    method.drawn = lambda states: bad.view(1, 10, 1).expand(len(states), -1, -1)
    zeros = torch.zeros(2, 10)
    return method, Batch(zeros[..., None], zeros[..., None], zeros, zeros[..., None], zeros, costs=zeros)


@pytest.mark.parametrize(("share", "value"), [(0.0, 0.9), (0.5, 0.45), (1.0, 0.0)])
def test_only_safe_actions_are_backed_up(share, value):
    method, data = chain(share)
    assert method.target_returns(data).mean(1).tolist() == pytest.approx([value, value])
    free, _ = chain(share, cost_share=0.0)
    free.limits.copy_(torch.tensor([5.0, 1.0]))
    assert free.target_returns(data).mean(1).tolist() == pytest.approx([0.9 * (1 + share)] * 2)


def test_an_unsafe_action_is_worth_the_lowest_return_of_the_data():
    method, data = chain(1.0)
    method.floor.fill_(-7.0)
    assert method.target_returns(data).tolist() == [[pytest.approx(-6.3)] * 10] * 2
    ends = data._replace(terminals=torch.ones(2, 10), rewards=torch.ones(2, 10))
    assert method.target_returns(ends).tolist() == [[1.0] * 10] * 2
    floors = {name: float(make("cpq", origin=name).floor) for name in ("floor", "zero")}
    assert floors["zero"] == 0
    assert floors["floor"] < -3  # of episodes of ten standard normal rewards


@pytest.mark.parametrize("ends", [True, False])
def test_costs_end_with_their_episode_unless_the_fault_is_asked_for(ends):
    method, data = chain(1.0, cost_ends=ends)
    found = method.target_costs(data._replace(terminals=torch.ones(2, 10), costs=torch.ones(2, 10)))
    assert found.tolist() == [[pytest.approx(1.0 if ends else 1.9)] * 10] * 2


def test_of_two_critics_of_cost_the_higher_counts_unless_the_fault_is_asked_for():
    values = torch.tensor([[[1.0, 2.0], [3.0, 0.0]]])
    assert make("cpq").cost(values).tolist() == [[3.0, 2.0]]
    assert make("cpq", cost_aggregate="min").cost(values).tolist() == [[1.0, 0.0]]


# -- actions that the data lack ---------------------------------------------------------------------------------------


def test_the_outsiders_are_those_of_the_highest_divergence():
    method = moved(ood_share=0.25, n_actions=4)
    states = batch().observations
    rows, actions, outside = method.outsiders(states)
    assert rows.shape == (2, 4 * B, 3)
    assert outside.sum(1).tolist() == [6, 6]
    mean, log_std = method.model.encode(rows, actions)
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    far = torch.distributions.kl_divergence(torch.distributions.Normal(mean, log_std.exp()), prior).sum(-1)
    assert all(far[s][outside[s] == 1].min() > far[s][outside[s] == 0].max() for s in range(2))


def costs_update(alpha, **options):
    """The gradients of the critics of cost, with α as given, and what made them."""
    method = moved(**options)
    with torch.no_grad():
        method.dual.log.fill_(math.log(alpha))
    seen = intercept(method)
    drawn = []
    outsiders = method.outsiders
    method.outsiders = lambda states: drawn.append(outsiders(states)) or drawn[0]
    method.update_costs(batch())
    return method, seen, drawn[0] if drawn else None


@pytest.mark.parametrize("capped", [True, False])
def test_the_loss_of_the_critics_of_cost_by_hand(capped):
    options = {"ood_capped": capped, "cost_limit": 0.5}
    method, seen, (rows, actions, outside) = costs_update(2.0, **options)
    again = moved(**options)
    targets = again.target_costs(batch())  # the same draws
    data, limit = batch(), float(method.limit()[0, 0])
    error = (method.cost_critic(data.observations, data.actions) - targets[:, None]).square().mean(2)
    values = method.cost_critic(rows, actions)
    chosen = torch.stack([values[s][:, outside[s] == 1] for s in range(2)])
    pushed, least = chosen.mean(2), chosen.clamp(max=1.5 * limit) if capped else chosen
    loss = error - 2 * (least.mean(2) - 1.5 * limit)
    torch.testing.assert_close(seen["cost_critic"][0], loss)
    assert_gradients(seen["cost_critic"][1], loss, method.cost_critic)
    gap = 1.5 * limit - pushed.detach().mean(1)
    torch.testing.assert_close(seen["dual"][0], -math.log(2) * gap)
    torch.testing.assert_close(seen["dual"][1][0].squeeze(1), -gap)  # descended: α grows while outsiders look cheap


def test_without_its_gradient_alpha_has_no_effect_at_all():
    """The public code: E_ν Q_c from the target critics. Gradients with α = 1 and α = 148 agree to the bit."""
    faulty = [costs_update(alpha, ood_gradient=False)[1]["cost_critic"][1] for alpha in (1.0, 148.0)]
    assert all(torch.equal(a, b) for a, b in zip(*faulty, strict=True))
    whole = [costs_update(alpha)[1]["cost_critic"][1] for alpha in (1.0, 148.0)]
    assert not any(torch.equal(a, b) for a, b in zip(*whole, strict=True))
    sizes = [sum(float(g.abs().sum()) for g in gradients) for gradients in whole]
    assert sizes[1] > 10 * sizes[0]


def test_alpha_stays_within_five_nats():
    method = moved(lr_dual=1.0)
    for k in range(20):
        method.update_costs(batch(k))
    assert method.dual.log.abs().max() <= 5


# -- the policy -------------------------------------------------------------------------------------------------------


def test_the_policy_climbs_the_lower_critic_where_it_looks_safe():
    method = moved(ood_share=0.5)
    method.limits.copy_(torch.tensor([0.0, 1.0]))  # ℓ = 0: about half of the rows are safe
    data, seen = batch(), intercept(method)
    noise = method.noise.state()
    found = method.update_policy(data, clones=False)
    method.noise.load_state(noise)
    actions = method.policy.sample(method.policy_noise(data.observations), data.observations)
    safe = (method.cost_critic(data.observations, actions).amax(1) <= 0).float().detach()
    assert 0 < safe.mean() < 1
    loss = -(safe * method.critic(data.observations, actions).amin(1)).mean(1)
    torch.testing.assert_close(seen["policy"][0], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)
    torch.testing.assert_close(found["safe"], safe.mean(1))


def test_an_unsafe_policy_has_no_gradient():
    method = moved()
    method.cost_critic = Fixed(lambda a: 0 * a + 100)
    seen = intercept(method)
    assert method.update_policy(batch(), clones=False)["safe"].tolist() == [0, 0]
    assert not any(g.any() for g in seen["policy"][1])


def test_the_policy_clones_at_first():
    method = make("cpq", bc_warmup=0.1, steps=20)
    told = ["policy_value" in method.update(batch(k)) for k in range(4)]
    assert told == [False, False, True, True]


def test_the_policy_climbs_across_the_limit_and_stays_there():
    """Q = a, unsafe above 0: safe samples push the mean up, unsafe ones do not push it back, and none is left safe."""
    method = make("cpq", lr_actor=1e-2, origin="zero", cost_limit=0.5, cost_horizon=1)
    method.critic, method.cost_critic = Fixed(lambda a: a), Fixed(lambda a: (a > 0).float())
    data = batch(rows=64)
    shares = [method.update_policy(data, clones=False)["safe"].mean().item() for _ in range(300)]
    assert shares[0] > 0.3
    assert max(shares[-20:]) < 0.02
    assert (method.policy.mode(data.observations)[..., 0] > 0).float().mean() > 0.95
