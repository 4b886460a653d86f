"""Verdicts on made-up campaigns in which each sentence is true, half true or false; what is missing is not judged."""

import re

import numpy as np
import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered, policies

from ramac_lib.evidence import judges, words
from ramac_lib.evidence.claims import CLAIMS
from ramac_lib.evidence.store import Missing
from ramac_lib.evidence.verdicts import HOLDS, LEAST_UPDATES, NOT, PARTLY, UNSAID, Case, Claim, judge, rules

PAPER = (TASK, "paper")
METHODS = ("cql", "codac", "oraac", "oraac-diffusion", "flow-ql", "diffusion-ql", "rafmac", "radac")
CONTROLS = ("radac:risk=neutral", "bc-diffusion")
MEANS = dict.fromkeys((*METHODS, *CONTROLS), 100.0)
COUNTS = dict.fromkeys((*METHODS, *CONTROLS), 20.0)


def campaign(means=None, counts=None, step=10_000, seeds=3, hazard="paper", task=TASK, policy=(400.0, 90.0)):
    """Every row, at 100 with 20 violations unless told otherwise, with a curve of two evaluations."""
    tables = []
    for k, (row, mean) in enumerate((MEANS | (means or {})).items()):
        if mean is None:
            continue
        violations = around((COUNTS | (counts or {}))[row], 1.0, seeds=seeds, seed=100 + k)
        returns = around(mean, seeds=seeds, seed=k)
        tables.append(episodes(row, returns, violations=violations, step=step, hazard=hazard, task=task))
        for at in (1000, step):
            curve = {"step": at, "purpose": "training", "hazard": hazard, "task": task}
            tables.append(episodes(row, returns[:, :10], violations=violations[:, :10], **curve))
    return gathered(*tables, behaviour=policies(*policy, hazard=hazard, task=task))


def verdict(rule, evidence, task=TASK, hazard="paper", at_start=False):
    return rule(Case(evidence, task, hazard, at_start))[0]


@pytest.mark.parametrize(
    ("rule", "means", "counts", "expected"),
    [
        (judges.best_tail("radac"), {"radac": 200}, {}, HOLDS),
        (judges.best_tail("radac"), {}, {}, PARTLY),
        (judges.best_tail("radac"), {"cql": 200}, {}, NOT),
        (judges.best_tail("rafmac", ("radac",)), {"rafmac": 150, "radac": 300}, {}, HOLDS),
        (judges.competitive, {}, {}, HOLDS),
        (judges.competitive, {"radac": 190, "oraac": 200}, {}, PARTLY),  # below, but by a twentieth only
        (judges.competitive, {"oraac": 200}, {}, NOT),
        (judges.guidance, {"radac": 150}, {}, HOLDS),
        (judges.guidance, {}, {"radac": 10}, PARTLY),
        (judges.guidance, {}, {}, NOT),
        (judges.beyond_cloning, {"radac": 150}, {}, HOLDS),
        (judges.beyond_cloning, {}, {}, NOT),
        (judges.beyond_data, {"radac": 500}, {}, HOLDS),
        (judges.beyond_data, {"radac": 200}, {}, PARTLY),
        (judges.beyond_data, {"radac": 50}, {}, NOT),
        (judges.handles, {"codac": 50, "cql": 50, "rafmac": 50, "flow-ql": 50}, {}, HOLDS),
        (judges.handles, {}, {}, PARTLY),
        (judges.handles, {"oraac": 150, "radac": 200}, {}, PARTLY),
        (judges.handles, {"oraac": 50}, {}, NOT),
        (judges.leaves_return, {}, {}, HOLDS),
        (judges.leaves_return, {"oraac": 500}, {}, NOT),
        (judges.highest_mean("rafmac"), {"rafmac": 120}, {}, HOLDS),
        (judges.untrained("cql"), {"cql": 0}, {}, HOLDS),
        (judges.untrained("cql"), {"cql": 40}, {}, PARTLY),
        (judges.untrained("cql"), {"cql": 100}, {}, NOT),
        (judges.inside, {}, {"radac": 10}, HOLDS),
        (judges.inside, {}, {"radac": 30}, NOT),
        (judges.flows_first, {"flow-ql": 150}, {}, HOLDS),
        (judges.flows_first, {"cql": 150}, {}, NOT),
        (judges.anchor_first, {"oraac": 150}, {}, HOLDS),
        (judges.anchor_first, {"radac": 50}, {}, PARTLY),
        (judges.anchor_first, {"radac": 150}, {}, NOT),
        (judges.tails_already, {"radac": 150, "rafmac": 150}, {}, HOLDS),
        (judges.tails_already, {"rafmac": 150}, {}, PARTLY),
        (judges.fewer_violations, {}, {"radac": 10}, HOLDS),
        (judges.fewer_violations, {}, {"radac": 15, "cql": 5}, PARTLY),
        (judges.fewer_violations, {}, {"radac": 30}, NOT),
        (judges.on_front, {"oraac": 150}, {"oraac": 10}, HOLDS),
        (judges.on_front, {"oraac": 50}, {"oraac": 10}, PARTLY),
        (judges.on_front, {"oraac": 50}, {"oraac": 30}, NOT),
        (judges.conservative, {"oraac": 50}, {"oraac": 10}, HOLDS),
        (judges.conservative, {"oraac": 150}, {"oraac": 10}, PARTLY),
        (judges.more_violations, {"flow-ql": 150}, {"flow-ql": 30}, HOLDS),
        (judges.more_violations, {"flow-ql": 50}, {"flow-ql": 30}, PARTLY),
        (judges.more_violations, {"flow-ql": 150}, {"flow-ql": 10}, NOT),
        (judges.collapses, {"diffusion-ql": 0}, {}, HOLDS),
        (judges.collapses, {}, {}, NOT),
        (judges.weaker("diffusion-ql", "radac", "cvar"), {"diffusion-ql": 50}, {}, HOLDS),
        (judges.weaker("diffusion-ql", "radac", "cvar"), {}, {}, PARTLY),
        (judges.weaker("diffusion-ql", "radac", "cvar"), {"diffusion-ql": 150}, {}, NOT),
        (judges.corner, {"codac": 50}, {"codac": 10}, HOLDS),
        (judges.corner, {"codac": 50}, {"codac": 30}, PARTLY),
        (judges.corner, {"codac": 150}, {"codac": 30}, NOT),
    ],
)
def test_rules(rule, means, counts, expected):
    assert verdict(rule, campaign(means, counts)) == expected


def test_the_widest_scatter_is_over_later_evaluations_and_seeds():
    steady = campaign({"cql": None})
    calm = episodes("cql", [[0.0], [500.0]], step=10_000, purpose="training")
    report = episodes("cql", around(100))
    assert verdict(judges.scatter, gathered(steady.table.drop(columns="row"), calm, report)) in (NOT, PARTLY)
    steady = campaign()
    curves = [episodes("diffusion-ql", [[1.0], [500.0]], step=s, purpose="training") for s in (9_000, 10_000)]
    early = episodes("cql", [[-1000.0], [1000.0]], step=100, purpose="training")
    rest = steady.table[~((steady.table["row"] == "diffusion-ql") & (steady.table["purpose"] == "training"))]
    assert verdict(judges.scatter, gathered(rest.drop(columns="row"), *curves, early)) == HOLDS


def test_a_collapse_of_some_seeds_is_a_part():
    evidence = campaign({"diffusion-ql": None})
    returns = np.repeat([[100.0], [100.0], [0.0]], 20, axis=1)
    more = gathered(
        evidence.table.drop(columns="row"), episodes("diffusion-ql", returns), behaviour=policies(400.0, 90.0)
    )
    assert verdict(judges.collapses, more) == PARTLY


def test_every_claim_is_judged_or_says_what_it_needs():
    judged = judge(campaign(), CLAIMS, "paper")
    assert list(judged[""]) == [str(k + 1) for k in range(len(CLAIMS))]
    assert judged["found"].str.len().min() > 0
    elsewhere = [not claim.tasks or TASK in claim.tasks for claim in CLAIMS]
    assert ((judged["verdict"] != UNSAID) == elsewhere).all()
    assert judged.loc[~np.array(elsewhere), "found"].str.startswith("needs ").all()
    assert len(rules(CLAIMS)) == len(CLAIMS)
    assert sum(int(n) for n in re.findall(r"\d+", words.counted(judged))[1:]) == len(CLAIMS)


ALWAYS = Claim("1", "x", "s", "r", lambda case: (HOLDS, case.task))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"step": LEAST_UPDATES - 1}, "needs 10,000 updates, not 9,999"),
        ({"seeds": 2}, "needs 3 seeds, not 2"),
    ],
)
def test_too_short_runs_say_nothing(changes, reason):
    judged = judge(campaign(**changes), [ALWAYS], "paper").iloc[0]
    assert (judged["verdict"], judged["found"]) == (UNSAID, reason)


def test_a_sentence_about_a_thousand_steps_may_be_judged_on_a_shorter_run():
    start = Claim("1", "x", "s", "r", judges.flows_first, at_start=True)
    short = campaign({"flow-ql": 200}, step=2_000)
    assert judge(short, [start], "paper")["verdict"][0] == HOLDS
    late = gathered(short.table[short.table["step"] == 2_000].drop(columns="row"))
    assert judge(late, [start], "paper")["found"][0] == "needs an evaluation at 1,000 updates"


def test_published_numbers_are_judged_under_the_papers_hazard_only():
    rule = Claim("1", "x", "s", "r", judges.untrained("cql"))
    assert judge(campaign(hazard="calibrated"), [rule], "calibrated")["found"][0].startswith("needs the paper's hazard")
    strong = Claim("1", "x", "s", "r", judges.untrained("oraac"))
    assert judge(campaign(), [strong], "paper")["verdict"][0] == UNSAID


def test_missing_rows_are_named():
    judged = judge(campaign({"radac": None}), CLAIMS, "paper")
    assert judged["verdict"][0] == UNSAID
    assert judged["found"][0] == "needs RADAC"
    with pytest.raises(Missing, match="calibrated"):
        judge(campaign(), CLAIMS, "calibrated")


def test_a_variant_stands_in_where_it_is_all_there_is():
    evidence = gathered(*[episodes(row, around(100, seed=k)) for k, row in enumerate(("radac:eta=2", "cql", "oraac"))])
    assert Case(evidence, *PAPER).row("radac") == "radac:eta=2"
    assert Case(evidence, *PAPER).row("radac:eta=2") == "radac:eta=2"


def test_verdicts_over_tasks_combine():
    other = "hopper-medium-replay"
    both = gathered(campaign({"radac": 200}).table.drop(columns="row"), campaign(task=other).table.drop(columns="row"))
    claim = Claim("1", "x", "s", "r", judges.best_tail("radac"))
    judged = judge(both, [claim], "paper").iloc[0]
    assert judged["verdict"] == PARTLY
    assert judged["tasks"] == f"{TASK}, {other}"
    assert judged["found"].count(": RADAC") == 2
    one = Claim("1", "x", "s", "r", judges.best_tail("radac"), (TASK,))
    assert judge(both, [one], "paper")["verdict"][0] == HOLDS


def test_the_answer_follows_the_numbers():
    said = words.answer(campaign({"radac": 200, "bc-diffusion": 200, "oraac": 300}))
    assert "10,000 updates: RADAC's CVaR₀.₁ is" in said
    assert "**below** the best of the others' (ORAAC" in said
    assert said.endswith("Its CVaR is **above** that of RADAC, neutral and **tied with** that of BC-diffusion.")
    assert words.answer(campaign({"radac": None})) == f"*{TASK}*: needs RADAC."
    with pytest.raises(Missing):
        words.answer(gathered())


def test_the_command_is_read_from_the_facts():
    said = words.command(campaign({"oraac": None})).replace(" \\\n  ", " ")
    assert "--tasks hopper-medium-expert --methods cql codac oraac-diffusion" in said
    assert "--seeds 0 1 2 --steps 10000 --evaluations 2 --episodes 10 --report-episodes 20" in said
    tuples = gathered(episodes("radac:hidden=(64, 64)", [[1.0]]))
    assert "'radac:hidden=(64, 64)'" in words.command(tuples)


def test_captions_and_costs():
    evidence = campaign({"cql": None})
    assert words.scale(evidence, *PAPER).startswith(
        "10,000 updates (0.5 % of the paper's), 3 seeds, 20 episodes a seed"
    )
    assert words.lacking(evidence, *PAPER) == "Not in the results: CQL."
    assert words.lacking(campaign(), *PAPER) == ""
    spent = words.hours(evidence, pd.Series({"radac": 10.0}))
    assert spent == {"radac": pytest.approx(30_000 / 10 / 3600), "radac:risk=neutral": pytest.approx(30_000 / 36_000)}
    with pytest.raises(Missing, match="No speed"):
        words.hours(evidence, pd.Series(dtype=float))
    assert "131 / -167" in words.versions(TASK)
    assert words.versions("walker2d-medium-expert") == ""
