"""Search linear behaviour policies for a task of Bullet-Safety-Gym, one for each of a spread of cost limits.

``python tools/search_bullet.py ball-run --seeds 0 1`` writes ``data/bullet/ball-run.npz``, which
`ramac_lib.envs.linear.load_policies` reads. Antithetic random search (Mania et al. 2018, ARS V1-t) of W in
a = tanh(W [s, 1] + σ ε) along a ladder of cost limits κ from 0 up, each beginning where the one before ended, as DSRL
anneals its cost limit, and at last for return alone. The objective is R / R_max − w |C − κ| / T, so that the cost C
comes to κ and the return is what is left to gain. After each rung the policy is kept.
"""

import time
from pathlib import Path

import gymnasium
import numpy as np
import tyro

from ramac_lib.datasets.references import get_reference
from ramac_lib.envs.collect import Episode
from ramac_lib.envs.linear import play
from ramac_lib.envs.robots import make_env
from ramac_lib.envs.tasks import get_task
from ramac_lib.system.files import atomic

DIRECTIONS, BEST = 8, 4  # pairs a step, and how many of them make it
WEIGHT = 10.0  # of |C − κ| / T beside R / R_max
STEP, SPREAD = 0.2, 0.2  # of ARS: α and ν, in units of what is observed


class Search:
    """One run of the search: the weights so far, and the steps that they took."""

    def __init__(self, task: str, seed: int, tries: int = 0) -> None:
        self.task, self.rng = get_task(task), np.random.default_rng([7, seed])
        self.env: gymnasium.Env = make_env(self.task.env_id())
        self.best = get_reference(self.task).high
        shape = self.env.action_space.shape[0], self.env.observation_space.shape[0] + 1
        self.weights, self.scale = np.zeros(shape, np.float32), np.ones(shape[1], np.float32)
        tried = [self._play(SPREAD * self.rng.standard_normal(shape), self._seed()) for _ in range(2 * DIRECTIONS)]
        self.scale[:-1] = np.sqrt(np.square(np.concatenate([p.observations for p in tried])).mean(axis=0)) + 1e-2

        if tries:
            drawn = self.rng.standard_normal((tries, *shape)).astype(np.float32)
            self.weights = max(drawn, key=lambda weights: self.objective(weights, self._seed(), 0))

    def _seed(self) -> int:
        return int(self.rng.integers(2**31))

    def _play(self, weights: np.ndarray, seed: int) -> Episode:
        """Return an episode of weights for observations in units of their size."""
        return play(self.env, (weights / self.scale).astype(np.float32), np.random.SeedSequence(seed))

    def measure(self, episodes: int) -> tuple[float, float]:
        """Return the mean return and cost of episodes of the weights so far."""
        played = [self._play(self.weights, self._seed()) for _ in range(episodes)]
        return float(np.mean([p.rewards.sum() for p in played])), float(np.mean([p.costs.sum() for p in played]))

    def objective(self, weights: np.ndarray, seed: int, kappa: float | None) -> float:
        """Return R / R_max − w |C − κ| / T of one episode, or R / R_max alone."""
        played = self._play(weights, seed)
        ret, cost = float(played.rewards.sum()), float(played.costs.sum())
        return ret / self.best - (0 if kappa is None else WEIGHT * abs(cost - kappa) / self.task.horizon)

    def improve(self, kappa: float | None) -> None:
        """Move the weights by one antithetic step."""
        deltas = self.rng.standard_normal((DIRECTIONS, *self.weights.shape)).astype(np.float32)
        moves = [(self.weights + SPREAD * delta, self.weights - SPREAD * delta) for delta in deltas]
        seeds = [self._seed() for _ in deltas]  # both of a pair meet the same start and noise
        pairs = np.array(
            [[self.objective(w, seed, kappa) for w in two] for two, seed in zip(moves, seeds, strict=True)]
        )
        chosen = np.argsort(-pairs.max(axis=1))[:BEST]
        gain = pairs[chosen, 0] - pairs[chosen, 1]
        self.weights += STEP / BEST / (pairs[chosen].std() + 1e-6) * np.tensordot(gain, deltas[chosen], 1)


def search(
    task: tyro.conf.Positional[str],
    seeds: tuple[int, ...] = (0,),
    rungs: int = 12,
    first: int = 25,
    steps: int = 6,
    highest: float = 80,
    tries: int = 0,
    out: Path = Path("data"),
) -> None:
    """Search policies along a ladder of cost limits, once a seed, and write them all.

    Args:
        task: of Bullet-Safety-Gym, e.g. ball-run.
        seeds: of the searches; each gives rungs + 2 policies, the untrained one and that of return alone among them.
        rungs: cost limits, evenly spaced from 0 to the highest.
        first: steps of the search at κ = 0, and for return alone, with which it ends.
        steps: of the search at each rung.
        highest: cost limit of the last rung.
        tries: random policies of which the best at κ = 0 is the start; 0 for W = 0.
        out: folder below which ``bullet/TASK.npz`` is written.
    """
    rows: list[tuple[np.ndarray, float, int]] = []
    began = time.process_time()
    for seed in seeds:
        run = Search(task, seed, tries)

        def keep(kappa: float, run: Search = run, seed: int = seed) -> None:
            ret, cost = run.measure(4)
            rows.append(((run.weights / run.scale).astype(np.float32), kappa, seed))
            spent = time.process_time() - began
            print(f"seed {seed}  κ {kappa:6.1f}  return {ret:8.1f}  cost {cost:6.1f}  {spent:6.1f} s", flush=True)

        keep(np.nan)
        for kappa in np.linspace(0, highest, rungs):
            for _ in range(first if kappa == 0 else steps):
                run.improve(float(kappa))
            keep(float(kappa))
        for _ in range(first):
            run.improve(None)
        keep(np.nan)
        run.env.close()
        weights, kappas, of = zip(*rows, strict=True)
        arrays = {"weights": np.stack(weights), "kappas": np.float32(kappas), "seeds": np.int64(of)}
        with atomic(out / "bullet" / f"{task}.npz") as partial, partial.open("wb") as file:
            np.savez_compressed(file, **arrays)


if __name__ == "__main__":
    tyro.cli(search)
