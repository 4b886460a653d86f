"""Where time goes, on calls that do one thing."""

import pytest
import torch

from ramac_lib.bench.breakdown import KINDS, breakdown, kind


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("aten::baddbmm", "products"),
        ("aten::mv", "products"),
        ("aten::mul", "passes"),
        ("aten::copy_", "passes"),
        ("aten::_fused_adam_", "optimiser"),
        ("aten::_foreach_lerp_", "optimiser"),
        ("aten::normal_", "draws"),
        ("aten::index", "draws"),
        ("aten::index_put_", "passes"),
        ("autograd::engine::evaluate_function: MulBackward0", "interpreter"),
        ("Optimizer.step#Adam.step", "interpreter"),
    ],
)
def test_operators_are_told_apart(operator, expected):
    assert kind(operator) == expected


def test_a_call_that_does_one_thing():
    a = torch.ones(800, 800)
    noise = torch.Generator().manual_seed(0)
    calls = {
        "products": lambda: [a @ a for _ in range(5)],
        "passes": lambda: [a.exp() for _ in range(20)],
        "draws": lambda: [torch.empty(800, 800).normal_(generator=noise) for _ in range(5)],
        "interpreter": lambda: sum(k * k for k in range(300_000)),
    }
    for expected, call in calls.items():
        shares = breakdown(call)
        assert set(shares) == set(KINDS)
        if expected != "interpreter":  # whose share depends on how busy the machine is
            shares_of_operators = {name: share for name, share in shares.items() if name != "interpreter"}
            assert max(shares_of_operators, key=shares_of_operators.__getitem__) == expected
        else:
            assert max(shares, key=shares.__getitem__) == expected
        assert sum(shares.values()) == pytest.approx(1, abs=0.05)
