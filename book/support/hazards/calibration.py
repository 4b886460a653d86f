"""The rule behind the hazards called ``calibrated``.

The released hazards penalise often and lightly: within an episode the penalties average out, and the policy that
ignores them is best in mean and in CVaR. `calibrate` sets a rare and heavy one instead, from the data alone:

Let E be the policy with the highest mean return, over the task's horizon and without a hazard, among the policies
that a task's data are made of, and R the next.

1. **Threshold**: one-sided. Candidates are the quantiles of E's monitored signal that 5 %, 6 %, …, 50 % of its steps
   lie beyond, on either side, to two digits. Chosen is the one at which R's violations an episode are the smallest
   share of E's (of equal ones the rarest for E). If that share exceeds a half, no threshold tells the two apart,
   and medium-replay takes over the hazard of medium-expert (Walker2d: there falls, not the pose, make the tail).
2. **Probability**: such that E is penalised at least once in 15 % of its episodes, to two digits: so its worst
   tenth is a penalised one, and R's, which is hit less, is not. (At 20 % Walker2d's R paid in half of its worst tenth,
   and the difference of the two CVaRs was inconclusive.)
3. **Penalty**: such that in expectation it costs E half of its lead over R, net of what R pays, to two digits. So E
   keeps the higher mean.

The price of a tail that shows within one episode: data hold few penalties (about 16 in 100 episodes of E), so a
critic must learn from few examples what the region costs.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import numpy as np
from scipy.optimize import brentq

from ramac_lib.envs.behaviour import stages_behind
from ramac_lib.envs.collect import Episode, roll_out_policies
from ramac_lib.envs.hazards import PAPER, Hazard, Interval
from ramac_lib.envs.tasks import get_task

LEAST_RATE, LARGEST_RATE = 0.05, 0.5  # of E's steps beyond a candidate threshold
LARGEST_SHARE = 0.5
HIT_PROBABILITY = 0.15
SHARE_OF_LEAD = 0.5
EPISODES = 400


def calibrate(task: str, episodes: int = EPISODES, seed: int = 0, workers: int | None = None) -> Hazard:
    """Return the hazard that the rule of this module's first lines sets for a task, from rollouts of its own."""
    steps = stages_behind(task)
    rollouts = roll_out_policies(get_task(task).env, steps, episodes, seed, purpose="calibration", workers=workers)
    found = set_hazard(task, rollouts)
    return found or calibrate(f"{get_task(task).env}-medium-expert", episodes, seed, workers)


def set_hazard(task: str, rollouts: Mapping[int, list[Episode]]) -> Hazard | None:
    """Return the hazard that the rule sets for a task, given rollouts of the policies of its data.

    None on medium-replay where no threshold tells the two best apart.
    """
    signal = PAPER[task].signal
    mean = {step: float(np.mean([e.rewards.sum() for e in rollouts[step]])) for step in stages_behind(task)}
    best, runner_up = sorted(mean, key=lambda step: -mean[step])[:2]
    e, r = ([x.observations[1:, signal] for x in rollouts[step]] for step in (best, runner_up))

    share, low, high = _threshold(e, r)
    if share > LARGEST_SHARE and get_task(task).quality != "medium-expert":
        return None
    hazard = Interval(signal, low, high, 0.0, 0.0)
    counts_e, counts_r = _violations(hazard, e), _violations(hazard, r)
    probability = _digits(brentq(lambda p: 1 - np.mean((1 - p) ** counts_e) - HIT_PROBABILITY, 0, 1))
    net = probability * (counts_e.mean() - counts_r.mean())
    penalty = -_digits(SHARE_OF_LEAD * (mean[best] - mean[runner_up]) / net)
    return replace(hazard, penalty=penalty, probability=probability)


def _threshold(e: list[np.ndarray], r: list[np.ndarray]) -> tuple[float, float, float]:
    """Return (share, low, high): R's violations an episode as a share of E's, at the best candidate."""
    signals = np.concatenate(e)
    candidates = []
    for rate in np.arange(LEAST_RATE, LARGEST_RATE + 1e-9, 0.01):
        for low, high in (
            (_digits(np.quantile(signals, rate)), inf),
            (-inf, _digits(np.quantile(signals, 1 - rate))),
        ):
            hazard = Interval(0, low, high, 0.0, 0.0)
            of_e, of_r = _violations(hazard, e), _violations(hazard, r)
            if of_e.sum() >= LEAST_RATE * len(signals):
                candidates.append((float(of_r.mean() / of_e.mean()), of_e.mean(), low, high))
    share, _, low, high = min(candidates)
    return share, low, high


def _violations(hazard: Interval, signals: list[np.ndarray]) -> np.ndarray:
    return np.array([hazard.outside(x).sum() for x in signals])


def _digits(value: float) -> float:
    return float(f"{value:.2g}")
