"""Random numbers with a seed axis: one stream a seed, so that a seed's draws do not depend on its neighbours."""

import contextlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ramac_lib.system.errors import RamacError

# A stream of its own for each purpose: what is drawn for one never shifts another.
STREAMS = {"init": 0, "batches": 1, "training": 2, "evaluation": 3, "environment": 4}
# How numbers are made where a `Noise` is not told. PyTorch's generators take a kernel a seed and draw, and two fills
# each at every replay of a CUDA graph.
KIND = {"cpu": "generators", "cuda": "counters"}

# Numbers of an update are made in rows of a multiple of so many: whole vectors, and no ends of rows, at which
# compiled code for int64 on AVX-512 was seen to write beyond its memory (PyTorch 2.13).
ROW = 64


def derive_seed(stream: str, *keys: int) -> int:
    """Return a 63-bit seed for a purpose and its keys (a run's seed, a step, an episode …)."""
    # The count of keys goes in as well: to SeedSequence, trailing zeros are no keys at all.
    state = np.random.SeedSequence([STREAMS[stream], len(keys), *keys]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


class Noise:
    """Draws of shape (S, …) from S independent streams, one a seed.

    Either each seed has a generator of PyTorch's, or all seeds' numbers are made in the same few kernels by
    counters (`words`). The numbers of the two differ; each goes on with the same bits where its state was taken.

    Args:
        seeds: the S seeds.
        stream: what the draws are for (a key of `STREAMS`).
        device: where the draws are made.
        keys: further integers that tell this stream from others of the same seed.
        kind: ``generators`` or ``counters`` (default: what `KIND` says of the device).
    """

    def __init__(
        self,
        seeds: Sequence[int],
        stream: str,
        device: torch.device | str = "cpu",
        keys: Sequence[int] = (),
        kind: str | None = None,
    ) -> None:
        self.seeds, self.device = tuple(seeds), torch.device(device)
        self.kind = kind or KIND.get(self.device.type, "generators")
        starts = [derive_seed(stream, seed, *keys) for seed in seeds]
        self.generators: list[torch.Generator] = []
        if self.kind == "generators":
            self.generators = [torch.Generator(self.device).manual_seed(start) for start in starts]
        else:
            self.counters: Int[Tensor, " S"] = torch.tensor(starts, dtype=torch.int64, device=self.device)
        self.make: Make = numbers  # of a whole update; an engine may compile it
        self._block: _Block | None = None
        self._needs: dict[Hashable, tuple[int, frozenset[str]]] = {}  # of each phase: how many numbers, of which sorts

    silent = False  # whether draws are replaced by what they centre on

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal draws of shape (S, *shape)."""
        if self.generators:
            return torch.stack([torch.randn(shape, generator=g, device=self.device) for g in self.generators])
        return self._draw("normal", shape)

    def uniform(self, *shape: int) -> Tensor:
        """Return draws of shape (S, *shape), uniform on [0, 1)."""
        if self.generators:
            return torch.stack([torch.rand(shape, generator=g, device=self.device) for g in self.generators])
        return self._draw("uniform", shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Return int64 draws of shape (S, *shape), uniform on 0 … high − 1."""
        if self.generators:
            return torch.stack([torch.randint(high, shape, generator=g, device=self.device) for g in self.generators])
        if not 0 < high < 2**31:
            raise RamacError(f"whole numbers below {high} were asked for; expected 1 to {2**31 - 1}")
        return (self._draw("words", shape) * high) >> 32

    def state(self) -> list[Tensor]:
        """Return each seed's state, for a checkpoint; on the CPU."""
        if self.generators:
            return [g.get_state() for g in self.generators]
        return list(self.counters.cpu().clone())

    def load_state(self, states: Sequence[Tensor]) -> None:
        """Continue where `state` was taken (same kind of device)."""
        if self.generators:
            for generator, state in zip(self.generators, states, strict=True):
                generator.set_state(state.cpu())
        else:
            self.counters.copy_(torch.stack([state.cpu() for state in states]))  # in place: a graph knows the address

    # -- counters ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def update(self, phase: Hashable) -> Iterator[None]:
        """Make the numbers of an update at once, if one of the same phase has shown how many it takes.

        The numbers are those that would be made one draw after another.

        Raises:
            RuntimeError: an update drew other amounts than an earlier one of its phase.
        """
        if self.generators:
            yield
            return
        known = phase in self._needs
        amount, sorts = self._needs.get(phase, (0, frozenset[str]()))
        # Some updates draw nothing of this stream.
        self._block = _Block(self._make(amount, sorts, self.make) if amount else {}, amount, known)
        try:
            yield
            drawn, self._needs[phase] = self._block, (self._block.taken, frozenset(self._block.sorts))
        finally:
            self._block = None
        if known and (drawn.taken, frozenset(drawn.sorts)) != (amount, sorts):
            raise RuntimeError(
                f"an update of phase {phase} drew {drawn.taken} numbers a seed ({', '.join(sorted(drawn.sorts))}), an "
                f"earlier one {amount} ({', '.join(sorted(sorts))}); what is drawn may depend on the phase alone"
            )

    def _draw(self, sort: str, shape: tuple[int, ...]) -> Tensor:
        count, block = int(np.prod(shape, dtype=np.int64)), self._block
        found: Tensor | None = None
        if block is not None:
            if sort in block.numbers and block.taken + count <= block.amount:
                found = block.numbers[sort][:, block.taken : block.taken + count]
            elif block.known:
                raise RuntimeError(f"an update draws more than an earlier one of its phase: {count} {sort}")
            block.taken += count
            block.sorts.add(sort)
        if found is None:
            found = self._make(count, frozenset({sort}))[sort][:, :count]
        return found.reshape(len(self.counters), *shape)

    def _make(self, count: int, sorts: frozenset[str], make: "Make | None" = None) -> dict[str, Tensor]:
        whole = -(-count // ROW) * ROW
        words, uniforms, middles = (make or numbers)(self.counters, whole, "uniform" in sorts, "normal" in sorts)
        self.counters += _wrapped(GAMMA * count)
        made = {"words": words}
        if uniforms is not None:
            made["uniform"] = uniforms
        if middles is not None:
            made["normal"] = torch.erfinv(middles) * 2.0**0.5
        return made


class SamplerNoise(Noise):
    """What a policy that acts draws its actions with.

    Args:
        silent: draw nothing: every normal draw is 0, every uniform one ½, every integer 0. A diffusion policy then
            starts its chain at 0 and adds nothing on the way, flows and decoders map z = 0, a Gaussian plays its mode.
        others: as `Noise`'s.

    Attributes:
        used: whether anything was asked for; a policy that asks for nothing acts alike with and without noise.
    """

    def __init__(self, *others: Any, silent: bool = False, **named: Any) -> None:
        super().__init__(*others, **named)
        self.silent, self.used = silent, False

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal draws of shape (S, *shape), or zeros."""
        self.used = True
        return self._constant(shape, 0.0) if self.silent else super().normal(*shape)

    def uniform(self, *shape: int) -> Tensor:
        """Return draws of shape (S, *shape), uniform on [0, 1), or ½."""
        self.used = True
        return self._constant(shape, 0.5) if self.silent else super().uniform(*shape)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Return int64 draws of shape (S, *shape), uniform on 0 … high − 1, or zeros."""
        self.used = True
        return self._constant(shape, 0) if self.silent else super().integers(high, *shape)

    def _constant(self, shape: tuple[int, ...], value: float) -> Tensor:
        return torch.full((len(self.seeds), *shape), value, device=self.device)


class _Block:
    """The numbers made for one update, and how many of them were drawn."""

    def __init__(self, numbers: dict[str, Tensor], amount: int, known: bool) -> None:
        self.numbers, self.amount, self.known = numbers, amount, known
        self.taken, self.sorts = 0, set[str]()


def _wrapped(number: int) -> int:
    """Return the signed 64-bit integer of the same bits."""
    return (number + 2**63) % 2**64 - 2**63


# SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", figure 14).
GAMMA = 0x9E3779B97F4A7C15
MIX = (_wrapped(0xBF58476D1CE4E5B9), _wrapped(0x94D049BB133111EB))


def split_mix(counters: Int[Tensor, " S"], count: int) -> Int[Tensor, "S count"]:
    """Return the next 64-bit words after each counter, as int64 of the same bits; the n-th from counter + n · γ.

    Integer arithmetic modulo 2⁶⁴ alone: the same bits on every device, one draw after another or all at once.
    """
    z = torch.arange(1, count + 1, device=counters.device) * _wrapped(GAMMA) + counters[:, None]
    z = (z ^ _shift(z, 30)) * MIX[0]
    z = (z ^ _shift(z, 27)) * MIX[1]
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    return (z >> bits) & ((1 << (64 - bits)) - 1)  # the operator's own shift copies the sign


def numbers(
    counters: Int[Tensor, " S"], count: int, uniform: bool, middle: bool
) -> tuple[Int[Tensor, "S n"], Float[Tensor, "S n"] | None, Float[Tensor, "S n"] | None]:
    """Return the next `count` words of 32 bits, and where asked what they stand for; compiled or not, the same bits.

    Uniform: the upper 24 bits over 2²⁴, which is exact in float32. Middles of 2²³ equal parts of (−1, 1), exact too,
    whose erf⁻¹ times √2 is a normal number, ±5.3 at most.
    """
    words = _shift(split_mix(counters, count), 32)
    high = words >> 8
    uniforms = high.to(torch.float32) * 2.0**-24 if uniform else None
    middles = ((high | 1) - 2**23).to(torch.float32) * 2.0**-23 if middle else None
    return words, uniforms, middles


Make = Callable[[Tensor, int, bool, bool], tuple[Tensor, Tensor | None, Tensor | None]]
