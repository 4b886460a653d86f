"""Differences to a method's own settings, seed by seed, and the rule that chooses six knobs, on known numbers."""

import pytest
from ablation_tables import SEEDS, row, sweeps, write

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import parse_row
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from support.ablations import choice, effects
from support.ablations.knobs import KNOBS

OWN = [0.9, 0.8, 0.7, 0.8, 0.9]


def shifted(by, wobble=0.0):
    return [x + by + wobble * (k - 2) for k, x in enumerate(OWN)]


def test_the_paired_interval_by_hand():
    table, _ = sweeps(row("", OWN), row("eta=1", [x + g for x, g in zip(OWN, (1, 2, 3, 4, 5), strict=True)]))
    found = effects.effects(table).set_index("statistic").loc["cvar"]
    half = 2.776445 * (2.5 / 5) ** 0.5  # Student's t of four degrees; the variance of 1 … 5 is 2.5
    assert (found["difference"], found["low"], found["high"]) == pytest.approx((3, 3 - half, 3 + half), abs=1e-5)
    assert (found["own"], found["there"]) == pytest.approx((0.82, 3.82))
    assert found["knob"] == "eta"


def test_pairs_are_of_the_same_seed_whatever_the_order_of_rows():
    table, _ = sweeps(row("", OWN), row("eta=1", shifted(0.5)))
    backwards = table.iloc[::-1]
    for statistic in ("low", "high"):
        first, second = (effects.effects(t).set_index("statistic")[statistic]["cvar"] for t in (table, backwards))
        assert (first, second) == pytest.approx((0.5, 0.5))


def test_what_is_told_apart_comes_first_and_eta_stands_for_both_weights():
    table, _ = sweeps(
        row("", OWN),
        row("eta=1", shifted(-0.2)),
        row("bc_weight=3", shifted(-0.6)),
        row("alpha=1", shifted(-4.0)),
        row("alpha=0.25", shifted(-0.1)),
        row("n_fractions=8", shifted(-9.0, wobble=9.0)),  # far, but not told apart
        row("batch_size=64", shifted(0.3), mean=1.0),
        row("batch_size=512", shifted(-0.3), mean=1.2),
    )
    order = choice.ranked(effects.effects(table))
    assert [one.knob for one in order] == ["alpha", "eta", "batch_size", "n_fractions"]
    assert [one.told for one in order] == [True, True, True, False]
    assert order[1].value == "bc_weight=3"
    assert order[2].value == "batch_size=512"  # the same distance in CVaR, a larger one in the mean
    assert order[0].cvar == pytest.approx(-4)


def test_the_rows_for_hopper_are_radac_and_the_values_of_the_first_six():
    ranks = [choice.Ranked(knob, True, "", 1.0, 0.0) for knob in choice.VALUES]
    rows = choice.hopper_rows(ranks)
    assert rows[0] == "radac"
    assert rows[1:] == [f"radac:{k}={v}" for k in list(choice.VALUES)[:6] for v in choice.VALUES[k]]
    hashes = set()
    for text in rows:
        method, options = parse_row(text)
        hashes.add(make_config(method, "hopper-medium-expert", (0,), 10_000, options).hash)
    assert len(hashes) == len(rows)


def test_every_knob_of_the_bandit_has_values_for_hopper_and_departs_from_the_settings_there():
    assert set(choice.VALUES) == {choice.ONE_KNOB.get(knob, knob) for knob in KNOBS["radac"]}
    own = make_config("radac", "hopper-medium-expert", (0,), 10_000).hash
    for knob, values in choice.VALUES.items():
        for value in values:
            options = parse_row(f"radac:{knob}={value}")[1]
            assert make_config("radac", "hopper-medium-expert", (0,), 10_000, options).hash != own, (knob, value)


def test_seeds_that_differ_and_single_seeds_are_refused():
    table, _ = sweeps(row("", OWN), row("eta=1", OWN[:3], seeds=SEEDS[:3]))
    with pytest.raises(RamacError, match=r"radac:eta=1: seeds \[0, 1, 2\] beside \[0, 1, 2, 3, 4\]"):
        effects.effects(table)
    table, _ = sweeps(row("", [1.0], seeds=(0,)), row("eta=1", [2.0], seeds=(0,)))
    with pytest.raises(RamacError, match="an interval over 1 seeds; expected at least two"):
        effects.effects(table)


def test_what_is_not_stored_is_said_in_a_sentence(tmp_path):
    with pytest.raises(Missing, match=r"no data/results/bandit_knobs\.csv: `python -m support"):
        effects.load(tmp_path)
    table, facts = sweeps(row("eta=1", OWN), row("", OWN, suite="methods"))
    with pytest.raises(Missing, match="no radac in knobs"):
        effects.effects(table)
    with pytest.raises(Missing, match="no rafmac:risk=wang in measures"):
        effects.by_seed(table, "measures", "rafmac", "risk=wang", "cvar")
    with pytest.raises(RamacError, match="unknown statistic 'median': choose one of cvar, expected_reward, ood"):
        effects.by_seed(table, "knobs", "radac", "eta=1", "median")
    write(tmp_path, table, facts)
    assert set(effects.load(tmp_path)[0]["suite"]) == {"knobs"}  # chapter 3's suites are not this chapter's
