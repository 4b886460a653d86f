"""The robots' rows: what each rule switched off leaves of a run, and tables of stored or missing campaigns."""

import pytest
from campaign_tables import around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from ramac_lib.campaign.grid import Grid, parse_row
from ramac_lib.methods.shared import short_runs
from ramac_lib.system.errors import RamacError
from ramac_lib.training.config import make_config
from support.ablations import robots

TASK = robots.HOPPER


def run(row, steps=10_000):
    """Critic's rate, targets' rate, η at the end, the share of the run before the risk term."""
    method, options = parse_row(row)
    config = make_config(method, TASK, (0,), steps, options)
    made = config.method(config.settings, 3, 2, (0,), steps)
    made.step.fill_(steps)
    start = config.settings.eta_warmup
    start = short_runs.warmup(start, steps) if config.settings.short_run_rate else start
    return [made.critic_rate, made.target_rate, float(made.eta()), start]


def test_each_row_switches_one_rule_off_and_leaves_the_others():
    ruled = [1e-3, 0.05, 0.005, 0.25]
    source = [1e-5, 0.005, 0.05, 0.15]
    assert run("radac") == pytest.approx(ruled)
    for k, (rule, row) in enumerate(list(robots.rules_off().items())[:4]):
        expected = [source[i] if i == k else value for i, value in enumerate(ruled)]
        assert run(row) == pytest.approx(expected), rule
    assert run(robots.rules_off()["all four"]) == pytest.approx(source)


def test_there_are_no_rules_to_switch_off_in_a_whole_run():
    with pytest.raises(RamacError, match="2,000,000 updates: the rules hold in runs shorter than 2,000,000"):
        robots.rules_off(2_000_000)


def test_rows_make_a_campaign():
    rows = ("radac", *robots.rules_off().values())
    Grid((TASK,), rows, ("paper",), robots.SEEDS, robots.STEPS)
    Grid(robots.REPLAYS, tuple(robots.measure_rows()), ("paper",), robots.SEEDS, robots.STEPS)
    text = robots.command("ablations", (TASK,), rows)
    assert "--methods radac 'radac:lr_critic_cap" in text or "--methods radac radac:lr_critic_cap" in text
    assert text.endswith("ramac campaign --out runs/ablations --export data/results/ablations")


def test_rows_beside_the_methods_own_settings():
    found = gathered(episodes("radac", around(300)), episodes("radac:eta=0.2", around(200, seed=1)))
    table = robots.beside_own(found, {"η = 0.2": "radac:eta=0.2", "η = 9": "radac:eta=9"})
    assert list(table[""]) == ["its own settings", "η = 0.2"]
    assert table["mean [95 %]"].iloc[1].startswith("200 [")
    assert table["mean: difference"].iloc[1].startswith("-100 [")
    assert table["mean: difference"].iloc[0] == ""
    with pytest.raises(Missing, match="have none of η = 9"):
        robots.beside_own(found, {"η = 9": "radac:eta=9"})
    with pytest.raises(Missing, match="no RADAC with its own settings"):
        robots.beside_own(gathered(episodes("radac:eta=0.2", around(200))), {"η = 0.2": "radac:eta=0.2"})


def test_what_is_not_stored_is_said_in_a_sentence(tmp_path):
    with pytest.raises(Missing, match="There is no data/results/distortions yet"):
        robots.load("distortions", tmp_path)
    with pytest.raises(Missing, match="There is no data/results/lengths_5000 yet"):
        robots.lengths(lambda name: robots.load(name, tmp_path))


def test_lengths_are_listed_by_method_then_by_length_with_those_that_are_stored():
    made = {
        "lengths_5000": gathered(episodes("radac", around(100), step=5000), episodes("bc-diffusion", around(50))),
        "lengths_80000": gathered(episodes("radac", around(300), step=80_000)),
    }

    def load_one(name):
        if name not in made:
            raise Missing("no")
        return made[name]

    table = robots.lengths(load_one)
    assert list(zip(table[""], table["updates"], strict=True)) == [
        ("RADAC", "5,000"), ("RADAC", "80,000"), ("BC-diffusion", "5,000"),
    ]  # fmt: skip
    assert table["mean [95 %]"].iloc[1].startswith("300 [")


def test_cases_of_measures_are_those_that_are_stored():
    found = gathered(episodes("radac", around(1), task=robots.REPLAYS[1]))
    assert list(robots.measure_cases(found)) == [f"{m}, {robots.REPLAYS[1]}" for m in ("RADAC", "RAFMAC")]
