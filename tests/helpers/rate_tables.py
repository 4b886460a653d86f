"""Made-up reports whose rates of actions out of the data are known."""

import numpy as np
from campaign_tables import TASK, episodes

from ramac_lib.training import unseen


def rated(row, action, given=0.0, near=0.0, *, seeds=3, count=10, lengths=100, violations=0.0, returns=None, **kwargs):
    """Rows of one run; each rate a number, or an array (seeds, episodes)."""
    shape = (seeds, count)
    values = np.arange(seeds * count, dtype=float).reshape(shape) if returns is None else np.asarray(returns, float)
    table = episodes(row, values, violations=violations, **kwargs)
    table["length"] = np.broadcast_to(lengths, shape).ravel()
    for name, rate in zip(unseen.NAMES, (action, given, near), strict=True):
        table[name] = np.broadcast_to(np.asarray(rate, float), shape).ravel()
    falling = np.linspace(1, 0, len(unseen.KAPPAS))
    table["ood_curves"] = ";".join([" ".join(f"{share:.3g}" for share in falling)] * 3)
    return table


__all__ = ["TASK", "rated"]
