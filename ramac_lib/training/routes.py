"""What rows of episodes say besides on risky navigation: the route taken, and how far from the data's policy it was.

Columns, a number each episode, from its states and actions alone:

- ``left``, ``through``, ``right``: 1 for the route by which the episode first crossed the map's cut, else 0; all 0
  where it never did;
- ``base_return``: what it earned without penalties; ``inside``: the steps that ended in each of the hazard's areas (of
  the map's own, where the hazard has none), as text ``"4"`` or ``"4 1"``. They give the return's distribution: a
  policy that sees no penalty meets each of them independently (`support.navigation.measured`);
- ``off_support``: the share of actions outside the support of the behaviour policy, which is known exactly; in states
  where the data's policy never is, every action is. ``off_corridor``: the share of steps begun in such states.

The last two are empty for data that are not the task's own.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ramac_lib.envs import navigation
from ramac_lib.envs.hazards import Hazard, Region
from ramac_lib.envs.maps import get_map
from ramac_lib.envs.navigation_behaviour import get_behaviour
from ramac_lib.envs.play import Rollout
from ramac_lib.envs.tasks import Task

ROUTES = ("left", "through", "right")
COLUMNS = (*ROUTES, "base_return", "inside", "off_support", "off_corridor")


def columns(runs: Sequence[Rollout], task: Task, hazard: Hazard, source: str = "bundled") -> pd.DataFrame:
    """Return a row for each episode that was played with ``steps``, with this module's columns."""
    world = replace(get_map(task.env), noise=0.0)  # where a disturbance came in, its last step is taken without it
    lengths = [len(run.states) for run in runs]
    starts = np.cumsum([0, *lengths])[:-1]
    states, actions = (
        np.array([x for run in runs for x in getattr(run, k)], np.float32) for k in ("states", "actions")
    )
    before = states[:, :2]
    after, rewards, _ = navigation.step(world, before, actions.astype(np.float64))
    inner = np.ones(len(before), bool)
    inner[np.cumsum(lengths) - 1] = False
    after[inner] = before[1:][inner[:-1]]

    def each(values: np.ndarray) -> np.ndarray:
        """Return sums over episodes."""
        return np.add.reduceat(values, starts, axis=-1)

    crossed = navigation.crossings(world, before, after)
    names, route = crossed != "", np.full(len(runs), "", dtype=crossed.dtype)
    route[np.repeat(np.arange(len(runs)), lengths)[names][::-1]] = crossed[names][::-1]  # the first one last
    areas = hazard.areas if isinstance(hazard, Region) else world.areas
    remaining, counts = np.ones(len(after), bool), []
    for area in areas:  # of areas that overlap the first one counts
        there = area.contains(after) & remaining
        remaining &= ~there
        counts.append(each(there.astype(int)))
    table = pd.DataFrame({name: (route == name).astype(int) for name in ROUTES})
    table["base_return"] = each(rewards).round(9)
    table["inside"] = [" ".join(map(str, row)) for row in np.array(counts).T]
    if source != "bundled":
        return table.assign(off_support=np.nan, off_corridor=np.nan)
    behaviour = get_behaviour(task)
    outside = ~behaviour.support(before, actions), ~behaviour.corridor(before)
    shares = [(each(flags.astype(float)) / lengths).round(6) for flags in outside]
    return table.assign(off_support=shares[0], off_corridor=shares[1])
