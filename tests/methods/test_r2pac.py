"""R2PAC: its penalty and its proposition, labels, losses by hand, chunks that are played, ablations, refusals."""

import re

import numpy as np
import pytest
import torch
from method_helpers import ACT, OBS, S, assert_gradients, batch, episodes, intercept, make, scramble

from ramac_lib.datasets.batches import Batch, Chunks, Replay
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods.shared.limits import cost_limit
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.networks.policies.gaussian import GaussianPolicy
from ramac_lib.networks.policies.guided_flow import GuidedFlowPolicy
from ramac_lib.system.errors import RamacError


def r2pac(**options):
    """A small one, past the start of its penalty unless told otherwise."""
    method = make("r2pac", **{"length": 2, "value_share": 0.5, **options})
    method.step.fill_(500)
    return method


def targets(method, rewards, after, threshold, terminal=0.0, value=0.0):
    """The targets of Q̄_r of one chunk, for given V_c and V̄_r of the state after it."""
    method.cost.state_value = lambda _: torch.full((S, 1), after)
    method.reward.state_value = lambda _: torch.full((S, 1), value)
    column, steps = torch.zeros(S, 1), torch.tensor(rewards).expand(S, 1, -1)
    given = Batch(column, steps, steps, column, column + terminal, costs=steps)
    return float(method.penalised(given, torch.full((S, 1), threshold))[0, 0])


# -- the penalty ------------------------------------------------------------------------------------------------------


def test_targets_are_penalised_where_the_chunk_ends_unsafe():
    method = r2pac(penalty="paper", absorbing=7.0)
    plain = 1 + 0.99 * 2 + 0.99**2 * 3
    assert targets(method, [1.0, 2.0], after=0.4, threshold=0.5, value=3.0) == pytest.approx(plain)
    assert targets(method, [1.0, 2.0], after=0.5, threshold=0.5, value=3.0) == pytest.approx(plain)  # V_c ≤ ℓ is safe
    assert targets(method, [1.0, 2.0], after=0.6, threshold=0.5, value=3.0) == -7  # printed positive; it is below 0
    assert targets(method, [1.0, 2.0], 0.6, 0.5, terminal=1.0, value=3.0) == pytest.approx(1 + 0.99 * 2)
    off = r2pac(penalise=False)
    assert targets(off, [1.0, 2.0], after=0.6, threshold=0.5, value=3.0) == pytest.approx(plain)


def test_a_cost_inside_a_chunk_goes_unpenalised():
    """Costs 1, 0 and V_c(s_{t+2}) = 0: the paper's rule looks at the last state alone, though Q_c is 1."""
    method = r2pac(penalty="paper", absorbing=10.0)
    assert targets(method, [1.0, 0.0], after=0.0, threshold=0.5) == 1.0  # rewards, and by the same numbers costs
    column, costs = torch.zeros(S, 1), torch.tensor([[[1.0, 0.0]]] * S)
    given = Batch(column, costs, costs, column, column, costs=costs)
    assert method.backup(given, costs, method.cost)[0, 0].item() == 1.0


def test_the_papers_first_proposition_does_not_hold():
    """One state, two loops (r 0, c 0) and (r 1, c 1): V_c* is 0, no state is unsafe, and no C changes that 1 pays."""
    for size in (1.0, 1e6):
        method, value, cost = r2pac(penalty="paper", absorbing=size, discount=0.9, length=1), 0.0, 0.0
        for _ in range(300):
            paid = [targets(method, [reward], after=cost, threshold=0.5, value=value) for reward in (0.0, 1.0)]
            value, cost = max(paid), min(0.9 * cost, 1 + 0.9 * cost)
        assert (cost, value) == (0.0, pytest.approx(10, rel=1e-3))
        assert paid[1] > paid[0]


def test_a_value_of_minus_one_is_a_reward_where_rewards_are_negative():
    """Stay (r −1 for ever, −10) or enter an absorbing trap (r 1, c 1), γ = .9: the trap is avoided for |C̄| > 10."""
    stays, traps = episodes([40], [-1] * 40, [0] * 40, terminal=False), episodes([5], [1] * 5, [1] * 5, terminal=False)
    data = stays.with_(**{
        key: np.concatenate([column, traps.arrays()[key]]) for key, column in stays.arrays().items()
    })  # fmt: skip
    entered, stayed = {}, -10.0
    for penalty in ("paper", "sufficient"):
        method = r2pac(penalty=penalty, absorbing=1.0, discount=0.9, length=1, dims=(1, 1))
        method.fit_data(data)
        entered[penalty] = targets(method, [1.0], after=10.0, threshold=0.5)
    assert entered["paper"] > stayed > entered["sufficient"]


def test_nothing_is_unsafe_before_the_schedule_says_so():
    method, costs = r2pac(penalty_from=0.1), torch.tensor([[0.0, 1.0, 2.0]] * S)
    for step, unsafe in ((99, [0, 0, 0]), (100, [0, 0, 1])):
        method.step.fill_(step)
        assert method.unsafe(costs, torch.ones(S, 1))[0].int().tolist() == unsafe


def test_the_threshold_is_a_quantile_or_the_limits():
    costs = torch.stack([torch.arange(10.0), 2 * torch.arange(10.0)])
    for share, expected in ((0.5, 5.0), (0.85, 8.0), (0.99, 9.0)):
        threshold = r2pac(safe_share=share).safe_threshold(costs)
        assert threshold.tolist() == [[expected], [2 * expected]]  # of each seed by itself
    assert not r2pac().unsafe(torch.ones(S, 10), r2pac().safe_threshold(torch.ones(S, 10))).any()  # all alike: all safe
    method = r2pac(region="limit", cost_limit=10.0, cost_horizon=300)
    torch.testing.assert_close(
        method.safe_threshold(costs)[0, 0], torch.tensor(cost_limit(10, 300, 0.99, "discounted"))
    )


# -- one update -------------------------------------------------------------------------------------------------------


def test_each_loss_of_the_values_by_hand():
    method = r2pac(penalty="paper", absorbing=3.0, safe_share=0.5, target_rate=0.0)
    for k, network in enumerate((method.reward.q, method.cost.q, method.cost.target, method.cost.v, method.reward.v)):
        scramble(network, k)
    data, seen = batch(of=method), intercept(method)
    method.update(data)
    states, chunks = data.observations, data.actions.flatten(2)
    assert chunks.shape == (S, 6, 2 * ACT)
    v_c, q_c = method.cost.v(states)[..., 0], method.cost.target(states, chunks).amax(1).detach()
    loss = (torch.where(v_c - q_c < 0, 0.1, 0.9) * (v_c - q_c) ** 2).mean(1)
    assert_gradients(seen["cost_critic_value"][1], loss, method.cost.v)
    v_r, q_r = method.reward.v(states)[..., 0], method.reward.target(states, chunks).amin(1).detach()
    loss = (torch.where(q_r - v_r < 0, 0.1, 0.9) * (q_r - v_r) ** 2).mean(1)
    assert_gradients(seen["critic_value"][1], loss, method.reward.v)

    on = 1 - data.terminals
    after = method.cost.v(data.next_observations)[..., 0].detach()
    costs = data.costs[..., 0] + 0.99 * data.costs[..., 1] + 0.99**2 * on * after
    loss = (method.cost.q(states, chunks) - costs[:, None]).square().mean(2)
    assert_gradients(seen["cost_critic"][1], loss, method.cost.q)
    limit = v_c.detach().sort(1).values[:, 3:4]
    following = method.reward.v(data.next_observations)[..., 0].detach()
    rewards = data.rewards[..., 0] + 0.99 * data.rewards[..., 1] + 0.99**2 * on * following
    wrong = (after > limit) & (on == 1)
    assert wrong.any()
    target = torch.where(wrong, -3.0, rewards)
    loss = (method.reward.q(states, chunks) - target[:, None]).square().mean(2)
    assert_gradients(seen["critic"][1], loss, method.reward.q)


@pytest.mark.parametrize("recover", [True, False])
@pytest.mark.parametrize("extraction", ["cfg", "awr-flow", "awr"])
def test_the_policys_loss_by_hand(extraction, recover):
    method = r2pac(extraction=extraction, recover=recover, safe_share=0.5, label_dropout=0.3)
    kinds = {"cfg": GuidedFlowPolicy, "awr-flow": FlowPolicy, "awr": GaussianPolicy}
    assert type(method.policy) is kinds[extraction]
    for k, network in enumerate((method.reward.target, method.cost.target, method.cost.v, method.reward.v)):
        scramble(network, k)
    method.updates = 500
    assert method.phase() == {"values": False}
    data, seen, start = batch(of=method), intercept(method), method.noise.state()
    metrics = method.update(data)
    method.noise.load_state(start)
    states, chunks = data.observations, data.actions.flatten(2)
    with torch.no_grad():
        v_c = method.cost.v(states)[..., 0]
        better = method.reward.target(states, chunks).amin(1) - method.reward.v(states)[..., 0]
        cheaper = v_c - method.cost.target(states, chunks).amax(1)
        unsafe = v_c > v_c.sort(1).values[:, 3:4]
        gain = torch.where(unsafe, cheaper, better) if recover else better
    assert unsafe.float().mean() == pytest.approx(2 / 6)
    weights = (6 * gain).exp().clamp(max=100)
    if extraction == "awr":
        loss = -(weights * method.policy.log_prob(states, chunks)).mean(1)
    else:
        times, noise = method.policy.bc_draws(method.noise, 6)
        inputs = states
        if extraction == "cfg":
            told = method.noise.uniform(6) >= 0.3
            label = torch.stack([told & (gain < 0), told & (gain >= 0)], -1).float()
            inputs, weights = torch.cat([states, label], -1), torch.ones_like(gain)
        x = (1 - times[..., None]) * noise + times[..., None] * chunks
        embedded = method.policy.velocity.time(times * method.policy.steps)
        errors = (method.policy.velocity(x, embedded, inputs) - (chunks - noise)).square().mean(2)
        loss = (weights * errors).mean(1)
    torch.testing.assert_close(metrics["bc_loss"], loss.detach(), rtol=1e-4, atol=1e-4)
    assert_gradients(seen["policy"][1], loss, method.policy)
    assert set(seen) == {"policy"}  # the values stand


def test_values_learn_first_then_the_policy():
    method = make("r2pac", steps=10, value_share=0.5)
    assert method.prelude == 0.5
    for k in range(10):
        metrics = method.update(batch(k, of=method))
        assert ("critic_loss" in metrics, "bc_loss" in metrics) == (k < 5, k >= 5)


# -- a junction -------------------------------------------------------------------------------------------------------


def junction(count=300):
    """Episodes of three steps from 0: an action below 0 leads to −1, where steps cost 1, and pays 1; others to 1."""
    actions = np.random.default_rng(0).uniform(-1, 1, (count, 3)).astype(np.float32)
    branch = np.where(actions[:, 0] < 0, -1, 1).astype(np.float32)
    before = np.stack([0 * branch, branch, branch], 1).reshape(-1, 1)
    after = np.repeat(branch, 3)[:, None]
    costs, last = (after[:, 0] < 0).astype(np.float32), np.arange(3 * count) % 3 == 2
    return Dataset(
        observations=before, actions=actions.reshape(-1, 1), rewards=costs.copy(), next_observations=after,
        terminals=last, timeouts=np.zeros(3 * count, bool), env_id="Own-v0", costs=costs,
    )  # fmt: skip


def enters(**options):
    """The share of a trained policy's first actions that lead where steps cost; of the data's one half."""
    sizes = {"hidden": (32, 32), "critic_hidden": (32, 32), "lr_actor": 3e-3, "lr_critic": 3e-3, "target_rate": 0.05}
    rest = {"length": 1, "candidates": 1, "safe_share": 0.6, "value_share": 0.5, "batch_size": 128, "policy_steps": 8}
    method = make("r2pac", steps=500, seeds=(0,), dims=(1, 1), **(sizes | rest | options))
    method.fit_data(data := junction())
    sample = Replay(data).sampler(method.sampling(), 128)
    for _ in range(500):
        metrics = method.update(sample(method.batches))
    assert 0.2 < float(metrics["unsafe"]) < 0.45  # the costly branch has two of six states
    return float((method.act(torch.zeros(1, 400, 1), Noise((0,), "evaluation")) < 0).float().mean())


@pytest.mark.slow
def test_the_penalty_keeps_the_policy_from_the_costly_branch():
    """Without V̄_r the guided flow goes where the reward is, as it pays and its state's own gain is the reward's."""
    assert enters() < 0.15
    assert enters(penalise=False) > 0.85


# -- acting -----------------------------------------------------------------------------------------------------------


def test_the_chunk_of_least_cost_is_begun_and_one_step_of_it_played():
    method, states = r2pac(candidates=4), torch.randn(S, 5, OBS, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = method.controller(Noise((0, 1), "evaluation"))(states)
        repeated = states.repeat_interleave(4, 1)
        each = method.policy.sample(Noise((0, 1), "evaluation").normal(20, 2 * ACT), repeated)
        paid = method.cost.target(repeated, each).amax(1).unflatten(1, (5, 4))
        best = torch.stack([each.unflatten(1, (5, 4))[i, range(5), paid[i].argmin(1)] for i in range(S)])
    torch.testing.assert_close(found, best[..., :ACT])
    torch.testing.assert_close(method.act(states, Noise((0, 1), "evaluation")), best[..., :ACT])


def test_a_chunk_is_played_for_some_steps_and_only_those_of_episodes_that_go_on():
    method, asked = r2pac(length=3, replan=2), []
    chunks = method.chunks
    method.chunks = lambda states, noise: asked.append(states.shape[1]) or chunks(states, noise)
    controller, states = method.controller(Noise((0, 1), "evaluation")), torch.randn(S, 5, OBS)
    first = controller(states)
    kept = controller.chunks
    assert torch.equal(first, kept[:, :, 0])
    controller.keep(np.array([3, 1]))
    assert torch.equal(controller(states[:, [3, 1]]), kept[:, [3, 1], 1])
    assert asked == [5]
    controller(states[:, [3, 1]])
    assert asked == [5, 2]


def test_critics_of_chunks_are_not_asked_about_actions():
    method = r2pac()
    assert method.levels() == ()
    assert method.sampling() == Chunks(2)
    for ask in (method.quantiles, method.value):
        with pytest.raises(RamacError, match="R2PAC has"):
            ask(torch.zeros(S, 2, OBS), torch.zeros(S, 2, ACT))
    assert r2pac(length=1).levels() == (1.0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "large"}, "unknown value of penalty 'large': choose one of paper, sufficient"),
        ({"region": "mean"}, "unknown value of region 'mean': choose one of quantile, limit"),
        ({"extraction": "sac"}, "unknown value of extraction 'sac': choose one of cfg, awr-flow, awr"),
        ({"safe_share": 1.0}, "safe_share is 1.0; expected a number in (0, 1)"),
        ({"absorbing": -1.0}, "absorbing is -1.0; expected a number of at least 0"),
        ({"length": 0}, "length is 0; expected a whole number in [1, 10,000]"),
        ({"replan": 3}, "replan is 3; expected 1 to 2 steps, a chunk's length"),
        ({"candidates": 0}, "candidates is 0; expected a whole number in [1, "),
        ({"label_dropout": 1.0}, "label_dropout is 1.0; expected a number in [0, 1)"),
        ({"expectile": 0.0}, "expectile is 0.0; expected a number in (0, 1)"),
    ],
)
def test_what_is_out_of_range_is_refused(options, message):
    with pytest.raises(RamacError, match=re.escape(message)):
        r2pac(**options)
