"""Windows of the best safe episodes under goals that no episode reaches (CDT's augmentation; Liu et al. 2023, sec. 4).

A sequence model that is asked for a return and a cost which do not go together may keep either. Episodes of the data's
Pareto front are therefore shown with higher returns to go than they had: whoever asks for too much within a cost is
shown the best episode that kept to it, so that costs have priority.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ramac_lib.datasets.batches import Batch
from ramac_lib.datasets.contract import Dataset
from ramac_lib.datasets.returns import returns_to_go
from ramac_lib.networks.noise import Noise

Array = np.ndarray


def front(returns: Float[Array, " E"], costs: Float[Array, " E"]) -> Int[Array, " F"]:
    """Return the episodes that no other beats, by rising cost: each has a higher return than every cheaper one."""
    kept, best = [], -np.inf
    for episode in np.lexsort((-returns, costs)):
        if returns[episode] > best:
            kept.append(int(episode))
            best = returns[episode]
    return np.array(kept)


def labels(
    returns: Float[Array, " F"], costs: Float[Array, " F"], count: int, rng: np.random.Generator
) -> tuple[Int[Array, " M"], Float[Array, " M"], Float[Array, " M"]]:
    """Return `count` pairs (ρ, κ) above a front and the place in it of the episode that stands for each.

    κ is uniform from the front's least to its highest cost; the episode is the best whose cost is at most κ; ρ is
    uniform from its return to the front's highest.

    Args:
        returns, costs: of the front's episodes, by rising cost.
    """
    limits = rng.uniform(costs[0], costs[-1], count)
    places = np.searchsorted(costs, limits, side="right") - 1
    return places, rng.uniform(returns[places], returns[-1]), limits


class FrontWindows(nn.Module):
    """Windows of the front's episodes, labelled as `labels` says.

    Args:
        data: with costs; an episode that the data's end cuts does not count.
        length: of a window, in steps.
        count: how many labels are drawn.
    """

    def __init__(self, data: Dataset, length: int, count: int = 1000) -> None:
        super().__init__()
        summed = {"rewards": returns_to_go(data, 1.0), "costs": returns_to_go(data, 1.0, data.costs)}
        ended = data.terminals | data.timeouts
        bounds = np.array([(a, b) for a, b in data.episode_bounds() if ended[b - 1]] or data.episode_bounds())
        chosen = bounds[front(summed["rewards"][bounds[:, 0]], summed["costs"][bounds[:, 0]])]
        rows = np.concatenate([np.arange(a, b) for a, b in chosen])
        stops = np.cumsum(chosen[:, 1] - chosen[:, 0])
        found = [summed[name][chosen[:, 0]].astype(float) for name in ("rewards", "costs")]
        places, asked, limits = labels(found[0], found[1], count, np.random.default_rng(0))
        self.length, self.count = length, count
        firsts = np.concatenate([[0], stops[:-1]])[places]
        integers = {"firsts": firsts, "lasts": stops[places] - 1}
        integers["spans"] = np.maximum(1, stops[places] - firsts - length + 1)
        floats = {"asked": asked - found[0][places], "limits": limits - found[1][places]}  # beyond what they had
        floats |= {"to_go": summed["rewards"][rows], "cost_to_go": summed["costs"][rows]}
        floats |= {name: getattr(data, name)[rows] for name in ("observations", "actions", "rewards", "costs")}
        for name, values in integers.items():
            self.register_buffer(name, torch.as_tensor(values), persistent=False)
        for name, values in floats.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32), persistent=False)

    def sample(self, noise: Noise, count: int) -> Batch:
        """Return windows for each seed, as `Windows(length, padded=True, discount=1)` does, under their new labels."""
        parts: dict[str, Tensor] = dict(self.named_buffers())
        which, where = noise.integers(self.count, count), noise.uniform(count)
        starts = parts["firsts"][which] + (where * parts["spans"][which]).long()
        rows, last = starts[..., None] + torch.arange(self.length, device=starts.device), parts["lasts"][which]
        mask, rows = (rows <= last[..., None]).float(), torch.minimum(rows, last[..., None])
        states = parts["observations"][rows]
        return Batch(
            states, parts["actions"][rows], parts["rewards"][rows] * mask, states, torch.zeros_like(mask),
            parts["costs"][rows] * mask, mask, parts["to_go"][starts] + parts["asked"][which],
            parts["cost_to_go"][starts] + parts["limits"][which],
        )  # fmt: skip


def mixed(batch: Batch, shown: Batch) -> Batch:
    """Return a batch of windows, the first of whose rows make room for others; columns that those lack stay."""
    columns = []
    for old, new in zip(batch, shown, strict=True):
        columns.append(old if old is None or new is None else torch.cat([old[:, new.shape[1] :], new], dim=1))
    return Batch(*columns)  # type: ignore[arg-type]
