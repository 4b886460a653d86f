"""The neighbours on the Risky Bandit: which rows are trained, and their stored numbers beside the paper's methods.

``python -m support.neighbours.rows``, with ``book`` on the path, trains what is missing.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro
from scipy import stats

from ramac_lib.analysis.intervals import Estimate
from ramac_lib.analysis.style import style
from ramac_lib.campaign import bandit as campaign
from ramac_lib.campaign.bandit import BanditCell
from ramac_lib.campaign.grid import parse_row
from ramac_lib.system.paths import data_folder

RESULTS = data_folder() / "results"
FILE = "bandit_neighbours"
TAIL = "CVaR₀.₁"
# The method's own row, then what its public code does otherwise, and controls.
ROWS: dict[str, tuple[str, ...]] = {
    "dac": ("", "guidance_scale=code"),
    "dac-cvar": ("", "risk=neutral"),
    "qdq": ("", "weight=paper,origin=zero", "model=quantiles"),
    "cped": ("", "multiplier=released"),
    "rs-diffuser": ("", "risk_level=1", "risk_level=1.9"),
}
WORDS = {  # what a row's option is called in the figure
    "dac:guidance_scale=code": "DAC with the released guidance",
    "dac-cvar:risk=neutral": "DAC-CVaR, neutral measure",
    "qdq:weight=paper,origin=zero": "QDQ with the paper's weights",
    "cped:multiplier=released": "CPED with the released multiplier",
    "rs-diffuser:risk_level=1": "RS-Diffuser at level 1",
    "rs-diffuser:risk_level=1.9": "RS-Diffuser at level 1.9",
}
BESIDE = ("radac", "rafmac", "diffusion-ql", "bc-diffusion")  # of chapter 3


def cells(methods: tuple[str, ...], seeds: tuple[int, ...], steps: int) -> list[BanditCell]:
    """Return the cells of the methods' rows; those of a method's own settings keep actions to draw."""
    return [
        BanditCell(
            "neighbours" if row else "methods", method, row, seed, steps, parse_row(f"{method}:{row}")[1] if row else {}
        )
        for method in methods
        for row in ROWS[method]
        for seed in seeds
    ]


def make(
    methods: tuple[str, ...] = tuple(ROWS),
    seeds: tuple[int, ...] = (0, 1, 2),
    steps: int = 3000,
    workers: int = 1,
    folder: Path = Path("runs/bandit"),
    out: Path = RESULTS / FILE,
) -> None:
    """Train the rows, the seeds of each in one stack. A run that was cut goes on.

    Args:
        methods: which of the neighbours.
        seeds: of every row.
        steps: updates of each; chapter 3's methods have 5000.
        workers: rows trained at a time, one thread each.
        folder: where the finished cells are kept.
        out: where to, without a suffix.
    """
    every = cells(methods, seeds, steps)
    campaign.run_cells(every, folder, workers, together=True)
    campaign.gather(every, folder, out)


def last(table: pd.DataFrame) -> pd.DataFrame:
    """Return each run's numbers at the end of its training."""
    return table[table["step"] == table.groupby("cell")["step"].transform("max")]


def shown(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return a line a method and variant: seeds, updates, masses in percent, mean and CVaR with 95 % t-intervals.

    Args:
        tables: rows as `ramac_lib.campaign.bandit.load` returns them.
    """
    ends = pd.concat([last(table) for table in tables], ignore_index=True)
    lines = []
    for (method, variant), own in ends.groupby(["method", "variant"], sort=False):
        line = {"method": method, "variant": variant, "seeds": len(own), "updates": int(own["step"].max())}
        for name in ("centre", "ring", "ood"):
            line[name] = 100 * own[name].mean()
        for name in ("expected_reward", "cvar"):
            values = own[name].to_numpy(float)
            line[name] = values.mean()
            reach = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1) if len(values) > 1 else np.nan
            line[f"{name}_low"], line[f"{name}_high"] = values.mean() - reach, values.mean() + reach
        lines.append(line)
    return pd.DataFrame(lines)


def table(lines: pd.DataFrame) -> pd.DataFrame:
    """Return `shown` for the page, indexed by row, with an `Estimate` where a number has an interval."""
    keys = [m + (f":{v}" if v else "") for m, v in zip(lines["method"], lines["variant"], strict=True)]
    columns: dict[str, Any] = {"method": [WORDS.get(key, style(key).label) for key in keys]}
    for name, head in (("expected_reward", "mean"), ("cvar", TAIL)):
        parts = lines[[name, f"{name}_low", f"{name}_high"]].to_numpy(float)
        columns[head] = [Estimate(*part) for part in parts]
    for name, head in (("centre", "centre %"), ("ring", "ring %"), ("ood", "OOD %")):
        columns[head] = [f"{value:.0f}" for value in lines[name]]
    return pd.DataFrame(columns, index=pd.Index(keys))


if __name__ == "__main__":
    tyro.cli(make)
