"""The consistency model of one number: boundary, exact function of a Gaussian, both losses, and what it learns."""

import copy

import pytest
import torch

from ramac_lib.methods.shared.base import follow
from ramac_lib.networks import consistency
from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.consistency import T_MAX, T_MIN, Preconditioned, consistency_loss, denoising_loss, one_step
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise

MU, STD = 0.3, 0.25  # a law whose consistency function is known


def make(seeds=(0, 1), **options):
    model = Preconditioned((len(seeds),), 3, 2, **{"hidden": (16, 16), **options})
    initialise(model, Noise(seeds, "init").generators)
    return model


def rows(count=5, stack=2):
    g = torch.Generator().manual_seed(0)
    return torch.randn(stack, count, 3, generator=g), torch.randn(stack, count, 2, generator=g)


def exact(x, t):
    """f(x, t) of N(.3, .25²)."""
    return MU + (x - MU) * ((STD**2 + T_MIN**2) / (STD**2 + t**2)) ** 0.5


def denoised(x, t):
    """D(x, t) of N(.3, .25²)."""
    return MU + (x - MU) * STD**2 / (STD**2 + t**2)


class Exact:
    """A model of three arguments too many."""

    def __init__(self, function):
        self.function = function

    def __call__(self, observations, actions, x, t):
        return self.function(x, t)


# -- the network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-3.0, 0.2, 10.0])
def test_a_consistency_function_is_the_identity_at_the_least_time(x):
    model = make()
    at = model(*rows(), torch.full((2, 5, 4), x), torch.full((1, 1, 1), T_MIN))
    assert torch.equal(at, torch.full((2, 5, 4), x))
    assert not torch.equal(make(start=0.0)(*rows(), torch.full((2, 5, 4), x), torch.full((1, 1, 1), T_MIN)), at)


def test_the_preconditioning_by_hand():
    """With F = 0 what is left is c_skip; with F = 1, c_skip x + c_out."""
    for start in (T_MIN, 0.0):
        model = make(start=start)
        last = model.rest.layers[-1]
        for value in (0.0, 1.0):
            with torch.no_grad():
                last.weight.zero_()
                last.bias.fill_(value)
            x, t = torch.full((2, 5, 1), 0.7), torch.full((2, 5, 1), 3.0)
            skip = 0.25 / ((3.0 - start) ** 2 + 0.25)
            by_hand = skip * 0.7 + value * 0.5 * (3.0 - start) / (0.25 + 9.0) ** 0.5
            torch.testing.assert_close(model(*rows(), x, t), torch.full((2, 5, 1), by_hand))


def test_rows_and_numbers_do_not_meddle():
    model, (s, a) = make(), rows()
    x, t = torch.linspace(-1, 1, 20).reshape(1, 5, 4).expand(2, 5, 4), torch.tensor([0.1, 1.0, 5.0, 60.0])
    t = t.expand(2, 5, 4)
    together = model(s, a, x, t)
    for row in range(5):
        for k in range(4):
            one = model(s[:, [row]], a[:, [row]], x[:, [row], k : k + 1], t[:, [row], k : k + 1])
            torch.testing.assert_close(one[..., 0], together[:, [row], k])
    assert together.std(dim=2).min() > 1e-4
    alone = make(seeds=(1,))
    torch.testing.assert_close(alone(s[1:], a[1:], x[1:], t[1:]), together[1:])


def test_the_times_are_karras_and_others():
    times = consistency.scales(5)
    assert times[0].item() == pytest.approx(0.002)
    assert times[-1].item() == pytest.approx(80.0)
    middle = ((0.002 ** (1 / 7) + 80 ** (1 / 7)) / 2) ** 7
    assert times[2].item() == pytest.approx(middle, rel=1e-5)


# -- a Gaussian, exactly ----------------------------------------------------------------------------------------------


def test_the_exact_function_of_a_gaussian():
    assert exact(10.0, 80.0) == pytest.approx(0.33031, abs=1e-5)
    samples = one_step(Exact(exact), None, None, Noise((0,), "training").normal(1, 100_000))
    # f(80 z, 80) has the mean μ(1 − √…) and the standard deviation 80 √…
    assert samples.mean().item() == pytest.approx(0.29906, abs=4 * STD / 100_000**0.5)
    assert samples.std().item() == pytest.approx(0.25, rel=0.01)
    slope = ((STD**2 + T_MIN**2) / (STD**2 + T_MAX**2)) ** 0.5
    assert pytest.approx((0.29906, 0.25001), abs=2e-5) == (MU * (1 - slope), T_MAX * slope)


def test_the_exact_function_is_what_distillation_is_least_at():
    """Heun's step by the exact denoiser stays on the flow: no loss at f, some at a function that is a little off."""
    times, noise = consistency.scales(200), Noise((0,), "training")
    draws = noise.integers(199, 1000), noise.normal(1000)
    given = (None, None, MU + STD * noise.normal(1000), draws, times, Exact(denoised))
    least = consistency_loss(Exact(exact), Exact(exact), *given)
    off = consistency_loss(Exact(lambda x, t: exact(x, t) + 0.005), Exact(exact), *given)
    assert least.item() < 1e-6
    assert off.item() == pytest.approx(0.005**2, rel=0.2)


def test_training_without_a_denoiser_narrows_the_law_by_a_known_factor():
    """Its fixed point takes Euler's steps: one of a Gaussian narrows by (σ² + t_n t_{n+1})/(σ² + t_{n+1}²)."""
    times = consistency.scales(18).double()
    factor = ((STD**2 + times[:-1] * times[1:]) / (STD**2 + times[1:] ** 2)).prod()
    assert (80 * factor / STD).item() == pytest.approx(0.832, abs=1e-3)

    def slope(n):
        """Of what the teacher is given in what the model is given, by regression on draws."""
        noise, seen = Noise((n,), "training"), {}
        model, teacher = (Exact(lambda x, t, who=who: seen.setdefault(who, x)) for who in ("model", "teacher"))
        draws = torch.full((1, 200_000), n), noise.normal(200_000)
        consistency_loss(model, teacher, None, None, STD * noise.normal(200_000), draws, times.float())
        before, after = seen["teacher"].double(), seen["model"].double()
        return ((before * after).mean() / after.square().mean()).item()

    for n in (3, 9, 16):
        known = (STD**2 + times[n] * times[n + 1]) / (STD**2 + times[n + 1] ** 2)
        assert slope(n) == pytest.approx(known.item(), abs=0.01)


# -- the losses -------------------------------------------------------------------------------------------------------


def test_the_losses_by_hand():
    model, teacher, denoiser = make(), make(seeds=(2, 3)), make(seeds=(4, 5), start=0.0)
    (s, a), noise, times = rows(), Noise((0, 1), "training"), consistency.scales(6)
    values, n, z = noise.uniform(5), noise.integers(5, 5), noise.normal(5)
    early, late = times[n].unsqueeze(-1), times[n + 1].unsqueeze(-1)
    x, z1 = values.unsqueeze(-1), z.unsqueeze(-1)
    after = model(s, a, x + late * z1, late)
    before = teacher(s, a, x + early * z1, early)
    loss = consistency_loss(model, teacher, s, a, values, (n, z), times)
    torch.testing.assert_close(loss, (after - before).square().mean(dim=(1, 2)))
    start = x + late * z1
    d = (start - denoiser(s, a, start, late)) / late
    euler = start + (early - late) * d
    heun = start + (early - late) * (d + (euler - denoiser(s, a, euler, early)) / early) / 2
    by_heun = (after - teacher(s, a, heun, early)).square().mean(dim=(1, 2))
    distilled = consistency_loss(model, teacher, s, a, values, (n, z), times, denoiser)
    torch.testing.assert_close(distilled, by_heun)
    torch.autograd.grad(distilled.sum(), list(model.parameters()))
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        torch.autograd.grad(
            consistency_loss(model, teacher, s, a, values, (n, z), times, denoiser).sum(), list(teacher.parameters())
        )
    t = torch.exp(-1.2 + 1.2 * z)
    found = denoiser(s, a, (values + t * z)[..., None], t[..., None])[..., 0]
    by_hand = ((t**2 + 0.25) / (0.5 * t) ** 2 * (found - values) ** 2).mean(1)
    torch.testing.assert_close(denoising_loss(denoiser, s, a, values, (z, z)), by_hand)


@pytest.mark.parametrize("distil", [False, True])
def test_it_learns_a_gaussian(distil):
    """A few hundred updates: the mean, and the width by training's factor or nearly right by distillation."""
    model = Preconditioned((1,), 1, 1, hidden=(48, 48))
    denoiser = Preconditioned((1,), 1, 1, hidden=(48, 48), start=0.0)
    for network in (model, denoiser):
        initialise(network, Noise((0,), "init").generators)
    teacher, times, noise = copy.deepcopy(model).requires_grad_(False), consistency.scales(18), Noise((0,), "training")
    given = torch.zeros(1, 256, 1), torch.zeros(1, 256, 1)
    learn, score = StackedAdam(model, 2e-3), StackedAdam(denoiser, 2e-3)
    for _ in range(500 if distil else 0):
        values = MU + STD * noise.normal(256)
        score.step(denoising_loss(denoiser, *given, values, (noise.normal(256), noise.normal(256))))
    for _ in range(1000):
        values = MU + STD * noise.normal(256)
        draws = noise.integers(17, 256), noise.normal(256)
        learn.step(consistency_loss(model, teacher, *given, values, draws, times, denoiser if distil else None))
        follow(teacher, model, 0.1)
    with torch.no_grad():
        samples = one_step(teacher, given[0][:, :1], given[1][:, :1], noise.normal(1, 40_000))
    assert samples.mean().item() == pytest.approx(MU, abs=0.04)
    # Neither passes for the other, .25 for .208.
    assert samples.std().item() == pytest.approx(STD if distil else 0.832 * STD, rel=0.1 if distil else 0.06)
