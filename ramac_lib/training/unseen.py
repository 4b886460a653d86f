"""How often a report's episodes acted out of the run's data, by the detectors of `ramac_lib.datasets.ood`.

Columns, a number each episode; NaN where the data do not allow a detector (all actions the same, say):

- ``ood_action``: the share of steps flagged at κ = 3 by the paper's detector, fitted on all of the data's actions;
- ``ood_state_action``, ``ood_neighbours``: the same by `StateAction` and `Neighbours`, fitted on `ROWS` drawn rows of
  the data and asked at every `STRIDE`-th step, the first included, which keeps a report's cost at some seconds;
- ``ood_curves``: the shares at each κ of `KAPPAS`, three times so many numbers in this order of detectors, as text:
  ``"1 .4 .1 0 0;…;…"``. The scale is the median; a curve at κ times another scale is this one, stretched.
"""

import logging
import weakref
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ramac_lib.datasets import ood
from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.play import Rollout
from ramac_lib.system.errors import RamacError

KAPPAS = (1.0, 2.0, 3.0, 5.0, 10.0)
ROWS, STRIDE = 50_000, 4
KEPT = 2  # data sets whose detectors are kept: slices of a campaign's task come one after another
NAMES = ("ood_action", "ood_state_action", "ood_neighbours")
STRIDES = dict(zip(NAMES, (1, STRIDE, STRIDE), strict=True))

_fitted: dict[int, tuple[weakref.ref[Dataset], dict[str, ood.Detector]]] = {}


def fit(data: Dataset) -> dict[str, ood.Detector]:
    """Return the detectors that the data allow, by column, fitted once a data set."""
    there = _fitted.get(id(data))
    if there is None or there[0]() is not data:
        while len(_fitted) >= KEPT:
            _fitted.pop(next(iter(_fitted)))
        there = _fitted[id(data)] = weakref.ref(data), _fit(data)
    return there[1]


def _fit(data: Dataset) -> dict[str, ood.Detector]:
    drawn = np.arange(len(data))
    if len(data) > ROWS:
        drawn = np.sort(np.random.default_rng(0).choice(len(data), ROWS, replace=False))
    part = data.observations[drawn], data.actions[drawn]
    makers = (lambda: ood.ActionOnly(data.actions), lambda: ood.StateAction(*part), lambda: ood.Neighbours(*part))
    found: dict[str, ood.Detector] = {}
    for name, make in zip(NAMES, makers, strict=True):
        try:
            found[name] = make()
        except RamacError as error:
            logging.getLogger(__name__).warning(f"{data.name}: no {name}: {error}")
    return found


def rates(runs: Sequence[Rollout], data: Dataset) -> pd.DataFrame:
    """Return a row for each episode that was played with ``steps``, with this module's columns.

    Episodes without steps, and those with a state or an action that is not finite, have NaN.
    """
    detectors, count = fit(data), len(KAPPAS)
    table = np.full((len(runs), len(NAMES), count), np.nan)
    for k, name in enumerate(NAMES):
        parts = {i: _steps(run, STRIDES[name]) for i, run in enumerate(runs)}
        parts = {i: part for i, part in parts.items() if len(part[0]) and all(np.isfinite(p).all() for p in part)}
        if name not in detectors or not parts:
            continue
        observations, actions = (np.concatenate(arrays) for arrays in zip(*parts.values(), strict=True))
        beyond = detectors[name].ratios(observations, actions)[:, None] > np.array(KAPPAS)
        starts = np.cumsum([0, *(len(part[0]) for part in parts.values())])
        for i, start, stop in zip(parts, starts, starts[1:], strict=False):
            table[i, k] = beyond[start:stop].mean(axis=0)
    columns = {name: table[:, k, KAPPAS.index(ood.KAPPA)].round(6) for k, name in enumerate(NAMES)}
    return pd.DataFrame({**columns, "ood_curves": pd.Series([_text(own) for own in table], dtype=object)})


def _text(shares: np.ndarray) -> str | float:
    if not np.isfinite(shares).any():
        return np.nan
    return ";".join(" ".join(f"{share:.3g}" for share in curve) for curve in shares)


def _steps(run: Rollout, stride: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = slice(None, None, stride)
    return np.array(run.states[chosen], np.float32), np.array(run.actions[chosen], np.float32)


def curves(text: str) -> np.ndarray:
    """Return a cell of ``ood_curves`` as numbers, shape (3 detectors, κ of `KAPPAS`)."""
    return np.array([[float(share) for share in part.split()] for part in text.split(";")])
