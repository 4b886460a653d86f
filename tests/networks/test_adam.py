"""Adam over a stack: as torch's Adam for each member, gradients clipped one member at a time."""

import subprocess
import sys

import pytest
import torch

from ramac_lib.methods.shared.short_runs import ramp, risk_weight, short_run_rate, target_rate, warmup
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import MLP, initialise
from ramac_lib.networks.noise import Noise


def make(seeds=(0, 1)):
    network = MLP((len(seeds),), (3, 8, 2))
    initialise(network, Noise(seeds, "init").generators)
    return network


def losses(network, scales):
    x = torch.ones(1, 4, 3)
    return network(x).square().mean(dim=(1, 2)) * torch.tensor(scales)


def test_each_members_gradient_is_clipped_by_its_own_norm():
    network = make()
    optimizer = StackedAdam(network, 1e-3, max_norm=0.5)
    seen = {}
    optimizer._descend = lambda gradients: seen.update(g=[g.clone() for g in gradients])
    norms = optimizer.step(losses(network, [100.0, 1e-3]))
    clipped = torch.stack([g.flatten(1).square().sum(1) for g in seen["g"]]).sum(0).sqrt()
    assert norms[0] > 0.5 > norms[1]
    assert clipped.tolist() == pytest.approx([0.5, norms[1].item()], rel=1e-4)


def test_a_member_moves_as_under_torchs_adam():
    both, alone = make(), make((1,))
    stacked, plain = StackedAdam(both, 1e-2), torch.optim.Adam(alone.parameters(), lr=1e-2)
    for _ in range(5):
        stacked.step(losses(both, [5.0, 1.0]))
        plain.zero_grad()
        losses(alone, [1.0]).sum().backward()
        plain.step()
    for a, b in zip(both.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a[1:], b)


def test_the_bits_are_those_of_torchs_fused_adam_and_its_rate_may_change():
    ours, theirs = make(), make()
    stacked, plain = StackedAdam(ours, 1e-2), torch.optim.Adam(theirs.parameters(), lr=1e-2, fused=True)
    for rate in (1e-2, 1e-2, 3e-3, 1e-3):
        stacked.lr = plain.param_groups[0]["lr"] = rate
        stacked.step(losses(ours, [5.0, 1.0]))
        plain.zero_grad()
        losses(theirs, [5.0, 1.0]).sum().backward()
        plain.step()
    for index, (a, b) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
        assert torch.equal(a, b)
        assert stacked.state[index].keys() == plain.state[b].keys()
        assert all(torch.equal(value, plain.state[b][key]) for key, value in stacked.state[index].items())


def test_a_process_that_trains_does_not_import_the_compiler():
    program = """if True:
    import sys
    from ramac_lib.training import loop
    from ramac_lib.training.config import make_config
    config = make_config("radac", "risky-bandit", (0,), 2, {"batch_size": "8"})
    loop.train(config, schedule=loop.Schedule(episodes=2), device="cpu", progress=False)
    sys.exit("torch._dynamo" in sys.modules)"""
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_state_moves_from_seed_to_seed():
    network = make()
    optimizer = StackedAdam(network, 1e-2)
    for _ in range(3):
        optimizer.step(losses(network, [5.0, 1.0]))
    alone = make((1,))
    alone.load_state_dict({k: v[1:] for k, v in network.state_dict().items()})
    other = StackedAdam(alone, 1e-2)
    other.load_seed_states([optimizer.seed_state(1)])
    optimizer.step(losses(network, [5.0, 1.0]))
    other.step(losses(alone, [1.0]))
    for a, b in zip(network.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(a[1:], b)


def test_critic_rate_keeps_rate_times_steps_up_to_the_cap():
    assert short_run_rate(1e-5, 2_000_000, 1e-3) == 1e-5
    assert short_run_rate(1e-5, 1_000_000, 1e-3) == pytest.approx(2e-5)
    assert short_run_rate(1e-5, 3_000, 1e-3) == 1e-3
    assert short_run_rate(5e-3, 3_000, 1e-3) == 5e-3  # never lowered
    assert short_run_rate(1e-5, 4_000_000, 1e-3) == 1e-5
    assert target_rate(0.005, 2_000_000) == 0.005
    assert target_rate(0.005, 5_000) == 0.05


def test_the_risk_term_of_a_short_run():
    raised = [short_run_rate(1e-5, n, 1e-3) for n in (5_000, 80_000, 2_000_000)]
    assert [risk_weight(0.05, 1e-5, r) for r in raised] == pytest.approx([0.005, 0.01, 0.05])  # roots of 100, 25, 1
    assert risk_weight(0.05, 0.0, 0.0) == 0.05  # a critic that stands still
    assert [warmup(0.15, n) for n in (3_000, 10_000, 50_000, 2_000_000)] == pytest.approx([0.5, 0.25, 0.15, 0.15])
    assert warmup(0.0, 2_000_000) == 0.0


def test_ramp():
    values = [float(ramp(torch.tensor(float(k)), 100, 0.5, 0.2)) for k in (0, 50, 60, 70, 100)]
    assert values == pytest.approx([0, 0, 0.5, 1, 1])
