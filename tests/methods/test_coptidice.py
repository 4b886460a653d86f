"""COptiDICE: its losses by hand, its solution of a small world against the exact one, the limit on the wrong scale."""

import dataclasses
import itertools
import math

import pytest
import torch
from method_helpers import assert_gradients, batch, intercept, make, scramble
from scipy.optimize import minimize_scalar

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import get_method
from ramac_lib.methods.shared.stationary import DIVERGENCES, correction, f_divergence
from support.safety import stationary

DICE = get_method("coptidice")
WORLD = stationary.Tabular()


def test_a_correction_is_the_best_weight():
    for name in DIVERGENCES:
        for slope in (-3.0, -0.4, 0.0, 0.7, 2.0):
            w = correction(torch.tensor(slope), name)

            def lost(x, slope=slope, name=name):
                return float(f_divergence(torch.tensor(x), name)) - slope * x

            best = minimize_scalar(lost, bounds=(0, 5), method="bounded", options={"xatol": 1e-6}).x
            assert float(w) == pytest.approx(best, abs=2e-3), (name, slope)
    assert correction(torch.tensor([-3.0, 1.0]), "chi").tolist() == [0.0, 2.0]
    assert correction(torch.tensor([-1.0, 1.0]), "softchi").tolist() == pytest.approx([0.36788, 2.0], abs=1e-5)
    assert f_divergence(torch.tensor([0.5, 1.0, 3.0]), "softchi").tolist() == pytest.approx(
        [0.15343, 0.0, 2.0], abs=1e-5
    )


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_the_losses_by_hand(divergence):
    method = make("coptidice", strength=2.0, divergence=divergence, discount=0.9, cost_limit=3.0, cost_horizon=20)
    for k, name in enumerate(("nu", "chi", "policy")):
        scramble(getattr(method, name), k)
    with torch.no_grad():
        method.price.log.fill_(0.5)
        method.temperature.log.fill_(-0.3)
    data, state = batch(), method.noise.state()
    data = data._replace(rewards=data.rewards / 10)
    seen = intercept(method)
    method.learn(data)
    method.noise.load_state(state)
    starts = method.starts[method.noise.integers(len(method.starts), 6)]
    assert len(method.starts) == 6  # episodes of the data
    lam, tau = torch.tensor(0.5).exp(), torch.tensor(-0.3).exp()

    def value(network, states):
        return network(states).squeeze(-1)

    going = 0.9 * (1 - data.terminals)
    e = data.rewards - lam * data.costs + going * value(method.nu, data.next_observations)
    e = e - value(method.nu, data.observations)
    y = e / 2
    w = (y + 1).clamp(min=0) if divergence == "chi" else torch.where(y < 0, y.exp(), y + 1)
    f = 0.5 * (w - 1) ** 2
    f = f if divergence == "chi" else torch.where(w < 1, w * w.log() - w + 1, f)
    loss = 0.1 * value(method.nu, starts).mean(1) + (w * e - 2 * f).mean(1)
    torch.testing.assert_close(seen["nu"][0], loss.detach())
    slope = 0.1 * value(method.nu, starts).mean(1) + (w.detach() * e).mean(1)  # the envelope: w is at its best
    assert_gradients(seen["nu"][1], slope, method.nu)

    w = w.detach()
    leap = data.costs + going * value(method.chi, data.next_observations) - value(method.chi, data.observations)
    leap = 0.1 * value(method.chi, starts) + w * leap
    p = torch.exp(leap.detach() / tau) / torch.exp(leap.detach() / tau).sum(1, keepdim=True)
    torch.testing.assert_close(seen["chi"][0], (p * leap).sum(1).detach())
    assert_gradients(seen["chi"][1], tau * torch.logsumexp(leap / tau, dim=1), method.chi)
    surprise = (p * (p * 6).log()).sum(1)
    torch.testing.assert_close(seen["temperature"][1][0].squeeze(1), 0.01 - surprise)
    step = 3 * (1 - 0.9**20) / 20  # (1−γ)ℓ
    torch.testing.assert_close(seen["price"][1][0].squeeze(1), step - (p * w * data.costs).sum(1))

    likelihood = -(w * method.policy.log_prob(data.observations, data.actions)).mean(1)
    torch.testing.assert_close(seen["policy"][0], likelihood.detach())
    assert_gradients(seen["policy"][1], likelihood, method.policy)


# -- a small world ----------------------------------------------------------------------------------------------------


def tabular(costs=None, world=WORLD, **options):
    """The method with a number for each state, and the world's transitions as often as uniform behaviour has them."""
    rows = []
    for s, a in itertools.product(range(2), range(2)):
        for t, chance in enumerate(world.moves[s, a]):
            rows += [(s, a, t)] * round(4000 * (0.2975, 0.2025)[s] * chance)
    assert len(rows) == 4000
    s, a, t = torch.tensor(rows).T
    eye = torch.eye(2)
    rewards = torch.tensor(world.rewards, dtype=torch.float32)[s, a]
    cost = (a == 1).float() if costs is None else torch.full((4000,), costs)
    data = Batch(eye[s], (2.0 * a - 1)[:, None] * 0.5, rewards, eye[t], torch.zeros(4000), cost)
    data = Batch(*(None if column is None else column[None] for column in data))
    config = DICE.Config(
        hidden=(), critic_hidden=(), strength=1.0, divergence="chi", discount=0.9, lr_critic=0.02, lr_dual=0.02,
        lr_actor=0.02, cost_radius=1e-7,
    )  # fmt: skip
    method = DICE(dataclasses.replace(config, **options), 2, 1, (0,), 1)
    method.constant("starts", eye[:1])
    return method, data, (2 * s + a)


def test_it_finds_the_weights_of_a_small_world():
    """ĉ = .3: w = (1.641, .522, 1.047, .715), what e of one s' at a time gives; by its own account reward .627."""
    exact = stationary.regularised(WORLD, 0.3, 1.0, sampled=True)
    data_shares = WORLD.occupancy(WORLD.behaviour)
    assert exact.distribution / data_shares == pytest.approx([1.6406, 0.5217, 1.0465, 0.7151], abs=1e-3)
    method, data, pairs = tabular()
    method.limits.copy_(torch.tensor([3.0, 1.0]))  # ℓ, of which a step is .3
    with torch.no_grad():
        method.price.log.fill_(math.log(exact.price))  # where it is to stay
    for step in range(800):
        if step == 600:
            method.optimizers["nu"].lr = 0.002
        found = method.update(data)
    nu = method.nu(torch.eye(2)[None]).squeeze(-1)[0]
    gains = data.rewards - method.price() * data.costs + 0.9 * nu[data.next_observations[0].argmax(1)]
    weights = correction(gains[0] - nu[data.observations[0].argmax(1)], "chi").detach()
    mean = [float(weights[pairs == k].mean()) for k in range(4)]
    assert mean == pytest.approx(list(exact.distribution / data_shares), abs=0.06)
    whole = stationary.regularised(WORLD, 0.3, 1.0).distribution / data_shares
    assert whole == pytest.approx([1.7738, 0.6498, 0.8509, 0.5269], abs=1e-3)
    assert max(abs(mean - whole)) > 0.1
    assert float((weights * data.rewards[0]).mean()) == pytest.approx(exact.reward, abs=0.025)
    assert float(found["cost_bound"]) == pytest.approx(0.3, abs=0.02)
    assert float(method.price().detach()) == pytest.approx(exact.price, abs=0.1)


@pytest.mark.parametrize("threshold", ["step", "sum"])
def test_a_limit_on_the_scale_of_sums_lets_the_price_fall_though_every_step_costs(threshold):
    """κ = 10 over 100 steps: 6.34 as a discounted sum at γ = .99, .063 a step. Each step costs 1."""
    method, data, _ = tabular(costs=1.0, threshold=threshold, discount=0.99)
    method.limits.copy_(torch.tensor([10.0, 100.0]))
    assert float(method.limit()) == pytest.approx(6.34, abs=5e-3)
    assert float(method.limit("step")) == pytest.approx(0.0634, abs=5e-5)
    prices = [float(method.update(data)["price"]) for _ in range(60)]
    assert (prices[-1] > 2) == (threshold == "step")
    assert (prices[-1] < 0.5) == (threshold == "sum")


def test_initial_states_are_those_of_the_datas_episodes():
    method = make("coptidice")
    assert method.starts.shape == (6, 3)
    assert not any(name == "starts" for name in method.state_dict())
