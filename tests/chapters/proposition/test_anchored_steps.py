"""Lemma 4.1 and the safety margin: areas against counting, the bound below the truth, the truth below the margin's."""

import numpy as np
import pytest

from ramac_lib.system.errors import RamacError
from support.proposition import anchored

SUPPORTS = {
    "disc": anchored.Annulus(0, 0.7),
    "ring": anchored.Annulus(0.7, 1),
    "strip": anchored.Strip(0.15, 5.0),
}
RADII = (0.02, 0.1, 0.25, 0.6, 1.3)


def inside(support, points):
    at = np.abs(points[..., 1]) if isinstance(support, anchored.Strip) else np.hypot(*points.T).T
    return support.margin(at) > 0


@pytest.mark.parametrize("name", SUPPORTS)
@pytest.mark.parametrize("radius", RADII)
def test_covered_area_against_counting(name, radius):
    support, rng = SUPPORTS[name], np.random.default_rng(0)
    x = np.linspace(-radius, radius, 1001)
    disc = np.stack(np.meshgrid(x, x), axis=-1)
    disc = disc[np.hypot(disc[..., 0], disc[..., 1]) <= radius]
    anchors, _ = support.anchors()
    for at in rng.choice(anchors, 3):
        centre = (0, at) if name == "strip" else (at, 0)
        share = inside(support, disc + centre).mean()
        assert support.covered(at, radius) / (np.pi * radius**2) == pytest.approx(share, abs=2e-3)


@pytest.mark.parametrize("name", SUPPORTS)
def test_anchors_are_the_uniform_law_and_the_perturbed_density_integrates_to_one(name):
    support = SUPPORTS[name]
    _, share = support.anchors()
    assert share.sum() == pytest.approx(1, abs=1e-12)
    radius = 0.3
    reach = np.linspace(0, (support.depth if name == "strip" else support.outer) + radius, 20_001)
    around = 2 * support.length if name == "strip" else 2 * np.pi * reach
    total = np.trapezoid(around * anchored.density(support, reach, radius), reach)
    assert total == pytest.approx(1, abs=1e-5)
    off = np.where(support.margin(reach) > 0, 0, around * anchored.density(support, reach, radius))
    assert np.trapezoid(off, reach) == pytest.approx(anchored.ood_probability(support, radius), abs=1e-3)


@pytest.mark.parametrize("name", SUPPORTS)
def test_lemma_below_truth_below_the_share_of_anchors_without_margin(name):
    support = SUPPORTS[name]
    for radius in RADII:
        truth = anchored.ood_probability(support, radius)
        low, margin = anchored.lemma_bound(support, radius)
        assert 0 < low < truth <= 1 - anchored.safe_share(support, radius) + 1e-9
        assert 0 <= margin < radius
    at, share = support.anchors()
    for radius in (0.03, 0.11):
        safe = support.margin(at) >= radius
        np.testing.assert_allclose(support.covered(at[safe], radius), np.pi * radius**2, rtol=1e-9)
        assert (support.covered(at[~safe], radius) < np.pi * radius**2).all()
        direct = share[support.margin(at) >= radius].sum()
        assert anchored.safe_share(support, radius) == pytest.approx(direct, abs=0.01)
    assert anchored.safe_share(support, support.depth) == 0


@pytest.mark.parametrize("name", SUPPORTS)
def test_small_steps_leak_in_proportion_to_the_perimeter(name):
    support = SUPPORTS[name]
    perimeter = 2 * support.length if name == "strip" else 2 * np.pi * (support.outer + support.inner)
    radius = 0.01
    law = 2 * radius / (3 * np.pi) * perimeter / support.area
    assert anchored.ood_probability(support, radius) == pytest.approx(law, rel=1e-3)


def test_lens_of_known_discs():
    assert anchored.lens(0.0, 1.0, 2.0) == pytest.approx(np.pi)
    assert anchored.lens(3.0, 1.0, 2.0) == pytest.approx(0, abs=1e-12)
    assert anchored.lens(1.0, 1.0, 1.0) == pytest.approx(2 * np.pi / 3 - np.sqrt(3) / 2)
    assert anchored.lens(1.0, 1.0, 0.0) == 0


def test_bad_input():
    with pytest.raises(RamacError, match="radius is 0"):
        anchored.ood_probability(SUPPORTS["ring"], 0)
    with pytest.raises(RamacError, match="radius is -1"):
        anchored.lemma_bound(SUPPORTS["ring"], -1)
    with pytest.raises(RamacError, match="inner is 2"):
        anchored.Annulus(2, 1)
    with pytest.raises(RamacError, match="half_width is nan"):
        anchored.Strip(float("nan"), 1)
