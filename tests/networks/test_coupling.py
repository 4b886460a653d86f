"""Coupling flows: inverse, volume and integral are exact; known laws have the likelihood that they must have."""

import math

import numpy as np
import pytest
import torch

from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.coupling import KINDS, PRIORS, CouplingFlow, log_prior
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.system.errors import RamacError

SIGMA = 0.2
# Of ½N(−1, .2²) + ½N(1, .2²), and of the best Gaussian, N(0, 1.04).
ENTROPY, GAUSSIAN = 0.50265, 1.43855
SECOND = 0.3  # standard deviation of a second, independent entry
PLANE = ENTROPY + 0.5 * math.log(2 * math.pi * math.e * SECOND**2)


def flow(width=3, condition=2, seeds=(0, 1), scale=0.5, **options):
    """A flow whose every parameter differs from zero."""
    made = CouplingFlow((len(seeds),), width, condition, **{"hidden": (16, 16), **options})
    initialise(made, Noise(seeds, "init").generators)
    with torch.no_grad():
        made.log_scale.copy_(scale * torch.linspace(-1, 1, made.log_scale.numel()).reshape(made.log_scale.shape))
    return made


def modes(count, seed=0):
    g = torch.Generator().manual_seed(seed)
    sign = 2.0 * (torch.rand(1, count, 1, generator=g) < 0.5) - 1
    return sign + SIGMA * torch.randn(1, count, 1, generator=g)


def plane(count, seed=0):
    g = torch.Generator().manual_seed(seed + 1000)
    return torch.cat([modes(count, seed), SECOND * torch.randn(1, count, 1, generator=g)], dim=-1)


# -- exact properties -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_the_inverse_inverts(kind, width):
    """What was done last must be undone first: with the last scale undone last the error is .3, not 1e-5."""
    made = flow(width, kind=kind)
    x, c = torch.randn(2, 500, width), torch.randn(2, 500, 2)
    with torch.no_grad():
        z, _ = made(x, c)
        assert (made.inverse(z, c) - x).abs().max() < 1e-5
        there, _ = made(made.inverse(x, c), c)
        assert (there - x).abs().max() < 1e-5
        if width > 1:  # the slip of the public code
            wrong = z
            for coupling in reversed(made.couplings):
                wrong = coupling.inverse(wrong, c)
            wrong = wrong * (-made.log_scale).exp()
            assert (wrong - x).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 3])
def test_the_volume_is_that_of_the_jacobian(kind, width):
    made, x, c = flow(width, seeds=(0,), kind=kind), torch.randn(1, 5, width), torch.randn(1, 5, 2)
    _, volume = made(x, c)
    for row in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda v, row=row: made(v[None, None], c[:, row : row + 1])[0], x[0, row]
        )
        expected = torch.linalg.slogdet(jacobian.reshape(width, width))[1]
        assert volume[0, row].item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_density_integrates_to_one(kind, prior):
    made = flow(2, condition=1, seeds=(0,), kind=kind, prior=prior, scale=0.3)
    edge = torch.linspace(-30, 30, 601) if prior == "logistic" else torch.linspace(-10, 10, 501)
    step = (edge[1] - edge[0]).item()
    grid = torch.cartesian_prod(edge, edge)[None]
    for c in (-1.0, 0.7):
        with torch.no_grad():
            mass = made.log_prob(grid, torch.full((1, len(grid[0]), 1), c)).double().exp().sum().item() * step**2
        assert mass == pytest.approx(1, abs=1e-3)


def test_priors():
    assert log_prior("logistic", torch.zeros(1)).item() == pytest.approx(-1.38629, abs=1e-5)
    assert log_prior("logistic", torch.zeros(4, 3)).tolist() == pytest.approx(4 * [-3 * 1.386294], abs=1e-5)
    assert log_prior("normal", torch.zeros(2)).item() == pytest.approx(-math.log(2 * math.pi), abs=1e-6)
    z = torch.tensor([[0.3], [-2.0], [50.0], [-50.0]])
    expected = [-float(v) - 2 * math.log1p(math.exp(-float(v))) if v > -30 else float(v) for v in z]
    assert log_prior("logistic", z).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("prior", PRIORS)
def test_samples_are_the_priors_through_the_inverse(prior):
    made = flow(2, condition=0, seeds=(0,), couplings=0, prior=prior, scale=0.5)
    x = made.sample(torch.randn(1, 40_000, 2, generator=torch.Generator().manual_seed(0)))
    std = {"normal": 1.0, "logistic": math.pi / 3**0.5}[prior]
    torch.testing.assert_close(x.std(1), std * (-made.log_scale[0]).exp(), rtol=0.02, atol=0)
    # Their mean likelihood is the prior's own, up to the scale.
    own = {"normal": 0.5 * math.log(2 * math.pi * math.e), "logistic": 2.0}[prior]
    assert -made.log_prob(x).mean().item() == pytest.approx(2 * own - made.log_scale.sum().item(), abs=0.03)


def test_couplings_move_the_even_and_the_odd_entries_in_turn():
    made, x, c = flow(3, couplings=2), torch.randn(2, 4, 3), torch.randn(2, 4, 2)
    first, second = (coupling(x, c)[0] for coupling in made.couplings)
    assert torch.equal(first[..., ::2], x[..., ::2])
    assert (first[..., 1] != x[..., 1]).all()
    assert torch.equal(second[..., 1], x[..., 1])
    assert (second[..., ::2] != x[..., ::2]).all()


def test_what_is_no_flow_is_refused():
    with pytest.raises(RamacError, match="unknown kind of coupling 'nice': choose one of affine, additive"):
        CouplingFlow((1,), 2, kind="nice")
    with pytest.raises(RamacError, match="unknown prior of a flow 'cauchy': choose one of normal, logistic"):
        CouplingFlow((1,), 2, prior="cauchy")
    with pytest.raises(RamacError, match="a flow has -1 couplings"):
        CouplingFlow((1,), 2, couplings=-1)


# -- known likelihoods ------------------------------------------------------------------------------------------------


def fitted(made, draw, updates, rate):
    optimizer = StackedAdam(made, rate)
    for k in range(updates):
        optimizer.lr = rate * (1 - k / updates)
        optimizer.step(-made.log_prob(draw(512, k)).mean(1))
    return made


def test_the_numbers_of_the_two_modes():
    x = np.linspace(-3, 3, 200_001)
    p = sum(np.exp(-0.5 * ((x - m) / SIGMA) ** 2) for m in (-1, 1)) / (2 * SIGMA * math.sqrt(2 * math.pi))
    assert -(p * np.log(p)).sum() * (x[1] - x[0]) == pytest.approx(ENTROPY, abs=1e-5)
    assert 0.5 * math.log(2 * math.pi * math.e * (1 + SIGMA**2)) == pytest.approx(GAUSSIAN, abs=1e-5)


def test_a_flow_of_a_scale_alone_is_the_best_gaussian():
    made = fitted(CouplingFlow((1,), 1, couplings=0), modes, 600, 0.02)
    with torch.no_grad():
        x = modes(200_000, 7)
        assert -made.log_prob(x).mean().item() == pytest.approx(GAUSSIAN, abs=5e-3)
        assert made.log_scale.item() == pytest.approx(-0.5 * math.log(1.04), abs=0.02)


@pytest.mark.slow
def test_affine_couplings_learn_two_modes():
    """To within .02 of the entropy, in a plane; a coupling needs another entry to look at."""
    made = CouplingFlow((1,), 2, couplings=6, hidden=(32, 32))
    initialise(made, Noise((3,), "init").generators)
    fitted(made, plane, 1500, 1e-2)
    with torch.no_grad():
        x = plane(4000, 10**6)
        found = -made.log_prob(x).mean().item()
        own = 0.5 * math.log(2 * math.pi * SECOND**2) + 0.5 * (x[..., 1] / SECOND).square()
        two = torch.logsumexp(torch.stack([-0.5 * ((x[..., 0] - m) / SIGMA).square() for m in (-1, 1)]), dim=0)
        entropy = (own - two + math.log(2 * SIGMA * math.sqrt(2 * math.pi))).mean().item()
    assert entropy == pytest.approx(PLANE, abs=0.03)
    assert -0.005 < found - entropy < 0.02
