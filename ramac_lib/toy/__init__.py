"""Experiments on the Risky Bandit, whose laws are exact. Chapters 1 and 3 run these; no number here needs rollouts."""

from ramac_lib.toy.critics import critic_errors, critic_quantiles, fit_critic, fit_law, fit_laws, probes
from ramac_lib.toy.denoisers import Empirical, best_policy, path
from ramac_lib.toy.tables import estimate, evaluate, summary, verdict
from ramac_lib.toy.training import SnapshotTrainer, draw_actions, train

__all__ = [
    "Empirical",
    "SnapshotTrainer",
    "best_policy",
    "critic_errors",
    "critic_quantiles",
    "draw_actions",
    "estimate",
    "evaluate",
    "fit_critic",
    "fit_law",
    "fit_laws",
    "path",
    "probes",
    "summary",
    "train",
    "verdict",
]
