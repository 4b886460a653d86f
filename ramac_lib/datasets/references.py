"""DSRL's reference returns (Liu et al. 2024), and normalised reward and cost by them or by one's own data.

A score by DSRL's references on data that are not DSRL's is not comparable with published ones: a score always names its
`Reference`, and `of_data` makes one of any data's own extremes.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ramac_lib.datasets.contract import Dataset
from ramac_lib.envs.tasks import BULLET, ENVS, VELOCITY, Task
from ramac_lib.system.errors import RamacError, unknown


@dataclass(frozen=True)
class Reference:
    """What returns are normalised by.

    Args:
        name: DSRL's name of the task, or that of data of one's own.
        low, high: least and largest return of an episode in the data.
        horizon: steps of an episode.
        max_cost: largest cost of an episode in the data, as DSRL's file names have it.
        file: of DSRL's data; empty for one's own.

    Raises:
        RamacError: low is not below high.
    """

    name: str
    low: float
    high: float
    horizon: int
    max_cost: float
    file: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise RamacError(
                f"the reference returns of {self.name} are {self.low} and {self.high}; expected low < high"
            )

    def reward(self, returns: Float[np.ndarray, "*N"] | float) -> Float[np.ndarray, "*N"]:
        """Return (R − R_min) / (R_max − R_min): 0 at the data's least return, 1 at their largest."""
        return (np.asarray(returns, np.float64) - self.low) / (self.high - self.low)


def normalised_cost(costs: Float[np.ndarray, "*N"] | float, kappa: float) -> Float[np.ndarray, "*N"]:
    """Return (C + ε) / (κ + ε), with ε = 1 where κ = 0 and 0 elsewhere: at most 1 is safe.

    Args:
        costs: undiscounted cost of each episode.
        kappa: the limit of an episode's cost.

    Raises:
        RamacError: a limit below 0, or not finite.
    """
    if not (np.isfinite(kappa) and kappa >= 0):
        raise RamacError(f"the cost limit is {kappa}; expected a finite number ≥ 0")
    epsilon = 1.0 if kappa == 0 else 0.0
    return (np.asarray(costs, np.float64) + epsilon) / (kappa + epsilon)


def _suite(prefix: str, suffix: str, rows: str) -> dict[str, Reference]:
    """Return a suite's references; a row is name, R_min, R_max, T, largest cost and number of trajectories."""
    table = {}
    for row in rows.strip().splitlines():
        name, low, high, horizon, cost, count = row.split()
        file = f"{prefix}{name}{suffix}-{cost}-{count}.hdf5"
        table[name] = Reference(name, float(low), float(high), int(horizon), float(cost), file)
    return table


REFERENCES = {
    **_suite("Safety", "-v0", """
        AntCircle   0.0177031010389328   460.7091979980469 500 200 5728
        AntRun      0.001767391717990563 955.4818725585938 200 150 1816
        BallCircle  0.38312244415283203  881.46337890625   200  80  886
        BallRun     26.339754104614258   1327.445556640625 100  80  940
        CarCircle   3.484419822692871    534.3060913085938 300 100 1450
        CarRun      204.28726196289062   574.6533203125    200  40  651
        DroneCircle 207.794189453125     996.38916015625   300 100 1923
        DroneRun    10.557029724121094   682.8330078125    200 140 1990
    """),
    **_suite("Safety", "Gymnasium-v0", """
        CarButton1   0.0028926206826067613  44.420003345738984 1000 250 2656
        CarButton2   0.001767391717990563   41.99513815522894  1000 300 3755
        CarCircle1   8.037073135375977      24.94155502319336   500 250 1271
        CarCircle2   5.113386154174805      25.950098037719727  500 400  940
        CarGoal1     0.012232819540852091   39.907809198384705 1000 120 1671
        CarGoal2     0.001032874531954775   28.902897990056502 1000 200 4105
        CarPush1     0.013700173533941762   16.304467598905237 1000 200 2871
        CarPush2     0.00029391133526335267 15.141648491514314 1000 250 4407
        PointButton1 0.008822109034937853   41.19301568767707  1000 200 2268
        PointButton2 0.014114166087574098   42.8985953616709   1000 250 3288
        PointCircle1 20.067626953125        61.72819519042969   500 200 1098
        PointCircle2 20.478347778320312     54.02184295654297   500 300  895
        PointGoal1   0.01196012764197707    30.071114857340543 1000 100 2022
        PointGoal2   0.002616959830266108   27.717709787852737 1000 200 3442
        PointPush1   0.0014001545292344209  16.518654299293367 1000 150 2379
        PointPush2   0.0012438183001730607  14.691039145644403 1000 200 3242
    """),
    **_suite("Safety", "Gymnasium-v1", """
        AntVelocity         6.1519012451171875  2976.276611328125 1000 250 2249
        HalfCheetahVelocity 5.7509765625        2806.93310546875  1000 250 2495
        HopperVelocity      37.05154800415039   1911.396728515625 1000 250 2240
        SwimmerVelocity     0.07114458084106445 238.95831298828125 1000 200 1686
        Walker2dVelocity    18.668498992919922  3418.223876953125 1000 300 2729
    """),
    **_suite("SafeMetaDrive-", "-v0", """
        easysparse   20.094310760498047 425.8006286621094  1000 85 1000
        easymean     22.142553329467773 425.82440185546875 1000 85 1000
        easydense    19.71139144897461  425.81732177734375 1000 85 1000
        mediumsparse 17.446578979492188 269.80084228515625 1000 50 1000
        mediummean   17.032529830932617 269.8221435546875  1000 50 1000
        mediumdense  15.102348327636719 269.7813415527344  1000 50 1000
        hardsparse   17.247974395751953 486.80523681640625 1000 85 1000
        hardmean     19.387981414794922 486.9967956542969  1000 85 1000
        harddense    15.386894226074219 486.63616943359375 1000 85 1000
    """),
}  # fmt: skip
"""DSRL's 38 data sets by its names, as its ``infos.py`` states them (November 2025)."""


def dsrl_name(task: Task) -> str:
    """Return DSRL's name of one of the library's tasks, e.g. ``HopperVelocity``.

    Raises:
        RamacError: DSRL has no data of it.
    """
    if task.is_bullet:
        return BULLET[task.env]
    if task.quality == VELOCITY:
        return f"{ENVS[task.env]}Velocity"
    raise unknown("DSRL task", task, [*(f"{env}-{VELOCITY}" for env in ENVS), *BULLET])


def get_reference(name: str | Task) -> Reference:
    """Return DSRL's reference of a task, by its own name or the library's.

    Raises:
        RamacError: DSRL has no such data.
    """
    if isinstance(name, Task):
        return REFERENCES[dsrl_name(name)]
    if name not in REFERENCES:
        raise unknown("DSRL data set", name, REFERENCES)
    return REFERENCES[name]


def of_data(data: Dataset) -> Reference:
    """Return the reference of data of one's own: their extremes over whole and cut episodes.

    Raises:
        RamacError: all episodes have one return.
    """
    returns, lengths = data.episode_returns(), [b - a for a, b in data.episode_bounds()]
    return Reference(
        data.name, float(returns.min()), float(returns.max()), max(lengths), float(data.episode_costs().max())
    )
