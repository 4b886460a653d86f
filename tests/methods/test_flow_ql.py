"""FlowQL's three losses: the critics' are in test_qlearning.py, its flow's and its one-step policy's here."""

import copy

import pytest
import torch
from method_helpers import ACT, OBS, B, S, assert_gradients, batch, intercept, make, moved, parameters, same, scramble
from torch.nn import functional

from ramac_lib.datasets.batches import Batch
from ramac_lib.networks.layers import Linear, PlainTime, TimeEmbedding
from ramac_lib.system.errors import RamacError

OFFICIAL = {"init": "glorot", "time_embedding": "plain", "joint_update": True}
EARLIER = {"init": "fan_in", "time_embedding": "sinusoidal", "joint_update": False}


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


def mlp(network, x, seed, *critic):
    """Return one member's network's value, written out: affine layers, GELU and, where there are norms, these."""
    *hidden, last = network.layers
    for layer, norm in zip(hidden, network.norms, strict=True):
        x = functional.gelu(x @ layer.weight[seed, *critic] + layer.bias[seed, *critic])
        if critic:
            x = functional.layer_norm(x, x.shape[-1:]) * norm.weight[seed, *critic] + norm.bias[seed, *critic]
    return x @ last.weight[seed, *critic] + last.bias[seed, *critic]


def sum_of_losses(method, data, seed, draws):
    """Return FQL's one loss of a seed: critics' plus flow's plus α · distillation plus −mean Q / mean |Q|."""
    next_noise, times, start, noise = (d[seed] for d in draws)
    s, a, after = data.observations[seed], data.actions[seed], data.next_observations[seed]

    def q(network, states, actions):
        return torch.stack([mlp(network.mlp, torch.cat([states, actions], -1), seed, c)[:, 0] for c in (0, 1)])

    with torch.no_grad():
        chosen = mlp(method.policy.mlp, torch.cat([next_noise, after], -1), seed).clamp(-1, 1)
        future = 0.99 * (1 - data.terminals[seed]) * q(method.target_critic, after, chosen).mean(0)
        x = noise
        for k in range(10):
            x = x + mlp(method.flow.velocity.mlp, torch.cat([x, torch.full((B, 1), k / 10), s], -1), seed) / 10
    loss = (q(method.critic, s, a) - data.rewards[seed] - future).square().mean(1).sum()
    t = times[:, None]
    velocity = mlp(method.flow.velocity.mlp, torch.cat([(1 - t) * start + t * a, t, s], -1), seed)
    mine = mlp(method.policy.mlp, torch.cat([noise, s], -1), seed)
    held = copy.deepcopy(method.critic).requires_grad_(False)
    values = q(held, s, mine.clamp(-1, 1)).mean(0)
    loss = loss + (velocity - a + start).square().mean() + 3 * (mine - x.clamp(-1, 1)).square().mean()
    return loss - values.mean() / values.detach().abs().mean()


def test_a_joint_update_is_one_step_of_adam_on_the_sum_of_the_losses():
    """Two updates, by one Adam of PyTorch over all networks; targets move to the critics as they were before."""
    method = moved("flow-ql", bc_coefficient=3.0, target_rate=0.2, **OFFICIAL)
    hand = copy.deepcopy(method)
    everything = [p for network in (hand.critic, hand.flow, hand.policy) for p in network.parameters()]
    adam = torch.optim.Adam(everything, lr=3e-4)
    for k in range(2):
        data, state = batch(k), method.noise.state()
        method.update(data)
        hand.noise.load_state(state)
        draws = [hand.noise.normal(B, ACT), *hand.flow.bc_draws(hand.noise, B), hand.noise.normal(B, ACT)]
        adam.zero_grad()
        sum(sum_of_losses(hand, data, seed, draws) for seed in range(S)).backward()
        with torch.no_grad():
            for target, source in zip(hand.target_critic.parameters(), hand.critic.parameters(), strict=True):
                target.lerp_(source, method.target_rate)
        adam.step()
    for mine, by_hand in zip(method.parameters(), hand.parameters(), strict=True):
        torch.testing.assert_close(mine, by_hand, rtol=1e-4, atol=2e-6)


def test_one_after_another_the_policy_and_the_targets_see_the_critics_updated():
    """The first update of critics and flow is the same in both ways; targets differ, and the second of policies."""
    joint, turns = (moved("flow-ql", **{**EARLIER, "joint_update": j}) for j in (True, False))
    for method in (joint, turns):
        method.update(batch())
    assert all(same(parameters(joint.critic), turns.critic))
    assert all(same(parameters(joint.flow), turns.flow))
    assert not any(same(parameters(joint.target_critic), turns.target_critic))
    for method in (joint, turns):
        method.update(batch(1))
    assert not any(same(parameters(joint.policy), turns.policy))


def test_the_options_reach_all_three_networks():
    official, earlier = make("flow-ql", **OFFICIAL), make("flow-ql", **EARLIER)
    for method, init, time in ((official, "glorot", PlainTime), (earlier, "fan_in", TimeEmbedding)):
        for network in (method.critic, method.flow, method.policy):
            assert {layer.init for layer in network.modules() if isinstance(layer, Linear)} == {init}
        assert type(method.flow.velocity.time) is time
    assert official.flow.velocity.mlp.layers[0].weight.shape[1] == ACT + 1 + OBS


@pytest.mark.parametrize("name", ["init", "time_embedding"])
def test_an_unknown_value_is_refused(name):
    with pytest.raises(RamacError, match=f"unknown value of {name} 'other': choose one of "):
        make("flow-ql", **{name: "other"})


def test_the_bandit_keeps_its_own_settings():
    config = make("flow-ql", task="risky-bandit").config
    assert {name: getattr(config, name) for name in EARLIER} == EARLIER


def test_in_the_official_codes_ways_a_seed_learns_alone_and_resumes_as_in_company():
    both, alone = (make("flow-ql", seeds=seeds, **OFFICIAL) for seeds in ((3, 7), (7,)))
    for k in range(4):
        if k == 2:
            again = make("flow-ql", seeds=(7,), **OFFICIAL)
            again.load_seed_states([alone.seed_state(0)], 2)
            alone = again
        data = batch(k)
        both.update(data)
        alone.update(Batch(*(None if column is None else column[1:] for column in data)))
    for together, single in zip(both.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(together[1:], single, rtol=1e-4, atol=1e-6)
