"""QDQ: its weights, its target, its phases and its models of returns, against numbers worked out by hand."""

import dataclasses

import numpy as np
import pytest
import torch
from method_helpers import OBS, WINDOWS, S, assert_gradients, batch, intercept, make, moved, parameters, same

from ramac_lib import datasets
from ramac_lib.datasets.returns import monte_carlo
from ramac_lib.methods import get_method
from ramac_lib.methods.shared.uncertainty import UncertaintyConfig, lowered, penalised, uncertainty_weight
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.gaussian import CentredGaussianPolicy
from ramac_lib.system.errors import RamacError

STDS = torch.tensor([[0.5, 1.0, 2.0, 4.0, 8.0]])
EQ8 = {"weight": "paper", "origin": "zero"}


def settled(**options):
    """QDQ whose networks all differ, past the share of the run in which its model learns."""
    method = moved("qdq", steps=1000, **options)
    method.step.fill_(500)
    method.updates = 500
    return method


# -- the weights ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beta", "how", "expected"),
    [
        (0.8, "paper", [0.8, 0.8, 0.8, 0.8, 0.125]),  # the .8-quantile is 4.8
        (0.8, "capped", [0.8, 0.8, 0.8, 0.8, 0.125]),
        (0.8, "relative", [0.8, 0.8, 0.8, 0.8, 0.8 * 4.8 / 8]),
        (0.3, "paper", [0.3, 0.3, 1 / 2, 1 / 4, 1 / 8]),  # 1.2
        (0.3, "relative", [0.3, 0.3, 0.18, 0.09, 0.045]),
    ],
)
def test_the_weights(beta, how, expected):
    assert uncertainty_weight(STDS, beta, how)[0].tolist() == pytest.approx(expected, rel=1e-5)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = uncertainty_weight(STDS[:, order], beta, how)[0]
    assert shuffled.tolist() == pytest.approx([expected[i] for i in order], rel=1e-5)


def test_the_quantile_is_a_seeds_own():
    both = torch.cat([STDS, 100 * STDS.flip(1)])
    weights = uncertainty_weight(both, 0.8, "relative")
    torch.testing.assert_close(weights[1], weights[0].flip(0))


def test_the_relative_weight_has_no_unit_and_the_papers_has():
    small = 0.01 * STDS
    torch.testing.assert_close(uncertainty_weight(small, 0.8, "relative"), uncertainty_weight(STDS, 0.8, "relative"))
    # The most uncertain action counts 12 times.
    assert uncertainty_weight(small, 0.8, "paper")[0, 4].item() == pytest.approx(12.5)
    assert uncertainty_weight(small, 0.8, "capped").max() == 1


@pytest.mark.parametrize(
    ("value", "std", "expected"),
    [(10.0, None, 10.8842), (10.0, 8.0, 10.8307), (10.0, 0.2, 11.2168), (-10.0, 8.0, -8.8307)],
)
def test_the_target_of_equation_8(value, std, expected):
    """r = 1, γ = .99, α = .992, β = .8: the certain action, an uncertain one, and the two ways to be optimistic."""
    weight = 0.8 if std is None else 1 / std
    blend = lowered(torch.tensor([[value]]), torch.tensor([[weight]]), 0.992, 0.0)
    # Less than r + γ m = 10.9 with pessimism, above it with optimism.
    assert 1 + 0.99 * blend.item() == pytest.approx(expected, abs=1e-4)
    assert (expected > 1 + 0.99 * value) == (std == 0.2 or value < 0)


@pytest.mark.parametrize(("weight", "discount"), [(0.8, 0.98842), (0.9, 0.98921), (0.0, 0.98208)])
def test_the_effective_discount(weight, discount):
    factor = lowered(torch.ones(1, 1), torch.full((1, 1), weight), 0.992, 0.0).item()
    assert 0.99 * factor == pytest.approx(discount, abs=1e-5)


@pytest.mark.parametrize("scale", [0.01, 1.0, 1000.0])
def test_by_default_no_value_is_raised_and_the_uncertain_are_lowered_most(scale):
    """Whatever the returns' scale and sign; eq. 8 raises a negative value, and any where spreads are below 1."""
    values, lowest = scale * torch.full((1, 5), -3.0), torch.tensor(-20.0 * scale)
    ours = penalised(values, scale * STDS, lowest, UncertaintyConfig())
    assert (ours < values).all()
    assert ours[0].argmin() == 4
    assert (penalised(values, scale * STDS, lowest, UncertaintyConfig(**EQ8)) > values).any()


def test_what_a_narrow_law_makes_of_each_weight():
    positive, narrow, zero = torch.full((1, 5), 3.0), 0.01 * STDS, torch.zeros(())
    found = {how: penalised(positive, narrow, zero, UncertaintyConfig(weight=how)) for how in ("paper", "capped")}
    assert found["paper"][0, 4] > 3
    assert (found["capped"] <= 3).all()
    assert found["capped"][0, 4] == 3  # no penalty at all for the most uncertain
    assert (penalised(positive, narrow, zero, UncertaintyConfig()) < 3).all()


# -- an update --------------------------------------------------------------------------------------------------------


def test_the_target_is_td3s_lowered_by_the_spread():
    method, data, draws = settled(beta=0.5, **EQ8), batch(), Noise((0, 1), "training")
    draws.load_state(method.noise.state())
    targets = method.target_returns(data)
    noise = (0.2 * draws.normal(6, 2)).clamp(-0.5, 0.5)
    with torch.no_grad():
        actions = (method.target_policy.mlp(data.next_observations).tanh() + noise).clamp(-1, 1)
        lower = method.target_critic(data.next_observations, actions).amin(1)
        spread = method.law.spread(data.next_observations, actions, draws)
    quantile = torch.quantile(spread, 0.5, dim=1, keepdim=True)
    weight = torch.where(spread > quantile, 1 / spread, 0.5)
    expected = data.rewards + 0.99 * (1 - data.terminals) * (0.992 + 0.008 * weight) * lower
    torch.testing.assert_close(targets, expected)


def test_the_loss_of_two_targets_has_the_gradient_of_the_blended_one():
    """α L_H + (1−α) L_L of eq. 7 against what is descended."""
    method, data = settled(certain=0.7, **EQ8), batch()
    seen, start = intercept(method), method.noise.state()
    method.update_critic(data)
    method.noise.load_state(start)
    noise = (0.2 * method.noise.normal(6, 2)).clamp(-0.5, 0.5)
    with torch.no_grad():
        actions = (method.target_policy.mode(data.next_observations) + noise).clamp(-1, 1)
        m = method.target_critic(data.next_observations, actions).amin(1)
        spread = method.law.spread(data.next_observations, actions, method.noise)
        weight = uncertainty_weight(spread, 0.8, "paper")
        discount = 0.99 * (1 - data.terminals)
        high, low = data.rewards + discount * m, data.rewards + discount * weight * m
    values = method.critic(data.observations, data.actions)
    loss = sum(share * (values - y[:, None]).square().mean(2) for share, y in ((0.7, high), (0.3, low)))
    assert_gradients(seen["critic"][1], loss, method.critic)


@pytest.mark.parametrize("scaled", [False, True])
def test_the_policys_loss(scaled):
    method, data = settled(bc_weight=0.6, scale_by_value=scaled), batch()
    seen = intercept(method)
    method.update_policy(data)
    mean = method.policy.mlp(data.observations).tanh()
    values = method.critic(data.observations, mean).amin(1)
    density = torch.distributions.Normal(mean, method.policy.log_std.exp()).log_prob(data.actions).sum(2)
    size = values.detach().abs().mean(1) + 1e-6 if scaled else 1
    loss = -values.mean(1) / size - 0.6 * density.mean(1)
    torch.testing.assert_close(seen["policy"][0], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)


def test_the_policy_samples_around_a_squashed_mean():
    policy = CentredGaussianPolicy((1,), OBS, 2, hidden=(8,))
    states = torch.zeros(1, 3, OBS)
    with torch.no_grad():
        policy.mlp.layers[-1].bias.copy_(torch.tensor([[0.5, 3.0]]))
        policy.log_std.copy_(torch.tensor([[[-1.0, -1.0]]]))
    mean = torch.tensor([0.5, 3.0]).tanh()
    torch.testing.assert_close(policy.mode(states)[0, 0], mean)
    drawn = policy.sample(torch.ones(1, 3, 2), states)[0, 0]
    torch.testing.assert_close(drawn, (mean + torch.tensor(-1.0).exp()).clamp(-1, 1))
    assert drawn[1] == 1


def test_the_phases_of_a_run():
    """Of ten updates two are the score model's, three the consistency model's; then the policy moves at odd ones."""
    method = make("qdq", steps=10, model="distilled", model_share=0.5)
    assert method.period == 2
    for k in range(10):
        phase = method.phase()
        assert phase == {"scores": k < 2, "models": k < 5, "moves": k >= 5 and k % 2 == 1}
        networks = {"s": method.law.denoiser, "m": method.law.model, "c": method.critic, "p": method.policy}
        before = {name: parameters(network) for name, network in networks.items()}
        method.update(batch(k))
        moved_now = {name for name, network in networks.items() if not all(same(before[name], network))}
        expected = {"s"} if phase["scores"] else {"m"} if phase["models"] else {"c", "p"} if phase["moves"] else {"c"}
        assert moved_now == expected, k


def test_the_policys_rate_decays_over_the_run():
    method = make("qdq", steps=8, model_share=0.0)
    for k in range(6):
        method.update(batch(k))
    share = 0.5 * (1 + np.cos(np.pi * 5 / 8))
    assert float(method.optimizers["policy"].lr) == pytest.approx(3e-4 * share, rel=1e-5)
    constant = make("qdq", steps=8, model_share=0.0, lr_decay=False)
    for k in range(6):
        constant.update(batch(k))
    assert float(constant.optimizers["policy"].lr) == pytest.approx(3e-4)


def test_it_acts_by_its_mean():
    method, states = settled(), batch().observations
    with torch.no_grad():
        assert torch.equal(method.act(states, Noise((0, 1), "evaluation")), method.policy.mlp(states).tanh())


# -- the models of returns --------------------------------------------------------------------------------------------


def bandit(**options):
    """QDQ on the bandit's data, of three hundred actions."""
    cls, data = get_method("qdq"), datasets.load("risky-bandit", size=300)
    small = {**WINDOWS, "window": 1, "window_step": 1, "hidden": (16, 16), "critic_hidden": (16, 16), **options}
    config = dataclasses.replace(cls.Config.for_task("risky-bandit"), **small)
    method = cls(config, data.observations.shape[1], 2, (0, 1), 1000)
    method.fit_data(data)
    return method, data


def test_returns_are_scaled_to_the_data():
    method, data = bandit()
    found = monte_carlo(data, 0.99, 1, 1)
    low, high = float(found.values.min()), float(found.values.max())
    assert (float(method.law.lowest), float(method.law.half_range)) == pytest.approx((low, (high - low) / 2))
    assert (method.law.values.min().item(), method.law.values.max().item()) == pytest.approx((-1, 1))
    torch.testing.assert_close(method.law.values * (high - low) / 2 + (high + low) / 2, torch.tensor(found.values))
    # None of it is part of a checkpoint.
    assert not [name for name in method.state_dict() if name.split(".")[-1] in ("values", "lowest", "states")]


def test_as_many_windows_as_episodes_hold():
    assert make("qdq", window=10).law.values.shape == (6,)
    assert make("qdq", window=5, window_step=2).law.values.shape == (18,)
    with pytest.raises(RamacError, match="windows of 11 steps are longer than every episode; the longest has 10"):
        make("qdq", window=11)


def test_equal_returns_are_no_division_by_zero():
    method, data = bandit()
    method.fit_data(data.with_(rewards=np.full(len(data), 2.0, np.float32)))
    assert torch.isfinite(method.law.values).all()


@pytest.mark.parametrize(("model", "factor"), [("consistency", 1.1), ("quantiles", 1.5)])
def test_the_spread_is_in_units_of_return_and_wider_on_the_ring(model, factor):
    """The ring's returns are 1.8 or, one in 20, −8.2: a standard deviation of 2.2; the centre's are all 1.

    After 700 updates of a small network the consistency model has begun to tell them apart: by 1.37 and 1.16 (seeds 0
    and 1), and by 1.01 where it does not see the action. 20,000 draws, as 64 alone differ by more.
    """
    method, _ = bandit(
        model=model, model_hidden=(48, 48), samples=64, scales=10, model_share=0.9, lr_model=2e-3, batch_size=128,
        teacher_rate=0.1,
    )  # fmt: skip
    for _ in range(700):
        method.update(batch(dims=(method.dims[0], 2)))
    method.law.samples = 20_000
    actions = torch.tensor([[0.85, 0.0], [0.0, -0.85], [0.0, 0.0], [0.05, -0.05]]).expand(2, 4, 2)
    with torch.no_grad():
        spread = method.law.spread(torch.zeros(2, 4, method.dims[0]), actions, Noise((0, 1), "evaluation"))
    ring, centre = spread[:, :2].mean(1), spread[:, 2:].mean(1)
    assert (ring > factor * centre).all()
    assert ((ring > 0.8) & (ring < 4)).all()


def test_the_spread_of_the_quantile_control_is_that_of_its_law():
    method, _ = bandit(model="quantiles")
    states, actions = torch.zeros(2, 3, method.dims[0]), batch(dims=(1, 2)).actions[:, :3]
    quantiles = method.law.model(states, actions, method.law.taus)
    assert quantiles.shape == (2, 1, 3, 32)
    variance = quantiles[:, 0].square().mean(2) - quantiles[:, 0].mean(2).square()
    spread = method.law.spread(states, actions, Noise((0, 1), "evaluation"))
    torch.testing.assert_close(spread, method.law.half_range * variance.sqrt(), rtol=1e-3, atol=1e-4)


def test_the_average_of_the_model_follows_faster_in_short_runs():
    rates = [make("qdq", steps=steps).law.teacher_rate for steps in (2_000_000, 1_000_000, 1000)]
    assert rates == pytest.approx([0.005, 0.01, 0.05])
    assert make("qdq", steps=1000, short_run_rate=False).law.teacher_rate == 0.005
    assert bandit()[0].law.teacher_rate == 0.05
    method = make("qdq", steps=10, model_share=0.9, short_run_rate=False, teacher_rate=0.25)
    before, model = parameters(method.law.teacher), method.law.model
    method.update(batch())
    for old, new, own in zip(before, method.law.teacher.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25 * (own - old))


def test_the_noise_of_the_samples_is_new_at_every_update():
    method, states, actions = settled(), batch().observations, batch().actions
    one, two = (method.law.spread(states, actions, method.noise) for _ in range(2))
    assert one.shape == (S, 6)
    assert not torch.equal(one, two)


# -- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "beta", "bc_weight"),
    [
        ("halfcheetah-medium-expert", 0.9, 2.0), ("halfcheetah-medium-replay", 0.9, 0.1),
        ("hopper-medium-expert", 0.8, 2.0), ("hopper-medium-replay", 0.8, 0.8), ("walker2d-medium-expert", 0.8, 2.0),
        ("walker2d-medium-replay", 0.8, 0.8),
    ],
)  # fmt: skip
def test_the_authors_settings_of_each_task(task, beta, bc_weight):
    config = get_method("qdq").Config.for_task(task)
    assert (config.certain, config.beta, config.bc_weight) == (0.992, beta, bc_weight)
    assert (config.window, config.window_step, config.window_limit) == (200, 10, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"certain": 1.1}, r"certain is 1.1; expected a number in \[0, 1\]"),
        ({"certain": float("nan")}, "certain is nan"),
        ({"beta": 1.0}, r"beta is 1.0; expected a number in \(0, 1\)"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"weight": "none"}, "unknown value of weight 'none': choose one of relative, paper, capped"),
        ({"origin": "mean"}, "unknown value of origin 'mean': choose one of floor, zero"),
        ({"model": "flow"}, "unknown value of model 'flow': choose one of consistency, distilled, quantiles"),
        ({"model_share": 1.0}, r"model_share is 1.0; expected a number in \[0, 1\)"),
        ({"samples": 1}, r"samples is 1; expected a whole number in \[2, "),
        ({"scales": 1}, r"scales is 1; expected a whole number in \[2, "),
        ({"model_hidden": ()}, "model_hidden has 0 entries; expected at least 1"),
        ({"model_activation": "x"}, "unknown value of model_activation 'x': choose one of silu, mish, relu"),
    ],
)
def test_what_is_out_of_range_is_refused(options, message):
    with pytest.raises(RamacError, match=message):
        make("qdq", **options)


def test_data_without_episode_ends_are_refused_when_a_run_is_built():
    data = datasets.load("risky-bandit", size=300)
    with pytest.raises(RamacError, match="no terminals and no timeouts mark an episode's end"):
        make("qdq").fit_data(data.with_(terminals=np.zeros(300, bool), timeouts=np.zeros(300, bool)))
