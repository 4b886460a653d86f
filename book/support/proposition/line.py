"""A flow on the line, where its law is known without sampling: equal shares of noise, pushed through the sampler."""

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import ndtri, rel_entr

from ramac_lib.networks.adam import StackedAdam
from ramac_lib.networks.layers import initialise
from ramac_lib.networks.noise import Noise
from ramac_lib.networks.policies.flow import FlowPolicy
from ramac_lib.system.errors import RamacError
from support.proposition.continuous import Mixture, nodes
from support.proposition.mixtures import Nodes

Array = np.ndarray


def two_modes(gap: float = 0.4) -> Mixture:
    """Return two equal normal modes of σ .1, each truncated at 3 σ, so far apart that the gap has this width.

    Raises:
        RamacError: a gap with which the modes overlap or leave [−1, 1].
    """
    if not 0 < gap < 0.8:
        raise RamacError(f"gap is {gap}; expected a width in (0, 0.8)")
    low, high = gap / 2, gap / 2 + 0.6
    middle = (low + high) / 2
    return Mixture(
        np.full(2, 0.5), np.array([-middle, middle]), np.full(2, 0.1), np.array([[-high, -low], [low, high]])
    )


def as_nodes(law: Mixture) -> Nodes:
    """Return a truncated mixture as quadrature nodes.

    Raises:
        RamacError: a law on the whole line.
    """
    if law.intervals is None:
        raise RamacError("the law's support is the whole line; expected one truncated to intervals")
    x, w = nodes(law.intervals)
    return Nodes(x[:, None], w, np.exp(law.log_density(x)))


def sample(law: Mixture, count: int, rng: np.random.Generator) -> Float[Array, " count"]:
    """Draw from a truncated mixture: from the mixture, until it falls in an interval.

    Raises:
        RamacError: a law on the whole line.
    """
    if law.intervals is None:
        raise RamacError("the law's support is the whole line; expected one truncated to intervals")
    kept = np.empty(0)
    while len(kept) < count:
        component = rng.choice(len(law.weights), 2 * count, p=law.weights)
        drawn = rng.normal(law.means[component], law.scales[component])
        inside = ((drawn[:, None] >= law.intervals[:, 0]) & (drawn[:, None] <= law.intervals[:, 1])).any(axis=1)
        kept = np.concatenate([kept, drawn[inside]])
    return kept[:count]


def fit_flow(data: Float[Array, " n"], updates: int, seed: int = 0, batch: int = 256) -> FlowPolicy:
    """Return the library's flow policy cloned from actions on the line; the rate falls to zero over the last half."""
    policy = FlowPolicy((1,), 1, 1, hidden=(64, 64), activation="relu")
    initialise(policy, Noise([seed], "init").generators)
    optimizer, noise = StackedAdam(policy, 3e-3), Noise([seed], "training")
    actions, states = torch.as_tensor(data, dtype=torch.float32), torch.zeros(1, batch, 1)
    for k in range(updates):
        optimizer.lr = 3e-3 * min(1.0, 2 * (1 - k / updates))
        rows = actions[noise.integers(len(actions), batch)][..., None]
        optimizer.step(policy.bc_loss(states, rows, *policy.bc_draws(noise, batch)))
    return policy


@torch.no_grad()
def push(policy: FlowPolicy, count: int, portion: int = 2**14) -> Float[Array, " count"]:
    """Return the deployed flow's actions for `count` equal shares of its normal noise, in the noise's order."""
    noise = ndtri((np.arange(count) + 0.5) / count)
    parts = torch.as_tensor(noise, dtype=torch.float32).split(portion)
    return np.concatenate([policy.sample(z[None, :, None], torch.zeros(1, len(z), 1))[0, :, 0].numpy() for z in parts])


def compare(law: Mixture, actions: Float[Array, " n"], cells: int) -> tuple[float, float, float]:
    """Return KL(β ‖ π) over this many equally wide cells of each interval, δ, and β's mass in cells without any action.

    The actions are equal shares of π; where the flow is monotone a cell's mass is within 1/n of the truth. An empty
    cell counts half an action, so that KL is finite and too low.

    Raises:
        RamacError: a law on the whole line, no actions, or fewer than one cell.
    """
    if law.intervals is None or len(actions) == 0 or cells < 1:
        raise RamacError(f"{len(actions)} actions in {cells} cells; expected some, and a law on intervals")
    n, total = len(actions), float(law.mass(law.intervals))
    kl, inside, empty = 0.0, 0, 0.0
    for low, high in law.intervals:
        edges = np.linspace(low, high, cells + 1)
        beta = np.array([float(law.mass(pair[None])) for pair in np.stack([edges[:-1], edges[1:]], axis=1)]) / total
        counts = np.histogram(actions, edges)[0]
        kl += float(rel_entr(beta, np.maximum(counts, 0.5) / n).sum())
        inside += int(counts.sum())
        empty += float(beta[counts == 0].sum())
    return kl, 1 - inside / n, empty
