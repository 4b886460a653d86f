"""Where the support is a formula: the truth by hand, errors that add up, more dimensions; steps from anchors."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, spearmanr

from ramac_lib.campaign.bandit import train
from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support.ood import known, leaving

BANDIT = Bandit()


def at(*radii):
    """Actions of these radii in one direction, as one seed's."""
    return np.array([[[radius, 0.0] for radius in radii]])


def test_rates_by_hand():
    found = known.rates({"some": at(0.0, 0.5, 0.5, 0.85)}).iloc[0]
    assert (found["true"], found["flagged"], found["missed"], found["false"], found["hit"]) == (0.5, 0.5, 0, 0, 1)


def test_errors_add_up_and_a_policy_inside_has_no_hits():
    rng = np.random.default_rng(0)
    drawn = {"box": rng.uniform(-1, 1, (2, 500, 2)), "data": BANDIT.sample_behaviour(500, rng)[None]}
    found = known.rates(drawn, rows=1_000)
    np.testing.assert_allclose(found["flagged"], found["true"] - found["missed"] + found["false"])
    data = found[found["method"] == "data"].iloc[0]
    assert data["true"] == 0
    assert np.isnan(data["hit"])
    assert data["flagged"] == data["false"] > 0  # the law is thin near the edges: density, not support


def test_what_few_rows_cannot_see_many_can():
    beside_the_ring = np.array([0.66])
    assert known.by_radius(beside_the_ring, 100)[0] < 0.2
    assert known.by_radius(beside_the_ring, 10_000)[0] == 1


def test_places_are_all_of_the_actions():
    drawn = {"box": np.random.default_rng(0).uniform(-1, 1, (1, 2000, 2))}
    found = known.places(drawn).set_index("place")
    assert found["actions"].sum() == pytest.approx(1)
    assert found.loc["outside, away from the edge", "flagged"] == 1
    assert found.loc["inside, away from the edge", "flagged"] < 0.2


def test_the_share_flagged_by_radius_is_that_of_the_middle_of_the_gap():
    np.testing.assert_array_equal(known.by_radius(np.array([0.0, 0.5, 0.85]), 10_000, angles=90), [0, 1, 0])


def test_in_two_dimensions_the_shells_are_the_bandit():
    drawn = known.shells(20_000, 2, np.random.default_rng(0))
    assert BANDIT.support(drawn).all()
    assert np.mean(BANDIT.region(drawn) == "ring") == pytest.approx(BANDIT.ring_share, abs=0.01)
    behaviour = BANDIT.sample_behaviour(20_000, np.random.default_rng(1))
    assert ks_2samp(np.hypot(*drawn.T), np.hypot(*behaviour.T)).statistic < 0.02


def test_with_dimensions_the_same_gap_is_lost():
    found = known.by_dimension((2, 6), 2_000, count=200)
    assert found["hits"].tolist() == [1, 0]
    assert found["threshold"].is_monotonic_increasing


def test_rank_correlations():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    found = known.rank_correlation(a, a + b)
    assert found.value == pytest.approx(spearmanr(a, a + b).statistic)
    assert found.low < found.value < found.high
    assert known.rank_correlation(a, -a).value == pytest.approx(-1)
    assert np.isnan(known.rank_correlation(a, np.ones(40)).value)
    few = known.rank_correlation(np.repeat(a[:8], 5), np.repeat((a + b)[:8], 5), np.repeat(np.arange(8), 5))
    rows = known.rank_correlation(np.repeat(a[:8], 5), np.repeat((a + b)[:8], 5))
    assert few.high - few.low > 1.5 * (rows.high - rows.low)  # eight groups, not forty rows


# -- steps from anchors ---------------------------------------------------------------------------------------------


def test_where_steps_end_by_hand():
    anchors, actions = at(0.0, 0.25, 0.5, 0.6)[0], at(0.0, 0.5, 0.25, 0.6)[0]
    found = leaving.moved(anchors, actions)
    assert (found["prior"], found["ood"], found["out"], found["back"]) == (0.5, 0.5, 0.5, 0.5)
    assert found["step"] == pytest.approx(0.125)
    assert np.isnan(leaving.moved(at(0.0)[0], at(0.0)[0])["back"])


@pytest.mark.parametrize(
    ("ood", "word"), [([0.3, 0.5], "holds"), ([0.1, 0.3], "does not hold"), ([0.3, 0.3], "inconclusive")]
)
def test_whether_steps_take_a_policy_out(ood, word):
    table = pd.DataFrame({"method": "oraac", "radius": [0.1, 0.1, 0.5, 0.5], "prior": [0.2, 0.4] * 2})
    found = leaving.leads_out(table.assign(ood=[0, 0, *ood]), "oraac", 0.5)
    assert found == (word, pytest.approx(0.3), pytest.approx(np.mean(ood)))
    with pytest.raises(RamacError, match=r"the table has no oraac of radius 0\.2"):
        leaving.leads_out(table, "oraac", 0.2)


def test_without_a_radius_the_policy_is_its_prior_whatever_the_radius_of_others():
    small = {"hidden": "16,16", "residual_hidden": "16,16", "critic_hidden": 16, "critic_encoder": 16, "embedding": 16}
    runs = [train("oraac", [0, 1], 30, {**small, "radius": size}, device="cpu", count=1).stack for size in (0, 0.5)]
    (first, same), (second, moved) = (leaving.anchors_and_actions(stack, 50) for stack in runs)
    np.testing.assert_array_equal(first, same)
    np.testing.assert_array_equal(first, second)  # the prior learns by itself
    assert 0 < np.abs(moved - second).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("method", ["bc-flow"])
def test_a_training_is_followed(method):
    run = train(method, [0, 3], 40, {"hidden": "16,16"}, every=20, device="cpu", count=300)
    found = leaving.followed(run)
    assert found[["step", "seed"]].to_numpy().tolist() == [[20, 0], [20, 3], [40, 0], [40, 3]]
    log = run.metrics[(run.metrics["seed"] == 3) & (run.metrics["step"] > 20)]
    assert found["bc_loss"].iloc[3] == pytest.approx(log["bc_loss"].mean())
    assert found["ood"].iloc[3] == pytest.approx(BANDIT.evaluate(run.actions[40][1])["ood"], abs=0.01)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: known.rates({"a": at(0.5)}, kappa=0), "kappa is 0; expected more than 0"),
        (lambda: known.rates({"a": at(np.nan)}), "actions hold nan; expected finite numbers"),
        (lambda: known.rates({"a": at(0.5)}, rows=1), "all rows of the data are the same"),
        (lambda: known.shells(0, 2, np.random.default_rng(0)), "0 actions of 2 dimensions"),
        (lambda: known.rank_correlation(np.ones(2), np.ones(2)), "2 and 2 numbers; expected as many"),
        (lambda: known.rank_correlation(np.ones(3), np.ones(3), [0, 0, 1]), "groups of 1 and 2 rows; expected equal"),
        (lambda: leaving.moved(at(0.0, 0.1)[0], at(0.0)[0]), "2 anchors and 1 actions; expected as many"),
        (lambda: leaving.by_radius("oraac", -0.1, [0], 20), "radius is -0.1; expected at least 0"),
        (
            lambda: leaving.anchors_and_actions(train("bc-flow", [0], 20, device="cpu", count=1).stack, 5),
            "expected an anchored method",
        ),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(RamacError, match=words):
        make()
