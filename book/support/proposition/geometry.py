"""Where an anchored policy's steps point: the angle between step and the ring's normal, and where a step ends."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from ramac_lib.envs.bandit import Bandit
from ramac_lib.methods.oraac import Anchored
from ramac_lib.system.errors import RamacError

Array = np.ndarray


def ring_anchors(count: int, rng: np.random.Generator, bandit: Bandit | None = None) -> Float[Array, "count 2"]:
    """Draw anchors from the behaviour law itself, conditioned on the ring: a prior that clones without error.

    Raises:
        RamacError: count < 1, or a bandit without ring actions.
    """
    bandit = bandit or Bandit()
    if count < 1 or bandit.ring_share == 0:
        raise RamacError(f"count is {count}, the ring's share {bandit.ring_share}; expected both above 0")
    drawn = bandit.sample_behaviour(int(2 * count / bandit.ring_share) + 100, rng)
    return drawn[bandit.region(drawn) == "ring"][:count]


@torch.no_grad()
def steps(method: Anchored, anchors: Float[Array, "n 2"]) -> Float[Array, "seeds n 2"]:
    """Return the trained steps Φ tanh ξ(s, b) from anchors, before the action is clamped."""
    at = torch.as_tensor(anchors, dtype=torch.float32, device=method.device).expand(*method.stack, -1, -1)
    inputs = torch.cat([torch.zeros_like(at[..., :1]), at], dim=-1)
    return (method.policy.radius * method.policy.residual(inputs).tanh()).cpu().numpy()


def gradients(method: Anchored, anchors: Float[Array, "n 2"]) -> Float[Array, "seeds n 2"]:
    """Return the critic's gradient of the risk measure by the action, ∇_a ρ(Z(s, a)), at anchors.

    The fractions are the fixed grid's, whatever the method draws in training.
    """
    at = torch.as_tensor(anchors, dtype=torch.float32, device=method.device).expand(*method.stack, -1, -1).clone()
    at.requires_grad_(True)
    quantiles = method.critic(torch.zeros_like(at[..., :1]), at, method.active_grid).amin(dim=1)
    (gradient,) = torch.autograd.grad((quantiles @ method.active_weights).sum(), at)
    return gradient.cpu().numpy()


def normal_angles(vectors: Float[Array, "*batch n 2"], anchors: Float[Array, "n 2"]) -> Float[Array, "*batch n"]:
    """Return the angle in degrees, 0 to 90, between vectors and the ring's normal at their anchors: 90 is tangent.

    Raises:
        RamacError: an anchor in the middle, or a vector of length 0.
    """
    lengths = np.linalg.norm(vectors, axis=-1), np.linalg.norm(anchors, axis=-1)
    if not all((length > 0).all() for length in lengths):
        raise RamacError("a vector or an anchor has length 0; expected a direction for each")
    cosine = np.abs((vectors * anchors).sum(axis=-1)) / (lengths[0] * lengths[1])
    return np.degrees(np.arccos(np.minimum(cosine, 1)))


def leaves(
    anchors: Float[Array, "n 2"], vectors: Float[Array, "*batch n 2"], bandit: Bandit | None = None
) -> Bool[Array, "*batch n"]:
    """Return whether anchor plus step, clamped to the box, is outside the support."""
    return ~(bandit or Bandit()).support(np.clip(anchors + vectors, -1, 1))
