"""Streams of random numbers: reproducible, independent of neighbours, resumable."""

import torch

from ramac_lib.networks.noise import STREAMS, Noise, SamplerNoise, derive_seed


def test_a_seed_draws_the_same_alone_and_in_company():
    together, alone = Noise((3, 8), "training"), Noise((8,), "training")
    for draw in (lambda n: n.normal(4), lambda n: n.uniform(2, 3), lambda n: n.integers(9, 5)):
        torch.testing.assert_close(draw(together)[1], draw(alone)[0], rtol=0, atol=0)


def test_streams_seeds_and_keys_differ():
    seeds = [derive_seed(s, k, *keys) for s in STREAMS for k in (0, 1) for keys in ((), (0,), (1,))]
    assert len(set(seeds)) == len(seeds)


def test_state_goes_on_where_it_was_taken():
    noise = Noise((0, 1), "training")
    noise.normal(3)
    state = noise.state()
    expected = noise.normal(5)
    other = Noise((0, 1), "training")
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
