"""Means of metrics that not every update reports, and the first number that is not finite."""

import math

import pytest
import torch

from ramac_lib.training.tally import Fault, Tally


def test_means_are_over_the_updates_that_reported():
    tally = Tally()
    for k in range(1, 5):
        metrics = {"a": torch.tensor([k, 10.0 * k])}
        if k % 2 == 0:
            metrics["b"] = torch.tensor([1.0 * k, 0.0])
        tally.add(metrics, k)
    assert tally.means() == [{"a": 2.5, "b": 3.0}, {"a": 25.0, "b": 0.0}]
    assert tally.fault() is None


def test_what_was_added_is_left_alone():
    tally, values = Tally(), torch.tensor([1.0])
    for k in range(3):
        tally.add({"a": values}, k)
    assert values.tolist() == [1.0]
    assert tally.means() == [{"a": 1.0}]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_fault_is_named(bad):
    """By update, then by the order in which the update computed its metrics, then by seed."""
    tally = Tally()
    rows = {
        1_999_996: ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
        1_999_997: ([0.0, 0.0, 0.0], [0.0, bad, bad]),
        1_999_998: ([bad, 0.0, bad], [0.0, 0.0, bad]),  # one that recovered is a fault all the same
    }
    for update, (a, b) in rows.items():
        tally.add({"a": torch.tensor(a), "b": torch.tensor(b)}, update)
    assert tally.fault() == Fault(1_999_997, "b", 1)
    tally = Tally()
    tally.add({"b": torch.tensor([0.0, bad]), "a": torch.tensor([bad, bad])}, 3)
    assert tally.fault() == Fault(3, "b", 1)


def test_a_fault_in_a_metric_of_some_updates():
    tally = Tally()
    tally.add({"a": torch.zeros(2)}, 1)
    tally.add({"a": torch.tensor([0.0, math.nan]), "risk": torch.tensor([math.nan, 0.0])}, 2)
    tally.add({"a": torch.full((2,), math.nan)}, 3)
    assert tally.fault() == Fault(2, "a", 1)
