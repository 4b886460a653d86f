"""CPED: its density's losses, its target, its multiplier on a law whose optimum is known, the released schedule."""

import math

import pytest
import torch
from method_helpers import ACT, OBS, B, S, assert_gradients, batch, intercept, make, moved, same
from torch import nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import get_method
from ramac_lib.methods.shared.constraint import released_multiplier
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.discriminator import gradient_penalty
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from ramac_lib.training.engine import compile_learning

CPED = get_method("cped")
RELEASED = CPED.Config.RELEASED


def values_at_once(**options):
    return moved("cped", q_from=0.0, **options)


# -- the density (eq. 4 to 6) -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [0.0, 0.1])
def test_the_flow_descends_the_negative_log_likelihood_of_the_actions(jitter):
    method, data = make("cped", jitter=jitter), batch()
    seen, state = intercept(method), method.noise.state()
    metrics = method.update_density(data, plays=False)
    method.noise.load_state(state)
    actions = data.actions + jitter * method.noise.normal(B, ACT) if jitter else data.actions
    loss = -method.flow.log_prob(actions, data.observations).mean(1)
    torch.testing.assert_close(metrics["bc_loss"], loss.detach())
    assert_gradients(seen["flow"][1], loss, method.flow)


def test_a_joint_density_is_of_states_and_actions():
    method, data = make("cped", density="joint"), batch()
    found = method.log_density(data.observations, data.actions)
    pairs = torch.cat([data.observations, data.actions], dim=-1)
    torch.testing.assert_close(found, method.flow.log_prob(pairs))
    assert method.flow.width == OBS + ACT
    assert method.fakes(data.observations).shape == (S, B, OBS + ACT)
    conditional = make("cped")
    rare = data.observations + 50.0  # however rare the state, the action's law has mass one
    grid = torch.linspace(-1, 1, 5).repeat(2).view(1, 5, 2).expand(S, -1, -1)
    assert conditional.log_density(rare[:, :5], grid).shape == (S, 5)
    torch.testing.assert_close(conditional.fakes(rare)[..., :OBS], rare)


@pytest.mark.parametrize("density", ["conditional", "joint"])
def test_the_adversarys_two_sides(density):
    """D descends E D(fake) − E D(real) + ½ (‖∇D‖ − 1)²; the flow, when it plays, its likelihood − w E D(fake)."""
    method, data = make("cped", gan_weight=2.0, jitter=0.0, density=density), batch()
    seen, state = intercept(method), method.noise.state()
    method.update_density(data, plays=True)
    method.noise.load_state(state)
    noise = method.noise.normal(B, method.flow.width)
    states, actions = data.observations, data.actions
    if density == "joint":
        fake = method.flow.inverse(noise)
    else:
        fake = torch.cat([states, method.flow.inverse(noise, states)], dim=-1)
    real = torch.cat([states, actions], dim=-1)
    loss = -method.log_density(states, actions).mean(1) - 2.0 * method.adversary(fake).mean(1)
    torch.testing.assert_close(seen["flow"][0], loss.detach())
    expected = torch.autograd.grad(loss.sum(), list(method.flow.parameters()))
    for mine, theirs in zip(seen["flow"][1], expected, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
    share = method.noise.uniform(B)
    other = method.adversary(fake.detach()).mean(1) - method.adversary(real).mean(1)
    other = other + 0.5 * gradient_penalty(method.adversary, real, fake, share)
    torch.testing.assert_close(seen["adversary"][0], other.detach(), rtol=1e-4, atol=1e-5)


def test_the_flow_plays_against_its_adversary_at_every_fifth_update():
    method = make("cped", gan_weight=1.0)
    played = []
    for k in range(10):
        played.append(method.phase()["plays"])
        metrics = method.update(batch(k))
        assert {"adversary_distance", "adversary_penalty"} <= set(metrics)
    assert played == [False, False, False, False, True] * 2
    assert method.period == 10
    assert make("cped").period == 2


def test_an_adversary_tells_a_shifted_law_apart_and_pulls_the_flow_to_the_data():
    """Without likelihood: a flow that starts beside the data is drawn to their mean by the adversary alone."""
    g = torch.Generator().manual_seed(0)
    method = make("cped", dims=(1, 1), seeds=(0,), gan_weight=1.0, jitter=0.0, couplings=2, lr_flow=3e-3)
    gap = []
    for _ in range(250):
        data = batch(0, 1, 64, (1, 1))._replace(actions=0.5 + 0.1 * torch.randn(1, 64, 1, generator=g))
        fake = method.fakes(data.observations)
        gap.append(fake[..., 1].mean().item() - 0.5)
        with torch.no_grad():
            real = torch.cat([data.observations, data.actions], dim=-1)
        distance = method.adversary(real).mean(1) - method.adversary(fake.detach()).mean(1)
        penalty = gradient_penalty(method.adversary, real, fake, torch.rand(1, 64, generator=g))
        method.optimizers["adversary"].step(0.5 * penalty - distance)
        method.optimizers["flow"].step(-method.adversary(fake).mean(1))
    assert abs(sum(gap[-50:]) / 50) < 0.5 * abs(sum(gap[:10]) / 10)


def test_second_derivatives_are_left_out_of_what_is_compiled():
    """torch.compile refuses them; the rest of an update is compiled round the penalty."""
    method = make("cped", gan_weight=1.0)
    compile_learning(method)
    assert method.slope_penalty._torchdynamo_disable
    assert not getattr(method.update_density, "_torchdynamo_disable", False)


# -- the critics' target ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inside", [True, False])
def test_the_target_is_the_lower_critic_at_the_noisy_action(inside):
    method, data = moved("cped", discount=0.9, clip_actions=inside, target_noise=0.4), batch()
    state = method.noise.state()
    targets = method.target_returns(data)
    method.noise.load_state(state)
    noise = (0.4 * method.noise.normal(B, ACT)).clamp(-0.5, 0.5)
    actions = method.target_policy.mlp(data.next_observations).tanh() + noise
    assert (actions.abs() > 1).any()
    if inside:
        actions = actions.clamp(-1, 1)
    values = method.target_critic(data.next_observations, actions)
    expected = data.rewards + 0.9 * (1 - data.terminals) * torch.minimum(values[:, 0], values[:, 1])
    torch.testing.assert_close(targets, expected)


def test_the_released_noise_is_the_same_two_tensors_forever():
    """Each call of the released flow seeds PyTorch anew; here both ways of drawing, seen through Q(s, a) = Σ a."""

    def noises(**options):
        method = moved("cped", target_noise=0.1, discount=1.0, **options)
        method.target_critic.forward = lambda s, a: a[..., None, :, :].sum(-1).expand(-1, 2, -1)
        data = batch()._replace(terminals=torch.zeros(S, B), rewards=torch.zeros(S, B))
        found = []
        for k in range(5):
            method.step.fill_(k)
            found.append(method.target_returns(data))
        return found

    fixed, drawn = noises(fixed_noise=True), noises()
    assert torch.equal(fixed[0], fixed[2])
    assert torch.equal(fixed[0], fixed[4])
    assert torch.equal(fixed[1], fixed[3])
    assert not torch.equal(fixed[0], fixed[1])
    assert all(not torch.equal(drawn[0], later) for later in drawn[1:])
    assert not torch.equal(fixed[0][0], fixed[0][1])


# -- the policy (eq. 7) -----------------------------------------------------------------------------------------------


def test_the_policy_climbs_the_density_alone_before_it_has_q():
    method, data = moved("cped", q_from=0.5), batch()
    seen = intercept(method)
    metrics = method.update_policy(data, values=False)
    loss = -method.flow.log_prob(method.policy.mode(data.observations), data.observations).mean(1)
    torch.testing.assert_close(metrics["surprise"], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)
    assert set(seen) == {"policy"}


@pytest.mark.parametrize("scaled", [True, False])
def test_the_policys_loss_and_the_multipliers_by_hand(scaled):
    method, data = values_at_once(scale_by_value=scaled, coverage=0.5), batch()
    with torch.no_grad():
        method.dual.log.copy_(torch.tensor([[0.7], [-0.4]]))
    seen = intercept(method)
    metrics = method.update_policy(data, values=True)
    states, actions = data.observations, method.policy.mode(data.observations)
    surprise = -method.flow.log_prob(actions, states).mean(1)
    values = method.critic(states, actions).amin(1)
    scale = values.detach().abs().mean(1) if scaled else 1.0
    loss = torch.tensor([0.7, -0.4]).exp() * surprise - values.mean(1) / scale
    assert_gradients(seen["policy"][1], loss, method.policy)
    own = -method.flow.log_prob(data.actions, states)
    epsilon = torch.stack([row.sort().values[3] for row in own])  # the least that at least half of six are below
    gap = (surprise - epsilon).detach()
    torch.testing.assert_close(metrics["gap"], gap)
    torch.testing.assert_close(seen["dual"][1][0].flatten(), -gap)  # log α ascends the gap


def test_targets_follow_and_parts_learn_in_their_turn():
    method, data = make("cped", steps=1000, q_from=0.0), batch()
    copies = {name: [p.clone() for p in getattr(method, name).parameters()] for name in ("policy", "target_policy")}
    method.update(data)
    assert all(same(copies["policy"], method.policy))
    method.update(data)
    assert not any(same(copies["policy"], method.policy))
    assert not any(same(copies["target_policy"], method.target_policy))


class Known(nn.Module):
    """½N(−1, .2²) + ½N(1, .2²) in the place of the flow."""

    width = 1

    def log_prob(self, x, condition=None):
        parts = torch.stack([-0.5 * ((x[..., 0] - m) / 0.2).square() for m in (-1.0, 1.0)])
        return torch.logsumexp(parts, dim=0) - math.log(2 * 0.2 * math.sqrt(2 * math.pi))


class Point(nn.Module):
    """A policy of one action, not bounded."""

    def __init__(self):
        super().__init__()
        self.action = nn.Parameter(torch.ones(1, 1, 1))

    def mode(self, observations):
        return self.action.expand(*observations.shape[:2], 1)


class Itself(nn.Module):
    """Q(a) = a."""

    def forward(self, observations, actions):
        return actions[..., 0].unsqueeze(1).expand(-1, 2, -1)


def known(updates, **options):
    """The multipliers and actions of a policy that climbs Q(a) = a in the known law."""
    method = make("cped", dims=(1, 1), seeds=(0,), scale_by_value=False, **options)
    method.flow, method.critic, method.policy = Known(), Itself(), Point()
    method.optimizers["policy"] = StackedAdam(method.policy, 3e-3)
    g = torch.Generator().manual_seed(0)
    sign = 2.0 * (torch.rand(1, 4000, 1, generator=g) < 0.5) - 1
    actions = sign + 0.2 * torch.randn(1, 4000, 1, generator=g)
    zeros = torch.zeros_like(actions)
    data = Batch(zeros, actions, zeros[..., 0], zeros, zeros[..., 0])
    path = [(method.update_policy(data, True), method.policy.action.item()) for _ in range(updates)]
    return method, data, [action for _, action in path], [m["multiplier"].item() for m, _ in path]


def test_the_numbers_of_the_known_law():
    law = Known()
    at = [-law.log_prob(torch.tensor([[[x]]])).item() for x in (1.0, 0.0, 1.392, 0.608)]
    assert at[0] == pytest.approx(0.00265, abs=5e-6)
    assert at[1] == pytest.approx(11.8095, abs=5e-5)
    assert at[2:] == pytest.approx([1.92345, 1.92345], abs=1e-3)  # ±1 ± .392, rounded to three digits


def test_the_multiplier_finds_the_constrained_optimum():
    """The largest a with −log p(a) < 1.92345 is 1.392: a set of 95 % mass, ±1 ± .392. There α = σ²/.392 = .102."""
    method, data, actions, multipliers = known(2000, lr_dual=5e-3)
    assert method.bound(data).item() == pytest.approx(1.92345, abs=0.12)
    assert sum(actions[-500:]) / 500 == pytest.approx(1.392, abs=0.01)
    assert sum(multipliers[-500:]) / 500 == pytest.approx(0.04 / 0.392, rel=0.1)


@pytest.mark.parametrize(("weight", "expected"), [(0.1, 1.4), (1.5, 1.0267)])
def test_a_penalty_stops_where_the_slope_of_the_density_is_its_inverse(weight, expected):
    """p'/p = −1/α, whatever the threshold: the released code's is a penalty."""
    for threshold in ("quantile", "own"):
        _, _, actions, _ = known(600, multiplier="fixed", weight=weight, threshold=threshold)
        assert actions[-1] == pytest.approx(expected, abs=2e-3)


def test_the_released_threshold_is_the_datas_own_density():
    method, data, _, _ = known(1, multiplier="fixed", threshold="own")
    assert method.bound(data).item() == pytest.approx(0.50265, abs=0.04)  # its mean is the law's entropy


# -- the released schedule, and phases --------------------------------------------------------------------------------


def test_the_released_multiplier_is_a_table_of_steps():
    steps = [0, 599_999, 600_000, 700_000, 800_000, 900_000, 999_999, 1_000_001, 1_499_999]
    assert released_multiplier(torch.tensor(steps)).tolist() == [1000, 1000, 10, 7.5, 5, 2.5, 2.5, 1.5, 1.5]
    early = [149_999, 150_000, 450_000, 550_000, 650_000, 750_000, 850_000, 1_000_001]
    found = released_multiplier(torch.tensor(early), flow=50_000).tolist()
    assert found == [1000, 10, 2.5, 0, -2.5, -5, -7.5, 1.5]


def test_a_short_run_has_the_released_multiplier_in_fractions():
    method = make("cped", steps=1500, multiplier="released")
    assert "dual" not in method.optimizers
    for step, expected in ((0, 1000), (599, 1000), (600, 10), (750, 7.5), (999, 2.5), (1001, 1.5)):
        method.step.fill_(step)
        assert method.multiplier().tolist() == [expected, expected]


def test_phases():
    def at(method, update):
        method.updates = update
        return [name for name, is_on in method.phase().items() if is_on]

    method = make("cped", steps=1500, q_from=1 / 3)
    assert at(method, 0) == ["flow", "critics"]
    assert at(method, 1) == ["flow", "critics", "moves"]
    assert at(method, 499) == ["flow", "critics", "moves"]
    assert at(method, 501) == ["critics", "moves", "values"]
    released = make("cped", steps=1500, **{**RELEASED, "flow_hidden": (16, 16)})
    assert at(released, 1) == ["flow"]
    assert at(released, 4) == ["flow", "plays"]
    assert at(released, 501) == ["moves"]
    assert at(released, 531) == ["critics", "moves"]
    assert at(released, 551) == ["critics", "moves", "values"]
    metrics = [set(released.update(batch(k))) for k in range(551, 553)]
    assert {"critic_loss", "multiplier"} <= set.union(*metrics)


def test_released_settings_are_reachable_from_the_command_line():
    config = make_config("cped", "hopper-medium-expert", (0,), 10, released=True).settings
    assert (config.multiplier, config.threshold, config.density, config.gan_weight) == ("released", "own", "joint", 1.0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"density": "marginal"}, "unknown value of density 'marginal': choose one of conditional, joint"),
        ({"coupling": "nice"}, "unknown value of coupling 'nice': choose one of affine, additive"),
        ({"prior": "uniform"}, "unknown value of prior 'uniform'"),
        ({"multiplier": "none"}, "unknown value of multiplier 'none': choose one of dual, released, fixed"),
        ({"threshold": "25"}, "unknown value of threshold '25': choose one of quantile, own"),
        ({"coverage": 1.0}, r"coverage is 1.0; expected a number in \(0, 1\)"),
        ({"flow_activation": "x"}, "unknown value of flow_activation 'x': choose one of silu, mish, relu"),
        ({"weight": -1.0}, "weight is -1.0; expected a number of at least 0"),
        ({"jitter": -0.1}, "jitter is -0.1; expected a number of at least 0"),
        ({"gan_every": 0}, "gan_every is 0; expected a whole number of at least 1"),
        ({"policy_every": 0}, "policy_every is 0; expected a whole number of at least 1"),
        ({"couplings": -1}, r"couplings is -1; expected a whole number in \[1, "),
    ],
)
def test_wrong_settings_are_refused(options, sentence):
    with pytest.raises(RamacError, match=sentence):
        make("cped", **options)
