"""Is an action out of the data? Detectors fitted on a data set's arrays, each by distance to the nearest of its rows.

A detector gives each action a distance in units of its own scale, a robust summary of the same distance among the
data's own rows, each left out in turn; flagged is what lies farther than κ scales. Three readings:

- `ActionOnly`: the RAMAC paper's appendix E.4. Distance to the nearest action of the data, whatever the state.
- `StateAction`: distance of [s; a] to the nearest row, every coordinate in units of its standard deviation.
- `Neighbours`: least distance to an action that the data took at the K states nearest to s.

The formula of the paper's robust scale is lost in every copy. The three that its words allow are here (`SCALES`); the
median is the default. Actions clipped at the box repeat, and leaving one out leaves its copies at distance 0: each
distinct row counts once, and what distances of 0 remain (`Neighbours`) are left out of the scale.

A fourth reading, `ramac_lib.datasets.density_ratio`, needs a batch of the policy's actions and is for analyses alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

from ramac_lib.datasets.neighbours import Search, distinct, search
from ramac_lib.system.errors import RamacError, unknown

Array = np.ndarray
Points = Float[Array, "N d"]

KAPPA = 3.0  # the paper's
SCALES: Mapping[str, Callable[[Array], float]] = {
    "median": lambda distances: float(np.median(distances)),
    "mad": lambda distances: float(np.median(np.abs(distances - np.median(distances)))),
    "q95": lambda distances: float(np.quantile(distances, 0.95)),
}
SCALE_ROWS = 10_000  # left out in turn, each against all others; drawn where there are more
NEIGHBOURS = 16  # nearest states


def robust_scale(distances: Float[Array, " N"], kind: str = "median") -> float:
    """Return the scale of leave-one-out distances; those of 0 are left out.

    Args:
        kind: ``median``, ``mad`` (median absolute deviation from the median, without a factor), ``q95`` (quantile).

    Raises:
        RamacError: an unknown kind, or a scale of 0: no distance above 0, or (``mad``) all of them equal.
    """
    if kind not in SCALES:
        raise unknown("scale", kind, SCALES)
    positive = distances[distances > 0]
    scale = SCALES[kind](positive) if len(positive) else 0.0
    if not 0 < scale < np.inf:
        raise RamacError(f"the {kind} of {len(distances)} leave-one-out distances is {scale:g}; expected more than 0")
    return scale


def leave_one_out(points: Points, rows: int = SCALE_ROWS) -> Float[Array, " n"]:
    """Return the distance of each distinct row, or of so many drawn ones, to the nearest other.

    Raises:
        RamacError: fewer than two distinct rows, or numbers that are not finite.
    """
    kept = _kept(checked(points, "points"))
    return _left_out(search(kept), kept, rows)


class Detector(ABC):
    """How far actions are from a data set, in units of a robust scale of the data's own distances.

    Attributes:
        scale: in the detector's own unit of distance.
    """

    scale: float

    @abstractmethod
    def distances(self, observations: Points, actions: Points) -> Float[Array, " N"]:
        """Return each row's distance to the data.

        Args:
            observations, actions: shapes (N, s), (N, a), as the environment gives and takes them.

        Raises:
            RamacError: widths that are not the data's, or numbers that are not finite.
        """

    def ratios(self, observations: Points, actions: Points) -> Float[Array, " N"]:
        """Return each row's distance to the data in units of the scale; errors as `distances`."""
        return self.distances(observations, actions) / self.scale

    def flags(self, observations: Points, actions: Points, kappa: float = KAPPA) -> Bool[Array, " N"]:
        """Return which rows lie farther than κ scales from the data.

        Raises:
            RamacError: κ is not above 0; others as `distances`.
        """
        if not kappa > 0:
            raise RamacError(f"kappa is {kappa}; expected more than 0")
        return self.ratios(observations, actions) > kappa


class ActionOnly(Detector):
    """The paper's detector: distance to the nearest action of the data, in units of the action bound.

    Args:
        actions: the data's, shape (N, a).
        scale: one of `SCALES`.

    Raises:
        RamacError: fewer than two distinct actions, numbers that are not finite, an unknown scale or one of 0.
    """

    def __init__(self, actions: Points, scale: str = "median") -> None:
        kept = _kept(checked(actions, "actions"))
        self._width, self._search = kept.shape[1], search(kept)
        self.scale = robust_scale(_left_out(self._search, kept), scale)

    def distances(self, observations: Points, actions: Points) -> Float[Array, " N"]:
        """Return each action's distance to the nearest of the data's; observations do not matter."""
        return self._search.query(checked(actions, "actions", self._width), 1)[0][:, 0]


class StateAction(Detector):
    """Distance of [s; a] to the nearest row of the data, each coordinate in units of its standard deviation there.

    A coordinate that is constant in the data keeps its own unit.

    Args:
        observations, actions: the data's, shapes (N, s), (N, a).
        scale: one of `SCALES`.

    Raises:
        RamacError: as `ActionOnly`, or another number of observations than actions.
    """

    def __init__(self, observations: Points, actions: Points, scale: str = "median") -> None:
        rows = joined(observations, actions)
        self._widths = observations.shape[1], actions.shape[1]
        self._unit = units(rows)
        kept = _kept(rows / self._unit)
        self._search = search(kept)
        self.scale = robust_scale(_left_out(self._search, kept), scale)

    def distances(self, observations: Points, actions: Points) -> Float[Array, " N"]:
        """Return each row's distance to the nearest of the data."""
        return self._search.query(joined(observations, actions, self._widths) / self._unit, 1)[0][:, 0]


class Neighbours(Detector):
    """Least distance to an action that the data took at the K nearest states, in units of the action bound.

    States are compared as in `StateAction`; of states at the same distance it is not said which are taken. Where all of
    the data's states are the same, as on a bandit, all are neighbours, and this is `ActionOnly`.

    Args:
        observations, actions: the data's, shapes (N, s), (N, a).
        k: how many states.
        scale: one of `SCALES`.

    Raises:
        RamacError: as `StateAction`, or k is not from 1 to one less than the number of the data's distinct rows.
    """

    def __init__(self, observations: Points, actions: Points, k: int = NEIGHBOURS, scale: str = "median") -> None:
        rows = _kept(joined(observations, actions))
        self._widths = width, _ = observations.shape[1], actions.shape[1]
        self._alone = ActionOnly(actions, scale) if (np.ptp(observations, axis=0) == 0).all() else None
        if self._alone is not None:
            self.scale = self._alone.scale
            return
        if not 1 <= k < len(rows):
            raise RamacError(f"k is {k}; expected 1 to {len(rows) - 1}, one less than the data's distinct rows")
        self.k, self._unit = k, units(rows[:, :width])
        states, self._actions = rows[:, :width] / self._unit, rows[:, width:]
        self._search = search(states)
        drawn = _drawn(len(rows), SCALE_ROWS)
        near = self._search.query(states[drawn], k + 1)[1]
        gaps = np.linalg.norm(self._actions[near] - self._actions[drawn, None], axis=2)
        own = near == drawn[:, None]
        own[~own.any(axis=1), -1] = True  # it lies behind others of its state: the last found goes instead
        self.scale = robust_scale(np.where(own, np.inf, gaps).min(axis=1), scale)

    def distances(self, observations: Points, actions: Points) -> Float[Array, " N"]:
        """Return each action's distance to the nearest of those."""
        if self._alone is not None:
            return self._alone.distances(observations, actions)
        rows, width = joined(observations, actions, self._widths), self._widths[0]
        near = self._search.query(rows[:, :width] / self._unit, self.k)[1]
        return np.linalg.norm(self._actions[near] - rows[:, None, width:], axis=2).min(axis=1)


# -- arrays ---------------------------------------------------------------------------------------------------------


def checked(points: Points, name: str, width: int | None = None) -> Points:
    """Return an array, refused unless it is (N, d) with a row, finite, and as wide as the data's."""
    if points.ndim != 2 or not len(points) or width not in (None, points.shape[1]):
        raise RamacError(f"{name} have shape {points.shape}; expected (N, {width or 'd'}) with N of at least 1")
    if not np.isfinite(points).all():
        raise RamacError(f"{name} hold {points[~np.isfinite(points)][0]}; expected finite numbers")
    return points


def joined(observations: Points, actions: Points, widths: tuple[int, int] = (0, 0)) -> Points:
    """Return [s; a]; errors as `checked`, or another number of the one than of the other."""
    parts = checked(observations, "observations", widths[0] or None), checked(actions, "actions", widths[1] or None)
    if len(observations) != len(actions):
        raise RamacError(f"{len(observations)} observations and {len(actions)} actions; expected as many")
    return np.concatenate(parts, axis=1)


def units(rows: Points) -> Float[Array, " d"]:
    """Return each coordinate's standard deviation, 1 where it is 0."""
    deviation = rows.std(axis=0, dtype=np.float64).astype(rows.dtype)
    return np.where((np.ptp(rows, axis=0) > 0) & (deviation > 0), deviation, 1).astype(rows.dtype)


def _kept(points: Points) -> Points:
    return points[distinct(points)]


def _drawn(count: int, rows: int) -> Int[Array, " n"]:
    if count <= rows:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, rows, replace=False))


def _left_out(found: Search, kept: Points, rows: int = SCALE_ROWS) -> Float[Array, " n"]:
    if len(kept) < 2:
        raise RamacError("all rows of the data are the same; expected at least two distinct ones")
    return found.query(kept[_drawn(len(kept), rows)], 2)[0][:, 1]
