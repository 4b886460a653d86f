"""Each term of DiffusionQL and CVAE-QL, and the critics of FlowQL too, against a value computed another way."""

import math

import pytest
import torch
from method_helpers import ACT, B, S, assert_gradients, batch, intercept, make, moved, parameters, same

GENERATIVE = ["diffusion-ql", "cvae-ql"]
ALL = [*GENERATIVE, "flow-ql"]


# -- the critics (eq. 1) ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_target_by_hand(name):
    """r + γ(1−d) times the minimum (FlowQL: the mean) of the targets at the EMA (FlowQL: the one-step) policy."""
    method, data = moved(name, discount=0.9), batch()
    state = method.noise.state()
    targets = method.target_returns(data)
    method.noise.load_state(state)
    policy = method.policy if name == "flow-ql" else method.target_policy
    noise = method.noise.normal(*policy.noise_shape(B))
    values = method.target_critic(data.next_observations, policy.sample(noise, data.next_observations)).tolist()
    for i in range(S):
        for row in range(B):
            pair = [values[i][0][row], values[i][1][row]]
            value = sum(pair) / 2 if name == "flow-ql" else min(pair)
            goes_on = data.terminals[i, row] == 0
            expected = data.rewards[i, row].item() + (0.9 * value if goes_on else 0)
            assert targets[i, row].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)
    assert 0 < data.terminals.mean() < 1
    assert not targets.requires_grad


@pytest.mark.parametrize("name", ALL)
def test_without_bootstrapping_the_target_is_the_reward(name):
    method, data = make(name, bootstrap=False), batch()
    torch.testing.assert_close(method.target_returns(data), data.rewards, rtol=0, atol=0)


@pytest.mark.parametrize("name", ALL)
def test_critic_loss_by_loops(name):
    method, data = moved(name), batch()
    targets = method.target_returns(data)
    loss, values = method.critic_loss(data, targets)
    values = values.detach()
    assert loss.shape == (S, 2)
    for i in range(S):
        for c in range(2):
            errors = [(float(values[i, c, row]) - float(targets[i, row])) ** 2 for row in range(B)]
            assert loss[i, c].item() == pytest.approx(sum(errors) / B, rel=1e-4)


@pytest.mark.parametrize("name", ALL)
def test_critics_learn_from_their_error_alone(name):
    method, data = moved(name, target_rate=0.0), batch()
    seen, state = intercept(method), method.noise.state()
    method.update(data)
    method.noise.load_state(state)
    error = (method.critic(data.observations, data.actions) - method.target_returns(data).unsqueeze(1)).square()
    torch.testing.assert_close(seen["critic"][0], error.mean(2).detach())
    assert_gradients(seen["critic"][1], error.mean(2), method.critic)


# -- L_BC − η · mean Q_i / mean |Q_j| ---------------------------------------------------------------------------------


def linear_critics(weights, offsets):
    """Q_k(s, a) = w_k · a + b_k for both critics of every seed."""
    w, b = torch.tensor(weights), torch.tensor(offsets)
    return lambda s, a: torch.stack([a @ w[k] + b[k] for k in range(2)], dim=1)


def test_q_loss_and_its_gradient_in_closed_form():
    """With linear critics, for both choices of i: −mean Q_i/mean|Q_j|, slope −w_i/(B · mean|Q_j|), none through Q_j."""
    count = 200
    method, data = make("diffusion-ql", seeds=range(count)), batch(seeds=count)
    w, b = [[2.0, -1.0], [0.5, 3.0]], [4.0, -1.0]
    method.critic.forward = linear_critics(w, b)
    state = method.noise.state()
    actions = data.actions.clone().requires_grad_()
    loss = method.q_loss(data, actions)
    (slope,) = torch.autograd.grad(loss.sum(), actions)
    method.noise.load_state(state)
    chosen = (method.noise.uniform(1) >= 0.5).long().squeeze(1).tolist()
    for seed, i in enumerate(chosen):
        q = [[sum(w[k][d] * float(a[d]) for d in range(2)) + b[k] for a in data.actions[seed]] for k in range(2)]
        scale = sum(abs(v) for v in q[1 - i]) / B
        assert loss[seed].item() == pytest.approx(-sum(q[i]) / B / scale, rel=1e-4)
        for d in range(2):
            assert slope[seed, :, d].tolist() == pytest.approx([-w[i][d] / B / scale] * B, rel=1e-4)
    # Each critic is chosen half of the time, within four binomial standard deviations.
    assert abs(sum(chosen) - count / 2) < 4 * math.sqrt(count / 4)


@pytest.mark.parametrize("name", GENERATIVE)
def test_policy_descends_bc_minus_eta_q(name):
    method, data = moved(name, eta=0.7), batch()
    seen = intercept(method)
    state = method.noise.state()
    method.update(data)
    method.noise.load_state(state)
    method.target_returns(data)  # consumes the same draws
    draws = method.policy.bc_draws(method.noise, B)
    bc = method.policy.bc_loss(data.observations, data.actions, *draws)
    actions = method.policy.sample(method.noise.normal(*method.policy.noise_shape(B)), data.observations)
    values, first = method.critic(data.observations, actions), method.noise.uniform(1).squeeze(1) < 0.5
    ratios = [
        values[k, 0 if f else 1].mean() / values[k, 1 if f else 0].abs().mean().item() for k, f in enumerate(first)
    ]
    loss = bc - 0.7 * torch.stack(ratios)
    torch.testing.assert_close(seen["policy"][0], loss.detach(), rtol=1e-4, atol=1e-5)
    assert_gradients(seen["policy"][1], loss, method.policy)


@pytest.mark.parametrize("name", GENERATIVE)
def test_the_value_term_reaches_the_deployed_policy_and_not_the_critics(name):
    method, data = make(name), batch()
    noise = 0.3 * method.policy_noise(data.observations)  # away from the clamps
    method.q_loss(data, method.policy.sample(noise, data.observations)).sum().backward()
    reached = method.policy.decoder if name == "cvae-ql" else method.policy
    assert all(p.grad.abs().flatten(1).sum(1).min() > 0 for p in reached.parameters())
    assert all(p.grad is None and p.requires_grad for p in method.critic.parameters())


@pytest.mark.parametrize("name", GENERATIVE)
def test_targets_follow_at_their_rate(name):
    method = moved(name, target_rate=0.1)
    pairs = ((method.critic, method.target_critic), (method.policy, method.target_policy))
    before = [parameters(target) for _, target in pairs]
    method.update(batch())
    for old, (online, target) in zip(before, pairs, strict=True):
        for a, b, c in zip(old, online.parameters(), target.parameters(), strict=True):
            torch.testing.assert_close(c, 0.9 * a + 0.1 * b.detach())


@pytest.mark.parametrize("name", ALL)
def test_targets_follow_faster_in_short_runs(name):
    """2M updates at .005 are 10,000 time constants: kept by 1M updates at .01, and by 1,000 up to the cap of .05."""
    for steps, rate in ((2_000_000, 0.005), (1_000_000, 0.01), (1_000, 0.05)):
        assert make(name, steps=steps).target_rate == pytest.approx(rate)
    assert make(name, steps=1_000, short_run_rate=False).target_rate == 0.005


# -- acting by 50 candidates ------------------------------------------------------------------------------------------


def known_candidates(method, values, rows):
    """Let candidate k of row r be the action (k, r)/1000 and the smaller target critic's value of it values[k]."""
    count = len(values)
    index = torch.stack([torch.arange(count).repeat(rows), torch.arange(rows).repeat_interleave(count)], dim=-1)

    def sample(noise, observations):
        assert observations.shape[1] == rows * count
        torch.testing.assert_close(observations[0, :, 0], index[:, 1].float())  # a row's candidates see its state
        return (index / 1000).expand(method.stack[0], -1, -1)

    def target(observations, actions):
        lower = torch.tensor(values)[(actions[..., 0] * 1000).round().long()]
        return torch.stack([lower, lower + 1], dim=1)  # the larger critic has no say

    method.policy.sample, method.target_critic.forward = sample, target
    states = torch.arange(rows).float()[None, :, None].expand(method.stack[0], rows, method.dims[0])
    return states


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_the_choice_among_candidates_follows_the_softmax(offset):
    rows, values = 4000, [offset + v for v in (0.0, 1.0, -1.0, 2.0)]
    method = make("diffusion-ql", candidates=4)
    states = known_candidates(method, values, rows)
    actions = method.act(states, method.noise)
    assert actions.shape == (S, rows, ACT)
    torch.testing.assert_close(actions[0, :, 1], torch.arange(rows) / 1000)  # each row chooses among its own
    chosen = (actions[..., 0] * 1000).round().long()
    total = sum(math.exp(v - offset) for v in values)
    for k, value in enumerate(values):
        p = math.exp(value - offset) / total
        error = math.sqrt(p * (1 - p) / rows)
        for i in range(S):
            assert (chosen[i] == k).float().mean().item() == pytest.approx(p, abs=4 * error)
    assert not torch.equal(chosen[0], chosen[1])  # seeds choose by themselves


def test_fifty_candidates_unless_told_otherwise():
    method = make("diffusion-ql")
    values = [0.0] * 49 + [30.0]  # e^30 against 49: the last is all but certain
    actions = method.act(known_candidates(method, values, 20), method.noise)
    torch.testing.assert_close(actions[..., 0], torch.full((S, 20), 0.049))


def test_the_number_of_candidates_is_no_part_of_training():
    """Chapter 5 sets two rows beside each other that differ in it: their networks are the same."""
    trained = []
    for candidates in (1, 50):
        method = make("diffusion-ql", candidates=candidates)
        before = parameters(method.policy)
        for seed in range(3):
            method.learn(batch(seed))
        assert not any(same(before, method.policy))
        trained.append(method)
    for name in ("policy", "critic", "target_critic"):
        assert all(same(parameters(getattr(trained[0], name)), getattr(trained[1], name)))


def test_one_candidate_deploys_the_actor_itself():
    method, data = make("diffusion-ql", candidates=1), batch()
    state = method.noise.state()
    actions = method.act(data.observations, method.noise)
    method.noise.load_state(state)
    noise = method.noise.normal(*method.policy.noise_shape(B))
    torch.testing.assert_close(actions, method.policy.sample(noise, data.observations).detach())


# -- what they can learn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_policies_move_to_the_better_of_two_actions(name):
    """One-step rewards: the data hold −.5 and .5 alike, and .5 pays; without the value term nothing prefers it."""
    g = torch.Generator().manual_seed(0)
    size = {"batch_size": 64, "dims": (1, 1), "seeds": (0,), "bootstrap": False, "lr_actor": 3e-3, "lr_critic": 1e-2}
    value = {"bc_coefficient": 1.0} if name == "flow-ql" else {"eta": 3.0}
    clone = {"bc_coefficient": 1e4} if name == "flow-ql" else {"eta": 0.0}
    means = []
    for option in (value, clone):
        method = make(name, **size, **option, **({"candidates": 1} if name == "diffusion-ql" else {}))
        for _ in range(250):
            sign = torch.randint(2, (1, 64, 1), generator=g).float() * 2 - 1
            data = batch(seeds=1, rows=64, dims=(1, 1))
            method.update(data._replace(observations=torch.zeros(1, 64, 1), actions=sign / 2, rewards=sign[..., 0]))
        means.append(method.act(torch.zeros(1, 500, 1), method.noise).mean().item())
    assert means[0] > means[1] + 0.2
