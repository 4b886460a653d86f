"""Each term of CODAC against a value computed another way: densities by torch.distributions, sums by loops."""

import dataclasses
import math

import pytest
import torch
from method_helpers import batch, scramble
from quantile_helpers import ACT, SMALL, B, N, S, drawn, intercept, reaches
from quantile_helpers import make as plain

from ramac_lib import risk
from ramac_lib.methods import get_method
from ramac_lib.system.errors import RamacError

ACTIONS = SMALL["n_actions"]


def make(**options):
    """A method whose networks and targets all differ."""
    method = plain("codac", **options)
    for k, network in enumerate((method.critic, method.target_critic, method.policy, method.target_policy)):
        scramble(network, k)
    return method


# -- the critics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entropy", [0.2, None])
def test_target_by_hand(entropy):
    """r + γ(1−d)(min_k Z̄_k − α log π̄), α fixed or the tuned coefficient, a' of the target policy."""
    method, data = make(entropy=entropy), batch()
    coefficients = [0.2, 0.2]
    if entropy is None:
        coefficients = [0.5, 3.0]
        with torch.no_grad():
            method.entropy_multiplier.log.copy_(torch.tensor(coefficients).log()[:, None])
    state = method.noise.state()
    targets = method.target_returns(data)
    method.noise.load_state(state)
    with torch.no_grad():
        actions, log_prob = drawn(method.target_policy, method.noise.normal(B, ACT), data.next_observations)
        values = method.target_critic(data.next_observations, actions, method.grid)
    for i in range(S):
        for row in range(B):
            for k in range(N):
                soft = min(values[i, 0, row, k], values[i, 1, row, k]) - coefficients[i] * log_prob[i, row]
                goes_on = 1 - int(data.terminals[i, row])
                expected = float(data.rewards[i, row]) + 0.99 * goes_on * float(soft)
                assert targets[i, row, k].item() == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert not targets.requires_grad


def test_without_bootstrap_the_target_is_the_reward():
    method, data = make(bootstrap=False), batch()
    torch.testing.assert_close(method.target_returns(data), data.rewards[..., None].expand(S, B, N))


def by_loops(method, data):
    """The critics' quantile-Huber loss and ω · gap, from the draws that an update makes next."""
    method.target_returns(data)  # the target's draws come first
    targets = torch.randn(S, B, N, generator=torch.Generator().manual_seed(5))
    quantiles = method.critic(data.observations, data.actions, method.grid)
    uniform = 2 * method.noise.uniform(B, ACTIONS, ACT) - 1
    groups = [(uniform, torch.full((S, B, ACTIONS), -ACT * math.log(2)))]
    for states in (data.next_observations, data.observations):
        noise = method.noise.normal(B * ACTIONS, ACT).unflatten(1, (B, ACTIONS))
        each = [drawn(method.policy, noise[:, :, j], states) for j in range(ACTIONS)]
        groups.append(tuple(torch.stack(part, dim=2) for part in zip(*each, strict=True)))
    drawn_bin = (method.noise.uniform(1) * N).floor()
    fraction = (drawn_bin + 0.5) / N  # the midpoint of the bin that the draw falls into
    losses, penalties = torch.zeros(S, 2), []
    for i in range(S):
        for c in range(2):
            gap = -quantiles[i, c].mean()
            for row in range(B):
                for k, tau in enumerate(risk.grid(N)):
                    delta = (targets[i, row] - quantiles[i, c, row, k]).detach()
                    huber = torch.where(delta.abs() <= 1, 0.5 * delta**2, delta.abs() - 0.5)
                    losses[i, c] += ((tau - (delta < 0).float()).abs() * huber).mean() / N / B
                terms = []
                for actions, densities in groups:
                    for j in range(ACTIONS):
                        action = actions[:, row, j].detach()[:, None]
                        value = method.critic(data.observations[:, row, None], action, fraction)[i, c, 0, 0]
                        terms.append(value - densities[i, row, j].detach())
                gap = gap + torch.stack(terms).exp().sum().log() / B
            penalties.append(method.config.conservative_weight * gap)
    return targets, losses, torch.stack(penalties).reshape(S, 2)


def test_the_penalty_asks_where_the_loss_is_fitted():
    """At a fraction off the grid the penalty can be met without moving one value that the loss or the policy sees."""
    drawn = torch.cat([m.one_fraction()[0] for m in [make()] * 400])
    distance = (drawn[:, None] - torch.tensor(risk.grid(N), dtype=torch.float32)).abs().min(dim=1)
    assert distance.values.max() < 1e-6
    assert len(set(distance.indices.tolist())) == N  # each of them, in time
    random = torch.cat([m.one_fraction()[0] for m in [make(fractions="random")] * 50])
    assert (random[:, None] - torch.tensor(risk.grid(N))).abs().min(dim=1).values.max() > 1e-3


@pytest.mark.parametrize("threshold", [None, 4.0])
def test_critic_loss_and_penalty_by_loops(threshold):
    """Eq. 7 / N + ω · gap; with the multiplier β, β (ω · gap − ζ), and no gradient from β's loss to the critics."""
    method, data = make(lagrange_threshold=threshold, conservative_weight=2.0), batch()
    if threshold is not None:
        with torch.no_grad():
            method.lagrange.log.copy_(torch.tensor([2.5, 0.5]).log()[:, None, None])
    state = method.noise.state()
    targets, losses, penalty = by_loops(method, data)
    method.noise.load_state(state)
    original = method.target_returns
    method.target_returns = lambda b: (original(b), targets)[1]  # the same draws, known targets
    seen = intercept(method)
    metrics = method.update(data)
    gap = penalty.detach() / 2
    torch.testing.assert_close(metrics["conservative_gap"], gap.mean(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(metrics["critic_loss"], losses.mean(1), rtol=1e-4, atol=1e-4)
    if threshold is not None:
        factor = torch.tensor([[2.5], [0.5]])
        excess = 2 * gap - threshold
        torch.testing.assert_close(seen["lagrange"], -(factor * excess).mean(1), rtol=1e-4, atol=1e-4)
        assert not reaches(seen["lagrange"], method.critic)
        assert not reaches(seen["critic"], method.lagrange)
        assert reaches(seen["lagrange"], method.lagrange)
        penalty = factor * (penalty - threshold)
    torch.testing.assert_close(seen["critic"].detach(), losses + penalty.detach(), rtol=1e-4, atol=1e-3)
    fit, _ = method.critic_loss(data, targets)
    mine, theirs = (
        torch.autograd.grad(loss.sum(), list(method.critic.parameters()))
        for loss in (seen["critic"], fit / N + penalty)
    )
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-3, atol=1e-5)


def test_the_proposals_are_no_path_for_gradients():
    method = make()
    seen = intercept(method)
    method.update(batch())
    assert not reaches(seen["critic"], method.policy)


@pytest.mark.parametrize(("threshold", "grows"), [(-1e3, True), (1e3, False)])
def test_the_multiplier_grows_where_the_gap_exceeds_its_threshold(threshold, grows):
    method = make(lagrange_threshold=1.0)
    object.__setattr__(method.config, "lagrange_threshold", threshold)  # below what a config takes, so that it grows
    assert method.lagrange().tolist() == [[1.0], [1.0]]
    method.update(batch())
    assert ((method.lagrange() > 1) == grows).all()


def test_critic_rate_is_the_sources_whatever_the_runs_length():
    """The rule for short runs raises the policy's 3e-5, up to 3e-4; the critics' 3e-4 is there already."""
    for steps in (1_000, 100_000, 2_000_000):
        method = make(steps=steps)
        assert method.optimizers["critic"].lr == 3e-4
    assert make(steps=2_000_000).optimizers["policy"].lr == 3e-5
    assert make(steps=1_000).optimizers["policy"].lr == 3e-4


# -- targets and settings ---------------------------------------------------------------------------------------------


def test_targets_start_as_copies_and_follow():
    method = plain("codac", target_rate=0.1)
    pairs = ((method.target_critic, method.critic), (method.target_policy, method.policy))
    before = []
    for target, network in pairs:
        before.append([p.clone() for p in target.parameters()])
        assert all(torch.equal(a, b) for a, b in zip(target.parameters(), network.parameters(), strict=True))
    method.update(batch())
    for old, (target, network) in zip(before, pairs, strict=True):
        for a, b, c in zip(old, target.parameters(), network.parameters(), strict=True):
            torch.testing.assert_close(b, 0.9 * a + 0.1 * c.detach())


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("halfcheetah-medium-expert", (0.1, None, 0.2, 3e-4)),
        ("halfcheetah-medium-replay", (1.0, None, None, 3e-5)),
        ("hopper-medium-expert", (10.0, None, 0.2, 3e-5)),
        ("hopper-medium-replay", (1.0, None, None, 3e-5)),
        ("walker2d-medium-expert", (10.0, None, 0.2, 3e-5)),
        ("walker2d-medium-replay", (1.0, None, None, 3e-6)),
    ],
)
def test_settings_of_each_dataset(task, expected):
    config = get_method("codac").Config.for_task(task)
    assert (config.conservative_weight, config.lagrange_threshold, config.entropy, config.lr_actor) == expected
    assert (config.n_actions, config.lr_critic, config.n_cos, config.n_fractions) == (10, 3e-4, 64, 32)


@pytest.mark.parametrize(("name", "value"), [("embedding", 8), ("critic_init", "released"), ("actor_critics", "mean")])
def test_options_of_the_other_critics_are_refused(name, value):
    with pytest.raises(RamacError, match=f"option {name} is {value}, but CODAC's critics are its own and have none"):
        dataclasses.replace(get_method("codac").Config(), **{name: value})
