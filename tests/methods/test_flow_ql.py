"""FlowQL's three losses: the critics' are in test_qlearning.py, its flow's and its one-step policy's here."""

import pytest
import torch
from method_helpers import ACT, B, S, assert_gradients, batch, intercept, make, moved, parameters, same, scramble


def test_policy_loss_by_loops():
    """α · mean (μ(s, z) − flow(s, z))² − mean Q / mean |Q| with Q the mean of the critics, both from one z."""
    method, data = moved("flow-ql", bc_coefficient=3.0), batch()
    seen = intercept(method)
    state = method.noise.state()
    method.update(data)
    method.noise.load_state(state)
    method.target_returns(data)  # consumes the same draws
    method.flow.bc_draws(method.noise, B)
    noise = method.noise.normal(B, ACT)
    anchors = method.flow.sample(noise, data.observations).detach()
    mine = method.policy.mlp(torch.cat([noise, data.observations], dim=-1))
    values = method.critic(data.observations, mine.clamp(-1, 1)).mean(1)
    gaps, q = (mine - anchors).flatten(1).tolist(), values.tolist()
    by_hand = []
    for i in range(S):
        distance = sum(gap**2 for gap in gaps[i]) / (B * ACT)
        by_hand.append(3 * distance - sum(q[i]) / sum(abs(v) for v in q[i]))
    assert seen["policy"][0].tolist() == pytest.approx(by_hand, rel=1e-4)
    loss = 3 * (mine - anchors).square().mean((1, 2)) - values.mean(1) / values.detach().abs().mean(1)
    assert_gradients(seen["policy"][1], loss, method.policy)


def test_distils_beyond_the_box_where_q_is_blind():
    """Where μ leaves the box, its distance to the flow's action still pulls, and Q, seen at the clamp, does not."""
    method, data = make("flow-ql"), batch()
    with torch.no_grad():
        method.policy.mlp.layers[-1].bias += 5
    distance, q_loss = method.policy_loss(data)
    assert distance.min() > 4
    bias = method.policy.mlp.layers[-1].bias
    pull, value = (torch.autograd.grad(term.sum(), bias, retain_graph=True)[0] for term in (distance, q_loss))
    assert pull.abs().min() > 0
    assert value.abs().max() == 0


def test_trains_its_flow_by_flow_matching_alone():
    method, data = moved("flow-ql"), batch()
    seen = intercept(method)
    state = method.noise.state()
    method.update(data)
    method.noise.load_state(state)
    method.target_returns(data)
    times, noise = method.flow.bc_draws(method.noise, B)
    blend = (1 - times)[..., None] * noise + times[..., None] * data.actions
    velocity = method.flow.velocity(blend, method.flow.velocity.time(10 * times), data.observations)
    loss = (velocity - data.actions + noise).square().mean((1, 2))
    torch.testing.assert_close(seen["flow"][0], loss.detach())
    assert_gradients(seen["flow"][1], loss, method.flow)


def test_the_one_step_policys_loss_reaches_neither_flow_nor_critics():
    method, data = make("flow-ql"), batch()
    sum(method.policy_loss(data)).sum().backward()
    assert all(p.grad is not None for p in method.policy.parameters())
    assert all(p.grad is None for network in (method.flow, method.critic) for p in network.parameters())


def test_the_flow_is_the_same_to_the_bit_whatever_the_critics_say():
    plain, other = make("flow-ql"), make("flow-ql", bc_coefficient=0.1)
    scramble(other.critic, 9, 1.0)
    for k in range(3):
        plain.update(batch(k))
        other.update(batch(k))
    assert all(same(parameters(plain.flow), other.flow))
    assert not any(same(parameters(plain.policy), other.policy))


def test_deploys_its_one_step_policy():
    method, data = make("flow-ql"), batch()
    state = method.noise.state()
    actions = method.act(data.observations, method.noise)
    method.noise.load_state(state)
    noise = method.noise.normal(B, ACT)
    expected = method.policy.mlp(torch.cat([noise, data.observations], dim=-1)).clamp(-1, 1)
    torch.testing.assert_close(actions, expected.detach())


def test_targets_follow_at_their_rate():
    method = moved("flow-ql", target_rate=0.2)
    before = parameters(method.target_critic)
    method.update(batch())
    for a, b, c in zip(before, method.critic.parameters(), method.target_critic.parameters(), strict=True):
        torch.testing.assert_close(c, 0.8 * a + 0.2 * b.detach())
