"""Verdicts on made-up campaigns in which each sentence is true, half true or false; what is missing is not judged."""

import re

import numpy as np
import pytest
from campaign_tables import TASK, around, episodes, gathered, policies
from scipy.stats import spearmanr

from ramac_lib.analysis.evidence import Missing
from ramac_lib.envs.tasks import ROBOTS
from support.evidence import judges
from support.evidence.case import LEAST_UPDATES, Case, cases
from support.evidence.claims import CLAIMS
from support.evidence.ties import told_apart
from support.verdicts import HOLDS, NOT, PARTLY, UNDECIDED, UNSAID, Claim, counted, rules
from support.verdicts import judge as judge_cases

PAPER = (TASK, "paper")
HANDLES = next(claim for claim in CLAIMS if "reliably handles" in claim.sentence)
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


def parts(rule, evidence, task=TASK, hazard="paper"):
    return list(rule(Case(evidence, task, hazard))[0])


def judge(evidence, claims, hazard):
    return judge_cases(claims, cases(evidence, hazard))


@pytest.mark.parametrize(
    ("rule", "means", "counts", "expected"),
    [
        (judges.leads("radac", "cvar"), {"radac": 200}, {}, [1]),
        (judges.leads("radac", "cvar"), {}, {}, [0]),
        (judges.leads("radac", "cvar"), {"cql": 200}, {}, [-1]),
        (judges.leads("radac", "mean", ("rafmac",)), {"radac": 150, "rafmac": 300}, {}, [1]),
        (judges.competitive("mean", "radac", "rafmac"), {}, {}, [1, 1]),
        (judges.competitive("mean", "radac", "rafmac"), {"radac": 190, "rafmac": 150, "oraac": 200}, {}, [1, -1]),
        (judges.competitive("mean", "radac"), {"radac": 180, "oraac": 200}, {}, [0]),  # a tenth below, to the point
        (judges.competitive("mean", "radac"), dict.fromkeys(METHODS, -100), {}, [1]),  # equal, and negative
        (judges.competitive("mean", "radac"), dict.fromkeys(METHODS, -100) | {"radac": -130}, {}, [-1]),
        (judges.beside_median(("radac", "cvar", 1), ("rafmac", "cvar", 1)), {"radac": 200}, {}, [1, 0]),
        (judges.beside_median(("oraac", "rate", -1)), {}, {"oraac": 10}, [1]),
        (judges.beside_median(("oraac", "rate", -1)), {}, {"oraac": 30}, [-1]),
        (judges.against("radac", judges.NEUTRAL, ("cvar", 1), ("rate", -1)), {"radac": 150}, {"radac": 40}, [1, -1]),
        (judges.against("radac", judges.NEUTRAL, ("cvar", 1), ("rate", -1)), {}, {"radac": 10}, [0, 1]),
        (judges.against("diffusion-ql", "radac", ("cvar", -1)), {"diffusion-ql": 50}, {}, [1]),
        (judges.improves, {"rafmac": 200}, {}, [1]),
        (judges.improves, {"rafmac": 200, "oraac": 300}, {}, [-1]),
        (judges.beyond_data, {"radac": 500}, {}, [1]),
        (judges.beyond_data, {"radac": 200}, {}, [-1]),
        (judges.leaves_return, {"oraac": 50}, {}, [1]),
        (judges.leaves_return, {}, {}, [0]),
        (judges.leaves_return, {"oraac": 150}, {}, [-1]),
        (judges.untrained("cql"), {"cql": 0}, {}, [1]),
        (judges.untrained("cql"), {"cql": 40}, {}, [0]),
        (judges.untrained("cql"), {"cql": 100}, {}, [-1]),
        (judges.inside, {}, {"radac": 5}, [1, 1]),
        (judges.inside, {}, {"radac": 15}, [1, -1]),
        (judges.flows_first("mean"), {"flow-ql": 150}, {}, [1]),
        (judges.flows_first("mean"), {"cql": 150}, {}, [-1]),
        (judges.flows_first("cvar"), {}, {}, [0]),
        (judges.anchor_first, {"oraac": 150}, {}, [1, 1]),
        (judges.anchor_first, {"radac": 50}, {}, [0, 0]),
        (judges.anchor_first, {"radac": 150}, {}, [-1, -1]),
        (judges.tails_already, {"radac": 150, "rafmac": 150}, {}, [1, 1]),
        (judges.tails_already, {"rafmac": 150}, {}, [0, 1]),
        (judges.fewer_violations, {}, {"radac": 10}, [1]),
        (judges.fewer_violations, {}, {"radac": 15, "cql": 5}, [-1]),
        (judges.fewer_violations, {}, {}, [0]),
        (judges.on_front, {"oraac": 150}, {"oraac": 10}, [1, 1, 1]),
        (judges.on_front, {"oraac": 50}, {"oraac": 10}, [1, 1, -1]),
        (judges.on_front, {"oraac": 50}, {"oraac": 30}, [-1]),
        (judges.more_violations, {"flow-ql": 150}, {"flow-ql": 30}, [1, 1]),
        (judges.more_violations, {"flow-ql": 150}, {"flow-ql": 10}, [1, -1]),
        (judges.collapses, {"diffusion-ql": 0}, {}, [-1]),  # all of them
        (judges.collapses, {}, {}, [-1]),  # none
    ],
)
def test_rules(rule, means, counts, expected):
    assert parts(rule, campaign(means, counts)) == expected


def test_violations_are_a_share_of_steps():
    evidence = campaign({"oraac": None}, {})
    falls = episodes("oraac", around(20), violations=6.0, length=10)  # fewer an episode, more of its steps
    more = gathered(evidence.table.drop(columns="row"), falls)
    assert parts(judges.beside_median(("oraac", "rate", -1)), more) == [-1]


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, size=(20, 8)), rng.normal(size=(20, 8))
    expected = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(judges.rank_correlation(x, y), expected)
    assert judges.rank_correlation(np.ones((1, 4)), y[:1, :4]) == 0


def test_rankings_match_where_the_order_stays():
    order = {row: 100.0 + 40 * k for k, row in enumerate(METHODS)}
    evidence = campaign(order)
    assert parts(judges.rankings_match, evidence) == [1, 1]
    turned = evidence.table.copy()
    early = turned["step"] == 1000
    turned.loc[early, "return"] *= -1
    assert parts(judges.rankings_match, gathered(turned.drop(columns="row"))) == [-1, -1]


def test_the_widest_scatter_is_over_later_evaluations_and_seeds():
    steady = campaign()
    curves = [episodes("diffusion-ql", [[1.0], [500.0], [1.0]], step=s, purpose="training") for s in (9_000, 10_000)]
    early = episodes("cql", [[-1000.0], [1000.0], [0.0]], step=100, purpose="training")
    rest = steady.table[~((steady.table["row"] == "diffusion-ql") & (steady.table["purpose"] == "training"))]
    assert parts(judges.scatter, gathered(rest.drop(columns="row"), *curves, early)) == [1]
    wider = [episodes("cql", [[0.0], [900.0], [0.0]], step=s, purpose="training") for s in (9_000, 10_000)]
    rest = rest[~((rest["row"] == "cql") & (rest["purpose"] == "training"))].drop(columns="row")
    assert parts(judges.scatter, gathered(rest, *curves, *wider)) == [-1]


def test_a_collapse_of_some_seeds_is_what_the_sentence_says():
    evidence = campaign({"diffusion-ql": None})
    returns = np.repeat([[100.0], [100.0], [0.0]], 20, axis=1)
    more = gathered(
        evidence.table.drop(columns="row"), episodes("diffusion-ql", returns), behaviour=policies(400.0, 90.0)
    )
    assert parts(judges.collapses, more) == [1]


def test_little_is_said_where_no_method_differs():
    judged = judge(campaign(), CLAIMS, "paper").set_index("sentence")["verdict"]
    assert list(judged.index[judged == HOLDS]) == ["RADAC and RAFMAC have competitive or higher means"]
    assert not (judged == PARTLY).any()
    told = set(judged.index[judged == NOT])  # by absolute numbers, or by a place on a front
    assert told <= {
        "CQL earns next to nothing",
        "CODAC earns next to nothing",
        "DiffusionQL earns next to nothing",
        "RADAC concentrates inside or near the safe range",
        "ORAAC forms the frontier with few violations and strong returns",
        "DiffusionQL has the wider scatter",
        "DiffusionQL's runs either reach moderate returns or collapse",
        "RADAC improves on the policies that made the data",
        "ORAAC reliably handles the sharp threshold",  # its episodes end early
    }


@pytest.mark.parametrize(
    ("length", "expected"),
    [(100, [-1]), (500, [1, 1, 1])],  # of 500 steps
)
def test_a_policy_that_falls_in_every_episode_handles_nothing(length, expected):
    evidence = campaign({"oraac": None})
    oraac = episodes("oraac", around(200), violations=around(2.0, 0.1), length=length)
    found = gathered(evidence.table.drop(columns="row"), oraac)
    assert parts(judges.handles, found) == expected
    if length < 500:
        assert judge(found, [HANDLES], "paper")["verdict"].tolist() == [NOT]


def test_equal_rows_are_seldom_told_apart():
    found = told_apart(5, 20, spread=0.7, pairs=200)
    assert max(found.values()) < 0.12
    assert told_apart(3, 20, spread=0.0, pairs=50)["mean"] < 0.2


def test_every_claim_is_judged_or_says_what_it_needs():
    judged = judge(campaign(), CLAIMS, "paper")
    assert list(judged[""]) == [str(k + 1) for k in range(len(CLAIMS))]
    assert judged["found"].str.len().min() > 0
    here = np.array([TASK in (claim.tasks or ROBOTS) for claim in CLAIMS])
    assert ((judged["verdict"] != UNSAID) == here).all()
    assert judged.loc[~here, "found"].str.startswith("needs ").all()
    assert list(judged["tasks"]) == [
        f"{int(there)} of {len(c.tasks or ROBOTS)}" for there, c in zip(here, CLAIMS, strict=True)
    ]
    assert len(rules(CLAIMS)) == len(CLAIMS)
    assert sum(int(n) for n in re.findall(r"\d+", counted(judged))[1:]) == len(CLAIMS)


ASKS = Claim("x", "s", "r", lambda case: ([1], case.number("radac", "mean")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"step": LEAST_UPDATES - 1}, "needs 10,000 updates, not 9,999"),
        ({"seeds": 2}, "needs 3 seeds, not 2"),
    ],
)
def test_too_short_runs_say_nothing(changes, reason):
    judged = judge(campaign(**changes), [ASKS], "paper").iloc[0]
    assert (judged["verdict"], judged["found"]) == (UNSAID, reason)


def test_a_short_row_silences_only_the_sentences_about_it():
    more = gathered(campaign().table.drop(columns="row"), episodes("radac:alpha=0.5", around(100, seeds=2), step=400))
    assert judge(more, [ASKS], "paper")["verdict"][0] == HOLDS


def test_a_sentence_about_a_thousand_steps_may_be_judged_on_a_shorter_run():
    start = Claim("x", "s", "r", judges.at_start(judges.flows_first("mean")))
    short = campaign({"flow-ql": 200}, step=2_000)
    assert judge(short, [start], "paper")["verdict"][0] == HOLDS
    late = gathered(short.table[short.table["step"] == 2_000].drop(columns="row"))
    assert judge(late, [start], "paper")["found"][0] == "needs an evaluation at 1,000 updates"


def test_published_numbers_are_judged_under_the_papers_hazard_only():
    rule = Claim("x", "s", "r", judges.untrained("cql"))
    assert judge(campaign(hazard="calibrated"), [rule], "calibrated")["found"][0].startswith("needs the paper's hazard")
    strong = Claim("x", "s", "r", judges.untrained("oraac"))
    assert judge(campaign(), [strong], "paper")["verdict"][0] == UNSAID
    poor = campaign(policy=(-50.0, -90.0))
    assert judge(poor, [rule], "paper")["found"][0] == "needs a behaviour policy with a positive mean return"


def test_comparisons_with_a_part_of_the_methods_are_not_made():
    judged = judge(campaign({"flow-ql": None, "rafmac": None}), CLAIMS, "paper").set_index("sentence")
    assert judged.loc["RADAC has the highest CVaR", "found"] == "needs FlowQL, RAFMAC"
    assert judged.loc["DiffusionQL has the weaker CVaR", "verdict"] == UNDECIDED  # speaks of two rows, which are there
    alone = judge(campaign(dict.fromkeys((*METHODS, *CONTROLS)) | {"oraac": 30.0}, {"oraac": 0.0}), CLAIMS, "paper")
    assert set(alone["verdict"]) == {UNSAID}


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
    claim = Claim("x", "s", "r", judges.leads("radac", "cvar"))
    judged = judge(both, [claim], "paper").iloc[0]
    assert judged["verdict"] == PARTLY
    assert judged["tasks"] == "2 of 6"
    assert judged["found"].startswith(f"holds on 1, inconclusive on 1; {TASK}: RADAC 18")
    one = Claim("x", "s", "r", judges.leads("radac", "cvar"), (TASK,))
    assert judge(both, [one], "paper")[["verdict", "tasks"]].iloc[0].tolist() == [HOLDS, "1 of 1"]


def test_every_behaviour_policy_counts_not_only_those_shown():
    evidence = campaign({"radac": 130}).table.drop(columns="row")
    wide = [episodes(f"behaviour:stage={n}", around(m, 60, seeds=4), step=1) for n, m in (("expert", 150), ("a", 148))]
    steady = episodes("behaviour:stage=b", around(140, seeds=4), step=1)  # a lower mean, a higher tail
    assert parts(judges.beyond_data, gathered(evidence, behaviour=wide)) == [1]
    assert parts(judges.beyond_data, gathered(evidence, behaviour=[*wide, steady])) == [-1]
