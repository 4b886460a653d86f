"""Made-up sweeps of the bandit whose effects are known."""

import json

import pandas as pd

SEEDS = (0, 1, 2, 3, 4)


def row(value, cvar, *, suite="knobs", method="radac", mean=1.0, ood=0.1, seeds=SEEDS, settings=None):
    """Rows of one row's cells, a seed each, and their facts; numbers are one for all seeds or one a seed."""

    def of(number, k):
        return number[k] if isinstance(number, (list, tuple)) else number

    lines, facts = [], {}
    for k, seed in enumerate(seeds):
        cell = f"{suite}|{method}|{value}|{seed}"
        line = {"suite": suite, "method": method, "variant": value, "seed": seed, "precision": "float32", "step": 1000}
        line |= {"cvar": of(cvar, k), "expected_reward": of(mean, k), "ood": of(ood, k), "cell": cell}
        lines.append(line)
        facts[cell] = {"settings": {"eta": 0.3, "alpha": 0.1, **(settings or {})}}
    return pd.DataFrame(lines), facts


def sweeps(*rows):
    """One table and one dict of facts of several rows."""
    facts = {}
    for _, own in rows:
        facts |= own
    return pd.concat([table for table, _ in rows], ignore_index=True), facts


def write(folder, table, facts):
    """Store a table as `ramac bandit` does."""
    table.to_csv(folder / "bandit_knobs.csv", index=False)
    (folder / "bandit_knobs.json").write_text(json.dumps(facts))
