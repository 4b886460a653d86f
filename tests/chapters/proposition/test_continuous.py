"""Proposition 1 for densities, and mixtures fitted to them: quadrature against closed forms and against scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from ramac_lib.envs.bandit import Bandit
from ramac_lib.system.errors import RamacError
from support.proposition import continuous, line, mixtures
from support.proposition import kl as proposition_kl
from support.proposition.continuous import Mixture

BETA = Mixture([0.5, 0.5], [-0.5, 0.5], [0.1, 0.2], [[-0.8, -0.2], [0.1, 0.9]])
POLICY = Mixture([0.3, 0.7], [0.0, 0.6], [0.5, 0.3])


def pdf(law, x):
    return float(np.exp(law.log_density(np.array([x])))[0])


def test_divergence_and_mass_agree_with_adaptive_quadrature():
    parts = [integrate.quad(lambda x: pdf(BETA, x) * np.log(pdf(BETA, x) / pdf(POLICY, x)), *i) for i in BETA.intervals]
    assert continuous.divergence(BETA, POLICY) == pytest.approx(sum(p[0] for p in parts), abs=1e-10)
    inside = sum(integrate.quad(lambda x: pdf(POLICY, x), *i)[0] for i in BETA.intervals)
    assert continuous.ood_probability(BETA, POLICY) == pytest.approx(1 - inside, abs=1e-12)
    assert sum(integrate.quad(lambda x: pdf(BETA, x), *i)[0] for i in BETA.intervals) == pytest.approx(1, abs=1e-12)


def test_wide_truncation_gives_the_normal_laws_closed_form():
    beta = Mixture([1.0], [1.0], [1.0], [[-9.0, 11.0]])
    policy = Mixture([1.0], [0.0], [2.0])
    assert continuous.divergence(beta, policy, panels=40) == pytest.approx(np.log(2) + (1 + 1) / 8 - 0.5, abs=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_proposition_1_and_its_identity(seed):
    beta, policy = continuous.random_pairs(5, np.random.default_rng(seed))
    kl, delta = continuous.divergence(beta, policy), continuous.ood_probability(beta, policy)
    assert (delta <= continuous.bound(kl) + 1e-9).all()
    inside = continuous.divergence(beta, continuous.restrict(beta, policy))
    np.testing.assert_allclose(kl, inside - np.log1p(-delta), atol=1e-9)
    assert (inside >= -1e-12).all()


def test_equality_where_the_restricted_policy_is_beta():
    beta = Mixture(POLICY.weights, POLICY.means, POLICY.scales, BETA.intervals)
    assert continuous.bound(continuous.divergence(beta, POLICY)) == pytest.approx(
        continuous.ood_probability(beta, POLICY), abs=1e-12
    )


def test_survey_has_no_violation_and_comes_near_to_equality():
    table = continuous.survey(500, np.random.default_rng(1))
    assert table["holds"].all()
    assert table["ratio"].max() > 0.9999
    assert table["error"].max() < 1e-9


def test_fitting_one_gaussian_takes_the_laws_moments_and_more_components_come_nearer():
    nodes = line.as_nodes(line.two_modes())
    one = mixtures.fit(nodes, 1, np.random.default_rng(0))
    assert one.means[0, 0] == pytest.approx(0, abs=1e-12)
    law = stats.truncnorm(-3, 3, 0.5, 0.1)
    # Truncating the mixture as a whole leaves 5e-4 of the other mode's tail out of account.
    assert one.covariances[0, 0, 0] == pytest.approx(law.var() + law.mean() ** 2, rel=1e-3)
    kls = [mixtures.divergence(nodes, mixtures.fit(nodes, k, np.random.default_rng(0))) for k in (1, 2, 8)]
    assert kls[0] > 10 * kls[1] > 10 * kls[2] > 0
    assert kls[1] == pytest.approx(-np.log(law.cdf(0.8) - law.cdf(0.2)) + 0.0027, abs=2e-3)


def test_quadrature_of_the_bandit():
    nodes, bandit = proposition_kl.nodes(), Bandit()
    assert nodes.mass.sum() == pytest.approx(1, abs=1e-9)
    assert nodes.areas.sum() == pytest.approx(np.pi * (0.3**2 + 1 - 0.7**2), abs=1e-9)
    on_ring = bandit.region(nodes.points) == "ring"
    assert nodes.mass[on_ring].sum() == pytest.approx(0.8, abs=1e-9)
    wide = mixtures.Gaussians(np.ones(1), np.zeros((1, 2)), 100.0 * np.eye(2)[None])
    assert 1 - mixtures.ood_probability(nodes, wide) == pytest.approx(np.pi * 0.6 / (2 * np.pi * 100), rel=0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0.5, 0.6], [0, 1], [1, 1]), "sum to 1.1"),
        (([1.5, -0.5], [0, 1], [1, 1]), "weight is -0.5"),
        (([1.0], [np.nan], [1.0]), "nan"),
        (([1.0], [0.0], [0.0]), "scale is 0.0"),
        (([1.0], [0.0, 1.0], [1.0]), "shapes"),
        (([1.0], [0.0], [1.0], [[0.5, 0.2]]), "disjoint"),
        (([1.0], [0.0], [1.0], [[0.0, 0.5], [0.4, 1.0]]), "disjoint"),
    ],
)
def test_bad_mixtures(arguments, said):
    with pytest.raises(ValueError, match=said):
        Mixture(*arguments)


def test_bad_input():
    for function in (continuous.divergence, continuous.ood_probability, continuous.restrict):
        with pytest.raises(RamacError, match="whole line"):
            function(POLICY, POLICY)
    with pytest.raises(RamacError, match=r"divergence is -0\.1"):
        continuous.bound(np.array([-0.1]))
    with pytest.raises(RamacError, match="divergence is nan"):
        continuous.bound(np.nan)
    with pytest.raises(RamacError, match="count is 0"):
        continuous.survey(0, np.random.default_rng(0))
    nodes = line.as_nodes(BETA)
    with pytest.raises(RamacError, match="k is 0"):
        mixtures.fit(nodes, 0, np.random.default_rng(0))
    with pytest.raises(RamacError, match="integrates to 2"):
        mixtures.Nodes(nodes.points, 2 * nodes.areas, nodes.density)
    with pytest.raises(RamacError, match="shapes"):
        mixtures.Nodes(nodes.points, nodes.areas[1:], nodes.density)
    with pytest.raises(RamacError, match="density is"):
        mixtures.Nodes(nodes.points, nodes.areas, nodes.density - 100)
