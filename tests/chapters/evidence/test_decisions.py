"""The rule for settings that depart from their source: which value it takes from results whose answer is known."""

import pandas as pd
import pytest

from ramac_lib.system.errors import RamacError
from support.evidence import decisions
from support.evidence.decisions import DECISIONS, EPISODES, SEEDS, STEPS, config_of, decide

PAIR = next(d for d in DECISIONS if (d.method, d.setting) == ("oraac", "radius"))


def stored(differences, *, pair=PAIR, purpose="report"):
    """Return a table in which the departure is better by `differences`, a number a seed, and its facts."""
    rows, facts = [], {}
    for row, gains in zip(pair.rows, ([0] * len(SEEDS), differences), strict=True):
        run = config_of(row).hash
        facts[run] = {}
        for seed, gain in zip(SEEDS, gains, strict=False):
            rows += [
                {"run": run, "seed": seed, "purpose": purpose, "step": STEPS, "return": 100 * seed + gain + e - 9.5}
                for e in range(EPISODES)
            ]
    return pd.DataFrame(rows), facts


@pytest.mark.parametrize(
    ("differences", "taken", "conclusive"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8], "0.05", True),
        ([-1, -2, -3, -4, -5, -6, -7, -8], "0.25", True),
        ([-8, 9, -7, 8, -6, 7, -5, 6], "0.25", False),
    ],
)
def test_a_departure_is_taken_where_its_interval_lies_above_zero(differences, taken, conclusive):
    found = decide(*stored(differences), PAIR)
    assert (found["taken"], found["conclusive"]) == (taken, conclusive)
    assert found["difference"] == pytest.approx(sum(differences) / 8)


def test_the_interval_by_hand():
    found = decide(*stored([1, 2, 3, 4, 5, 6, 7, 8]), PAIR)
    half = 2.364624 * (6 / 8) ** 0.5  # Student's t of seven degrees; the variance of 1 … 8 is 6
    assert (found["low"], found["high"]) == pytest.approx((4.5 - half, 4.5 + half), abs=1e-4)


def test_a_pair_that_only_shows_keeps_the_sources_value():
    pair = next(d for d in DECISIONS if not d.decides)
    assert decide(*stored([1, 2, 3, 4, 5, 6, 7, 8], pair=pair), pair)["taken"] == pair.source


def test_what_is_missing_is_refused_or_left_out(tmp_path, monkeypatch):
    with pytest.raises(RamacError, match=r"oraac:radius=0\.05: reports on"):
        decide(*stored([1, 2, 3]), PAIR)
    with pytest.raises(RamacError, match="reports on seeds"):
        decide(*stored([1] * 8, purpose="training"), PAIR)
    monkeypatch.setattr(decisions.results, "load", lambda name, folder: stored([1, 2, 3, 4, 5, 6, 7, 8]))
    (found,) = decisions.load().to_dict("records")
    assert (found["method"], found["setting"], found["taken"]) == ("oraac", "radius", "0.05")
    monkeypatch.setattr(decisions.results, "load", lambda name, folder: stored([1, 2, 3]))
    with pytest.raises(RamacError, match="No pair of runs that decides a setting is stored yet"):
        decisions.load()


def test_the_seeds_are_reported_nowhere():
    from ramac_lib.campaign.grid import PROFILES
    from support.evidence import selection

    assert not set(SEEDS) & {seed for grid in PROFILES.values() for seed in grid.seeds}
    assert min(SEEDS) >= min(selection.SEEDS)
