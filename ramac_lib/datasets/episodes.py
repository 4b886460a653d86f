"""Work on whole episodes: a smaller dataset, several as one, and the statistics that describe one."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ramac_lib.datasets.contract import KEYS, Dataset
from ramac_lib.system.errors import RamacError

GOLDEN_RATIO = (5**0.5 - 1) / 2


def subsample(data: Dataset, size: int | None, seed: int = 0) -> Dataset:
    """Keep whole episodes of at most `size` transitions in all, evenly spread over the data, in their order.

    A prefix would lose a mixture whose parts stand one after the other. Episodes are visited by a golden-ratio
    sequence with a seeded offset: each of its prefixes is evenly spread, and whether an episode is kept does not
    depend on its length or return, but for the one at which the size is reached.

    Args:
        size: at least the longest episode's length; None, or the dataset's size or more, keeps everything.
        seed: of the offset.

    Raises:
        RamacError: `size` is too small.
    """
    if size is None or size >= len(data):
        return data
    bounds = np.array(data.episode_bounds())
    lengths = bounds[:, 1] - bounds[:, 0]
    if size < lengths.max():
        raise RamacError(
            f"{data.name}: size {size} is too small; expected at least {lengths.max()}, its longest episode"
        )
    offset = np.random.default_rng(seed).random()
    order = np.argsort(np.argsort((offset + GOLDEN_RATIO * np.arange(len(bounds))) % 1))
    kept = np.sort(order[np.cumsum(lengths[order]) <= size])
    rows = np.concatenate([np.arange(*bounds[episode]) for episode in kept])
    arrays = {key: array[rows] for key, array in data.arrays().items()}
    return data.with_(**arrays, recipe={**data.recipe, "size": size, "seed": seed})


def thin(
    costs: Float[np.ndarray, " E"],
    returns: Float[np.ndarray, " E"],
    per_cell: int,
    rng: np.random.Generator,
    cells: tuple[int, int] = (60, 50),
) -> Int[np.ndarray, " K"]:
    """Return which episodes are kept where each cell of a grid of (cost, return) holds at most so many, in their order.

    As DSRL's data were thinned (Liu et al. 2024), so that what a policy does most often does not crowd out the rest.
    Differences: 1. the largest value lies in the last cell, not in one of its own; 2. an episode that is alone in its
    cell stays; 3. which stay is decided by a seeded generator.

    Args:
        costs, returns: of each episode.
        per_cell: episodes that a cell keeps.
        rng: chooses among a cell's.
        cells: of the grid between the least and the largest cost and return.

    Raises:
        RamacError: `per_cell` is below 1.
    """
    if per_cell < 1:
        raise RamacError(f"a cell keeps {per_cell} episodes; expected at least 1")
    places = []
    for values, count in zip((np.asarray(costs), np.asarray(returns)), cells, strict=True):
        low, width = values.min(), np.ptp(values)
        places.append(np.minimum((values - low) * count / (width or 1), count - 1).astype(int))
    cell = places[0] * cells[1] + places[1]
    order = rng.permutation(len(cell))
    order = order[np.argsort(cell[order], kind="stable")]  # each cell's episodes side by side, in a random order
    first = np.searchsorted(cell[order], cell[order])
    return np.sort(order[np.arange(len(order)) - first < per_cell])


def concatenate(parts: Sequence[Dataset], name: str, recipe: dict[str, Any]) -> Dataset:
    """Return the parts one after the other; an episode cut by a part's end counts as timed out there."""
    keys = [key for key in (*KEYS, "costs") if all(key in part.arrays() for part in parts)]
    arrays: dict[str, Any] = {key: np.concatenate([part.arrays()[key] for part in parts]) for key in keys}
    ends = np.cumsum([len(part) for part in parts]) - 1
    arrays["timeouts"][ends] |= ~arrays["terminals"][ends]
    return Dataset(**arrays, env_id=parts[0].env_id, name=name, recipe=recipe)


def summary(data: Dataset) -> dict[str, float | int | str]:
    """Return what describes a dataset on one screen: counts, episodes' lengths, quantiles of their returns.

    Returns are undiscounted; an episode that the data's end cuts short counts like any other and is named.
    """
    bounds = np.array(data.episode_bounds())
    lengths = bounds[:, 1] - bounds[:, 0]
    returns = data.episode_returns()
    costs: dict[str, float | int | str] = {}
    if data.costs is not None:
        sums = data.episode_costs()
        costs = {f"cost {name}": float(getattr(sums, name)()) for name in ("min", "mean", "max")}
        costs["share of steps with a cost"] = float((data.costs > 0).mean())
    quantiles = dict(
        zip(("10 %", "25 %", "50 %", "75 %", "90 %"), np.quantile(returns, (0.1, 0.25, 0.5, 0.75, 0.9)), strict=True)
    )
    return {
        "env_id": data.env_id,
        "transitions": len(data),
        "episodes": len(bounds),
        "terminals": int(data.terminals.sum()),
        "timeouts": int((data.timeouts & ~data.terminals).sum()),
        "cut by the data's end": int(not (data.terminals[-1] or data.timeouts[-1])),
        "length min": int(lengths.min()),
        "length mean": float(lengths.mean()),
        "length max": int(lengths.max()),
        "return min": float(returns.min()),
        **{f"return {name}": float(value) for name, value in quantiles.items()},
        "return max": float(returns.max()),
        "return mean": float(returns.mean(dtype=np.float64)),
        **costs,
    }
