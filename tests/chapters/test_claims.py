"""The sentences about the bandit and about the robots are claims of one kind, judged in one way."""

import itertools

import pandas as pd
import pytest
from campaign_tables import TASK, around, episodes, gathered

from ramac_lib.envs.bandit import REGIONS
from support.bandit import claims as bandit_claims
from support.bandit.verdicts import BanditEvidence, finding
from support.evidence import claims as robots_claims
from support.evidence.case import cases
from support.evidence.judges import against
from support.verdicts import Claim, judge, rules, said

SIGNS = (1, 0, -1)
SEEDS = (0, 1, 2)


def robots(mean, rate):
    """RADAC's mean and share of violations beside CQL's: 1 better, 0 tied, −1 worse."""
    violations = {1: 5.0, 0: 20.0, -1: 40.0}[rate]
    tables = [
        episodes("radac", around(100 + 80 * mean, seed=1), violations=around(violations, 1.0, seed=2)),
        episodes("cql", around(100, seed=3), violations=around(20, 1.0, seed=4)),
    ]
    return cases(gathered(*tables), "paper")


def bandit(centre, gap):
    """RADAC's masses by seed: 1 all pass, 0 one does, −1 none."""
    passing = {1: len(SEEDS), 0: 1, -1: 0}
    rows = []
    for seed in SEEDS:
        masses = {"centre": 0.8 * (seed < passing[centre]), "gap": 0.2 * (seed >= passing[gap])}
        rows.append(
            {"suite": "methods", "method": "radac", "seed": seed, "step": 1} | dict.fromkeys(REGIONS, 0.0) | masses
        )
    return {"Risky Bandit": BanditEvidence(pd.DataFrame(rows), {})}


def masses(evidence):
    end = evidence.at("radac")
    return finding({"centre": end["centre"]}, end["centre"] >= 0.5, end["gap"] < 0.1)


ROBOTS_CLAIM = Claim("x", "s", "r", against("radac", "cql", ("mean", 1), ("rate", -1)), (TASK,))
BANDIT_CLAIM = Claim("x", "s", "r", masses)


@pytest.mark.parametrize("signs", list(itertools.product(SIGNS, SIGNS)))
def test_the_same_parts_give_the_same_verdict(signs):
    assert tuple(ROBOTS_CLAIM.judge(robots(*signs)[TASK])[0]) == signs
    assert tuple(BANDIT_CLAIM.judge(bandit(*signs)["Risky Bandit"])[0]) == signs
    verdicts = [judge([ROBOTS_CLAIM], robots(*signs)), judge([BANDIT_CLAIM], bandit(*signs))]
    assert [table["verdict"].to_list() for table in verdicts] == [[said(signs)]] * 2
    assert list(verdicts[0].columns) == list(verdicts[1].columns)


def test_both_kinds_are_claims_of_one_class():
    both = (*bandit_claims.CLAIMS, *robots_claims.CLAIMS)
    assert {type(claim) for claim in both} == {Claim}
    assert rules(both)["it holds where"].str.len().min() > 0
