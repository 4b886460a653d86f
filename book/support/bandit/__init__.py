"""Experiments on the Risky Bandit, whose laws are exact. Chapters 1 and 3 run these; no number here needs rollouts."""

from ramac_lib.campaign.bandit import train
from ramac_lib.training.evaluators import draw_actions
from support.bandit.critics import critic_errors, critic_quantiles, fit_critic, fit_law, fit_laws, probes
from support.bandit.denoisers import Empirical, best_policy, path
from support.bandit.tables import estimate, evaluate, summary

__all__ = [
    "Empirical",
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
]
