"""How often the rule for ties (`ramac_lib.analysis.intervals`) tells equal rows apart."""

import numpy as np
import pandas as pd

from ramac_lib.analysis.intervals import Sample


def told_apart(seeds: int, episodes: int, spread: float, pairs: int = 400, seed: int = 0) -> dict[str, float]:
    """Return how often two equal rows are told apart: the share of made-up pairs of the same law, by statistic.

    Args:
        episodes: of a seed; normal returns.
        spread: standard deviation of the seeds' means, in standard deviations of an episode.
    """
    rng = np.random.default_rng(seed)
    found = {"mean": 0, "cvar": 0}
    for pair in range(pairs):
        samples = []
        for row in range(2):
            returns = spread * rng.normal(size=(seeds, 1)) + rng.normal(size=(seeds, episodes))
            table = pd.DataFrame({"seed": np.repeat(np.arange(seeds), episodes), "return": returns.ravel()})
            samples.append(Sample(table.assign(violations=0.0, length=1.0), f"{seed} {pair} {row}"))
        for statistic in found:
            found[statistic] += samples[0].minus(samples[1], statistic).sign != 0
    return {statistic: count / pairs for statistic, count in found.items()}
