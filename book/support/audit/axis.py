"""The quantile loss weighed by the target's fraction instead of the prediction's: what it is minimal at, and the cost.

A target's fraction, drawn independently of the prediction, says nothing about it. Averaged over it the weight of an
error is ½ on either side, so that every predicted quantile has one and the same minimiser: the target's Huber-median.
"""

from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy import stats

from ramac_lib import risk
from ramac_lib.analysis.evidence import Missing
from ramac_lib.analysis.intervals import LEVEL, Estimate
from ramac_lib.analysis.style import SAFE, TRUTH, VIOLATION, style
from ramac_lib.campaign import bandit
from ramac_lib.datasets.bandit import dataset
from ramac_lib.envs.bandit import Bandit
from ramac_lib.networks.quantile_loss import AXES, quantile_huber
from ramac_lib.system.errors import unknown
from ramac_lib.system.paths import data_folder
from support.audit.shown import number
from support.bandit.plots import draw_support
from support.preliminaries.laws import Law

Array = np.ndarray

ROWS = {  # of the stored bandit campaign: what is compared
    "the data": None,
    "the same policy, cloning alone": ("methods", "bc-diffusion"),
    "RADAC, loss as written (eq. 7)": ("methods", "radac"),
    "RADAC, loss as released": ("axis", "radac"),
}


def minimisers(law: Law, n: int, axis: str) -> Float[Array, " N"]:
    """Return the quantiles at the grid's n fractions at which the loss is minimal for targets drawn from a law.

    Raises:
        RamacError: an unknown axis.
    """
    if axis not in AXES:
        raise unknown("quantile axis", axis, AXES)
    taus = risk.grid(n)
    return law.huber_quantiles(taus if axis == "prediction" else np.full_like(taus, 0.5))


def regress(law: Law, n: int, axis: str, *, steps: int = 1500, rate: float = 0.3, seed: int = 0) -> Float[Array, " N"]:
    """Return n free quantiles fitted by the library's own loss to fresh draws of a law; targets come in no order.

    Adam for two thirds of the steps at `rate`, then down to zero, so that the last draws do not show.
    """
    rng, taus = np.random.default_rng(seed), torch.as_tensor(risk.grid(n))
    quantiles = torch.zeros((1, n), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([quantiles], lr=rate)
    for k in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 3 * (1 - k / steps))
        targets = torch.as_tensor(law.draw((8, n), rng))
        optimizer.zero_grad()
        quantile_huber(quantiles.expand(8, n), targets, taus, axis=axis).backward()
        optimizer.step()
    return quantiles.detach().numpy()[0]


class Stored(NamedTuple):
    """The bandit's stored runs with either loss; `cvar` by the names of `ROWS`: mean over seeds, 95 % t interval."""

    cvar: dict[str, Estimate]
    difference: Estimate  # released less written, seed by seed
    actions: dict[str, Float[Array, "n 2"]]
    seeds: int
    updates: int  # of the shortest run
    best: float  # the highest CVaR that any policy can have
    at_best: list[str]  # the labels of other methods within a hundredth of it


def stored(folder: Path | None = None) -> Stored:
    """Return what the released loss does on the bandit, whose numbers are exact.

    Args:
        folder: of ``bandit.csv`` (default: the repository's data/results).

    Raises:
        Missing: there is no campaign of the bandit, or none with the released axis.
    """
    path = (data_folder() / "results" if folder is None else Path(folder)) / "bandit"
    if not path.with_suffix(".csv").exists():
        raise Missing("There is no data/results/bandit.csv yet: `ramac bandit` makes it.")
    table, _, actions = bandit.load(path)
    last = table[table["step"] == table.groupby("cell")["step"].transform("max")]
    game, by_seed, steps = Bandit(), {}, []
    for name, where in ROWS.items():
        if where is not None:
            own = last[(last["suite"] == where[0]) & (last["method"] == where[1])]
            if len(own) < 2:
                raise Missing(f"The stored bandit has not two seeds of {name}.")
            by_seed[name] = own.set_index("seed")["cvar"].sort_index()
            steps.append(int(own["step"].min()))
    others = last[last["suite"] == "methods"].groupby("method", sort=False)["cvar"].mean()
    masses = np.array([1 - game.ring_share, game.ring_share])
    shares = {"the data": Estimate(*[_data_cvar(game, masses)] * 3)}
    written, released = by_seed["RADAC, loss as written (eq. 7)"], by_seed["RADAC, loss as released"]
    return Stored(
        shares | {name: over_seeds(values) for name, values in by_seed.items()},
        over_seeds((released - written).dropna()),
        {
            "the data": dataset().actions[:1000],
            "RADAC, loss as written (eq. 7)": actions["radac"][0],
            "RADAC, loss as released": actions["radac-axis"][0],
        },
        len(written),
        min(steps),
        game.reward_risk("centre"),
        [style(str(row)).label for row in others.index[others > game.reward_risk("centre") - 0.01] if row != "radac"],
    )


def _data_cvar(game: Bandit, masses: Float[Array, " 2"]) -> float:
    (worst, top), odds = game.reward_law("ring")
    values = np.array([worst, game.centre_reward, top])
    return risk.risk_of_law(values, np.array([masses[1] * odds[0], masses[0], masses[1] * odds[1]]), "cvar")


def over_seeds(values: pd.Series) -> Estimate:
    """Return the mean over seeds with its 95 % interval by Student's t.

    Raises:
        Missing: fewer than two seeds.
    """
    if len(values) < 2:
        raise Missing(f"needs two seeds, not {len(values)}")
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values)
    return Estimate(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def draw(found: Stored, size: float = 2.35) -> Figure:
    """Draw the data's actions and those of RADAC with either loss, with the policy's exact CVaR below each."""
    figure = plt.figure(figsize=(size * len(found.actions) + 0.2, size + 0.75), layout="constrained")
    colours = (TRUTH, SAFE, VIOLATION)
    for axis, (name, actions), colour in zip(
        figure.subplots(1, len(found.actions)), found.actions.items(), colours, strict=True
    ):
        axis.scatter(*np.asarray(actions).T, s=2.5, linewidths=0, color=colour, rasterized=True)
        draw_support(axis, Bandit())
        axis.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal", xticks=[], yticks=[])
        axis.set_title(name, fontsize=9.5)
        axis.set_xlabel(f"CVaR$_{{0.1}}$ {number(found.cvar[name].value, 2)}", fontsize=11)
    return figure
