"""Each term of RAMAC's two losses against a value computed another way, and the released quirks against theirs."""

import dataclasses

import numpy as np
import pytest
import torch

from ramac_lib import risk
from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import get_method
from ramac_lib.networks.quantile_loss import quantile_huber

S, B, OBS, ACT = 2, 6, 3, 2
SMALL = {
    "hidden": (16, 16), "critic_hidden": 16, "embedding": 8, "n_cos": 8, "n_fractions": 8, "batch_size": B,
    "short_run_rate": False,
}  # fmt: skip


def make(name="radac", steps=1000, seeds=(0, 1), **options):
    cls = get_method(name)
    config = dataclasses.replace(cls.Config.for_task("hopper-medium-expert"), **{**SMALL, **options})
    return cls(config, OBS, ACT, seeds, steps)


def batch(seed=0, seeds=S, rows=B):
    g = torch.Generator().manual_seed(seed)
    return Batch(
        torch.randn(seeds, rows, OBS, generator=g),
        2 * torch.rand(seeds, rows, ACT, generator=g) - 1,
        10 * torch.randn(seeds, rows, generator=g),
        torch.randn(seeds, rows, OBS, generator=g),
        (torch.rand(seeds, rows, generator=g) < 0.4).float(),
    )


def same_noise(method):
    """Rewind the method's training noise, so that a test can draw what the method drew."""
    method.noise.load_state(method._kept)


def keep_noise(method):
    method._kept = method.noise.state()


# -- the critic's target (eq. 3, 7) -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["radac", "rafmac"])
def test_target_by_hand(name):
    method, data = make(name, td_clip=None), batch()
    keep_noise(method)
    targets, clipped = method.target_returns(data)
    same_noise(method)
    actions = method.target_policy.sample(method.policy_noise(data.observations), data.next_observations)
    values = method.target_critic(data.next_observations, actions, method.grid)
    lower = torch.minimum(values[:, 0], values[:, 1])
    expected = torch.empty_like(targets)
    for i in range(S):
        for row in range(B):
            goes_on = 1.0 if data.terminals[i, row] == 0 else 0.0
            expected[i, row] = data.rewards[i, row] + 0.99 * goes_on * lower[i, row]
    torch.testing.assert_close(targets, expected)
    assert clipped.tolist() == [0, 0]
    assert not targets.requires_grad


@pytest.mark.parametrize("critics", ["mean", "one"])
def test_target_of_other_combinations_of_the_critics(critics):
    method, data = make(td_clip=None, target_critics=critics), batch()
    keep_noise(method)
    targets, _ = method.target_returns(data)
    same_noise(method)
    actions = method.target_policy.sample(method.policy_noise(data.observations), data.next_observations)
    values = method.target_critic(data.next_observations, actions, method.grid)
    one = {"mean": (values[:, 0] + values[:, 1]) / 2, "one": values[:, 0]}[critics]
    expected = data.rewards[..., None] + 0.99 * (1 - data.terminals[..., None]) * one
    torch.testing.assert_close(targets, expected)


def test_target_is_clipped_and_the_share_is_logged():
    targets, _ = make(td_clip=None).target_returns(batch())
    clipped_targets, share = make(td_clip=5.0).target_returns(batch())
    torch.testing.assert_close(clipped_targets, targets.clamp(-5, 5))
    torch.testing.assert_close(share, (targets.abs() > 5).float().mean(dim=(1, 2)))
    assert 0 < share[0] < 1


def test_released_target_quirks():
    data = batch()
    plain, _ = make("rafmac", bootstrap=False, reward_clamp=1.0).target_returns(data)
    torch.testing.assert_close(plain, data.rewards.clamp(-1, 1)[..., None].expand(S, B, 8))
    inverted = make("rafmac", done_mask="inverted", td_clip=None)
    keep_noise(inverted)
    targets, _ = inverted.target_returns(data)
    same_noise(inverted)
    flipped = data._replace(terminals=1 - data.terminals)
    inverted.config = dataclasses.replace(inverted.config, done_mask="correct")
    torch.testing.assert_close(targets, inverted.target_returns(flipped)[0])


def test_online_and_ema_target_policies_differ_once_the_policy_moved():
    for kind, expected in (("ema", "target_policy"), ("online", "policy")):
        method = make(target_policy=kind, td_clip=None)
        method.update(batch())
        keep_noise(method)
        targets, _ = method.target_returns(batch())
        same_noise(method)
        data = batch()
        actions = getattr(method, expected).sample(method.policy_noise(data.observations), data.next_observations)
        values = method.target_critic(data.next_observations, actions, method.grid).amin(1)
        torch.testing.assert_close(targets, data.rewards[..., None] + 0.99 * (1 - data.terminals[..., None]) * values)


# -- the critic's loss (eq. 7) ----------------------------------------------------------------------------------------


def test_critic_loss_by_loops():
    method, data = make(), batch()
    targets, _ = method.target_returns(data)
    loss, quantiles = method.critic_loss(data, targets)
    assert loss.shape == (S, 2)
    for i in range(S):
        for c in range(2):
            total = 0.0
            for row in range(B):
                for k, tau in enumerate(risk.grid(8)):
                    for target in targets[i, row]:
                        delta = float((target - quantiles[i, c, row, k]).detach())
                        huber = 0.5 * delta**2 if abs(delta) <= 1 else abs(delta) - 0.5
                        total += abs(tau - (delta < 0)) * huber / 8
            assert loss[i, c].item() == pytest.approx(total / B, rel=1e-4)


@pytest.mark.parametrize("option", [{"quantile_axis": "target"}, {"pairing": "one-to-one"}, {"fractions": "random"}])
def test_released_critic_quirks_change_the_loss(option):
    method, data = make(td_clip=None, **option), batch()
    targets = torch.randn(S, B, 8, generator=torch.Generator().manual_seed(5))
    keep_noise(method)
    loss, quantiles = method.critic_loss(data, targets)
    same_noise(method)
    random = option.get("fractions") == "random"
    taus = method.noise.uniform(8).unsqueeze(1) if random else method.grid
    kwargs = {"axis" if k == "quantile_axis" else k: v for k, v in option.items() if k != "fractions"}
    torch.testing.assert_close(loss, quantile_huber(quantiles, targets.unsqueeze(1), taus, **kwargs))
    plain = quantile_huber(quantiles, targets.unsqueeze(1), method.grid)
    assert not torch.allclose(loss, plain)


# -- the policy's loss (eq. 9-11, 14, 15) -----------------------------------------------------------------------------


@pytest.mark.parametrize("measure", risk.MEASURES)
@pytest.mark.parametrize("critics", ["min", "mean", "one"])
def test_risk_value_is_the_weighted_grid(measure, critics):
    method, data = make(risk=measure, actor_critics=critics, n_fractions=16), batch()
    value, _ = method.risk_value(data.observations, data.actions)
    quantiles = method.critic(data.observations, data.actions, torch.tensor(risk.grid(16), dtype=torch.float32))
    one = {"min": quantiles.amin(1), "mean": quantiles.mean(1), "one": quantiles[:, 0]}[critics]
    weights = risk.weights(measure, 16, alpha=0.1)
    expected = (one.detach().numpy() * weights).sum(-1).mean(-1)
    assert value.tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-6)


def test_only_weighed_fractions_are_evaluated():
    assert make(n_fractions=32).active_grid.numel() == 4  # 0.1 · 32 = 3.2
    assert make(n_fractions=32, grid_rule="floor").active_grid.numel() == 3
    assert make(n_fractions=32, risk="neutral").active_grid.numel() == 32


def test_random_fractions_draw_from_the_distorted_law():
    """As released, τ ~ U(0, α): the mean over many draws tends to the CVaR of a critic that is linear in τ."""
    method = make(fractions="random", n_fractions=4096, n_cos=8, risk="cvar", alpha=0.1)
    method.critic.forward = lambda s, a, taus: (100 * taus)[:, None, None, :].expand(S, 2, B, -1)
    value, _ = method.risk_value(batch().observations, batch().actions)
    assert value.tolist() == pytest.approx([5.0, 5.0], abs=0.2)


@pytest.mark.parametrize("name", ["radac", "rafmac"])
def test_policy_gradient_is_bc_plus_eta_risk(name):
    """One step's gradient (eq. 11) against λ ∇L_BC + η ∇L_risk taken apart, with L_risk = −E CVaR."""
    method = make(name, eta=0.5, bc_weight=1.5, eta_warmup=0.0, eta_ramp=0.0, grad_clip=None, scale_by_value=False)
    data, seen = batch(), {}
    optimizer = method.optimizers["policy"]

    def step(loss):
        seen["loss"] = loss.detach()
        seen["gradient"] = torch.autograd.grad(loss.sum(), optimizer.parameters)
        return torch.zeros(S)

    optimizer.step = step
    method.optimizers["critic"].step = lambda loss: torch.zeros(S, 2)
    keep_noise(method)
    method.update(data)
    same_noise(method)
    method.target_returns(data)  # consumes the same draws
    times, noise = method.policy.bc_draws(method.noise, B)
    bc = method.policy.bc_loss(data.observations, data.actions, times, noise)
    actions = method.policy.sample(method.policy_noise(data.observations), data.observations)
    quantiles = method.critic(data.observations, actions, method.grid)
    cvar = (torch.minimum(quantiles[:, 0], quantiles[:, 1]) * torch.tensor(method.config.weights())).sum(-1).mean(-1)
    loss = 1.5 * bc - 0.5 * cvar
    torch.testing.assert_close(seen["loss"], loss.detach().float(), rtol=1e-4, atol=1e-5)
    gradient = torch.autograd.grad(loss.sum(), optimizer.parameters)
    for mine, theirs in zip(seen["gradient"], gradient, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["radac", "rafmac"])
def test_the_risk_term_reaches_every_parameter_of_the_deployed_policy(name):
    method, data = make(name, policy_steps=5), batch()
    noise = 0.3 * method.policy_noise(data.observations)  # away from the clamps
    loss, _ = method.risk_loss(data, method.policy.sample(noise, data.observations))
    for parameter, gradient in zip(
        method.policy.parameters(), torch.autograd.grad(loss.sum(), method.policy.parameters()), strict=True
    ):
        assert gradient.abs().flatten(1).sum(1).min() > 0, parameter.shape  # for each seed


def test_released_rafmac_deploys_pure_behaviour_cloning():
    """Whatever η is, the released risk path leaves the deployed velocity field where BC puts it."""

    def trained(eta, path):
        method = make("rafmac", eta=eta, risk_path=path, bootstrap=False, eta_ramp=0.0)
        for k in range(3):
            method.update(batch(k))
        return [p.detach().clone() for p in method.policy.parameters()]

    for a, b in zip(trained(0.0, "one-step"), trained(1000.0, "one-step"), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    apart = [(a - b).abs().max() for a, b in zip(trained(0.0, "deployed"), trained(1000.0, "deployed"), strict=True)]
    assert max(apart) > 1e-4


def test_scaling_by_value_divides_by_the_mean_magnitude():
    method, data = make(scale_by_value=True), batch()
    with torch.no_grad():
        method.critic.head.weight *= 1e4  # the released head starts within a floor of zero
    loss, value = method.risk_loss(data, data.actions)
    _, magnitude = method.risk_value(data.observations, data.actions)
    torch.testing.assert_close(loss, -value / magnitude)


def test_eta_waits_then_ramps():
    method = make(steps=100, eta=2.0, eta_warmup=0.15, eta_ramp=0.10)
    seen = []
    for step in (0, 14, 15, 20, 25, 60):
        method.step.fill_(step)
        seen.append(float(method.eta()))
    assert seen == pytest.approx([0, 0, 0, 1.0, 2.0, 2.0])
    rates = {"lr_critic": 1e-5, "lr_critic_cap": 1e-3}
    short = make(steps=100, eta=2.0, eta_warmup=0.0, eta_ramp=0.0, short_run_rate=True, **rates)
    assert float(short.eta()) == 0  # `schedules.warmup`: half of a run this short
    short.step.fill_(50)
    assert float(short.eta()) == pytest.approx(0.2)  # the critic's rate is raised a hundredfold: `risk_weight`
    jump = make(steps=100, eta=2.0, eta_warmup=0.15, eta_ramp=0.0)  # as released
    jump.step.fill_(14)
    before = float(jump.eta())
    jump.step.fill_(15)
    assert (before, float(jump.eta())) == (0.0, 2.0)


# -- targets ----------------------------------------------------------------------------------------------------------


def test_targets_follow_at_their_rate():
    method = make(target_rate=0.1)
    before = [p.clone() for p in method.target_critic.parameters()]
    method.update(batch())
    for old, new, online in zip(before, method.target_critic.parameters(), method.critic.parameters(), strict=True):
        torch.testing.assert_close(new, 0.9 * old + 0.1 * online.detach())


def test_released_target_policy_moves_every_fifth_step_after_its_start():
    method = make(ema_every=5, ema_start=0.1, target_rate=0.1, steps=100)
    moved = []
    for k in range(16):
        before = [p.clone() for p in method.target_policy.parameters()]
        method.update(batch(k))
        after = method.target_policy.parameters()
        moved.append(any(not torch.equal(a, b) for a, b in zip(before, after, strict=True)))
    assert [k for k, m in enumerate(moved) if m] == [10, 15]  # by the number of updates before, as released


def test_the_critics_gap_and_the_clipped_share_are_told():
    assert {"critic_gap", "clipped_share"} <= set(make().update(batch()))


# -- settings ---------------------------------------------------------------------------------------------------------


def test_effective_alpha_of_the_default_grid_is_exact():
    weights = make(n_fractions=32).config.weights()
    assert risk.effective_alpha(weights) == pytest.approx(0.1)
    assert np.count_nonzero(weights) == 4
