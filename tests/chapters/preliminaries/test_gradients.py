"""The gradient of the risk of eq. 10 through the library's own chains, against finite differences."""

import numpy as np
import pytest
import torch

from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.cvae import CVAEPolicy
from ramac_lib.networks.policies.diffusion import DiffusionPolicy
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.system.errors import RamacError
from support.preliminaries.gradients import along_the_chain, check_chain, check_gradient


def started(module):
    initialise(module, Noise([0], "init").generators)
    return module.double()


@pytest.mark.parametrize(("kind", "steps"), [(DiffusionPolicy, 5), (DiffusionPolicy, 20), (FlowPolicy, 10)])
def test_gradient_of_the_risk_through_the_whole_chain(kind, steps):
    policy = kind((1,), 3, 2, steps=steps, hidden=(64, 64))
    check = check_chain(policy, rows=32, n_fractions=16)
    assert np.abs(check.gradient).min() > 0
    assert check.relative_error < 1e-5
    # The differences left the parameters where the initialisation had put them.
    again = started(kind((1,), 3, 2, steps=steps, hidden=(64, 64)))
    for parameter, was in zip(policy.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(parameter, was, rtol=0, atol=0)


def test_a_wrong_gradient_is_seen():
    x = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx, value):
            return value.square().sum()

        @staticmethod
        def backward(ctx, grad):
            return grad * torch.ones(2, dtype=torch.float64)

    generator = torch.Generator().manual_seed(0)
    assert check_gradient(lambda: x.square().sum(), [x], generator).relative_error < 1e-8
    assert check_gradient(lambda: Wrong.apply(x), [x], generator).relative_error > 0.1


def test_along_a_linear_flow():
    # x ← x + c x/n: each step multiplies the gradient by 1 + c/n.
    policy = FlowPolicy((1,), 1, 2, steps=4).double()

    class Linear(torch.nn.Module):
        def time(self, times):
            return torch.zeros(1, len(times), 1, dtype=torch.float64)

        def forward(self, x, t, s):
            return 0.5 * x

    policy.velocity = Linear()
    noise = 0.1 * Noise([0], "training").normal(6, 2).double()
    found = along_the_chain(policy, noise, torch.zeros(1, 6, 1, dtype=torch.float64))
    np.testing.assert_allclose(found, 1.125 ** np.arange(4, -1, -1), rtol=1e-6)


def test_a_clamped_action_gets_no_gradient():
    policy = FlowPolicy((1,), 1, 2, steps=3).double()
    noise = torch.full((1, 5, 2), 50.0, dtype=torch.float64)
    found = along_the_chain(policy, noise, torch.zeros(1, 5, 1, dtype=torch.float64))
    assert found.tolist() == [0, 0, 0, 1]


def test_bad_input_is_refused():
    x = torch.ones(2, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(RamacError, match=r"torch\.float32"):
        check_gradient(x.sum, [x], generator)
    with pytest.raises(RamacError, match="0 parameters"):
        check_gradient(x.sum, [], generator)
    with pytest.raises(RamacError, match="CVAEPolicy is no chain"):
        along_the_chain(CVAEPolicy((1,), 1, 2), torch.zeros(1, 3, 2), torch.zeros(1, 3, 1))
    with pytest.raises(RamacError, match="CVAEPolicy is no chain"):
        check_chain(CVAEPolicy((1,), 1, 2))
