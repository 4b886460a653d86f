"""CDT: goals that are counted down, causality, the loss by hand, a corpus of two lines, the front of the data."""

import numpy as np
import pytest
import torch
from method_helpers import batch
from quantile_helpers import ACT, OBS, intercept, make
from torch import distributions
from torch.nn import functional

from ramac_lib.datasets.batches import Batch, Replay, Windows
from ramac_lib.datasets.contract import Dataset
from ramac_lib.methods import get_method
from ramac_lib.methods.shared import pareto
from ramac_lib.methods.shared.goals import best_within, goals_of
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError

CDT = get_method("cdt")


def episodes(rewards, costs, actions=None, ends=None):
    """Data of episodes given by their rewards and costs; a state is the number of the step."""
    lengths = [len(r) for r in rewards]
    steps = np.concatenate([np.arange(n) for n in lengths]).astype(np.float32)[:, None]
    last = np.concatenate([np.arange(n) == n - 1 for n in lengths])
    taken = np.zeros((len(steps), 1)) if actions is None else np.concatenate(actions)[:, None]
    return Dataset(
        observations=steps, actions=taken.astype(np.float32), rewards=np.concatenate(rewards).astype(np.float32),
        next_observations=steps + 1, terminals=last if ends is None else last & ends,
        timeouts=np.zeros(len(steps), bool), env_id="Hopper-v5", costs=np.concatenate(costs).astype(np.float32),
    )  # fmt: skip


# -- goals ------------------------------------------------------------------------------------------------------------


def test_returns_and_costs_to_go():
    data = episodes([[1, 2, 3]], [[0, 1, 1]])
    drawn = Replay(data).sampler(Windows(3, padded=True, discount=1.0), 8)(Noise((0,), "batches"))
    goals = goals_of(drawn)
    whole = drawn.observations[0, :, 0, 0] == 0
    assert goals[0, whole][0].T.tolist() == [[6, 5, 3], [2, 2, 1]]
    late = drawn.observations[0, :, 0, 0] == 1
    assert goals[0, late][0].T[:, :2].tolist() == [[5, 3], [2, 1]]


def test_costs_are_summed_with_the_windows_discount():
    data = episodes([[1, 2, 3]], [[0, 1, 1]])
    drawn = Replay(data).sampler(Windows(1, discount=0.5), 50)(Noise((0,), "batches"))
    known = {0: 0.75, 1: 1.5, 2: 1.0}
    assert drawn.cost_returns[0].tolist() == [known[int(s)] for s in drawn.observations[0, :, 0, 0]]
    free = Replay(data.with_(costs=None)).sampler(Windows(1, discount=0.5), 5)(Noise((0,), "batches"))
    assert free.cost_returns is None


def test_the_return_asked_for_is_the_best_within_the_limit():
    data = episodes([[5, 5], [4, 4], [1, 1], [9, 9, 9]], [[1, 1], [0, 1], [0, 0], [0, 0, 0]], ends=np.arange(9) < 8)
    assert [best_within(data, kappa) for kappa in (5, 1, 0.5, 0)] == [10, 8, 2, 2]  # the last is cut by the data's end
    assert best_within(data.with_(costs=data.costs + 3), 0) == 2
    method = CDT(CDT.Config(length=1, cost_limit=1.0), 1, 1, (0, 1), 10)
    method.fit_data(data)
    assert method.goal.tolist() == [[[8, 1]]] * 2
    assert make("cdt", target_return=7.0).goal[:, 0, 0].tolist() == [7, 7]


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(RamacError, match="width is 30; expected a multiple of the 4 heads"):
        CDT.Config(width=30)


def test_the_controller_counts_down_and_keeps_the_last_steps():
    method = make("cdt", seeds=(0,), target_return=10.0, cost_limit=3.0, normalize=False)
    seen = []
    network = method.policy.forward
    method.policy.forward = lambda *given: seen.append(given) or network(*given)
    controller, unit = method.controller(Noise((0,), "evaluation")), method.unit()
    states = torch.randn(4, 1, 2, OBS, generator=torch.Generator().manual_seed(0))
    chosen = []
    for t in range(4):
        chosen.append(controller(states[t]))
        controller.observe(np.array([[1.0, 2.0]]), np.array([[0.0, 1.0]]))
    goals, contexts, actions = seen[-1]
    assert goals.shape == (1, 2, 3, 2)  # K = 3
    torch.testing.assert_close(goals * unit.unsqueeze(2), torch.tensor([[
        [[9.0, 3.0], [8.0, 3.0], [7.0, 3.0]], [[8.0, 2.0], [6.0, 1.0], [4.0, 0.0]],
    ]]))  # fmt: skip
    torch.testing.assert_close(contexts, states[1:].permute(1, 2, 0, 3))
    torch.testing.assert_close(actions[0, :, :2], torch.stack([c[0] for c in chosen[1:3]], dim=1))
    torch.testing.assert_close(method.act(states[0], Noise((0,), "evaluation")), chosen[0])


def test_an_episode_goes_on_alone_as_beside_others():
    method = make("cdt", seeds=(0,))
    both, alone = (method.controller(Noise((0,), "evaluation")) for _ in range(2))
    states = torch.randn(5, 1, 3, OBS, generator=torch.Generator().manual_seed(0))
    news = np.random.default_rng(0).random((5, 2, 1, 3))
    for t in range(5):
        rows = slice(None) if t < 3 else [2, 0]
        together, single = both(states[t][:, rows]), alone(states[t][:, 2:])
        torch.testing.assert_close(together[:, 2:] if t < 3 else together[:, :1], single)
        both.observe(*news[t][:, :, rows])
        alone.observe(*news[t][:, :, 2:])
        if t == 2:
            both.keep(np.array([2, 0]))


# -- learning ---------------------------------------------------------------------------------------------------------


def test_predictions_depend_on_the_past_alone():
    method = make("cdt", seeds=(0,))
    g = torch.Generator().manual_seed(0)
    goals, states, actions = (torch.randn(1, 1, 3, n, generator=g) for n in (2, OBS, ACT))

    def changed(goals=goals, states=states, actions=actions):
        new = zip(method.policy(goals, states, actions), method.policy(*base), strict=True)
        return [(a - b).abs().amax(-1)[0, 0] > 1e-7 if a.ndim == 4 else (a - b).abs()[0, 0] > 1e-7 for a, b in new]

    base = (goals, states, actions)
    other = actions.clone()
    other[:, :, 1] += 1
    mean, std, cost = changed(actions=other)
    assert mean.tolist() == std.tolist() == [False, False, True]
    assert cost.tolist() == [False, True, True]
    for k in range(2):  # the cost to go counts as well as the return
        other = goals.clone()
        other[:, :, 1, k] += 1
        assert changed(goals=other)[0].tolist() == [False, True, True]


def test_the_loss_by_hand():
    method = make("cdt", augmented=0.0, cost_weight=0.3, normalize=False)
    data = batch(of=method)
    data = data._replace(mask=(torch.arange(3) < torch.tensor([1, 2, 3, 3, 2, 1])[:, None]).float().expand(2, -1, -1))
    seen = intercept(method)
    method.learn(data)
    goals = torch.empty(2, 6, 3, 2)
    for k in range(3):
        goals[:, :, k, 0] = data.returns - data.rewards[:, :, :k].sum(2)
        goals[:, :, k, 1] = data.cost_returns - data.costs[:, :, :k].sum(2)
    unit = goals.square().mean((1, 2)).sqrt() + 1
    mean, log_std, logit = method.policy(goals / unit[:, None, None], data.observations, data.actions)
    law = distributions.Normal(mean, log_std.exp())
    terms = -law.log_prob(data.actions).sum(-1) - 0.1 * law.entropy().sum(-1)
    terms = terms + 0.3 * functional.softplus(torch.where(data.costs > 0, -logit, logit))
    expected = (terms * data.mask).sum((1, 2)) / data.mask.sum((1, 2))
    torch.testing.assert_close(seen["policy"], expected)
    entropy = (law.entropy().sum(-1) * data.mask).sum((1, 2)) / data.mask.sum((1, 2))
    (slope,) = torch.autograd.grad(seen["temperature"].sum(), method.temperature.log)
    torch.testing.assert_close(slope.squeeze(1), (entropy + ACT).detach())  # descended: less weight above −|A|


def test_it_does_what_is_asked_for():
    """Two lines of action, −.5 with the return 1 and .5 with 10, of one state: the goal decides."""
    rewards, actions = [[0.5, 0.5], [5, 5]] * 20, [np.full(2, -0.5), np.full(2, 0.5)] * 20
    data = episodes(rewards, [[0, 0], [0, 0]] * 20, actions)
    config = CDT.Config(length=2, width=16, heads=2, lr_actor=5e-3, normalize=False, cost_limit=0.0, augmented=0.0)
    method = CDT(config, 1, 1, (0,), 200)
    method.fit_data(data)
    draw, noise = Replay(data).sampler(method.sampling(), 64), Noise((0,), "batches")
    for _ in range(200):
        method.update(draw(noise))
    found = []
    for asked in (1.0, 10.0):
        method.goal[..., 0] = asked
        found.append(float(method.act(torch.zeros(1, 1, 1), noise)))
    assert found == pytest.approx([-0.5, 0.5], abs=0.1)


# -- the front --------------------------------------------------------------------------------------------------------

RETURNS, COSTS = np.array([3.0, 5.0, 4.0, 9.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0, 1.0])


def test_the_front_is_what_no_episode_beats():
    assert pareto.front(RETURNS, COSTS).tolist() == [0, 1, 3]
    assert pareto.front(-RETURNS, COSTS).tolist() == [4]


def test_labels_lie_above_the_front_and_stand_for_the_best_within_their_cost():
    returns, costs = np.array([3.0, 5.0, 9.0]), np.array([1.0, 2.0, 4.0])
    places, asked, limits = pareto.labels(returns, costs, 500, np.random.default_rng(0))
    best = np.where(limits < 2, 3, np.where(limits < 4, 5, 9))
    assert np.array_equal(returns[places], best)
    assert (asked >= best).all()
    assert (asked <= 9).all()
    assert asked.max() > 8.9
    assert (limits >= 1).all()
    assert (limits <= 4).all()


def test_windows_of_the_front_have_its_steps_and_the_new_labels():
    rewards = [[1, 2], [3, 2, 1], [1, 1], [4, 4, 4, 4]]
    costs = [[0, 0], [1, 0, 0], [1, 1], [1, 1, 1, 1]]  # returns 3, 6, 2, 16; costs 0, 1, 2, 4
    data = episodes(rewards, costs)
    drawn = pareto.FrontWindows(data, 3, 200).sample(Noise((0, 1), "training"), 300)
    assert drawn.observations.shape == (2, 300, 3, 1)
    goals = goals_of(drawn)
    fell = goals[:, :, :-1] - goals[:, :, 1:]
    torch.testing.assert_close(fell[..., 0], drawn.rewards[:, :, :-1], rtol=0, atol=1e-5)
    torch.testing.assert_close(fell[..., 1], drawn.costs[:, :, :-1], rtol=0, atol=1e-5)
    short = drawn.mask.sum(2) == 2
    first = short & (drawn.rewards[..., 0] == 1)
    assert first.any()  # of the episode that costs nothing, under the returns of those that cost more
    assert (drawn.returns[first] >= 3 - 1e-5).all()
    assert (drawn.returns[first] <= 16).all()
    assert (drawn.cost_returns[first] < 1).all()
    assert not ((drawn.rewards == 1) & (drawn.costs == 1)).any()  # the third episode is not on the front


def test_a_share_of_each_batch_is_of_the_front():
    method = make("cdt", augmented=0.5, normalize=False)
    data = batch(of=method)
    shown = method.shown.sample(Noise((5, 6), "training"), 3)
    both = pareto.mixed(data, shown)
    assert torch.equal(both.rewards[:, :3], data.rewards[:, 3:])
    assert torch.equal(both.rewards[:, 3:], shown.rewards)
    assert both.returns.shape == (2, 6)
    bare = Batch(*(None if name == "costs" else column for name, column in zip(Batch._fields, data, strict=True)))
    assert pareto.mixed(bare, shown).costs is None
