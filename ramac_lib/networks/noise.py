"""Random numbers with a seed axis: one generator a seed, so that a seed's draws do not depend on its neighbours."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

# A stream of its own for each purpose: what is drawn for one never shifts another.
STREAMS = {"init": 0, "batches": 1, "training": 2, "evaluation": 3, "environment": 4}


def derive_seed(stream: str, *keys: int) -> int:
    """Return a 63-bit seed for a purpose and its keys (a run's seed, a step, an episode …)."""
    # The count of keys goes in as well: to SeedSequence, trailing zeros are no keys at all.
    state = np.random.SeedSequence([STREAMS[stream], len(keys), *keys]).generate_state(1, np.uint64)[0]
    return int(state >> np.uint64(1))


class Noise:
    """Draws of shape (S, …) from S independent generators, one a seed.

    Args:
        seeds: the S seeds.
        stream: what the draws are for (a key of `STREAMS`).
        device: where the draws are made.
        keys: further integers that tell this stream from others of the same seed.
    """

    def __init__(
        self, seeds: Sequence[int], stream: str, device: torch.device | str = "cpu", keys: Sequence[int] = ()
    ) -> None:
        self.device = torch.device(device)
        self.generators = [torch.Generator(self.device).manual_seed(derive_seed(stream, seed, *keys)) for seed in seeds]

    silent = False  # whether draws are replaced by what they centre on

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal draws of shape (S, *shape)."""
        return torch.stack([torch.randn(shape, generator=g, device=self.device) for g in self.generators])

    def uniform(self, *shape: int) -> Tensor:
        """Return draws of shape (S, *shape), uniform on [0, 1)."""
        return torch.stack([torch.rand(shape, generator=g, device=self.device) for g in self.generators])

    def integers(self, high: int, *shape: int) -> Tensor:
        """Return int64 draws of shape (S, *shape), uniform on 0 … high − 1."""
        return torch.stack([torch.randint(high, shape, generator=g, device=self.device) for g in self.generators])

    def state(self) -> list[Tensor]:
        """Return each seed's generator state, for a checkpoint."""
        return [g.get_state() for g in self.generators]

    def load_state(self, states: Sequence[Tensor]) -> None:
        """Continue where `state` was taken (same kind of device)."""
        for generator, state in zip(self.generators, states, strict=True):
            generator.set_state(state.cpu())


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
        return torch.full((len(self.generators), *shape), value, device=self.device)
