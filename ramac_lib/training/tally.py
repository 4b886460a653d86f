"""Means of an update's metrics over some updates, and where the first number was that is not finite."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

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

    def merge(self, later: "Tally") -> None:
        """Take in the sums of later updates of the same seeds."""
        for names, sums in later._sums.items():
            if names in self._sums:
                self._sums[names] = self._sums[names] + sums
                self._first_bad[names] = torch.minimum(self._first_bad[names], later._first_bad[names])
            else:
                self._sums[names], self._first_bad[names] = sums, later._first_bad[names]
            self._counts[names] = self._counts.get(names, 0) + later._counts[names]

    def seed_state(self, index: int) -> list[dict[str, Any]]:
        """Return one seed's sums, for a checkpoint between two rows of the log. On the CPU."""
        return [
            {
                "names": list(names),
                "sums": sums[:, index].cpu().clone(),
                "first_bad": self._first_bad[names][:, index].cpu().clone(),
                "count": self._counts[names],
            }
            for names, sums in self._sums.items()
        ]

    @classmethod
    def from_seed_states(cls, states: Sequence[list[dict[str, Any]]], device: torch.device | str) -> "Tally":
        """Return the tally of a stack of seeds from what `seed_state` returned for each."""
        tally = cls()
        for entries in zip(*states, strict=True):
            names = tuple(entries[0]["names"])
            tally._sums[names] = torch.stack([e["sums"] for e in entries], dim=1).to(device)
            tally._first_bad[names] = torch.stack([e["first_bad"] for e in entries], dim=1).to(device)
            tally._counts[names] = entries[0]["count"]
        return tally

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


class Running:
    """A tally of one set of metrics in tensors that stay where they are, as a CUDA graph needs it.

    Args:
        metrics: of some update; their names and shapes count.
    """

    def __init__(self, metrics: Mapping[str, Float[Tensor, " S"]]) -> None:
        self.names = tuple(metrics)
        self.values: Float[Tensor, "K S"] = torch.stack(list(metrics.values())).detach().clone()
        self.sums = torch.zeros_like(self.values)
        self.never = torch.full_like(self.values, math.inf)
        self.first_bad = self.never.clone()
        self.count = 0

    @torch.no_grad()
    def add(self, metrics: Mapping[str, Float[Tensor, " S"]], update: Float[Tensor, ""]) -> None:
        """Take in what one update reported; `count` is the caller's to raise, as a graph's replay runs no Python.

        Args:
            update: its number, on the device.
        """
        torch.stack([metrics[name] for name in self.names], out=self.values)
        self.sums += self.values
        bad = torch.where(self.values.isfinite(), self.never, update)  # a number would be filled in first
        torch.minimum(self.first_bad, bad, out=self.first_bad)

    def last(self) -> dict[str, Float[Tensor, " S"]]:
        """Return the last update's metrics, which the next one overwrites."""
        return dict(zip(self.names, self.values, strict=True))

    def read(self) -> Tally:
        """Return what was added since it was last read, and begin anew."""
        tally = Tally()
        if self.count:
            tally._sums[self.names], tally._first_bad[self.names] = self.sums.clone(), self.first_bad.clone()
            tally._counts[self.names] = self.count
        self.sums.zero_()
        self.first_bad.fill_(math.inf)
        self.count = 0
        return tally
