"""Paired comparisons by hand, against SciPy's own test, and refusals."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from ramac_lib.system.errors import RamacError
from support.speed import precision

numbers = st.floats(-10, 10).map(lambda x: round(x, 3))


def table(shift, seeds=(0, 1, 2), noise=(0.0, 0.01, -0.01)):
    """A run of two steps a seed and precision; only the last counts."""
    rows = []
    for name, added in (("float32", 0.0), ("bfloat16", shift)):
        for seed, wobble in zip(seeds, noise, strict=True):
            extra = wobble if added or name == "bfloat16" else 0.0
            value = 0.1 * seed + added + extra
            for step, at in ((10, 99.0), (20, value)):
                row = dict.fromkeys(precision.MEASURES, at)
                rows.append({"method": "radac", "seed": seed, "step": step, "precision": name, **row})
    return pd.DataFrame(rows)


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=8))
def test_interval_is_scipys(pairs):
    one, two = np.array(pairs).T
    mean, low, high = precision.paired_interval(two - one)
    assert low <= mean <= high
    if np.ptp(two - one) > 0:
        expected = stats.ttest_rel(two, one).confidence_interval(0.95)
        np.testing.assert_allclose((low, high), tuple(expected), atol=1e-9)


@pytest.mark.parametrize(("shift", "differs"), [(0.0, False), (0.5, True)])
def test_last_steps_are_compared_by_seed(shift, differs):
    found = precision.compare(table(shift))
    assert tuple(found.columns) == precision.COLUMNS
    assert list(found["measure"]) == list(precision.MEASURES.values())
    assert (found["seeds"] == 3).all()
    np.testing.assert_allclose(found["mean_a"], 0.1)
    np.testing.assert_allclose(found["error_a"], 0.1 / np.sqrt(3))
    np.testing.assert_allclose(found["difference"], shift, atol=1e-12)
    half = stats.t.ppf(0.975, 2) * 0.01 / np.sqrt(3)
    np.testing.assert_allclose(found["high"] - found["low"], 2 * half)
    assert (found["differs"] == differs).all()


def test_refusals():
    whole = table(0.0)
    half = whole[(whole["precision"] == "float32") | (whole["seed"] < 2)]
    for broken in (half, pd.concat([whole, whole]), whole[whole["precision"] == "float32"]):
        with pytest.raises(RamacError, match="radac: expected the same seeds"):
            precision.compare(broken)
    with pytest.raises(RamacError, match="needs two"):
        precision.paired_interval(np.array([1.0]))
