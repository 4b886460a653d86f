"""Each term of CQL against a value computed another way; its normalised observations; the entropy's tuning."""

import math

import pytest
import torch
from method_helpers import ACT, OBS, B, S, assert_gradients, batch, intercept, make, moved, parameters, same
from torch.distributions import Normal, TanhTransform, TransformedDistribution

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods.shared.soft_actor import conservative_gap, proposals


def drawn(policy, noise, observations):
    """Actions of the policy and their log densities, by torch's own distributions."""
    mean, log_std = policy.mlp(observations).chunk(2, dim=-1)
    before = Normal(mean, log_std.exp())
    actions = (mean + log_std.exp() * noise).tanh()
    law = TransformedDistribution(before, [TanhTransform(cache_size=0)])
    return actions, law.log_prob(actions.double()).sum(-1).float()


# -- the critics ------------------------------------------------------------------------------------------------------


def test_target_by_hand_without_entropy():
    """r + γ(1−d) min_k Q̄_k(s', a') with a' a *sample* of the policy, though what is deployed is its mode."""
    method, data = moved("cql", discount=0.9), batch()
    assert method.config.deterministic
    state = method.noise.state()
    targets = method.target_returns(data)
    method.noise.load_state(state)
    actions, _ = drawn(method.policy, method.noise.normal(B, ACT), data.next_observations)
    values = method.target_critic(data.next_observations, actions).tolist()
    for i in range(S):
        for row in range(B):
            value = 0.0 if data.terminals[i, row] else min(values[i][0][row], values[i][1][row])
            assert targets[i, row].item() == pytest.approx(data.rewards[i, row].item() + 0.9 * value, rel=1e-4)


def test_proposals_and_the_densities_they_were_drawn_with():
    """5 uniform on the box, 5 of π(·|s') and 5 of π(·|s) for each row, in this order."""
    method, data = make("cql"), batch()
    state = method.noise.state()
    actions, densities = proposals(method.policy, method.noise, data, 5)
    method.noise.load_state(state)
    assert actions.shape == (S, B * 15, ACT)
    assert densities.shape == (S, B, 15)
    assert not actions.requires_grad
    assert not densities.requires_grad
    actions = actions.unflatten(1, (B, 15))
    torch.testing.assert_close(actions[:, :, :5], 2 * method.noise.uniform(B, 5, ACT) - 1)
    torch.testing.assert_close(densities[:, :, :5], torch.full((S, B, 5), math.log(0.25)))  # a square of area 4
    for first, states in ((5, data.next_observations), (10, data.observations)):
        noise = method.noise.normal(B * 5, ACT).unflatten(1, (B, 5))
        for row in range(B):
            expected, log_prob = drawn(method.policy, noise[:, row], states[:, row : row + 1])
            torch.testing.assert_close(actions[:, row, first : first + 5], expected.detach())
            torch.testing.assert_close(densities[:, row, first : first + 5], log_prob.detach(), rtol=1e-3, atol=1e-3)


def test_critic_loss_is_the_error_and_the_penalty_by_loops():
    """MSE + α (E_s log Σ_a exp(Q(s, a) − log μ(a)) − E_D Q), every row and action evaluated by itself."""
    method, data = moved("cql", cql_weight=3.0, n_actions=2), batch()
    targets = torch.randn(S, B, generator=torch.Generator().manual_seed(1))
    state = method.noise.state()
    loss, _ = method.critic_loss(data, targets)
    method.noise.load_state(state)
    actions, densities = proposals(method.policy, method.noise, data, 2)
    actions = actions.unflatten(1, (B, 6))
    own = method.critic(data.observations, data.actions).tolist()
    by_hand = torch.zeros(S, 2)
    slopes = torch.autograd.grad(loss.sum(), list(method.critic.parameters()))
    for row in range(B):
        others = [method.critic(data.observations[:, row : row + 1], actions[:, row, k : k + 1]) for k in range(6)]
        for i in range(S):
            for c in range(2):
                total = sum(math.exp(q[i, c, 0].item() - densities[i, row, k].item()) for k, q in enumerate(others))
                error = (own[i][c][row] - targets[i, row].item()) ** 2
                by_hand[i, c] += (error + 3 * (math.log(total) - own[i][c][row])) / B
    torch.testing.assert_close(loss.detach(), by_hand, rtol=1e-4, atol=1e-4)
    # Its gradient raises the data's values by α as well as lowering the others'.
    states = data.observations.repeat_interleave(6, 1)
    others = method.critic(states, actions.flatten(1, 2)).unflatten(2, (B, 6)) - densities[:, None]
    own = method.critic(data.observations, data.actions)
    again = ((own - targets[:, None]).square() + 3 * (others.exp().sum(3).log() - own)).mean(2)
    assert_gradients(slopes, again, method.critic)


@pytest.mark.parametrize("slope", [0.0, 1.0, -2.5])
def test_the_penalty_estimates_the_integral_over_all_actions(slope):
    """For Q(a) = k a in one dimension log ∫ exp(Q) da = log(2 sinh k / k), from each of the three laws alone."""
    method = make("cql", dims=(1, 1), seeds=(0,))
    with torch.no_grad():  # π = tanh N(.2, 1) in every state: wide enough for its weights to behave
        last = method.policy.mlp.layers[-1]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.2, 0.0]))
    count = 40_000
    data = Batch(*(torch.zeros(1, 1, *shape) for shape in ((1,), (1,), (), (1,), ())))
    actions, densities = proposals(method.policy, method.noise, data, count)
    exact = math.log(2 * math.sinh(slope) / slope) if slope else math.log(2)
    values = slope * actions[:, None, :, 0]
    for law in range(3):
        part = slice(law * count, (law + 1) * count)
        gap = conservative_gap(values[..., part], densities[..., part], torch.tensor([[0.25]]))
        assert gap.item() == pytest.approx(exact + math.log(count) - 0.25, abs=0.02)
    together = conservative_gap(values, densities, torch.zeros(1, 1))
    assert together.item() == pytest.approx(exact + math.log(3 * count), abs=0.02)


def test_critics_are_pushed_down_on_proposals_and_up_on_the_data():
    """With rewards of zero and no bootstrapping, only the penalty tells the data's action from others."""
    method = make("cql", dims=(1, 1), seeds=(0,), bootstrap=False, lr_critic=1e-2)
    data = Batch(*(torch.zeros(1, 32, *shape) for shape in ((1,), (1,), (), (1,), ())))._replace(
        actions=torch.full((1, 32, 1), 0.5)
    )
    for _ in range(150):
        method.update(data)
    inside, outside = (method.critic(torch.zeros(1, 1, 1), torch.full((1, 1, 1), a)).mean().item() for a in (0.5, -0.5))
    assert inside > outside + 0.5


# -- the policy and its entropy ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("entropy", [None, 0.3])
def test_policy_loss_by_hand(entropy):
    method, data = moved("cql", entropy=entropy), batch()
    if entropy is None:
        with torch.no_grad():
            method.entropy_multiplier.log.copy_(torch.tensor([[0.5], [-1.0]]))
    alpha = torch.tensor([math.exp(0.5), math.exp(-1.0)]) if entropy is None else torch.tensor([0.3, 0.3])
    method.updates = method.steps  # past its warm-up
    seen, state = intercept(method), method.noise.state()
    metrics = method.update(data)
    method.noise.load_state(state)
    actions, log_prob = method.policy.sample_with_log_prob(method.noise.normal(B, ACT), data.observations)
    values = method.critic(data.observations, actions)
    lower = torch.where(values[:, 0] < values[:, 1], values[:, 0], values[:, 1])
    loss = (alpha[:, None] * log_prob - lower).mean(1)
    torch.testing.assert_close(seen["policy"][0], loss.detach())
    assert_gradients(seen["policy"][1], loss, method.policy)
    torch.testing.assert_close(metrics["entropy"], -log_prob.mean(1).detach())
    torch.testing.assert_close(metrics["entropy_coefficient"], alpha)
    assert ("entropy" in seen) == (entropy is None)


def test_the_policys_update_leaves_the_critics_alone():
    method, data = make("cql"), batch()
    before = parameters(method.critic)
    method.update_policy(data, clones=False)
    assert all(same(before, method.critic))
    assert all(p.grad is None and p.requires_grad for p in method.critic.parameters())


def test_entropy_coefficient_rises_where_entropy_is_too_low():
    """J(α) = −log α · (E log π − |A|): its slope is the entropy that is missing, and Adam moves against it."""
    method, recorded = make("cql"), make("cql")
    log_prob = torch.tensor([[ACT + 1.0] * B, [ACT - 0.5] * B])  # entropies −3 and −1.5, wanted −2
    seen = intercept(recorded)
    recorded.update_entropy(log_prob)
    torch.testing.assert_close(seen["entropy"][1][0].squeeze(), torch.tensor([-1.0, 0.5]))
    method.update_entropy(log_prob)
    coefficient = method.entropy_coefficient()
    assert coefficient[0] > 1 > coefficient[1]


def test_the_policy_clones_within_its_warmup():
    method, data = make("cql", steps=10, bc_warmup=0.2, entropy=0.1, short_run_rate=False), batch()
    seen = intercept(method)
    for k in range(3):
        state = method.noise.state()
        method.update(data)
        method.noise.load_state(state)
        actions, log_prob = method.policy.sample_with_log_prob(method.noise.normal(B, ACT), data.observations)
        if k < 2:
            value = method.policy.log_prob(data.observations, data.actions)
        else:
            value = method.critic(data.observations, actions).amin(1)
        torch.testing.assert_close(seen["policy"][0], (0.1 * log_prob - value).mean(1).detach())


def test_the_warmup_is_longer_in_short_runs():
    assert [make("cql", steps=n).bc_warmup for n in (5_000, 50_000, 2_000_000)] == [0.5, 0.05, 0.02]


def test_deployed_is_the_mode_unless_told_otherwise():
    observations = batch().observations
    method = make("cql")
    expected = method.policy.mlp(observations)[..., :ACT].tanh().detach()
    for _ in range(2):
        torch.testing.assert_close(method.act(observations, method.noise), expected)
    sampled = make("cql", deterministic=False)
    assert not torch.equal(*(sampled.act(observations, sampled.noise) for _ in range(2)))


def test_targets_follow_at_their_rate():
    method = moved("cql", target_rate=0.1)
    before = parameters(method.target_critic)
    method.update(batch())
    for a, b, c in zip(before, method.critic.parameters(), method.target_critic.parameters(), strict=True):
        torch.testing.assert_close(c, 0.9 * a + 0.1 * b.detach())


# -- observations of mean 0 and standard deviation 1 ------------------------------------------------------------------


def scaled(data):
    return data._replace(observations=100 + 5 * data.observations, next_observations=100 + 5 * data.next_observations)


def test_networks_see_standardised_observations_in_update_and_act():
    raw = scaled(batch())
    columns = raw.observations.reshape(-1, OBS)
    mean = columns.double().mean(0)
    std = ((columns.double() - mean).square().sum(0) / (len(columns) - 1)).sqrt()
    standard = [((x - mean) / (std + 1e-3)).float() for x in (raw.observations, raw.next_observations)]
    method, plain = make("cql"), make("cql", normalize=False)
    method.fit_normalizer(columns)
    plain.fit_normalizer(columns)  # does nothing there
    torch.testing.assert_close(plain.act(standard[0], plain.noise), method.act(raw.observations, method.noise))
    # The whole update is that of a method without normalisation on data standardised by hand.
    ours = method.update(raw)
    theirs = plain.update(raw._replace(observations=standard[0], next_observations=standard[1]))
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=1e-3, atol=1e-3)
    untouched = make("cql", normalize=False).update(raw)
    assert not torch.allclose(ours["critic_loss"], untouched["critic_loss"], rtol=0.01)


def test_the_normaliser_survives_saving_and_loading():
    method, data = make("cql"), scaled(batch())
    method.fit_normalizer(data.observations.reshape(-1, OBS))
    method.update(data)
    expected = method.act(data.observations, method.noise)
    states = [method.seed_state(i) for i in range(S)]
    to_act, to_go_on = make("cql"), make("cql")
    to_act.load_networks(states)
    to_go_on.load_seed_states(states, 1)
    for loaded in (to_act, to_go_on):
        torch.testing.assert_close(loaded.act(data.observations, loaded.noise), expected, rtol=0, atol=0)
    alone = make("cql", seeds=(1,))
    alone.load_networks(states[1:])
    torch.testing.assert_close(alone.act(data.observations[1:], alone.noise), expected[1:])
