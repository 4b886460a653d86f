"""When a run's risk term starts, and what the rules for short runs changed in it."""

import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.analysis.evidence import Missing
from support.evidence import judges
from support.evidence.case import Case
from support.evidence.scale import after_start, changes, risk_start, starts

RADAC = {"eta": 0.05, "lr_critic": 1e-5, "lr_critic_cap": 1e-3, "target_rate": 0.005, "eta_warmup": 0.15}


@pytest.mark.parametrize(
    ("settings", "steps", "expected"),
    [
        ({"eta_warmup": 0.15}, 2_000_000, 300_000),
        ({"eta_warmup": 0.15}, 10_000, 2_500),  # a short run waits for 2,500
        ({"eta_warmup": 0.15}, 3_000, 1_500),  # but not for more than half of it
        ({"eta_warmup": 0.15, "short_run_rate": False}, 10_000, 1_500),
        ({"eta_warmup": 0.0, "short_run_rate": False}, 10_000, 0),
        ({"bc_warmup": 0.02}, 10_000, 200),
        ({"bc_warmup": None}, 10_000, 0),
        ({}, 10_000, 0),
    ],
)
def test_the_start_of_the_risk_term(settings, steps, expected):
    assert risk_start({"settings": settings, "steps": steps}) == expected


def campaign(**settings):
    """RADAC, which completes half of its episodes, and the other methods, with evaluations at 1,000 updates."""
    methods = ("cql", "codac", "oraac", "oraac-diffusion", "flow-ql", "diffusion-ql", "rafmac", "radac")
    tables = []
    for k, row in enumerate(methods):
        tables.append(episodes(row, around(100, seed=k)))
        tables.append(episodes(row, around(100, seed=k, count=10), step=1000, purpose="training"))
    found = gathered(*tables)
    for run, facts in found.facts.items():
        facts["config"]["settings"] = RADAC | settings if run.startswith("radac") else {}
    return found


def test_updates_are_counted_from_the_latest_start():
    assert starts(campaign(), TASK, "paper")["radac"] == 2_500
    assert starts(campaign(), TASK, "paper")["cql"] == 0
    assert after_start(campaign(), TASK, "paper") == 7_500


def test_what_short_runs_changed_stands_beside_the_published_values():
    found = {change.name: (change.published, round(change.used, 6)) for change in changes(campaign(), TASK, "paper")}
    assert found == {
        "η": (0.05, 0.005),
        "critic's rate": (1e-5, 1e-3),
        "targets' rate": (0.005, 0.05),
        "cloning alone, share of the run": (0.15, 0.25),
    }
    assert changes(campaign(short_run_rate=False), TASK, "paper") == []
    with pytest.raises(Missing, match="settings"):
        changes(gathered(episodes("radac", around(1))), TASK, "paper")


def test_a_thousand_updates_say_nothing_of_a_risk_term_that_starts_later():
    early = judges.at_start(judges.anchor_first)
    with pytest.raises(Missing, match="RADAC's risk term starts at update 2,500, after 1,000"):
        early(Case(campaign(), TASK, "paper"))
    assert early(Case(campaign(eta_warmup=0.1, short_run_rate=False), TASK, "paper"))[0] == [0, 0]
    with pytest.raises(Missing, match="risk term starts"):
        judges.rankings_match(Case(campaign(), TASK, "paper"))
