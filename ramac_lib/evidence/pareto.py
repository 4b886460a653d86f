"""Which points no other dominates."""

import numpy as np
from jaxtyping import Bool, Float


def front(cost: Float[np.ndarray, " N"], gain: Float[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """Return which points no other dominates: none costs as little, gains as much, and is better in one of them."""
    cost, gain = np.asarray(cost, float), np.asarray(gain, float)
    better = (cost[:, None] <= cost) & (gain[:, None] >= gain)  # [j, i]: j is as good as i in both
    strictly = (cost[:, None] < cost) | (gain[:, None] > gain)
    return np.logical_not((better & strictly).any(axis=0))
