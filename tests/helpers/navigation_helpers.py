"""Made-up results on navigation whose numbers are known."""

import numpy as np
import pandas as pd

from support.navigation import optima
from support.navigation.stored import Measured

TASK = "navigation-obstacle-mixed"


def measured(rows, hazard="rare", seeds=5, curves=None):
    """Return results in which a row's columns have these means over seeds, spread by `spread` evenly about them.

    Args:
        rows: row → column → mean; ``spread`` is the half-range of the seeds.
    """
    lines = []
    for row, numbers in rows.items():
        spread = numbers.get("spread", 0.01)
        own = {"left": 0.0, "through": 0.0, "right": 0.0, "collided": 0.0, "off_support": 0.0, **numbers}
        for seed, offset in enumerate(np.linspace(-spread, spread, seeds)):
            line = {k: v + offset for k, v in own.items() if k != "spread"}
            lines.append({"row": row, "method": row.partition(":")[0], "task": TASK, "hazard": hazard, **line})
            lines[-1] |= {"seed": seed, "step": 100}
    table = pd.DataFrame(lines)
    return Measured(table, table if curves is None else curves, optima.load()[0], {})
