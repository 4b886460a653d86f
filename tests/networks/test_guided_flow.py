"""Guidance without a classifier: exact fields of two points, the label's place, both fields in one call."""

import pytest
import torch

from ramac_lib.networks.policies.guided_flow import GuidedFlowPolicy


def exact(x, t, points, shares):
    """The velocity (E[a | x] − x)/(1 − t) of x = (1−t) z + t a for a law of points."""
    apart = (x[..., None] - t * torch.tensor(points)) / (1 - t)
    mean = torch.softmax(torch.tensor(shares).log() - 0.5 * apart**2, dim=-1) @ torch.tensor(points)
    return (mean - x) / (1 - t)


@pytest.mark.parametrize(("guidance", "share"), [(0.0, 0.25), (1.0, 1.0), (2.0, 1.0)])
def test_two_points_by_their_labels(guidance, share):
    """Points −1 (three quarters, o = 0) and 1 (o = 1): ω = 0 samples both by their shares, ω ≥ 1 the good one."""
    policy = GuidedFlowPolicy((1,), 1, 1, steps=100, hidden=(4,), guidance=guidance)
    calls = []

    def velocity(x, embedded, states):
        t = min(len(calls) / policy.steps, 0.9999)
        calls.append(1)
        free, good = x.chunk(2, dim=1)
        assert states[0, 0].tolist() == [5, 0, 0]
        assert states[0, -1].tolist() == [5, 0, 1]
        return torch.cat([exact(free, t, (-1.0, 1.0), (0.75, 0.25)), exact(good, t, (1.0,), (1.0,))], dim=1)

    policy.velocity.forward = velocity
    z = torch.randn(1, 4000, 1, generator=torch.Generator().manual_seed(0))
    actions = policy.sample(z, torch.full((1, 4000, 1), 5.0))
    assert (actions > 0).float().mean().item() == pytest.approx(share, abs=0.03)
    assert (actions.abs() - 1).abs().median() < 0.05


def test_labels_are_two_numbers_beside_the_state():
    policy = GuidedFlowPolicy((1,), 1, 1, steps=2, hidden=(4,))
    good, told = torch.tensor([[True, True, False, False]]), torch.tensor([[True, False, True, False]])
    found = policy.labelled(torch.zeros(1, 4, 1), good, told)
    assert found[0].tolist() == [[0, 0, 1], [0, 0, 0], [0, 1, 0], [0, 0, 0]]
