"""Streams of random numbers: reproducible, independent of neighbours, resumable."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from ramac_lib.networks.noise import STREAMS, Noise, SamplerNoise, derive_seed, numbers, split_mix
from ramac_lib.system.errors import RamacError

KINDS = pytest.mark.parametrize("kind", ["generators", "counters"])


def unsigned(words):
    return [int(word) % 2**64 for word in words]


@KINDS
def test_a_seed_draws_the_same_alone_and_in_company(kind):
    together, alone = Noise((3, 8), "training", kind=kind), Noise((8,), "training", kind=kind)
    for draw in (lambda n: n.normal(4), lambda n: n.uniform(2, 3), lambda n: n.integers(9, 5)):
        torch.testing.assert_close(draw(together)[1], draw(alone)[0], rtol=0, atol=0)


def test_streams_seeds_and_keys_differ():
    seeds = [derive_seed(s, k, *keys) for s in STREAMS for k in (0, 1) for keys in ((), (0,), (1,))]
    assert len(set(seeds)) == len(seeds)


@KINDS
def test_state_goes_on_where_it_was_taken(kind):
    noise = Noise((0, 1), "training", kind=kind)
    noise.normal(3)
    state = noise.state()
    expected = noise.normal(5)
    other = Noise((0, 1), "training", kind=kind)
    other.load_state(state)
    torch.testing.assert_close(other.normal(5), expected, rtol=0, atol=0)


def test_sampler_noise_is_the_same_draws_or_their_centre():
    for draw in (lambda n: n.normal(4), lambda n: n.uniform(2, 3), lambda n: n.integers(9, 5)):
        plain = Noise((3, 8), "evaluation")
        loud, silent = (SamplerNoise((3, 8), "evaluation", silent=off) for off in (False, True))
        assert not loud.used
        torch.testing.assert_close(draw(loud), draw(plain), rtol=0, atol=0)
        found = draw(silent)
        assert found.shape == draw(plain).shape
        assert found.dtype == draw(plain).dtype
        assert found.unique().tolist() in ([0], [0.5])
        assert loud.used
        assert silent.used


# -- counters ---------------------------------------------------------------------------------------------------------


def test_words_are_those_of_splitmix64():
    """The published test vector of seed 1234567; γ wraps around 2⁶⁴ within it."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    assert unsigned(split_mix(torch.tensor([1234567]), 5)[0]) == known


def test_a_seeds_first_word_is_made_of_its_derived_seed():
    z = (derive_seed("training", 7) + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ z >> 27) * 0x94D049BB133111EB % 2**64
    word = (z ^ z >> 31) >> 32
    noise = [Noise((7,), "training", kind="counters") for _ in range(3)]
    assert noise[0].integers(1000, 1).tolist() == [[word * 1000 >> 32]]
    assert noise[1].uniform(1).tolist() == [[(word >> 8) / 2**24]]
    expected = special.ndtri(((word >> 9) + 0.5) / 2**23)
    assert noise[2].normal(1).item() == pytest.approx(expected, abs=1e-6)


def test_the_ends_of_the_range():
    """Neither 1 nor an infinite number, whatever the word: the arithmetic on the smallest and largest of 24 bits."""
    high = torch.tensor([0, 2**24 - 1])
    assert (high.to(torch.float32) * 2.0**-24).tolist() == [0, 1 - 2**-24]
    middles = ((high | 1) - 2**23).to(torch.float32) * 2.0**-23
    assert middles.tolist() == [2**-23 - 1, 1 - 2**-23]
    assert (torch.erfinv(middles) * 2**0.5).tolist() == pytest.approx([-5.2947, 5.2947], abs=1e-4)


def test_counters_draw_from_the_laws_they_name():
    noise, n = Noise((0, 1), "training", kind="counters"), 200_000
    normal, uniform, whole = noise.normal(n), noise.uniform(n), noise.integers(7, n)
    for seed in range(2):
        assert stats.kstest(normal[seed].numpy(), "norm").pvalue > 1e-3
        assert stats.kstest(uniform[seed].numpy(), "uniform").pvalue > 1e-3
        assert stats.chisquare(np.bincount(whole[seed].numpy(), minlength=7)).pvalue > 1e-3
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert noise.integers(1, 100).unique().tolist() == [0]
    assert noise.normal(2, 3, 4).shape == (2, 2, 3, 4)


def test_neighbours_and_successive_draws_are_uncorrelated():
    n = 200_000
    draws = torch.cat([Noise((0, 1, 2), s, kind="counters").normal(n) for s in ("training", "batches")])
    lagged = torch.cat([draws[:, 1:], draws[:, :-1]])
    for rows in (draws, lagged):
        off = torch.corrcoef(rows) - torch.eye(len(rows))
        assert off.abs().max() < 5 / n**0.5
    assert len(set(draws.flatten().tolist())) > 0.9 * 2**23 * (1 - np.exp(-draws.numel() / 2**23))


def drawn(noise):
    """What a made-up update draws."""
    return noise.integers(50, 8), noise.normal(8, 3), noise.uniform(5), noise.normal(8, 3)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_an_updates_numbers_are_the_same_at_once_or_one_after_another(compiled):
    single, at_once = (Noise((4, 9), "training", kind="counters") for _ in range(2))
    calls = []

    def make(*arguments):
        calls.append(int(arguments[1]))
        return function(*arguments)

    function = torch.compile(numbers, dynamic=False) if compiled else numbers
    at_once.make = make
    for k in range(6):
        with at_once.update(phase=k % 2):
            found = drawn(at_once) if k % 2 else (at_once.normal(4),)
        expected = drawn(single) if k % 2 else (single.normal(4),)
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a, b)
    assert calls == [64, 64] * 2  # from each phase's second update on: 4 and 8 + 24 + 5 + 24, in whole rows
    with at_once.update(phase="draws nothing"):
        pass
    with at_once.update(phase="draws nothing"):
        pass
    assert torch.equal(torch.stack(at_once.state()), torch.stack(single.state()))


def test_a_run_goes_on_amid_phases():
    """A resumed one has seen no phase yet, makes its first numbers one after another, and has the same."""
    whole, first, resumed = (Noise((0, 1), "training", kind="counters") for _ in range(3))

    def update(noise, k):
        with noise.update(k % 3 == 0):
            return drawn(noise) if k % 3 == 0 else (noise.uniform(2),)

    expected = [update(whole, k) for k in range(12)]
    for k in range(7):
        update(first, k)
    resumed.load_state(first.state())
    for k in range(7, 12):
        assert all(torch.equal(a, b) for a, b in zip(update(resumed, k), expected[k], strict=True))


@pytest.mark.parametrize("draws", [(3,), (3, 2, 1), ("uniform",)])
def test_an_update_that_draws_other_amounts_than_its_phase_is_refused(draws):
    noise = Noise((0,), "training", kind="counters")
    with noise.update("phase"):
        noise.normal(3), noise.normal(2)

    def again():
        with noise.update("phase"):
            for count in draws:
                noise.uniform(5) if count == "uniform" else noise.normal(count)

    with pytest.raises(RuntimeError, match="draw"):
        again()
    assert noise.normal(2).shape == (1, 2)


def test_whole_numbers_beyond_a_word_are_refused():
    with pytest.raises(RamacError, match="below 2147483648 were asked for"):
        Noise((0,), "batches", kind="counters").integers(2**31, 3)
