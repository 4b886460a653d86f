"""The rule behind the hazards called ``calibrated``, and every behaviour policy measured under every hazard.

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
   and the two CVaRs could not be told apart.)
3. **Penalty**: such that in expectation it costs E half of its lead over R, net of what R pays, to two digits. So E
   keeps the higher mean.

The price of a tail that shows within one episode: data hold few penalties (about 16 in 100 episodes of E), so a
critic must learn from few examples what the region costs.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from ramac_lib.behaviour import stages
from ramac_lib.evaluation import DISCOUNT
from ramac_lib.hazards import PAPER, PRESETS, Hazard, decide
from ramac_lib.risk import cvar
from ramac_lib.rollouts import GROUP, Episode, Job, roll_out, worker_map
from ramac_lib.tasks import HORIZONS, QUALITIES, get_task

LEAST_RATE, LARGEST_RATE = 0.05, 0.5  # of E's steps beyond a candidate threshold
LARGEST_SHARE = 0.5
HIT_PROBABILITY = 0.15
SHARE_OF_LEAD = 0.5
EPISODES = 400


def policies(task: str) -> tuple[int, ...]:
    """Return the stages that a task's bundled data are made of."""
    chosen = get_task(task)
    parts = stages(chosen.env)
    return (parts.medium, parts.expert) if chosen.quality == "medium-expert" else parts.replay


def roll_out_policies(
    env: str,
    steps: tuple[int, ...],
    episodes: int,
    seed: int = 0,
    *,
    horizon: int | None = None,
    purpose: str = "measurement",
    workers: int | None = None,
) -> dict[int, list[Episode]]:
    """Return `episodes` episodes of each stage in `steps`, without any hazard, over the environment's horizon.

    `purpose` keeps seeds apart: the episodes that the rule was set on are never those that are reported.
    """
    key = (crc32(purpose.encode()), seed)
    groups = range(-(-episodes // GROUP))
    jobs = [Job(env, step, (*key, step), g, horizon or HORIZONS[env]) for step in steps for g in groups]
    found: dict[int, list[Episode]] = {step: [] for step in steps}
    with worker_map(workers) as run:
        for job, group in zip(jobs, run(roll_out, jobs), strict=True):
            found[job.step] += group
    return {step: group[:episodes] for step, group in found.items()}


def under_hazard(episodes: list[Episode], hazard: Hazard, seed: int, draws: int = 1) -> pd.DataFrame:
    """Return each episode as if it had been played under the hazard, `draws` times over.

    Exact, not an estimate: no policy sees a penalty, so a hazard changes a rollout only by what it pays and by
    where it ends. The draws depend on the seed alone: all hazards meet the same ones.

    Returns:
        Columns ``episode draw return discounted_return length violations``.
    """
    rng = np.random.default_rng([crc32(b"draws"), seed])
    tables = []
    for k, episode in enumerate(episodes):
        outcome = decide(hazard, episode.observations[1:, hazard.signal], rng.random((draws, len(episode))))
        length = int(np.argmax(outcome.ends)) + 1 if outcome.ends.any() else len(episode)
        rewards = episode.rewards[:length].sum(dtype=np.float64) + outcome.penalty[:, :length].sum(
            axis=1, dtype=np.float64
        )
        discounted = (episode.rewards + outcome.penalty)[:, :length].astype(np.float64) @ DISCOUNT ** np.arange(length)
        violations = int(outcome.violation[:length].sum())
        tables.append(
            {
                "episode": k,
                "draw": range(draws),
                "return": rewards,
                "discounted_return": discounted,
                "length": length,
                "violations": violations,
            }
        )
    return pd.concat([pd.DataFrame(table) for table in tables], ignore_index=True)


def presets(env: str) -> dict[str, Hazard]:
    """Return every preset for an environment by name: ``none``, and two of each other, one for each quality."""
    found = {"none": PRESETS["none"][f"{env}-{QUALITIES[0]}"]}
    for name in ("paper", "calibrated"):
        found |= {f"{name} {quality}": PRESETS[name][f"{env}-{quality}"] for quality in QUALITIES}
    return found


def measure_episodes(
    env: str,
    hazards: Mapping[str, Hazard],
    episodes: int = 100,
    seed: int = 0,
    *,
    draws: int = 20,
    workers: int | None = None,
) -> pd.DataFrame:
    """Return one row for each hazard, policy, episode and draw, over the environment's horizon.

    Args:
        env: short name, e.g. ``hopper``.
        hazards: by name, e.g. `presets(env)`; the same rollouts serve all of them.
        episodes: for each policy.
        seed: of the rollouts and the draws.
        draws: how often each rollout meets each hazard; far cheaper than rollouts where penalties are rare.
        workers: processes; all cores if None.

    Returns:
        Columns ``env hazard step stage episode draw return length violations``; stage is expert, medium or replay.
    """
    parts = stages(env)
    rollouts = roll_out_policies(env, parts.shipped, episodes, seed, workers=workers)
    names = {parts.expert: "expert", parts.medium: "medium"}
    tables = [
        under_hazard(group, hazard, seed, draws).assign(
            env=env, hazard=name, step=step, stage=names.get(step, "replay")
        )
        for name, hazard in hazards.items()
        for step, group in rollouts.items()
    ]
    order = ["env", "hazard", "step", "stage", "episode", "draw", "return", "length", "violations"]
    return pd.concat(tables, ignore_index=True)[order]


def summarise(table: pd.DataFrame, alpha: float = 0.1) -> pd.DataFrame:
    """Return `measure_episodes`' table by policy and hazard.

    Returns:
        Columns ``env hazard step stage episodes mean se CVaR violations violation_rate length``: returns over the
        horizon, the mean's standard error (draws of one rollout are not independent of each other: it counts
        rollouts), violations an episode, share of steps in violation.
    """
    rows = []
    for (env, hazard, step, stage), group in table.groupby(["env", "hazard", "step", "stage"], sort=False):
        by_episode = group.groupby("episode")["return"].mean()
        steps, violations = group["length"].mean(), group["violations"].mean()
        rows.append(
            {
                "env": env,
                "hazard": hazard,
                "step": step,
                "stage": stage,
                "episodes": len(by_episode),
                "mean": by_episode.mean(),
                "se": by_episode.sem(),
                "CVaR": float(cvar(group["return"].to_numpy(), alpha)),
                "violations": violations,
                "violation_rate": violations / steps,
                "length": steps,
            }
        )
    return pd.DataFrame(rows)


def measure(
    env: str,
    hazards: Mapping[str, Hazard],
    episodes: int = 100,
    seed: int = 0,
    *,
    draws: int = 20,
    workers: int | None = None,
) -> pd.DataFrame:
    """Return mean, CVaR_0.1 and violations of every shipped policy under each hazard (see `summarise`)."""
    return summarise(measure_episodes(env, hazards, episodes, seed, draws=draws, workers=workers))


def cvar_difference(
    table: pd.DataFrame, first: int, second: int, alpha: float = 0.1, resamples: int = 500, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of CVaR(first policy) − CVaR(second), whole rollouts being resampled.

    `table` holds `measure_episodes`' rows of one hazard; `first` and `second` are stages of training.
    """
    rng = np.random.default_rng(seed)
    returns = [
        table[table["step"] == step].pivot(index="episode", columns="draw", values="return").to_numpy()
        for step in (first, second)
    ]
    values = []
    for _ in range(resamples):
        a, b = (float(cvar(r[rng.integers(len(r), size=len(r))].ravel(), alpha)) for r in returns)
        values.append(a - b)
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def calibrate(task: str, episodes: int = EPISODES, seed: int = 0, workers: int | None = None) -> Hazard:
    """Return the hazard that the rule of this module's first lines sets for a task."""
    chosen = get_task(task)
    signal = PAPER[task].signal
    rollouts = roll_out_policies(chosen.env, policies(task), episodes, seed, purpose="calibration", workers=workers)
    mean = {step: float(np.mean([e.rewards.sum() for e in group])) for step, group in rollouts.items()}
    best, runner_up = sorted(mean, key=lambda step: -mean[step])[:2]
    e, r = ([x.observations[1:, signal] for x in rollouts[step]] for step in (best, runner_up))

    share, low, high = _threshold(e, r)
    if share > LARGEST_SHARE and chosen.quality != "medium-expert":
        return calibrate(f"{chosen.env}-medium-expert", episodes, seed, workers)
    hazard = Hazard(signal, low, high, 0.0, 0.0)
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
            hazard = Hazard(0, low, high, 0.0, 0.0)
            of_e, of_r = _violations(hazard, e), _violations(hazard, r)
            if of_e.sum() >= LEAST_RATE * len(signals):
                candidates.append((float(of_r.mean() / of_e.mean()), of_e.mean(), low, high))
    share, _, low, high = min(candidates)
    return share, low, high


def _violations(hazard: Hazard, signals: list[np.ndarray]) -> np.ndarray:
    return np.array([decide(hazard, x, np.ones(len(x))).violation.sum() for x in signals])


def _digits(value: float) -> float:
    return float(f"{value:.2g}")
