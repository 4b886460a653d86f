"""Means of an update's metrics over some updates, and where the first number was that is not finite."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Fault(NamedTuple):
    """The first number of a run that is not finite."""

    update: int
    metric: str
    member: int  # the seed's place in its stack


class Tally:
    """Sums of metrics, kept on the device until they are read.

    Metrics of an update are expected in the order in which it computed them, so that the first of those which turn
    bad at the same update is the one to blame.
    """

    def __init__(self) -> None:
        # Not every update reports every metric: one entry for each set of names.
        self._sums: dict[tuple[str, ...], Float[Tensor, "K S"]] = {}
        self._first_bad: dict[tuple[str, ...], Float[Tensor, "K S"]] = {}
        self._counts: dict[tuple[str, ...], int] = {}

    def add(self, metrics: Mapping[str, Float[Tensor, " S"]], update: int) -> None:
        """Take in what one update reported; `update` is its number, for the fault."""
        names, values = tuple(metrics), torch.stack(list(metrics.values()))
        bad = torch.where(values.isfinite(), math.inf, float(update))
        if names in self._sums:
            self._sums[names] += values
            bad = torch.minimum(self._first_bad[names], bad)
        else:
            self._sums[names] = values
        self._first_bad[names] = bad
        self._counts[names] = self._counts.get(names, 0) + 1

    def means(self) -> list[dict[str, float]]:
        """Return, for each seed, each metric's mean over the updates that reported it. Waits for the device."""
        totals: dict[str, list[float]] = {}
        counts: dict[str, int] = {}
        for names, sums in self._sums.items():
            for name, row in zip(names, sums.tolist(), strict=True):
                before = totals.get(name, [0.0] * len(row))
                totals[name] = [a + b for a, b in zip(before, row, strict=True)]
                counts[name] = counts.get(name, 0) + self._counts[names]
        seeds = len(next(iter(totals.values())))
        return [{name: total[i] / counts[name] for name, total in totals.items()} for i in range(seeds)]

    def fault(self) -> Fault | None:
        """Return the first number that was not finite, None if all were. Waits for the device."""
        found = [
            (update, k, index, name)
            for names, first in self._first_bad.items()
            for k, (name, row) in enumerate(zip(names, first.tolist(), strict=True))
            for index, update in enumerate(row)
            if math.isfinite(update)
        ]
        if not found:
            return None
        update, _, index, name = min(found)
        return Fault(int(update), name, index)
