"""What all methods promise: finite metrics, actions in the box, seeds that do not meddle, lasting state."""

import pytest
import torch
from method_helpers import FITTED, batch
from quantile_helpers import ACT, OBS, S, make

from ramac_lib.datasets.batches import Batch
from ramac_lib.methods import METHODS
from ramac_lib.networks.noise import Noise

DETERMINISTIC = ("caps", "cdt", "coptidice", "cped", "cpq", "cql", "codac", "iql", "qdq")
RISKY = [name for name, cls in METHODS.items() if hasattr(cls.Config(), "risk")]


# -- updates and actions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_metrics_hold_one_finite_number_a_seed(name):
    method, told = make(name), set()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    for k in range(4):
        metrics = method.update(batch(k, of=method))
        assert all(v.shape == (S,) and torch.isfinite(v).all() for v in metrics.values())
        assert not any(v.requires_grad for v in metrics.values())
        told |= set(metrics)
    assert method.updates == int(method.step) == 4
    assert {"bc_loss"} <= told or {"entropy"} <= told  # what the policy is held by
    if method.critics():
        assert {"critic_loss", "value", "critic_grad_norm", "policy_grad_norm"} <= told
    if name in RISKY:
        assert {"risk", "policy_value"} & told
    # Networks and targets learn, each tensor in each seed.
    fixed = {k for k, v in method.state_dict().items() if v.ndim for i in range(S) if torch.equal(v[i], before[k][i])}
    assert fixed == FITTED & set(method.state_dict())


@pytest.mark.parametrize("name", METHODS)
def test_actions_lie_in_the_box_and_come_from_the_given_noise(name):
    method = make(name)
    method.update(batch(of=method))
    observations = 5 * torch.randn(S, 7, OBS, generator=torch.Generator().manual_seed(1))
    state = method.noise.state()
    actions = method.act(observations, Noise((0, 1), "evaluation"))
    assert actions.shape == (S, 7, ACT)
    assert actions.abs().max() <= 1
    assert not actions.requires_grad
    assert torch.equal(actions, method.act(observations, Noise((0, 1), "evaluation")))
    assert all(torch.equal(a, b) for a, b in zip(state, method.noise.state(), strict=True))  # training's is not touched
    other = method.act(observations, Noise((2, 3), "evaluation"))
    assert torch.equal(actions, other) == (name in DETERMINISTIC)  # these deploy tanh(μ(s))


# -- seeds and states -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_a_seed_learns_the_same_alone_and_in_company(name):
    both, alone = make(name, seeds=(3, 7)), make(name, seeds=(7,))
    for k in range(5):
        data = batch(k, of=both)
        together = both.update(data)
        apart = alone.update(Batch(*(None if column is None else column[1:] for column in data)))
        assert set(together) == set(apart)
    mine = both.state_dict()
    for key, theirs in alone.state_dict().items():
        if theirs.ndim:
            torch.testing.assert_close(mine[key][1:], theirs, rtol=1e-3, atol=1e-5, msg=key)
            assert torch.equal(mine[key][0], mine[key][1]) == (key in FITTED), key


@pytest.mark.parametrize("cut", [3, 4])  # ORAAC's residual moves at every second update
@pytest.mark.parametrize("name", METHODS)
def test_state_round_trip_goes_on_to_the_same_bits(name, cut):
    straight, first, second = (make(name, steps=10) for _ in range(3))
    for method in (straight, first, second):
        method.fit_normalizer(batch(9).observations[0] * 3 + 1)
    for k in range(7):
        metrics = straight.update(batch(k, of=straight))
    for k in range(cut):
        first.update(batch(k, of=first))
    second.update(batch(11, of=second))  # somewhere else, and to be forgotten
    second.load_seed_states([first.seed_state(i) for i in range(S)], cut)
    for k in range(cut, 7):
        resumed = second.update(batch(k, of=second))
    for (key, a), b in zip(straight.state_dict().items(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    assert all(torch.equal(metrics[k], resumed[k]) for k in metrics)
    for stream in ("noise", "batches"):
        states = (getattr(m, stream).state() for m in (straight, second))
        assert all(torch.equal(a, b) for a, b in zip(*states, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_a_seeds_state_finds_its_place_beside_others(name):
    """Seeds saved together act the same when one of them is loaded alone."""
    both, alone = make(name, seeds=(3, 7)), make(name, seeds=(7,))
    both.fit_normalizer(batch(9).observations[0] * 3 + 1)
    both.update(batch(of=both))
    alone.load_networks([both.seed_state(1)])
    observations = batch(4).observations
    together, apart = (
        both.act(observations, Noise((3, 7), "evaluation")),
        alone.act(observations[1:], Noise((7,), "evaluation")),
    )
    torch.testing.assert_close(together[1:], apart)
